/* options_validate.c - what the rows of the table cannot see one by one. */
#include <stdio.h>

#include "common/protocol/proxy_header.h"
#include "server/app/options.h"

struct verdict {
    const struct option_sources *sources;
    struct buf *messages;
    enum err err;
};

/* "carillon.jsonc:7: endpoints: ..." */
static void say(struct verdict *verdict, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct verdict *verdict, const char *key, const char *format, ...)
{
    char source[512];
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_appendf(verdict->messages, "%s: %s: %s\n", option_source_text(&options_table, verdict->sources, key, source),
                key, text);
    verdict->err = ERR_INVALID_REQUEST;
}

/* RFC 6455, 7.4.1: these are for use inside a program and must not be sent. Below 3000 only the registered ones are. */
static bool is_sendable(uint64_t code)
{
    return code >= 3000 || (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006);
}

static void validate_endpoints(struct verdict *verdict, const struct options *options)
{
    if (options->endpoints.count == 0)
        say(verdict, "endpoints", "at least one entry is needed, such as {\"path\": \"/ws\"}");
    for (size_t i = 0; i < options->endpoints.count; i++) {
        const struct endpoint_options *endpoint = &options->endpoints.items[i];
        for (size_t j = 0; j < i; j++)
            if (strcmp(endpoint->path, options->endpoints.items[j].path) == 0)
                say(verdict, "endpoints", "[%zu].path: %s is also the path of [%zu]", i, endpoint->path, j);
        for (size_t j = 0; j < endpoint->close_codes.count; j++)
            if (!is_sendable(endpoint->close_codes.items[j].value))
                say(verdict, "endpoints", "[%zu].close_codes: %u cannot be sent; use 3000 to 4999 or a registered code",
                    i, (unsigned)endpoint->close_codes.items[j].value);
        if (!endpoint->token_header && !endpoint->token_subprotocol && endpoint->token_query.count == 0)
            say(verdict, "endpoints", "[%zu]: no way is left to bring a token; allow header, subprotocol or query", i);
    }
}

static void validate_keys(struct verdict *verdict, const struct options *options)
{
    for (size_t i = 0; i < options->token_keys.count; i++) {
        const struct token_key_options *key = &options->token_keys.items[i];
        if (!*key->file == !*key->secret)
            say(verdict, "token.keys", "[%zu]: give either file or secret", i);
    }
    if (options->token_algorithms.count == 0)
        say(verdict, "token.algorithms", "at least one algorithm is needed");
}

static void validate_limits(struct verdict *verdict, const struct options *options)
{
    if (options->limits_head_bytes < options->token_max_bytes)
        say(verdict, "limits.head_bytes", "must not be less than token.max_bytes, which a request head carries");
    if (options->outbox_max_bytes < options->limits_event_bytes)
        say(verdict, "outbox.max_bytes",
            "must not be less than limits.event_bytes: a single event would close its subscribers");
    if (options->api_max_bodies < options->api_max_body)
        say(verdict, "api.max_bodies", "must not be less than api.max_body: the largest request would never be taken");
    if (options->proxy_protocol != PROXY_OFF && options->trusted_proxies.count == 0)
        say(verdict, "proxy_protocol", "needs trusted_proxies: only from there are PROXY headers believed");
}

static bool is_every_address(const char *host)
{
    return strcmp(host, "*") == 0 || strcmp(host, "::") == 0 || strcmp(host, "[::]") == 0 ||
           strcmp(host, "0.0.0.0") == 0;
}

static void validate_ports(struct verdict *verdict, const struct options *options)
{
    bool share_address = is_every_address(options->host) || is_every_address(options->internal_host) ||
                         strcmp(options->host, options->internal_host) == 0;
    if (options->port != 0 && options->port == options->internal_port && share_address)
        say(verdict, "internal.port", "must not be the same as port (%u): each listener needs a port of its own",
            (unsigned)options->port);
}

static void validate_redis(struct verdict *verdict, const struct options *options)
{
    if (*options->redis_url && options->redis_ingest &&
        options->redis_ingest_takeover_ms >= options->idempotency_window_ms)
        say(verdict, "redis.ingest_takeover",
            "must be less than idempotency_window: the next reader could publish an entry again");
}

static void validate_tls(struct verdict *verdict, const struct options *options)
{
    if (!*options->tls_certificate != !*options->tls_key)
        say(verdict, *options->tls_key ? "tls.key" : "tls.certificate",
            "give both tls.certificate and tls.key, or neither");
    if (!*options->redis_tls_certificate != !*options->redis_tls_key)
        say(verdict, *options->redis_tls_key ? "redis.tls_key" : "redis.tls_certificate",
            "give both redis.tls_certificate and redis.tls_key, or neither");
}

enum err options_validate(const struct options *options, const struct option_sources *sources, struct buf *messages)
{
    struct verdict verdict = {.sources = sources, .messages = messages};
    validate_endpoints(&verdict, options);
    validate_keys(&verdict, options);
    validate_limits(&verdict, options);
    validate_ports(&verdict, options);
    validate_redis(&verdict, options);
    validate_tls(&verdict, options);
    if (verdict.err == ERR_NONE && !*options->token_secret && options->token_keys.count == 0)
        buf_append_lit(messages,
                       "no key to verify tokens with: set token.secret or token.keys, until then nobody can connect\n");
    return verdict.err;
}
