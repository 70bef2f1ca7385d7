/* configure_lifecycle.c - the settings of lifecycle events from the options. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "server/app/configure.h"
#include "server/upstream/webhook.h"

/* The stream that the events are sent on from by HTTP, where none is named. */
#define DEFAULT_STREAM "carillon:events"

struct lifecycle_settings *configuration_lifecycle(const struct options *options)
{
    const struct lifecycle_options *o = &options->lifecycle;
    if (!o->types.count)
        return NULL;
    struct str *patterns = xcalloc(o->channels.count + 1, sizeof *patterns);
    for (size_t i = 0; i < o->channels.count; i++)
        patterns[i] = str_from_cstr(o->channels.items[i]);
    struct lifecycle_settings *settings = lifecycle_settings_create(o->channels.count, patterns);
    free(patterns);
    for (size_t i = 0; i < o->types.count; i++)
        for (enum lifecycle_type type = 0; type < LIFECYCLE_COUNT; type++)
            if (str_eq_cstr(str_from_cstr(o->types.items[i]), lifecycle_type_text(type)))
                settings->types |= 1U << type;
    settings->types |= 1U << LIFECYCLE_DROPPED;
    snprintf(settings->stream, sizeof settings->stream, "%s", *o->redis_stream ? o->redis_stream : DEFAULT_STREAM);
    settings->max_len = o->max_len;
    settings->waiting_events = o->waiting_events;
    settings->waiting_bytes = o->waiting_bytes;
    settings->vacated_after_us = o->vacated_after_ms * 1000;
    return settings;
}

enum err configuration_lifecycle_feed(const struct options *options, struct outbound *outbound,
                                      struct lifecycle_feed_settings *out, struct error *error)
{
    const struct lifecycle_options *o = &options->lifecycle;
    *out = (struct lifecycle_feed_settings){
        .stream = str_from_cstr(*o->redis_stream ? o->redis_stream : DEFAULT_STREAM),
        .batch = o->http_batch,
        .retry_max_us = o->http_retry_max_ms * 1000,
    };
    struct str texts[WEBHOOK_SECRETS_MAX];
    size_t count = o->http_secret.count < WEBHOOK_SECRETS_MAX ? o->http_secret.count : WEBHOOK_SECRETS_MAX;
    for (size_t i = 0; i < count; i++)
        texts[i] = str_from_cstr(o->http_secret.items[i]);
    struct error found;
    enum err err = count ? webhook_secrets_create(texts, count, &out->secrets, &found) : ERR_NONE;
    if (err)
        return error_set(error, err, "lifecycle.http.secret: %s", found.text);
    const struct outbound_target_options target = {
        .name = STR("lifecycle"),
        .url = str_from_cstr(o->http_url),
        .part_timeout_ms = (uint32_t)o->http_timeout_ms,
        .timeout_ms = (uint32_t)o->http_timeout_ms,
        .in_flight = 1,
        .breaker_failures = OUTBOUND_NO_BREAKER, /* the feed has pauses of its own */
        .ca_file = str_from_cstr(o->http_tls_ca),
        .http2 = true,
    };
    err = outbound_target_create(outbound, &target, &out->target, &found);
    if (!err)
        return ERR_NONE;
    webhook_secrets_unref(out->secrets);
    return error_set(error, err, "lifecycle.http.url, lifecycle.http.tls_ca: %s", found.text);
}
