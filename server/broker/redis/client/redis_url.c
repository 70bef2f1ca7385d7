/* redis_url.c - see redis_url.h. */
#include "server/broker/redis/client/redis_url.h"

#include "common/base/alloc.h"
#include "common/base/percent.h"

enum { DATABASE_MAX = 1000000, ENDPOINTS_MAX = 64 };

#define CLUSTER_FORM  "[[user]:password@]host[:port][,...]"
#define SENTINEL_FORM "[[user]:password@]host[:port][,...]/name[/database][?sentinel_password=...]"

static const struct scheme {
    const char *text;
    enum redis_kind kind;
    bool tls;
    const char *port;
    const char *form;
} schemes[] = {
    {"redis://", REDIS_SINGLE, false, "6379", "redis://[[user]:password@]host[:port][/database]"},
    {"rediss://", REDIS_SINGLE, true, "6379", "rediss://[[user]:password@]host[:port][/database]"},
    {"redis+sentinel://", REDIS_SENTINEL, false, "26379", "redis+sentinel://" SENTINEL_FORM},
    {"rediss+sentinel://", REDIS_SENTINEL, true, "26379", "rediss+sentinel://" SENTINEL_FORM},
    {"redis+cluster://", REDIS_CLUSTER, false, "6379", "redis+cluster://" CLUSTER_FORM},
    {"rediss+cluster://", REDIS_CLUSTER, true, "6379", "rediss+cluster://" CLUSTER_FORM},
};

static enum err fail(const struct scheme *scheme, struct error *error, const char *what)
{
    return error_set(error, ERR_INVALID_REQUEST, "the Redis URL %s; expected %s", what, scheme->form);
}

/* Case does not count in a scheme (RFC 3986 3.1). */
static bool has_scheme(struct str text, struct str scheme)
{
    return text.len >= scheme.len && str_eq_nocase(str_from(text.ptr, scheme.len), scheme);
}

static const struct scheme *find_scheme(struct str text)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (has_scheme(text, str_from_cstr(schemes[i].text)))
            return &schemes[i];
    return NULL;
}

/* The decoded text on the heap, NULL if an escape is malformed or stands for NUL. */
static char *decoded_copy(struct str text)
{
    struct buf decoded = {0};
    char *copy = percent_decode(text, &decoded) ? str_dup(buf_str(&decoded)) : NULL;
    buf_fini(&decoded);
    return copy;
}

static enum err take_login(const struct scheme *scheme, struct redis_login *out, struct str login, struct error *error)
{
    const char *colon = login.len ? memchr(login.ptr, ':', login.len) : NULL;
    if (!colon)
        return fail(scheme, error, "has a user but no password before the '@'");
    struct str user = str_from(login.ptr, (size_t)(colon - login.ptr));
    struct str password = str_from(colon + 1, login.len - user.len - 1);
    out->user = decoded_copy(user);
    out->password = decoded_copy(password);
    if (!out->user || !out->password)
        return fail(scheme, error, "has a malformed %-escape in its user or password (a '%' itself is written %25)");
    if (password.len == 0)
        return fail(scheme, error, "has an empty password");
    return ERR_NONE;
}

static enum err take_endpoint(const struct scheme *scheme, struct redis_url *url, struct str address,
                              struct error *error)
{
    struct str host = address;
    struct str port = str_from_cstr(scheme->port);
    const char *colon = NULL;
    if (address.len && address.ptr[0] == '[') {
        const char *end = memchr(address.ptr, ']', address.len);
        if (!end)
            return fail(scheme, error, "has a '[' without the ']' that ends an IPv6 address");
        host = str_from(address.ptr + 1, (size_t)(end - address.ptr) - 1);
        if (end + 1 < address.ptr + address.len) {
            if (end[1] != ':')
                return fail(scheme, error, "has something other than a port after the ']'");
            colon = end + 1;
        }
    } else if (address.len && (colon = memchr(address.ptr, ':', address.len))) {
        host = str_from(address.ptr, (size_t)(colon - address.ptr));
    }
    if (colon)
        port = str_from(colon + 1, (size_t)(address.ptr + address.len - colon) - 1);
    uint64_t number = 0;
    if (!str_to_u64(port, &number) || number < 1 || number > 65535)
        return fail(scheme, error, "has a port that is not a number from 1 to 65535");
    if (host.len == 0)
        return fail(scheme, error, "has no host");
    for (size_t i = 0; i < host.len; i++)
        if ((unsigned char)host.ptr[i] <= ' ' || strchr("@?#%[],\x7F", host.ptr[i]))
            return fail(scheme, error,
                        "has a character in its host that no host has (in a password, write '/' as %2F, '@' as "
                        "%40, '?' as %3F and '#' as %23)");
    url->endpoints[url->endpoint_count++] = redis_endpoint_copy(host, port);
    return ERR_NONE;
}

/* One address, or several separated by commas. */
static enum err take_endpoints(const struct scheme *scheme, struct redis_url *url, struct str list, struct error *error)
{
    size_t max = scheme->kind == REDIS_SINGLE ? 1 : ENDPOINTS_MAX;
    url->endpoints = xcalloc(max, sizeof *url->endpoints);
    if (max == 1)
        return take_endpoint(scheme, url, list, error);
    enum err err = ERR_NONE;
    while (list.ptr && err == ERR_NONE)
        err = url->endpoint_count == max ? fail(scheme, error, "has more than 64 addresses")
                                         : take_endpoint(scheme, url, str_split(&list, ','), error);
    return err;
}

