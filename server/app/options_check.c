/* options_check.c - see options_check.h. */
#include "server/app/options_check.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "common/base/alloc.h"
#include "common/json/json_pointer.h"
#include "common/json/json_template.h"
#include "common/protocol/channel_name.h"
#include "common/protocol/passed_header.h"
#include "common/protocol/reason.h"
#include "server/broker/redis/client/redis_url.h"

/* Every byte is a printable ASCII character that is not in `without`. */
static bool is_plain(struct str text, const char *without)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7F || strchr(without, text.ptr[i]))
            return false;
    return true;
}

/* An address, or an address and the length of a prefix: "10.0.0.0/8", "fd00::/8", "127.0.0.1". */
enum err check_network(struct str text, struct error *error)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    uint64_t prefix = 0;
    struct str rest = text;
    struct str host = str_split(&rest, '/');
    bool good = host.len < sizeof address;
    if (good) {
        memcpy(address, host.ptr, host.len);
        address[host.len] = '\0';
        bool v4 = inet_pton(AF_INET, address, bytes) == 1;
        good = (v4 || inet_pton(AF_INET6, address, bytes) == 1) &&
               (!rest.ptr || (str_to_u64(rest, &prefix) && prefix <= (v4 ? 32u : 128u)));
    }
    char quoted[ERROR_QUOTE_LEN];
    return good ? ERR_NONE
                : error_set(error, ERR_INVALID_REQUEST,
                            "found %s, expected an address or a network such as \"10.0.0.0/8\"",
                            error_quote(text, quoted));
}

/* A host name, or an address with nothing behind it. An IPv6 address may be in brackets. Only listening shows whether
 * this machine has the address. */
enum err check_host(struct str text, struct error *error)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    struct str host = text;
    bool in_brackets = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    if (in_brackets)
        host = str_from(text.ptr + 1, text.len - 2);
    struct str scope = host;
    struct str bare = str_split(&scope, '%');
    bool good = is_plain(host, "[]/?#@\\\"'");
    if (good && (in_brackets || memchr(host.ptr, ':', host.len))) {
        good = bare.len < sizeof address;
        if (good) {
            memcpy(address, bare.ptr, bare.len);
            address[bare.len] = '\0';
            good = inet_pton(AF_INET6, address, bytes) == 1;
        }
    }
    char quoted[ERROR_QUOTE_LEN];
    return good ? ERR_NONE
                : error_set(error, ERR_INVALID_REQUEST,
                            "found %s, expected a host name or an address such as \"127.0.0.1\", \"::1\" or \"[::1]\"; "
                            "the port is an option of its own",
                            error_quote(text, quoted));
}

static bool is_name(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.ptr[i]) && !strchr("_.-", text.ptr[i]))
            return false;
    return text.len > 0;
}

enum err check_ticket_path(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (text.ptr[0] == '/' && is_plain(text, "?#%\"\\{}"))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST,
                     "found %s, expected a path that begins with / and has no ?, #, %% or {name} in it",
                     error_quote(text, quoted));
}

/* RFC 9110, 5.6.2 */
static bool is_token(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.ptr[i]) && (!text.ptr[i] || !strchr("!#$%&'*+-.^_`|~", text.ptr[i])))
            return false;
    return text.len > 0;
}

enum err check_subprotocol(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (is_token(text))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "found %s, expected the name of a subprotocol, such as \"chat-v1\"",
                     error_quote(text, quoted));
}

enum err check_client_header(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (passed_header_is_good(text))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST,
                     "found %s, expected the name of a header that may be handed on: not Authorization, Cookie, "
                     "Accept-Encoding, traceparent, those of the connection, and not ce-, webhook-, sec-, proxy-, "
                     "content-, carillon-",
                     error_quote(text, quoted));
}

enum err check_claim(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (is_plain(text, "\"\\{}*"))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "found %s, expected the name of a claim, such as \"org\"",
                     error_quote(text, quoted));
}

enum err check_template(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (memchr(text.ptr, '*', text.len))
        return error_set(error, ERR_INVALID_REQUEST, "found %s, but this is one name, so it has no '*'",
                         error_quote(text, quoted));
    return pattern_check(text, error);
}

enum err check_channel_pattern(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (memchr(text.ptr, '{', text.len))
        return error_set(error, ERR_INVALID_REQUEST, "found %s, but no token is at hand here to fill in a claim",
                         error_quote(text, quoted));
    return pattern_check(text, error);
}

enum err check_media_type(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    struct str parameters = text;
    struct str sub = str_split(&parameters, ';');
    struct str type = str_split(&sub, '/');
    bool good = sub.ptr && is_token(type) && is_token(sub);
    for (size_t i = 0; good && parameters.ptr && i < parameters.len; i++)
        good = parameters.ptr[i] >= ' ' && parameters.ptr[i] < 0x7F;
    if (good)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "found %s, expected a content type such as \"audio/l16; rate=16000\"",
                     error_quote(text, quoted));
}

enum err check_pointer(struct str text, struct error *error)
{
    struct json_pointer *pointer;
    enum err err = json_pointer_create(text, &pointer, error);
    free(pointer);
    return err;
}

