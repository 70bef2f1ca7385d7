/* options.c - the table of options.def, and the checks of its texts. */
#include "server/app/options.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "common/protocol/channel_name.h"
#include "common/protocol/reason.h"
#include "server/broker/redis/client/redis_url.h"

/* In the order of the enums they become (options.h). */
static const char *const proxy_protocol_choices[] = {"off", "optional", "required", NULL};
static const char *const reject_choices[] = {"auto", "http", "close", NULL};
static const char *const require_choices[] = {"none", "grant", NULL};
static const char *const allow_choices[] = {"subscribe", "publish", "presence", "history", NULL};
static const char *const log_level_choices[] = {"error", "warn", "info", "debug", NULL};
static const char *const log_format_choices[] = {"text", "json", NULL};
static const char *const algorithm_choices[] = {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
                                                "PS384", "PS512", "ES256", "ES384", "EdDSA", NULL};

/* Every byte is a printable ASCII character that is not in `without`. */
static bool is_plain(struct str text, const char *without)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7F || strchr(without, text.ptr[i]))
            return false;
    return true;
}

/* An address, or an address and the length of a prefix: "10.0.0.0/8", "fd00::/8", "127.0.0.1". */
static enum err check_network(struct str text, struct error *error)
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
static enum err check_host(struct str text, struct error *error)
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

static enum err check_path(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (text.ptr[0] == '/' && is_plain(text, "?#%\"\\{}"))
        return ERR_NONE;
    if (text.ptr[0] == '/' && memchr(text.ptr, '{', text.len))
        return error_set(
            error, ERR_INVALID_REQUEST,
            "found %s, but paths are literal, and have no place for an id; what a connection is about it says by "
            "the channels that it subscribes to, and by its token",
            error_quote(text, quoted));
    return error_set(error, ERR_INVALID_REQUEST,
                     "found %s, expected a path that begins with / and has no ?, # or %% in it",
                     error_quote(text, quoted));
}

static enum err check_query_name(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (is_plain(text, "&=#%+\"\\"))
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "found %s, expected the name of a query parameter",
                     error_quote(text, quoted));
}

/* RFC 6454, 6.2: scheme, "://", host and maybe port, never a path. "null" is an origin, too. */
static enum err check_origin(struct str text, struct error *error)
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

static enum err check_scope(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (is_plain(text, "\"\\")) /* RFC 6749, 3.3 */
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "found %s, expected one scope, without spaces",
                     error_quote(text, quoted));
}

static enum err check_reason(struct str text, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (reason_from_text(text) != REASON_NONE)
        return ERR_NONE;
    return error_set(error, ERR_INVALID_REQUEST, "%s is not a reason; docs/reference/errors.md lists them",
                     error_quote(text, quoted));
}

static enum err check_redis_url(struct str text, struct error *error)
{
    struct redis_url url;
    enum err err = redis_url_parse(text, &url, error);
    if (err == ERR_NONE)
        redis_url_fini(&url);
    return err;
}

static enum err check_redis_prefix(struct str text, struct error *error)
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

/* --- the tables ------------------------------------------------------------------------------------------------- */

#define LIVE    true
#define RESTART false

#define OPTION(key_, member_, type_, default_, min_, max_, change_, text_)                                             \
    OPTION_CHECKED(key_, member_, type_, NULL, default_, min_, max_, change_, text_)
#define OPTION_CHECKED(key_, member_, type_, check_, default_, min_, max_, change_, text_)                             \
    {.key = key_,                                                                                                      \
     .type = OPTION_##type_,                                                                                           \
     .default_text = default_,                                                                                         \
     .min = min_,                                                                                                      \
     .max = max_,                                                                                                      \
     .check = check_,                                                                                                  \
     .live = change_,                                                                                                  \
     .text = text_,                                                                                                    \
     .offset = offsetof(struct STRUCT, member_)},
#define OPTION_CHOICE(key_, member_, type_, choices_, default_, change_, text_)                                        \
    {.key = key_,                                                                                                      \
     .type = OPTION_##type_,                                                                                           \
     .default_text = default_,                                                                                         \
     .choices = choices_,                                                                                              \
     .live = change_,                                                                                                  \
     .text = text_,                                                                                                    \
     .offset = offsetof(struct STRUCT, member_)},
#define OPTION_RECORDS(key_, member_, record_, default_, example_, change_, text_)                                     \
    {.key = key_,                                                                                                      \
     .type = OPTION_RECORDS,                                                                                           \
     .default_text = default_,                                                                                         \
     .example = example_,                                                                                              \
     .record = &record_##_table,                                                                                       \
     .live = change_,                                                                                                  \
     .text = text_,                                                                                                    \
     .offset = offsetof(struct STRUCT, member_)},
#define TABLE(table, struct_name, table_rows)                                                                          \
    static const struct option_table table = {                                                                         \
        .rows = table_rows, .count = sizeof table_rows / sizeof *table_rows, .size = sizeof(struct struct_name)}

#define STRUCT endpoint_options
static const struct option_row endpoint_rows[] = {
#include "server/app/options_endpoint.def"
};
#undef STRUCT
TABLE(endpoint_table, endpoint_options, endpoint_rows);

#define STRUCT channel_options
static const struct option_row channel_rows[] = {
#include "server/app/options_channel.def"
};
#undef STRUCT
TABLE(channel_table, channel_options, channel_rows);

#define STRUCT token_key_options
static const struct option_row token_key_rows[] = {
#include "server/app/options_token_key.def"
};
#undef STRUCT
TABLE(token_key_table, token_key_options, token_key_rows);

#define STRUCT options
static const struct option_row option_rows[] = {
#include "server/app/options.def"
};
#undef STRUCT

static const struct option_alias option_aliases[] = {
    {.flag = "--redis", .env = "REDIS_URL", .key = "redis.url"},
    {.env = "PORT", .key = "port"},
};

const struct option_table options_table = {
    .rows = option_rows,
    .count = sizeof option_rows / sizeof *option_rows,
    .size = sizeof(struct options),
    .program = "carillon",
    .env_prefix = "CARILLON_",
    .aliases = option_aliases,
    .alias_count = sizeof option_aliases / sizeof *option_aliases,
};
_Static_assert(sizeof option_rows / sizeof *option_rows <= OPTIONS_MAX, "more rows than the engine takes");
