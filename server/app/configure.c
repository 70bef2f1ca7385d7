/* configure.c - see configure.h. */
#include "server/app/configure.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "server/app/configure_tickets.h"
#include "server/broker/redis/client/redis_url.h"
#include "server/dialect/carillon.h"
#include "server/net/ws/ws.h"

enum { KEY_FILE_MAX = 1 << 20 };

static struct hub_settings make_hub_settings(const struct options *o)
{
    return (struct hub_settings){
        .outbox_max_bytes = o->outbox_max_bytes,
        .outbox_max_messages = o->outbox_max_messages,
        .event_bytes = o->limits_event_bytes,
        .close_timeout_us = o->close_timeout_ms * 1000,
        .expiry_warning_us = o->token_expiry_warning_ms * 1000,
        .leeway_ms = o->token_leeway_ms,
        .session_slot_ttl_ms = *o->redis_url ? o->redis_session_ttl_ms : 0,
        .ticket_lease_ms = o->tickets.lease_ms,
        .ticket_resume_ms = o->tickets.resume_ttl_ms,
        .linger_us = o->redis_linger_ms * 1000,
        .custom_events = o->events_custom,
    };
}

static struct rules *make_rules(const struct options *o)
{
    struct rule *rule = xcalloc(o->channels.count, sizeof *rule);
    for (size_t i = 0; i < o->channels.count; i++) {
        const struct channel_options *channel = &o->channels.items[i];
        rule[i] = (struct rule){
            .match = str_from_cstr(channel->match),
            .require_grant = channel->require == CHANNEL_REQUIRE_GRANT,
            .require_scope = str_from_cstr(channel->require_scope),
            .presence = {.kept = channel->presence,
                         .events = channel->presence_events,
                         .ttl_ms = channel->presence_ttl_ms},
            .history = {.size = channel->history_size, .ttl_ms = channel->history_ttl_ms},
            .publisher = (enum publisher_naming)channel->publisher,
            .verify_sender = channel->sender == CHANNEL_SENDER_VERIFIED,
        };
        for (size_t j = 0; j < channel->allow.count; j++)
            rule[i].allow |= allow_from_word(str_from_cstr(channel->allow.items[j]));
    }
    struct rules *rules = rules_create(rule, o->channels.count);
    free(rule);
    return rules;
}

static unsigned algorithm_set(const struct option_strings *names)
{
    unsigned set = 0;
    for (size_t i = 0; i < names->count; i++) {
        const struct algorithm *algorithm = algorithm_by_name(str_from_cstr(names->items[i]));
        set |= algorithm ? algorithm->bit : 0; /* the option's choices are these names: each is found */
    }
    return set;
}

static enum err read_file(const char *path, struct buf *out, struct error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, ERR_INVALID_REQUEST, "cannot open %s: %s", path, strerror(errno));
    buf_reserve(out, KEY_FILE_MAX + 1);
    out->len = fread(out->ptr, 1, KEY_FILE_MAX + 1, file);
    bool failed = ferror(file);
    fclose(file);
    if (failed)
        return error_set(error, ERR_INVALID_REQUEST, "cannot read %s: %s", path, strerror(errno));
    if (out->len > KEY_FILE_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "%s is larger than %d bytes: not a key", path, KEY_FILE_MAX);
    return ERR_NONE;
}

static enum err add_key(struct token_keys *keys, const struct token_key_options *key, size_t index, struct error *error)
{
    struct str kid = str_from_cstr(key->kid);
    unsigned algorithms = algorithm_set(&key->algorithms);
    if (*key->secret) {
        char source[48];
        snprintf(source, sizeof source, "token.keys[%zu].secret", index);
        return token_keys_add_secret(keys, source, kid, algorithms, str_from_cstr(key->secret), error);
    }
    struct buf text = {0};
    enum err err = read_file(key->file, &text, error);
    if (err == ERR_NONE)
        err = token_keys_add_file_text(keys, key->file, kid, algorithms, buf_str(&text), error);
    buf_wipe(&text);
    if (err != ERR_NONE) {
        const struct error found = *error;
        error_set(error, err, "token.keys[%zu].file: %s", index, found.text);
    }
    return err;
}

static enum err add_keys(struct token_keys *keys, const struct options *o, struct error *error)
{
    enum err err = ERR_NONE;
    if (*o->token_secret)
        err = token_keys_add_secret(keys, "token.secret", STR(""), 0, str_from_cstr(o->token_secret), error);
    for (size_t i = 0; err == ERR_NONE && i < o->token_keys.count; i++)
        err = add_key(keys, &o->token_keys.items[i], i, error);
    return err ? err : token_keys_check(keys, algorithm_set(&o->token_algorithms), error);
}

