/* configure_upstreams.c - see configure_upstreams.h. */
#include "server/app/configure_upstreams.h"

#include <strings.h>
#include <sys/stat.h>

#include "common/base/alloc.h"
#include "server/app/options_check.h"
#include "server/upstream/canned_upstream.h"
#include "server/upstream/http_upstream.h"
#include "server/upstream/stream_upstream.h"
#include "server/upstream/ws_upstream.h"

enum { CONNECT_TIMEOUT_MS = 5000 };

static bool names(const struct option_strings *strings, const char *word)
{
    for (size_t i = 0; i < strings->count; i++)
        if (strcmp(strings->items[i], word) == 0)
            return true;
    return false;
}

/* The caller frees it. */
static struct str *borrow_texts(const struct option_strings *strings)
{
    struct str *texts = xcalloc(strings->count, sizeof *texts);
    for (size_t i = 0; i < strings->count; i++)
        texts[i] = str_from_cstr(strings->items[i]);
    return texts;
}

/* --- where requests go to ---------------------------------------------------------------------------------------- */

static struct outbound_target_options target_options(const struct upstream_options *o)
{
    return (struct outbound_target_options){
        .name = str_from_cstr(o->name),
        .url = str_from_cstr(o->url),
        .connect_timeout_ms = (uint32_t)(o->timeout_ms < CONNECT_TIMEOUT_MS ? o->timeout_ms : CONNECT_TIMEOUT_MS),
        .part_timeout_ms = (uint32_t)o->timeout_ms,
        .timeout_ms = (uint32_t)o->total_timeout_ms,
        .in_flight = (uint32_t)o->in_flight,
        .waiting = (uint32_t)o->waiting,
        .answer_max_bytes = o->answer_bytes,
        .breaker_failures = o->breaker_failures ? (uint32_t)o->breaker_failures : OUTBOUND_NO_BREAKER,
        .breaker_open_ms = (uint32_t)o->breaker_pause_ms,
        .ca_file = str_from_cstr(o->tls_ca),
        .http2 = o->http2,
        .fields = http_upstream_fields,
        .field_count = http_upstream_field_count,
    };
}

static void write_target_key(struct buf *out, const struct outbound_target_options *target)
{
    buf_appendf(out, "%.*s\n%.*s\n%.*s\n", STR_ARG(target->name), STR_ARG(target->url), STR_ARG(target->ca_file));
    buf_appendf(out, "%u %u %u %u %u %u %u %d %llu", target->connect_timeout_ms, target->part_timeout_ms,
                target->timeout_ms, target->in_flight, target->waiting, target->breaker_failures,
                target->breaker_open_ms, target->http2, (unsigned long long)target->answer_max_bytes);
}

static struct outbound_target *find_target(const struct configured_upstreams *before, struct str key)
{
    for (size_t i = 0; before && i < before->count; i++)
        if (before->items[i].target && str_eq(buf_str(&before->items[i].target_key), key))
            return before->items[i].target;
    return NULL;
}

static enum err make_target(struct configured_upstream *item, const struct upstream_options *o,
                            struct outbound *outbound, const struct configured_upstreams *before, struct error *error)
{
    const struct outbound_target_options options = target_options(o);
    write_target_key(&item->target_key, &options);
    struct outbound_target *kept = find_target(before, buf_str(&item->target_key));
    if (kept) {
        item->target = outbound_target_ref(kept);
        return ERR_NONE;
    }
    return outbound ? outbound_target_create(outbound, &options, &item->target, error)
                    : outbound_target_check(&options, error);
}

/* --- one upstream ------------------------------------------------------------------------------------------------- */

/* An upstream that is there already keeps its secrets: sessions of any age sign by them. The new ones are taken over by
 * configured_upstreams_use_secrets. */
static enum err make_secrets(struct configured_upstream *item, const struct upstream_options *o,
                             const struct configured_upstreams *before, struct error *error)
{
    struct str *texts = borrow_texts(&o->secret);
    struct webhook_secrets *made;
    enum err err = webhook_secrets_create(texts, o->secret.count, &made, error);
    free(texts);
    if (err)
        return err;
    for (size_t i = 0; before && i < before->count; i++) {
        const struct configured_upstream *old = &before->items[i];
        if (old->secrets && str_eq_cstr(old->upstream->name, o->name)) {
            item->secrets = webhook_secrets_ref(old->secrets);
            item->fresh_secrets = made;
            return ERR_NONE;
        }
    }
    item->secrets = made;
    return ERR_NONE;
}

