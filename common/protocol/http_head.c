/* http_head.c - the request line, and the refusals of heads whose lines are well-formed: see http_head.h. */
#include "common/protocol/http_head.h"

#include "common/base/percent.h"

static enum http_head_result bad(struct http_head *head, int status, struct error *error, const char *text)
{
    head->status = status;
    error_set(error, status == 414 || status == 431 ? ERR_TOO_LARGE : ERR_INVALID_REQUEST, "%s", text);
    return HTTP_HEAD_BAD;
}

/* uri-host [":" port] of RFC 9110, 7.2, without looking closer. A comma would be two Hosts joined on the way. */
static bool host_is_plausible(struct str host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !strchr("-._~:[]%", c))
            return false;
    }
    return true;
}

/* Cuts "http://host" off an absolute target, which a server must take (RFC 9112, 3.2.2). Its host counts, and not the
 * one of the Host header. False: it is no such target. */
static bool take_authority(struct str *target, struct str *out_host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t len = strlen(schemes[i]), end = len;
        if (target->len < len || !str_eq_nocase(str_from(target->ptr, len), str_from_cstr(schemes[i])))
            continue;
        while (end < target->len && target->ptr[end] != '/' && target->ptr[end] != '?')
            end++;
        struct str host = str_from(target->ptr + len, end - len);
        if (host.len == 0 || !host_is_plausible(host))
            return false;
        *out_host = host;
        *target = str_skip(*target, end);
        return true;
    }
    return false;
}

static const char *target_fault(struct http_head *head)
{
    struct str target = head->target;
    if (str_eq(target, STR("*")) && str_eq(head->method, STR("OPTIONS"))) {
        head->path = target;
        return NULL;
    }
    bool is_absolute = target.len > 0 && target.ptr[0] != '/' && take_authority(&target, &head->host);
    if (!is_absolute && (target.len == 0 || target.ptr[0] != '/'))
        return "the request target must be a path that begins with /, or an http:// or https:// URL";
    for (size_t i = 0; i < target.len; i++)
        if (target.ptr[i] <= 0x20 || target.ptr[i] >= 0x7F || target.ptr[i] == '#')
            return "the request target has a character that must be percent-encoded";
    struct str rest = target;
    head->path = str_split(&rest, '?');
    if (head->path.len == 0) /* "http://host" and "http://host?query" */
        head->path = STR("/");
    head->query = rest.ptr ? rest : STR("");
    for (size_t i = 0; i < head->path.len; i++)
        if (head->path.ptr[i] == '%' && percent_unescape(str_skip(head->path, i)) < 0)
            return "the path has a malformed percent-escape or %00";
    return NULL;
}

