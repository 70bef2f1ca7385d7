/* guard.c - see guard.h. */
#include "server/dev/guard.h"

#include <arpa/inet.h>

#include "common/protocol/http_field.h"
#include "server/console/own_page.h"

/* The text without its brackets, NUL-terminated. False: it is longer than any address. */
static bool address_of(struct str text, char out[INET6_ADDRSTRLEN])
{
    if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
        text = str_from(text.ptr + 1, text.len - 2);
    if (text.len >= INET6_ADDRSTRLEN)
        return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

bool guard_is_loopback(struct str host)
{
    static const unsigned char v6[16] = {[15] = 1};
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    if (str_eq_nocase(host, STR("localhost")))
        return true;
    if (!address_of(host, text))
        return false;
    if (inet_pton(AF_INET, text, bytes) == 1)
        return bytes[0] == 127;
    return inet_pton(AF_INET6, text, bytes) == 1 && memcmp(bytes, v6, sizeof v6) == 0;
}

static bool is_address(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    return address_of(host, text) && (inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1);
}

/* No public DNS server has these names: one without a dot, and those of RFC 6761, RFC 6762 and .internal. */
static bool is_local_name(struct str host)
{
    static const char *const endings[] = {".localhost", ".local", ".internal", ".test"};
    if (host.len > 0 && !memchr(host.ptr, '.', host.len))
        return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t len = strlen(endings[i]);
        if (host.len > len && str_eq_nocase(str_skip(host, host.len - len), str_from_cstr(endings[i])))
            return true;
    }
    return false;
}

/* Splits "name:port", "[::1]:port" and a name alone, whose port is 80. */
static struct str split_port(struct str host, uint64_t *out_port)
{
    size_t end = host.len;
    while (end > 0 && host.ptr[end - 1] >= '0' && host.ptr[end - 1] <= '9')
        end--;
    *out_port = 80;
    if (end == 0 || host.ptr[end - 1] != ':' || !str_to_u64(str_skip(host, end), out_port))
        return host;
    return str_from(host.ptr, end - 1);
}

static bool is_own_host(const struct guard *guard, struct str host)
{
    uint64_t port;
    struct str name = split_port(host, &port);
    if (guard->allow_remote)
        return is_address(name) || is_local_name(name);
    return guard_is_loopback(name) && port == guard->port;
}

static struct str field(const struct http_request *request, struct str name)
{
    struct str value = STR("");
    http_fields_find(request->fields, name, &value);
    return value;
}

/* Its answer is a page for the user, which no other page can read. */
static bool opens_document(const struct http_request *request)
{
    return (str_eq(request->method, STR("GET")) || str_eq(request->method, STR("HEAD"))) &&
           str_eq(field(request, STR("sec-fetch-mode")), STR("navigate")) &&
           str_eq(field(request, STR("sec-fetch-dest")), STR("document"));
}

static bool is_own_site(const struct http_request *request)
{
    return own_page_site(request) || opens_document(request);
}

enum err guard_check(const struct guard *guard, const struct http_request *request, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (!guard->allow_remote && !guard_is_loopback(request->address))
        return error_set(error, ERR_FORBIDDEN, "%.*s is another machine; start carillon dev with --allow-remote for it",
                         STR_ARG(request->address));
    if (!is_own_host(guard, request->host))
        return error_set(
            error, ERR_FORBIDDEN,
            guard->allow_remote
                ? "the Host header is %s, which may be a name that leads here by an attacker's DNS server; "
                  "use an address, or a name without a dot"
                : "the Host header is %s; use localhost, 127.0.0.1 or [::1] with the port of the listener",
            error_quote(request->host, quoted));
    if (!own_page_origin(request, STR("http")))
        return error_set(
            error, ERR_FORBIDDEN,
            "a page of %s may not use the internal listener; let its own server ask, and pass the answer on",
            error_quote(request->origin, quoted));
    if (!is_own_site(request))
        return error_set(
            error, ERR_FORBIDDEN,
            "a page of another origin may not use the internal listener (Sec-Fetch-Site: %.*s); let its own "
            "server ask, and pass the answer on",
            STR_ARG(field(request, STR("sec-fetch-site"))));
    return ERR_NONE;
}