static void add_texts(struct texts *texts, const struct option_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        texts_add(texts, str_from_cstr(strings->items[i]));
}

static struct str copy(const char *text)
{
    struct str borrowed = str_from_cstr(text);
    return str_from(str_dup(borrowed), borrowed.len);
}

static enum err add_endpoint(struct net_settings *net, const struct endpoint_options *options,
                             const struct node_limits *node, const struct configured_upstreams *upstreams,
                             struct error *error)
{
    struct net_endpoint *endpoint =
        net_settings_add_endpoint(net, str_from_cstr(options->path), &ws_transport, &carillon_dialect);
    endpoint->carriers = (options->token_header ? CARRIER_HEADER : 0u) |
                         (options->token_subprotocol ? CARRIER_SUBPROTOCOL : 0u) |
                         (options->token_query.count ? CARRIER_QUERY : 0u);
    texts_clear(&endpoint->subprotocols);
    add_texts(&endpoint->subprotocols, &options->subprotocols);
    texts_clear(&endpoint->query_names);
    add_texts(&endpoint->query_names, &options->token_query);
    add_texts(&endpoint->ticket_names, &options->ticket_query);
    add_texts(&endpoint->origins, &options->origins);
    add_texts(&endpoint->claims, &options->require_claims);
    add_texts(&endpoint->scopes, &options->require_scopes);
    add_texts(&endpoint->query, &options->query);
    add_texts(&endpoint->headers, &options->headers);
    add_texts(&endpoint->subscribe, &options->subscribe);
    endpoint->ticket_purpose = copy(options->ticket_purpose);
    endpoint->ticket_resource = copy(options->ticket_resource);
    endpoint->token_single_use = options->token_single_use;
    endpoint->reject = (enum reject_mode)options->reject;
    endpoint->max_connections = options->max_connections;
    if (options->ticket_query.count > 0) { /* such clients come back after 1012, and not after 1001 */
        endpoint->base.close_codes.code[REASON_GOING_AWAY] = 1012;
        endpoint->base.close_codes.code[REASON_PONG_TIMEOUT] = 1012;
    }
    struct upstream *upstream = configured_upstreams_find(upstreams, str_from_cstr(options->upstream));
    endpoint->base.upstream = upstream ? upstream_ref(upstream) : NULL;
    return configure_endpoint(&endpoint->base, options, node, error);
}

static void set_policy(struct net_settings *net, const struct options *o)
{
    net->policy = token_policy_default();
    net->policy.algorithms = algorithm_set(&o->token_algorithms);
    net->policy.leeway_ms = o->token_leeway_ms;
    net->policy.require_exp = o->token_require_exp;
    net->policy.max_bytes = o->token_max_bytes;
    struct texts issuers = {0};
    struct texts audiences = {0};
    add_texts(&issuers, &o->token_issuers);
    add_texts(&audiences, &o->token_audiences);
    net->policy.issuers = issuers.items;
    net->policy.issuer_count = issuers.count;
    net->policy.audiences = audiences.items;
    net->policy.audience_count = audiences.count;
}

static void set_limits(struct net_settings *net, const struct options *o)
{
    net->token_cache_entries = o->token_cache_entries;
    net->token_cache_bytes = o->token_cache_bytes;
    net->head_bytes = o->limits_head_bytes;
    net->head_timeout_us = o->limits_head_timeout_ms * 1000;
    net->body_bytes = o->api_max_body;
    net->bodies_bytes = o->api_max_bodies;
    net->body_timeout_us = o->limits_body_timeout_ms * 1000;
    net->keepalive_timeout_us = o->limits_http_keepalive_ms * 1000;
    net->retry_after_s = 1;
    net->max_connections = o->limits_connections;
    net->max_internal = o->limits_http_connections;
    net->max_pending = o->limits_pending_connections;
    net->max_per_address = o->limits_connections_per_address;
    net->max_per_user = o->limits_connections_per_user;
    net->proxy_protocol = (enum proxy_mode)o->proxy_protocol;
}

