/* http_upstream.h - an upstream that is a backend with HTTP: each message of a client becomes a request, and its answer
 * becomes frames for the client.
 *
 *   http_upstream.c   the upstream: its settings, and the calls of struct upstream_ops
 *   http_session.c    the messages of one session: their order, how many are under way, and when to stop reading
 *   subscribe_call.c  may the session have a channel?
 *   backend_call.c    one request, with its tries and its answer
 *   answer_turns.c    which answer of a session goes on when its client reads slowly
 *
 * A request is a CloudEvent in binary mode (cloudevents.h), signed if there are secrets (webhook.h). The answer is cut
 * into frames as it comes (answer_frames.h). What is held of an answer is bounded: the part that the client has not
 * taken holds back the backend (answer_turns.h).
 *
 * When a call is tried again, with the same ce-id:
 * - No connection could be made, so that the backend has got nothing: at most TRIES_MAX times in all.
 * - The backend has answered 503 with a Retry-After of at most RETRY_AFTER_MAX_S, so it has done nothing: once.
 * - Too many calls wait at this node, and the upstream keeps the order: until the time of the message is over.
 * A call whose connection broke later is not repeated, since the backend may have carried it out. */
#ifndef CARILLON_UPSTREAM_HTTP_UPSTREAM_H
#define CARILLON_UPSTREAM_HTTP_UPSTREAM_H

#include "server/core/upstream.h"
#include "server/outbound/outbound.h"

struct idempotency;
struct webhook_secrets;

/* Immutable once given to http_upstream_create. Texts are copied. */
struct http_upstream_options {
    struct str name;
    struct outbound *outbound;       /* borrowed for the upstream's life */
    struct outbound_target *target;  /* one reference; taken. Its fields are http_upstream_fields */
    struct webhook_secrets *secrets; /* one reference; taken. NULL: requests are not signed */
    struct idempotency *idempotency; /* one reference; taken. NULL: each message goes to the backend */
    struct str azure_hub;     /* requests are in the dialect of azure.h, for this hub; empty: they are CloudEvents */
    const struct str *claims; /* names of the claims that the backend gets */
    size_t claim_count;
    bool in_order;             /* one call of a session at a time */
    size_t join_bytes;         /* binary messages that wait are joined up to this many bytes; only in order. 0: never */
    size_t waiting_bytes;      /* of a session's messages that have no answer yet: over that its client is not read */
    size_t frame_bytes;        /* of one frame of an answer */
    uint64_t timeout_us;       /* no try begins later than that after the first one */
    uint64_t total_timeout_us; /* of a call; its target has the same */
    bool close_on_failure;     /* a failed message ends its session */
    bool tells_connected;      /* the event carillon.connected */
    bool tells_disconnected;
    bool asks_connect;      /* before a session opens */
    bool accepts_connect;   /* when the backend gives no answer to that */
    bool asks_subscribe;    /* before a session gets a channel that its client asks for */
    bool accepts_subscribe; /* when the backend gives no answer to that */
};

/* The fields of an answer that an HTTP upstream reads, for outbound_target_options. */
extern const struct str http_upstream_fields[];
extern const size_t http_upstream_field_count;

/* One reference. */
struct upstream *http_upstream_create(const struct http_upstream_options *options);

#endif