static void make_answers(struct configured_upstream *item, const struct upstream_options *o,
                         const struct configured_upstreams *before)
{
    if (!o->idempotency_enabled)
        return;
    item->answers_max_age_ms = o->idempotency_max_age_ms;
    item->answers_max_bytes = o->idempotency_max_bytes;
    for (size_t i = 0; before && i < before->count; i++) {
        const struct configured_upstream *old = &before->items[i];
        if (old->answers && str_eq_cstr(old->upstream->name, o->name) &&
            old->answers_max_age_ms == item->answers_max_age_ms && old->answers_max_bytes == item->answers_max_bytes) {
            item->answers = idempotency_ref(old->answers);
            return;
        }
    }
    item->answers = idempotency_create(item->answers_max_age_ms * 1000, item->answers_max_bytes);
}

static enum err make_http(struct configured_upstream *item, const struct upstream_options *o, struct outbound *outbound,
                          const struct configured_upstreams *before, struct error *error)
{
    bool is_azure = o->dialect == UPSTREAM_AZURE;
    if (is_azure && o->subscribe_enabled)
        return error_set(error, ERR_INVALID_REQUEST, "subscribe: the dialect azure has no such call");
    enum err err = make_secrets(item, o, before, error);
    if (err == ERR_NONE)
        err = make_target(item, o, outbound, before, error);
    if (err != ERR_NONE)
        return err;
    make_answers(item, o, before);
    struct str *claims = borrow_texts(&o->claims);
    const struct http_upstream_options options = {
        .name = str_from_cstr(o->name),
        .outbound = outbound,
        .target = item->target ? outbound_target_ref(item->target) : NULL,
        .secrets = webhook_secrets_ref(item->secrets),
        .idempotency = item->answers ? idempotency_ref(item->answers) : NULL,
        .azure_hub = str_from_cstr(!is_azure ? ""
                                   : *o->hub ? o->hub
                                             : o->name),
        .claims = claims,
        .claim_count = o->claims.count,
        .in_order = o->order == UPSTREAM_ORDER_SESSION,
        .join_bytes = o->join_max_bytes,
        .waiting_bytes = o->waiting_bytes,
        .frame_bytes = o->frame_bytes,
        .timeout_us = o->timeout_ms * 1000,
        .total_timeout_us = o->total_timeout_ms * 1000,
        .close_on_failure = o->on_failure == UPSTREAM_FAILURE_CLOSE,
        .tells_connected = names(&o->events, "connected"),
        .tells_disconnected = names(&o->events, "disconnected"),
        .asks_connect = o->connect_enabled,
        .accepts_connect = o->connect_on_failure == UPSTREAM_ACCEPT,
        .asks_subscribe = o->subscribe_enabled,
        .accepts_subscribe = o->subscribe_on_failure == UPSTREAM_ACCEPT,
    };
    item->upstream = http_upstream_create(&options);
    free(claims);
    return ERR_NONE;
}

/* --- by WebSocket ------------------------------------------------------------------------------------------------- */

/* With the file's time: another certificate in the same file makes another target. */
static void write_ws_key(struct buf *out, const struct upstream_options *o)
{
    struct stat ca = {0};
    if (*o->tls_ca && stat(o->tls_ca, &ca) != 0)
        ca = (struct stat){0}; /* reading it fails next, and says so */
    buf_appendf(out, "%s\n%s\n%s %lld.%09ld\n%lld %lld %llu", o->name, o->url, o->tls_ca, (long long)ca.st_mtim.tv_sec,
                ca.st_mtim.tv_nsec, (long long)o->in_flight, (long long)o->breaker_failures,
                (unsigned long long)o->breaker_pause_ms);
}

static struct ws_target *find_ws_target(const struct configured_upstreams *before, struct str key)
{
    for (size_t i = 0; before && i < before->count; i++)
        if (before->items[i].ws_target && str_eq(buf_str(&before->items[i].target_key), key))
            return before->items[i].ws_target;
    return NULL;
}

static enum err make_ws_target(struct configured_upstream *item, const struct upstream_options *o,
                               const struct configured_upstreams *before, struct error *error)
{
    const struct ws_target_options options = {
        .name = str_from_cstr(o->name),
        .url = str_from_cstr(o->url),
        .ca_file = str_from_cstr(o->tls_ca),
        .connections = (uint32_t)o->in_flight,
        .breaker_failures = o->breaker_failures ? (uint32_t)o->breaker_failures : OUTBOUND_NO_BREAKER,
        .breaker_open_us = o->breaker_pause_ms * 1000,
    };
    write_ws_key(&item->target_key, o);
    struct ws_target *kept = find_ws_target(before, buf_str(&item->target_key));
    if (!kept)
        return ws_target_create(&options, &item->ws_target, error);
    item->ws_target = ws_target_ref(kept);
    return ERR_NONE;
}