/* An object. Each {name} within its texts is one of names; other braces in texts are plain text. */
static enum err check_template_of(struct str text, const char *const *names, size_t count, struct error *error)
{
    struct json_template *template;
    if (text.ptr[0] != '{')
        return error_set(error, ERR_INVALID_REQUEST, "found %.20s, expected an object of JSON", text.ptr);
    enum err err = json_template_create(text, names, count, &template, error);
    json_template_free(template);
    return err;
}

enum err check_error_template(struct str text, struct error *error)
{
    static const char *const names[] = {"code", "message", "id"};
    return check_template_of(text, names, sizeof names / sizeof *names, error);
}

enum err check_ticket_template(struct str text, struct error *error)
{
    static const char *const names[] = {"ticket", "expires_in"};
    return check_template_of(text, names, sizeof names / sizeof *names, error);
}

enum err check_ticket_error_template(struct str text, struct error *error)
{
    static const char *const names[] = {"code", "message"};
    return check_template_of(text, names, sizeof names / sizeof *names, error);
}

enum err check_upstream_name(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (is_name(text) && text.len <= 64)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "found %s, expected a name of at most 64 letters, digits, . _ and -",
                     error_quote(text, quoted));
}

/* The port of "host:port" or "[address]:port", if one is given. */
static bool has_good_port(struct str authority)
{
    size_t at = authority.len;
    while (at && isdigit((unsigned char)authority.ptr[at - 1]))
        at--;
    uint64_t port;
    bool is_given = at && at < authority.len && authority.ptr[at - 1] == ':';
    return !is_given || (str_to_u64(str_skip(authority, at), &port) && port > 0 && port <= UINT16_MAX);
}

/* Scheme, "://", host and maybe port, path and query. A user or a fragment would go nowhere. The URL may hold a secret,
 * so no message repeats it. */
static enum err check_url(struct str text, const char *const *schemes, const char *expected, struct error *error)
{
    bool good = false;
    for (size_t i = 0; !good && schemes[i]; i++) {
        struct str scheme = str_from_cstr(schemes[i]);
        if (text.len <= scheme.len || !str_eq_nocase(str_from(text.ptr, scheme.len), scheme))
            continue;
        struct str rest = str_skip(text, scheme.len);
        struct str host = str_from(rest.ptr, 0);
        while (host.len < rest.len && !strchr("/?", rest.ptr[host.len]))
            host.len++;
        good = host.len > 0 && host.ptr[0] != ':' && has_good_port(host) && is_plain(rest, "#\"\\<>{}") &&
               !memchr(host.ptr, '@', host.len);
    }
    if (good)
        return ERR_NONE;
    return error_set(
        error, ERR_INVALID_REQUEST,
        "expected an address such as \"%s\", without a user, a fragment or a {name}, and with a port from 1 "
        "to 65535 or none",
        expected);
}

enum err check_upstream_url(struct str text, struct error *error)
{
    if (str_starts_with(text, STR(UPSTREAM_DEV_SCHEME)))
        return ERR_NONE; /* validate_upstreams refuses it where `carillon dev` has not given it */
    static const char *const schemes[] = {"http://", "https://", "ws://", "wss://", NULL};
    return check_url(text, schemes, "http://127.0.0.1:9000/frames", error);
}

enum err check_http_url(struct str text, struct error *error)
{
    static const char *const schemes[] = {"http://", "https://", NULL};
    return check_url(text, schemes, "https://backend.example.com/events", error);
}

enum err check_redis_key(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (is_plain(text, "\"\\"))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "found %s, expected a key of Redis, without spaces",
                     error_quote(text, quoted));
}

enum err check_query_name(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (is_plain(text, "&=#%+\"\\"))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "found %s, expected the name of a query parameter",
                     error_quote(text, quoted));
}

/* RFC 6454, 6.2: scheme, "://", host and maybe port, never a path. "null" is an origin, too. */
enum err check_origin(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    const char *colon = memchr(text.ptr, ':', text.len);
    bool whole = str_eq(text, STR("*")) || str_eq(text, STR("null"));
    if (!whole && colon) {
        struct str rest = str_from(colon, text.len - (size_t)(colon - text.ptr));
        whole = rest.len > 3 && str_starts_with(rest, STR("://")) && is_plain(text, "?#\"\\") &&
                !memchr(rest.ptr + 3, '/', rest.len - 3);
    }
    if (whole)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST,
                     "found %s, expected an origin such as \"https://*.example.com\", without a path or a / at the end",
                     error_quote(text, quoted));
}

enum err check_scope(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (is_plain(text, "\"\\")) /* RFC 6749, 3.3 */
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "found %s, expected one scope, without spaces",
                     error_quote(text, quoted));
}

enum err check_reason(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (reason_from_text(text) != REASON_NONE)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "%s is not a reason; docs/reference/errors.md lists them",
                     error_quote(text, quoted));
}

enum err check_redis_url(struct str text, struct error *error)
{
    struct redis_url url;
    enum err err = redis_url_parse(text, &url, error);
    if (err == ERR_NONE)
        redis_url_fini(&url);
    return err;
}

enum err check_redis_prefix(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    size_t i = 0;
    while (i < text.len && (isalnum((unsigned char)text.ptr[i]) || (text.ptr[i] && strchr("._-:", text.ptr[i]))))
        i++;
    if (i == text.len)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST,
                     "found %s, expected letters, digits and . _ - :", error_quote(text, quoted));
}
