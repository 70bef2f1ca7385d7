/* configure_upstreams.h - the backends of "upstreams", made from the options. */
#ifndef CARILLON_APP_CONFIGURE_UPSTREAMS_H
#define CARILLON_APP_CONFIGURE_UPSTREAMS_H

#include "common/base/buf.h"
#include "server/app/options.h"
#include "server/core/upstream.h"
#include "server/outbound/outbound.h"
#include "server/upstream/idempotency.h"
#include "server/upstream/webhook.h"
#include "server/upstream/ws_target.h"

struct configured_upstream {
    struct upstream *upstream;             /* one reference */
    struct outbound_target *target;        /* by HTTP. One reference; NULL: it is not that, or was made for a check */
    struct ws_target *ws_target;           /* by WebSocket. One reference; NULL: it is not that */
    struct webhook_secrets *secrets;       /* one reference; NULL: a kind that signs nothing */
    struct webhook_secrets *fresh_secrets; /* owned; what a reload makes of the secrets. NULL: nothing */
    struct buf target_key;                 /* the settings that the target was made by */
    struct idempotency *answers;           /* one reference; NULL: none are kept */
    uint64_t answers_max_age_ms;           /* the settings that the answers are kept by */
    uint64_t answers_max_bytes;
};

struct configured_upstreams {
    struct configured_upstream *items;
    size_t count;
};

/* Makes all upstreams. On failure nothing is made, and the error names the option.
 * outbound: NULL only checks whether the upstreams can be made.
 * before: the upstreams that a reload replaces, or NULL. A target whose settings are the same is used again, with its
 * connections, its breaker and the answers kept for idempotency keys. */
enum err configure_upstreams(const struct options *options, struct outbound *outbound,
                             const struct configured_upstreams *before, struct configured_upstreams *out,
                             struct error *error);
/* A reload has come to its end: upstreams that were there before sign by their new secrets, also for open sessions. */
void configured_upstreams_use_secrets(struct configured_upstreams *upstreams);
void configured_upstreams_fini(struct configured_upstreams *upstreams);
/* Borrowed. NULL: there is none of that name. */
struct upstream *configured_upstreams_find(const struct configured_upstreams *upstreams, struct str name);

#endif
