/* options_validate.c - what the rows of the table cannot see one by one. */
#include "common/protocol/proxy_header.h"
#include "server/app/options_verdict.h"

static void validate_keys(struct verdict *verdict, const struct options *options)
{
    for (size_t i = 0; i < options->token_keys.count; i++) {
        const struct token_key_options *entry = &options->token_keys.items[i];
        char key[VERDICT_KEY_LEN];
        if (!*entry->file == !*entry->secret)
            verdict_refuse(verdict, key_in_list(key, "token.keys", i, ""), "give either file or secret");
    }
    if (options->token_algorithms.count == 0)
        verdict_refuse(verdict, "token.algorithms", "at least one algorithm is needed");
}

static void validate_limits(struct verdict *verdict, const struct options *options)
{
    if (options->limits_head_bytes < options->token_max_bytes)
        verdict_refuse(verdict, "limits.head_bytes",
                       "must not be less than token.max_bytes, which a request head carries");
    if (options->outbox_max_bytes < options->limits_event_bytes)
        verdict_refuse(verdict, "outbox.max_bytes",
                       "must not be less than limits.event_bytes: a single event would close its subscribers");
    if (options->api_max_bodies < options->api_max_body)
        verdict_refuse(verdict, "api.max_bodies",
                       "must not be less than api.max_body: the largest request would never be taken");
    if (options->proxy_protocol != PROXY_OFF && options->trusted_proxies.count == 0)
        verdict_refuse(verdict, "proxy_protocol", "needs trusted_proxies: only from there are PROXY headers believed");
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
        verdict_refuse(verdict, "internal.port",
                       "must not be the same as port (%u): each listener needs a port of its own",
                       (unsigned)options->port);
}

static void validate_redis(struct verdict *verdict, const struct options *options)
{
    if (*options->redis_url && options->redis_ingest &&
        options->redis_ingest_takeover_ms >= options->idempotency_window_ms)
        verdict_refuse(verdict, "redis.ingest_takeover",
                       "must be less than idempotency_window: the next reader could publish an entry again");
}

static void validate_tls(struct verdict *verdict, const struct options *options)
{
    if (!*options->tls_certificate != !*options->tls_key)
        verdict_refuse(verdict, *options->tls_key ? "tls.key" : "tls.certificate",
                       "give both tls.certificate and tls.key, or neither");
    if (!*options->redis_tls_certificate != !*options->redis_tls_key)
        verdict_refuse(verdict, *options->redis_tls_key ? "redis.tls_key" : "redis.tls_certificate",
                       "give both redis.tls_certificate and redis.tls_key, or neither");
}

enum err options_validate(const struct options *options, const struct option_sources *sources, struct buf *messages)
{
    struct verdict verdict = {.options = options, .sources = sources, .messages = messages};
    validate_endpoints(&verdict);
    validate_upstreams(&verdict);
    validate_tickets(&verdict);
    validate_lifecycle(&verdict);
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