static enum err take_database(const struct scheme *scheme, struct redis_url *url, struct str text, struct error *error)
{
    uint64_t number = 0;
    if (text.len && scheme->kind == REDIS_CLUSTER)
        return fail(scheme, error, "has a database; a cluster has only one");
    if (text.len && (!str_to_u64(text, &number) || number > DATABASE_MAX))
        return fail(scheme, error, "has a database that is not a number (after the '/')");
    url->login.database = (unsigned)number;
    return ERR_NONE;
}

/* Decodes a value that may be given once. */
static bool take_text(char **out, struct str value)
{
    char *decoded = *out || !value.len ? NULL : decoded_copy(value);
    if (decoded)
        *out = decoded;
    return decoded != NULL;
}

static enum err take_query(const struct scheme *scheme, struct redis_url *url, struct str query, struct error *error)
{
    while (query.ptr) {
        struct str value = str_split(&query, '&');
        struct str name = str_split(&value, '=');
        bool taken =
            value.ptr && ((str_eq(name, STR("sentinel_user")) && take_text(&url->sentinel_login.user, value)) ||
                          (str_eq(name, STR("sentinel_password")) && take_text(&url->sentinel_login.password, value)));
        if (!taken)
            return fail(scheme, error,
                        "has something after the '?' that is not sentinel_user=... or "
                        "sentinel_password=..., each once");
    }
    if (url->sentinel_login.user && !url->sentinel_login.password)
        return fail(scheme, error, "has a sentinel_user but no sentinel_password");
    return ERR_NONE;
}

/* Reads the part after the addresses: [name/][database][?...]. */
static enum err take_path(const struct scheme *scheme, struct redis_url *url, struct str path, struct error *error)
{
    enum err err = ERR_NONE;
    if (scheme->kind == REDIS_SENTINEL) {
        struct str query = path;
        path = str_split(&query, '?');
        struct str name = str_split(&path, '/');
        if (name.len == 0)
            return fail(scheme, error, "does not name the primary (after the addresses and a '/')");
        free(url->master);
        url->master = str_dup(name);
        err = take_query(scheme, url, query, error);
    }
    return err ? err : take_database(scheme, url, path, error);
}

static void complete_login(struct redis_login *login)
{
    if (!login->user)
        login->user = xstrdup("");
    if (!login->password)
        login->password = xstrdup("");
}

static enum err refuse_scheme(struct str text, struct error *error)
{
    if (has_scheme(text, STR("unix:")))
        return fail(&schemes[0], error, "names a Unix socket, which this version does not support: give host and port");
    return fail(&schemes[0], error, "does not begin with a scheme it knows");
}

enum err redis_url_parse(struct str text, struct redis_url *out, struct error *error)
{
    const struct scheme *scheme = find_scheme(text);
    if (!scheme)
        return refuse_scheme(text, error);
    struct redis_url url = {.kind = scheme->kind, .tls = scheme->tls, .master = xstrdup("")};
    size_t skip = strlen(scheme->text);
    struct str rest = str_skip(text, skip);
    struct str path = {0};
    const char *slash = memchr(rest.ptr, '/', rest.len);
    if (slash) {
        path = str_from(slash + 1, (size_t)(rest.ptr + rest.len - slash) - 1);
        rest.len = (size_t)(slash - rest.ptr);
    }
    enum err err = ERR_NONE;
    const char *at = memrchr(rest.ptr, '@', rest.len);
    if (at) {
        err = take_login(scheme, &url.login, str_from(rest.ptr, (size_t)(at - rest.ptr)), error);
        rest = str_from(at + 1, (size_t)(rest.ptr + rest.len - at) - 1);
    }
    if (err == ERR_NONE)
        err = take_endpoints(scheme, &url, rest, error);
    if (err == ERR_NONE)
        err = take_path(scheme, &url, path, error);
    if (err) {
        redis_url_fini(&url);
        return err;
    }
    complete_login(&url.login);
    complete_login(&url.sentinel_login);
    *out = url;
    return ERR_NONE;
}

static void login_fini(struct redis_login *login)
{
    free(login->user);
    if (login->password) /* a secret must not stay in freed memory */
        explicit_bzero(login->password, strlen(login->password));
    free(login->password);
}

void redis_url_fini(struct redis_url *url)
{
    for (size_t i = 0; i < url->endpoint_count; i++)
        redis_endpoint_fini(&url->endpoints[i]);
    free(url->endpoints);
    free(url->master);
    login_fini(&url->login);
    login_fini(&url->sentinel_login);
    *url = (struct redis_url){0};
}

struct redis_endpoint redis_endpoint_copy(struct str host, struct str port)
{
    return (struct redis_endpoint){.host = str_dup(host), .port = str_dup(port)};
}

void redis_endpoint_fini(struct redis_endpoint *endpoint)
{
    free(endpoint->host);
    free(endpoint->port);
    *endpoint = (struct redis_endpoint){0};
}
