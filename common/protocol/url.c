/* url.c - see url.h. */
#include "common/protocol/url.h"

static bool take(struct str *text, struct str prefix)
{
    if (text->len < prefix.len || !str_eq_nocase(str_from(text->ptr, prefix.len), prefix))
        return false; /* a scheme is the same in capitals: RFC 3986 3.1 */
    *text = str_skip(*text, prefix.len);
    return true;
}

static bool is_host_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' ||
           c == '_';
}

/* "host", "host:port", "[address]", "[address]:port" */
static bool parse_authority(struct str authority, struct url *out)
{
    struct str rest = authority;
    uint64_t port = 0;
    size_t len = 0;
    if (take(&rest, STR("["))) {
        out->host = str_split(&rest, ']');
        if (!rest.ptr || out->host.len == 0)
            return false;
    } else {
        while (len < rest.len && is_host_char(rest.ptr[len]))
            len++;
        out->host = str_from(rest.ptr, len);
        rest = str_skip(rest, len);
        if (len == 0)
            return false;
    }
    if (rest.len == 0)
        return true;
    if (!take(&rest, STR(":")) || !str_to_u64(rest, &port) || port == 0 || port > UINT16_MAX)
        return false;
    out->port = (uint16_t)port;
    return true;
}

enum err url_parse(struct str text, const char *scheme, struct url *out, struct error *error)
{
    struct url url = {.target = STR("/"), .path = STR("/"), .query = STR("")};
    struct str rest = text;
    char quoted[ERROR_QUOTE_LEN];
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7F || text.ptr[i] == '#')
            return error_set(error, ERR_INVALID_REQUEST,
                             "the URL has a character at byte %zu that must be percent-encoded", i);
    struct str shown = text;
    shown = str_split(&shown, '?');
    /* A password may stand before an @. */
    error_quote(memchr(shown.ptr, '@', shown.len) ? STR("...") : shown, quoted);
    url.secure = take(&rest, str_from_cstr(scheme)) && take(&rest, STR("s"));
    url.port = url.secure ? 443 : 80;
    if (rest.ptr == text.ptr || !take(&rest, STR("://")))
        return error_set(error, ERR_INVALID_REQUEST, "the URL %s should begin with %s:// or %ss://", quoted, scheme,
                         scheme);
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?')
        len++;
    url.authority = str_from(rest.ptr, len);
    if (!parse_authority(url.authority, &url))
        return error_set(error, ERR_INVALID_REQUEST,
                         "the URL %s should have a host and optionally a port after ://, no user or password", quoted);
    if (len < rest.len) {
        if (rest.ptr[len] == '?')
            return error_set(error, ERR_INVALID_REQUEST, "the URL %s needs a path before its query: write /?", quoted);
        url.target = str_skip(rest, len);
        struct str query = url.target;
        url.path = str_split(&query, '?');
        if (query.ptr)
            url.query = query;
    }
    url.shown = shown;
    *out = url;
    return ERR_NONE;
}