static enum http_head_result parse_request_line(struct str line, struct http_head *head, struct error *error)
{
    struct str rest = line;
    head->method = str_split(&rest, ' ');
    head->target = rest.ptr ? str_split(&rest, ' ') : STR("");
    struct str version = rest.ptr ? rest : STR("");
    if (head->method.len == 0)
        return bad(head, 400, error, "the request line has no method");
    for (size_t i = 0; i < head->method.len; i++)
        if (!http_is_token_char(head->method.ptr[i]))
            return bad(head, 400, error, "the method has a character that is not allowed there");
    const char *digits = version.ptr + 5;
    if (version.len != 8 || memcmp(version.ptr, "HTTP/", 5) != 0 || digits[0] < '0' || digits[0] > '9' ||
        digits[1] != '.' || digits[2] < '0' || digits[2] > '9')
        return bad(head, 400, error, "the request line must be METHOD /path HTTP/1.1, with single spaces");
    if (digits[0] != '1' || digits[2] > '1')
        return bad(head, 505, error, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    head->minor = (unsigned)(digits[2] - '0');
    const char *fault = target_fault(head);
    return fault ? bad(head, 400, error, fault) : HTTP_HEAD_DONE;
}

/* Fields that must not come twice: two readers of the request could each believe another one. */
static const char *const singles[] = {
    "Host",      "Content-Length", "Authorization",     "Origin",
    "X-API-Key", "Upgrade",        "Sec-WebSocket-Key", "Sec-WebSocket-Version",
};

static bool find_duplicate(const struct http_fields *fields, const char **out_name)
{
    unsigned seen = 0;
    for (size_t i = 0; i < fields->count; i++) {
        for (size_t k = 0; k < sizeof singles / sizeof singles[0]; k++) {
            if (!str_eq_nocase(fields->items[i].name, str_from_cstr(singles[k])))
                continue;
            if (seen & 1u << k) {
                *out_name = singles[k];
                return true;
            }
            seen |= 1u << k;
        }
    }
    return false;
}

/* RFC 9112, 6.1 and 6.3. A request that two readers could cut at different places is refused. */
static enum http_head_result check_transfer(struct http_head *head, struct error *error)
{
    struct http_list at = {0};
    struct str coding, value;
    size_t count = 0, chunked = 0;
    if (!http_head_find(head, STR("transfer-encoding"), &value))
        return HTTP_HEAD_DONE;
    bool last_is_chunked = false;
    for (; http_fields_next(&head->fields, STR("transfer-encoding"), &at, &coding); count++) {
        last_is_chunked = str_eq_nocase(coding, STR("chunked"));
        chunked += last_is_chunked;
    }
    if (head->minor == 0)
        return bad(head, 400, error, "HTTP/1.0 has no Transfer-Encoding");
    if (head->has_content_length)
        return bad(head, 400, error, "a request has Content-Length or Transfer-Encoding, not both");
    if (!last_is_chunked || chunked > 1)
        return bad(head, 400, error, "the last coding of Transfer-Encoding must be chunked, once");
    head->transfer = count == 1 ? HTTP_TRANSFER_CHUNKED : HTTP_TRANSFER_UNKNOWN;
    return HTTP_HEAD_DONE;
}

static enum http_head_result check_fields(struct http_head *head, struct error *error)
{
    const char *name;
    struct str value, host = STR("");
    if (find_duplicate(&head->fields, &name)) {
        head->status = 400;
        error_set(error, ERR_INVALID_REQUEST, "the header %s is there twice", name);
        return HTTP_HEAD_BAD;
    }
    if (!http_head_find(head, STR("host"), &host) && head->minor == 1)
        return bad(head, 400, error, "HTTP/1.1 requires a Host header");
    if (!host_is_plausible(host))
        return bad(head, 400, error, "the Host header is not a host name with an optional port");
    if (head->host.len == 0)
        head->host = host;
    head->has_content_length = http_head_find(head, STR("content-length"), &value);
    if (head->has_content_length && !str_to_u64(value, &head->content_length))
        return bad(head, 400, error, "Content-Length is not a decimal number");
    return check_transfer(head, error);
}

enum http_head_result http_head_parse(struct str bytes, size_t max_len, size_t *scanned, struct http_head *out,
                                      struct error *error)
{
    struct str within = str_from(bytes.ptr, bytes.len < max_len ? bytes.len : max_len);
    size_t length = 0;
    enum http_head_result end = http_head_end(within, scanned, &length, error);
    if (end == HTTP_HEAD_BAD) {
        out->status = 400;
        return end;
    }
    if (end == HTTP_HEAD_NEED_MORE) {
        if (bytes.len < max_len)
            return end;
        /* 414 tells the client what to shorten. */
        bool in_first_line = !within.len || !memchr(within.ptr, '\n', within.len);
        return bad(out, in_first_line ? 414 : 431, error, "the request head is over the size limit");
    }
    memset(out, 0, offsetof(struct http_head, fields));
    out->length = length;
    out->path = out->query = out->host = STR("");
    struct str rest = str_from(bytes.ptr, length - 2);
    struct str line = str_split(&rest, '\r');
    if (parse_request_line(line, out, error) == HTTP_HEAD_BAD)
        return HTTP_HEAD_BAD;
    switch (http_fields_parse(str_skip(rest, 1), &out->fields, error)) {
    case HTTP_FIELDS_TOO_MANY: out->status = 431; return HTTP_HEAD_BAD;
    case HTTP_FIELDS_BAD: out->status = 400; return HTTP_HEAD_BAD;
    case HTTP_FIELDS_OK: break;
    }
    return check_fields(out, error);
}

bool http_head_keep_alive(const struct http_head *head)
{
    if (http_head_has_token(head, STR("connection"), STR("close")))
        return false;
    return head->minor == 1 || http_head_has_token(head, STR("connection"), STR("keep-alive"));
}

/* Appends text with its escapes decoded, as percent_decode; '+' is a space (the form encoding of the WHATWG URL
 * standard). NUL is refused. */
static bool decode_form(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int byte = percent_unescape(str_skip(text, i));
            if (byte < 0)
                return false;
            c = (char)byte;
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        if (c == '\0')
            return false;
        buf_append_char(out, c);
    }
    return true;
}

enum err http_query_get(struct str query, struct str name, struct buf *scratch, struct str *out, struct error *error)
{
    struct str rest = query, found = {NULL, 0};
    buf_clear(scratch);
    while (rest.ptr) {
        struct str value = str_split(&rest, '&');
        struct str raw_name = str_split(&value, '=');
        buf_clear(scratch);
        if (!decode_form(raw_name, scratch) || !str_eq(buf_str(scratch), name))
            continue;
        if (found.ptr)
            return error_set(error, ERR_INVALID_REQUEST, "the query parameter %.*s is there twice", STR_ARG(name));
        found = value.ptr ? value : STR("");
    }
    buf_clear(scratch);
    if (found.ptr && !decode_form(found, scratch))
        return error_set(error, ERR_INVALID_REQUEST, "the query parameter %.*s has a malformed percent-escape or %%00",
                         STR_ARG(name));
    *out = found.ptr ? buf_str(scratch) : found;
    return ERR_NONE;
}

static bool is_one_of(struct str name, const char *const *names)
{
    while (*names && !str_eq_cstr(name, *names))
        names++;
    return *names != NULL;
}

enum err http_query_check(struct str query, const char *const *names, struct error *error)
{
    struct str rest = query;
    struct buf name = {0};
    enum err err = ERR_NONE;
    while (rest.ptr && !err) {
        struct str value = str_split(&rest, '&');
        struct str raw_name = str_split(&value, '=');
        buf_clear(&name);
        if ((raw_name.len == 0 && !value.ptr) || (decode_form(raw_name, &name) && is_one_of(buf_str(&name), names)))
            continue;
        char quoted[ERROR_QUOTE_LEN];
        struct buf expected = {0};
        for (size_t i = 0; names[i]; i++)
            buf_appendf(&expected, "%s%s", i ? ", " : "", names[i]);
        err = error_set(error, ERR_INVALID_REQUEST, "%s is no query parameter of this route; it takes %s",
                        error_quote(raw_name, quoted), buf_cstr(&expected));
        buf_fini(&expected);
    }
    buf_fini(&name);
    return err;
}
