/* http_upstream.c - see http_upstream.h. */
#include "server/upstream/http_upstream.h"

#include "common/base/alloc.h"
#include "server/upstream/http_session.h"
#include "server/upstream/http_upstream_private.h"
#include "server/upstream/idempotency.h"
#include "server/upstream/webhook.h"

const struct str http_upstream_fields[FIELD_COUNT] = {
    [FIELD_CONNECTION_STATE] = {"ce-connectionstate", 18},
    [FIELD_SUBSCRIBE] = {"carillon-subscribe", 18},
    [FIELD_UNSUBSCRIBE] = {"carillon-unsubscribe", 20},
    [FIELD_CLOSE] = {"carillon-close", 14},
    [FIELD_RETRY_AFTER] = {"retry-after", 11},
    [FIELD_ALLOWED_ORIGIN] = {"webhook-allowed-origin", 22},
    [FIELD_CONTENT_ENCODING] = {"content-encoding", 16},
};
const size_t http_upstream_field_count = FIELD_COUNT;

static void destroy(struct upstream *base)
{
    struct http_upstream *upstream = CONTAINER_OF(base, struct http_upstream, base);
    outbound_target_unref(upstream->options.target);
    webhook_secrets_unref(upstream->options.secrets);
    idempotency_unref(upstream->options.idempotency);
    free(upstream->claims);
    free(upstream);
}

static const struct upstream_ops http_upstream_ops = {
    .opened = http_session_opened,
    .take = http_session_take,
    .ask = http_session_ask,
    .ended = http_session_ended,
    .destroy = destroy,
};

bool http_upstream_is(const struct upstream *upstream)
{
    return upstream->ops == &http_upstream_ops;
}

struct upstream *http_upstream_create(const struct http_upstream_options *options)
{
    size_t len = options->name.len + options->azure_hub.len;
    for (size_t i = 0; i < options->claim_count; i++)
        len += options->claims[i].len;
    struct http_upstream *upstream = xcalloc(1, sizeof *upstream + len);
    char *at = upstream->bytes;
    upstream->options = *options;
    upstream->options.name = str_pack(&at, options->name);
    upstream->options.azure_hub = str_pack(&at, options->azure_hub);
    upstream->claims = xcalloc(options->claim_count, sizeof *upstream->claims);
    for (size_t i = 0; i < options->claim_count; i++)
        upstream->claims[i] = str_pack(&at, options->claims[i]);
    upstream->options.claims = upstream->claims;
    upstream_init(&upstream->base, &http_upstream_ops, upstream->options.name);
    atomic_init(&upstream->is_allowed, options->azure_hub.len == 0);
    upstream->base.is_asked = options->asks_subscribe;
    return &upstream->base;
}