static enum err set_proxies(struct net_settings *net, const struct options *o, struct error *error)
{
    net->trusted_proxies = xcalloc(o->trusted_proxies.count, sizeof *net->trusted_proxies);
    for (size_t i = 0; i < o->trusted_proxies.count; i++) {
        struct str text = str_from_cstr(o->trusted_proxies.items[i]);
        if (cidr_parse(text, &net->trusted_proxies[i], error))
            return error->code;
        net->trusted_proxy_count++;
    }
    return ERR_NONE;
}

enum err configuration_make(const struct options *options, struct outbound *outbound,
                            const struct configuration *before, struct configuration *out, struct error *error)
{
    struct net_settings *net = net_settings_create();
    struct token_keys *keys = token_keys_create();
    struct configured_upstreams upstreams = {0};
    const struct node_limits node_limits = configure_node_limits(options);
    enum err err = add_keys(keys, options, error);
    if (err == ERR_NONE)
        err = set_proxies(net, options, error);
    if (err == ERR_NONE && *options->tls_certificate)
        err = tls_identity_load(options->tls_certificate, options->tls_key, &net->tls, error);
    if (err == ERR_NONE)
        err = configure_upstreams(options, outbound, before ? &before->upstreams : NULL, &upstreams, error);
    for (size_t i = 0; err == ERR_NONE && i < options->endpoints.count; i++)
        err = add_endpoint(net, &options->endpoints.items[i], &node_limits, &upstreams, error);
    if (err == ERR_NONE)
        err = configure_tickets(net, &options->tickets, error);
    if (err != ERR_NONE) {
        configured_upstreams_fini(&upstreams);
        token_keys_unref(keys);
        net_settings_unref(net);
        return err;
    }
    set_policy(net, options);
    set_limits(net, options);
    *out = (struct configuration){
        .hub = make_hub_settings(options),
        .rules = make_rules(options),
        .net = net,
        .node_limits = node_limits,
        .upstreams = upstreams,
        .keys = keys,
    };
    return ERR_NONE;
}

void configuration_fini(struct configuration *configuration)
{
    rules_unref(configuration->rules);
    net_settings_unref(configuration->net);
    token_keys_unref(configuration->keys);
    configured_upstreams_fini(&configuration->upstreams);
    *configuration = (struct configuration){0};
}

void configuration_keep_endpoints(struct configuration *fresh, const struct configuration *before, struct quota *quota)
{
    for (size_t i = 0; i < before->net->endpoint_count; i++) {
        struct net_endpoint *kept = net_settings_keep_endpoint(fresh->net, before->net->endpoints[i], quota);
        if (kept)
            configure_kept_endpoint(&kept->base, &before->node_limits, &fresh->node_limits);
    }
}

void configuration_use_transport(struct configuration *configuration, const struct net_transport *transport)
{
    for (size_t i = 0; i < configuration->net->endpoint_count; i++)
        configuration->net->endpoints[i]->transport = transport;
}

void configuration_keep_rules(struct configuration *fresh, const struct configuration *before)
{
    if (!rules_equal(fresh->rules, before->rules))
        return;
    rules_unref(fresh->rules);
    fresh->rules = rules_ref(before->rules);
}

struct redis_tls_settings configuration_redis_tls(const struct options *options)
{
    return (struct redis_tls_settings){.ca = options->redis_tls_ca,
                                       .certificate = options->redis_tls_certificate,
                                       .key = options->redis_tls_key,
                                       .name = options->redis_tls_name,
                                       .insecure = !options->redis_tls_verify};
}

struct ingest_settings configuration_ingest(const struct configuration *configuration, const struct options *options)
{
    return (struct ingest_settings){.rules = configuration->rules,
                                    .event_bytes = options->limits_event_bytes,
                                    .custom_events = options->events_custom};
}

static enum err try_redis(const struct options *options, struct error *error)
{
    struct redis_url url;
    struct redis_tls *tls = NULL;
    if (!*options->redis_url)
        return ERR_NONE;
    enum err err = redis_url_parse(str_from_cstr(options->redis_url), &url, error);
    if (err != ERR_NONE)
        return err;
    if (url.tls) {
        const struct redis_tls_settings settings = configuration_redis_tls(options);
        err = redis_tls_create(&settings, &tls, error);
    }
    redis_tls_destroy(tls);
    redis_url_fini(&url);
    return err;
}

enum err configuration_try(const struct options *options, struct error *error)
{
    struct configuration configuration;
    enum err err = configuration_make(options, NULL, NULL, &configuration, error);
    if (err != ERR_NONE)
        return err;
    configuration_fini(&configuration);
    return try_redis(options, error);
}
