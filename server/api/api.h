/* api.h - the HTTP API, health and metrics (docs/openapi.yaml): one request struct in, one response struct out. Knows
 * no sockets and has no threads. Each worker has a struct api of its own, and everything below happens in its thread.
 * It reaches the node through api_ops. */
#ifndef CARILLON_API_API_H
#define CARILLON_API_API_H

#include "common/metrics/metrics.h"
#include "common/protocol/http_message.h"
#include "server/broker/broker.h"
#include "server/core/access.h"
#include "server/core/request.h"
#include "server/node/survey.h"

/* Live settings. The API keeps copies. */
struct api_config {
    const struct str *keys; /* each opens the API, so without keys it stays shut */
    size_t key_count;
    size_t event_bytes;  /* the most that an event's data may have */
    size_t max_batch;    /* events in one request */
    struct rules *rules; /* for the history of channels, with a reference of its own */
    bool custom_events;
    uint64_t revocation_ttl_ms; /* how long one without an end of its own is kept */
    uint64_t revocations_max;
    uint64_t ticket_ttl_ms; /* unless the request says another */
    bool tickets_resume;
    uint64_t tickets_max;
    size_t ticket_claims_bytes; /* the most that the claims of a ticket may have */
};

/* The node, as the API sees it. */
struct api_ops {
    /* Takes the request, a survey also. Its answer comes by request->done, not from within the call. */
    void (*ask)(void *owner, struct request *request);
    size_t (*revocation_count)(void *owner); /* that this node knows */
    enum broker_state (*broker_state)(void *owner);
    bool (*draining)(void *owner);
    void (*metrics_text)(void *owner, struct buf *out); /* OpenMetrics */
    uint64_t (*now_us)(void *owner);                    /* monotonic */
    uint64_t (*wall_ms)(void *owner);
};

/* The node that answers. Borrowed for the API's life. */
struct api_identity {
    struct str node_id;
    struct str build;        /* a JSON object: what the program was built of */
    const char *broker_kind; /* "memory", "redis" */
};

struct api;

/* ops, owner, metrics (this worker's) and replies (this worker's mailbox) are borrowed for the API's life. */
struct api *api_create(const struct api_config *config, const struct api_ops *ops, void *owner,
                       const struct api_identity *identity, struct metrics *metrics, struct mailbox *replies);
/* Every call has been answered. */
void api_destroy(struct api *api);
void api_configure(struct api *api, const struct api_config *config);

/* For who has found out in another way that a client may ask. */
bool api_has_key(const struct api *api, struct str given);
/* Empty: there is none. */
struct str api_first_key(const struct api *api);

/* Decides by the head alone, before the body is read. False: the call is refused, and the refusal has been answered.
 * Reasons are no such route, the wrong method, or no good key. */
bool api_admit(struct api *api, struct http_call *call);

/* Answers by call->respond, at once or when broker or nodes have answered. */
void api_handle(struct api *api, struct http_call *call);

#endif