static enum err make_ws(struct configured_upstream *item, const struct upstream_options *o,
                        const struct configured_upstreams *before, struct error *error)
{
    enum err err = make_secrets(item, o, before, error);
    if (err == ERR_NONE)
        err = make_ws_target(item, o, before, error);
    if (err != ERR_NONE)
        return err;
    struct str *claims = borrow_texts(&o->claims);
    const struct ws_upstream_options options = {
        .name = str_from_cstr(o->name),
        .target = ws_target_ref(item->ws_target),
        .secrets = webhook_secrets_ref(item->secrets),
        .claims = claims,
        .claim_count = o->claims.count,
        .waiting_bytes = o->waiting_bytes,
        .frame_bytes = o->frame_bytes,
        .timeout_us = o->timeout_ms * 1000,
        .close_on_failure = o->on_failure == UPSTREAM_FAILURE_CLOSE,
    };
    item->upstream = ws_upstream_create(&options);
    free(claims);
    return ERR_NONE;
}

/* --- any ---------------------------------------------------------------------------------------------------------- */

static bool has_scheme(const struct upstream_options *o, const char *scheme)
{
    return strncasecmp(o->url, scheme, strlen(scheme)) == 0;
}

static void make_stream(struct configured_upstream *item, const struct upstream_options *o)
{
    const struct stream_upstream_options options = {
        .name = str_from_cstr(o->name),
        .stream = str_from_cstr(o->redis_stream),
        .max_len = o->max_len,
        .waiting_bytes = o->waiting_bytes,
        .timeout_us = o->timeout_ms * 1000,
        .close_on_failure = o->on_failure == UPSTREAM_FAILURE_CLOSE,
    };
    item->upstream = stream_upstream_create(&options);
}

static enum err make(struct configured_upstream *item, const struct upstream_options *o, struct outbound *outbound,
                     const struct configured_upstreams *before, struct error *error)
{
    if (has_scheme(o, UPSTREAM_DEV_SCHEME))
        return canned_upstream_create(str_from_cstr(o->name),
                                      str_skip(str_from_cstr(o->url), strlen(UPSTREAM_DEV_SCHEME)), &item->upstream,
                                      error);
    if (has_scheme(o, "http://") || has_scheme(o, "https://"))
        return make_http(item, o, outbound, before, error);
    if (*o->redis_stream) {
        make_stream(item, o);
        return ERR_NONE;
    }
    if (has_scheme(o, "ws://") || has_scheme(o, "wss://"))
        return make_ws(item, o, before, error);
    return error_set(error, ERR_INVALID_REQUEST, "url: expected http://, https://, ws:// or wss://");
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

enum err configure_upstreams(const struct options *options, struct outbound *outbound,
                             const struct configured_upstreams *before, struct configured_upstreams *out,
                             struct error *error)
{
    struct configured_upstreams made = {.items = xcalloc(options->upstreams.count, sizeof *made.items)};
    for (size_t i = 0; i < options->upstreams.count; i++) {
        const struct upstream_options *o = &options->upstreams.items[i];
        struct error found;
        made.count++;
        enum err err = make(&made.items[i], o, outbound, before, &found);
        if (err != ERR_NONE) {
            configured_upstreams_fini(&made);
            return error_set(error, err, "upstreams.%s: %s", o->name, found.text);
        }
    }
    *out = made;
    return ERR_NONE;
}

void configured_upstreams_use_secrets(struct configured_upstreams *upstreams)
{
    for (size_t i = 0; i < upstreams->count; i++) {
        struct configured_upstream *item = &upstreams->items[i];
        if (!item->fresh_secrets)
            continue;
        webhook_secrets_replace(item->secrets, item->fresh_secrets);
        webhook_secrets_unref(item->fresh_secrets);
        item->fresh_secrets = NULL;
    }
}

void configured_upstreams_fini(struct configured_upstreams *upstreams)
{
    for (size_t i = 0; i < upstreams->count; i++) {
        upstream_unref(upstreams->items[i].upstream);
        outbound_target_unref(upstreams->items[i].target);
        idempotency_unref(upstreams->items[i].answers);
        ws_target_unref(upstreams->items[i].ws_target);
        webhook_secrets_unref(upstreams->items[i].secrets);
        webhook_secrets_unref(upstreams->items[i].fresh_secrets);
        buf_fini(&upstreams->items[i].target_key);
    }
    free(upstreams->items);
    *upstreams = (struct configured_upstreams){0};
}

struct upstream *configured_upstreams_find(const struct configured_upstreams *upstreams, struct str name)
{
    for (size_t i = 0; i < upstreams->count; i++)
        if (str_eq(upstreams->items[i].upstream->name, name))
            return upstreams->items[i].upstream;
    return NULL;
}
