/* redis_url.c - see redis_url.h. */
#include "server/broker/redis_url.h"

#include "common/base/alloc.h"

enum { DATABASE_MAX = 1000000 };

static enum err fail(struct error *error, const char *what)
{
    return error_set(error, ERR_INVALID_REQUEST,
                     "the Redis URL %s; expected redis://[[user]:password@]host[:port][/database]", what);
}

static enum err check_scheme(struct str text, struct str *out_rest, struct error *error)
{
    static const struct {
        const char *scheme;
        const char *why;
    } refused[] = {
        {"rediss://",
         "asks for TLS (rediss://), which this version does not speak to Redis: use redis:// over a private "
         "network or through a TLS tunnel"},
        {"redis+sentinel://", "asks for Sentinel (redis+sentinel://), which this version does not support: give the "
                              "primary's own address"},
        {"unix:", "names a Unix socket, which this version does not support: give host and port"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (str_starts_with(text, str_from_cstr(refused[i].scheme)))
            return fail(error, refused[i].why);
    if (!str_starts_with(text, STR("redis://")))
        return fail(error, "does not begin with redis://");
    *out_rest = str_from(text.ptr + 8, text.len - 8);
    return ERR_NONE;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The decoded text on the heap, NULL if an escape is malformed or stands for NUL. */
static char *percent_decode(struct str text)
{
    char *out = xmalloc(text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                free(out);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return out;
}

static enum err take_login(struct redis_url *url, struct str login, struct error *error)
{
    const char *colon = login.len ? memchr(login.ptr, ':', login.len) : NULL;
    if (!colon)
        return fail(error, "has a user but no password before the '@'");
    struct str user = str_from(login.ptr, (size_t)(colon - login.ptr));
    struct str password = str_from(colon + 1, login.len - user.len - 1);
    url->user = percent_decode(user);
    url->password = percent_decode(password);
    if (!url->user || !url->password)
        return fail(error, "has a malformed %-escape in its user or password (a '%' itself is written %25)");
    if (password.len == 0)
        return fail(error, "has an empty password");
    return ERR_NONE;
}

static enum err take_address(struct redis_url *url, struct str address, struct error *error)
{
    struct str host = address;
    struct str port = STR("6379");
    const char *colon = NULL;
    if (address.len && address.ptr[0] == '[') {
        const char *end = memchr(address.ptr, ']', address.len);
        if (!end)
            return fail(error, "has a '[' without the ']' that ends an IPv6 address");
        host = str_from(address.ptr + 1, (size_t)(end - address.ptr) - 1);
        if (end + 1 < address.ptr + address.len) {
            if (end[1] != ':')
                return fail(error, "has something other than a port after the ']'");
            colon = end + 1;
        }
    } else if (address.len && (colon = memchr(address.ptr, ':', address.len))) {
        host = str_from(address.ptr, (size_t)(colon - address.ptr));
    }
    if (colon)
        port = str_from(colon + 1, (size_t)(address.ptr + address.len - colon) - 1);
    uint64_t number = 0;
    if (!str_to_u64(port, &number) || number < 1 || number > 65535)
        return fail(error, "has a port that is not a number from 1 to 65535");
    if (host.len == 0)
        return fail(error, "has no host");
    for (size_t i = 0; i < host.len; i++)
        if ((unsigned char)host.ptr[i] <= ' ' || strchr("@?#%[]\x7F", host.ptr[i]))
            return fail(error, "has a character in its host that no host has (in a password, write '/' as %2F, '@' as "
                               "%40, '?' as %3F and '#' as %23)");
    url->host = str_dup(host);
    url->port = str_dup(port);
    return ERR_NONE;
}

enum err redis_url_parse(struct str text, struct redis_url *out, struct error *error)
{
    struct redis_url url = {0};
    struct str rest = STR("");
    struct str database = {0};
    enum err err = check_scheme(text, &rest, error);
    if (err)
        return err;
    const char *slash = memchr(rest.ptr, '/', rest.len);
    if (slash) {
        database = str_from(slash + 1, (size_t)(rest.ptr + rest.len - slash) - 1);
        rest.len = (size_t)(slash - rest.ptr);
    }
    const char *at = memrchr(rest.ptr, '@', rest.len);
    if (at) {
        if ((err = take_login(&url, str_from(rest.ptr, (size_t)(at - rest.ptr)), error)))
            goto failed;
        rest = str_from(at + 1, (size_t)(rest.ptr + rest.len - at) - 1);
    } else {
        url.user = xstrdup("");
        url.password = xstrdup("");
    }
    if ((err = take_address(&url, rest, error)))
        goto failed;
    uint64_t number = 0;
    if (database.len && (!str_to_u64(database, &number) || number > DATABASE_MAX)) {
        err = fail(error, "has a database that is not a number (after the '/')");
        goto failed;
    }
    url.database = (unsigned)number;
    *out = url;
    return ERR_NONE;

failed:
    redis_url_fini(&url);
    return err;
}

void redis_url_fini(struct redis_url *url)
{
    free(url->host);
    free(url->port);
    free(url->user);
    if (url->password) /* what was secret does not stay in freed memory */
        explicit_bzero(url->password, strlen(url->password));
    free(url->password);
    *url = (struct redis_url){0};
}
