/* session.h - a connected client: who it is, what it may send how fast, what it has yet to receive, where it is
 * subscribed. Sessions are made and reaped by the hub (hub.h); others name them by session_id. One thread. */
#ifndef CARILLON_CORE_SESSION_H
#define CARILLON_CORE_SESSION_H

#include "common/base/list.h"
#include "common/base/random.h"
#include "common/base/wheel.h"
#include "common/protocol/reason.h"
#include "common/token/claims.h"
#include "server/core/outbox.h"
#include "server/core/publication.h"
#include "server/core/rate.h"

struct hub;
struct channel;

enum session_state {
    SESSION_OPEN,
    SESSION_CLOSING, /* its close frame is queued or sent; nothing more is taken from it or queued for it */
};

/* One channel this session has, or waits for. */
struct subscription {
    struct channel *channel;
    uint32_t index;  /* of this subscription in the channel's subscribers */
    bool pending;    /* the broker has not confirmed the channel yet; command_id waits for the answer */
    char *command_id; /* raw JSON; NULL when not pending or not given */
};

/* Maps a reason to the close code of the endpoint the session came through; indexed by enum reason. */
struct close_codes {
    uint16_t code[REASON_COUNT];
};

struct session {
    struct hub *hub;
    struct session_id id;
    char uuid[UUID_LEN + 1];
    enum session_state state;
    struct claims *claims; /* one reference */
    void *transport;       /* net's; opaque here */
    const struct close_codes *close_codes;
    char *address;         /* the client's, as text; for the sessions list and logs */
    uint64_t opened_ms;    /* wall clock */
    /* Output. */
    struct outbox outbox;
    size_t unsent_bytes;         /* taken by the transport, not yet by the kernel; counted into the limit */
    bool waits_writable;         /* the kernel is full: the flush skips it until hub_writable */
    struct list_link dirty_link; /* in hub->dirty */
    enum reason closing_reason;
    /* Input. */
    struct rate rate;
    uint32_t bad_messages; /* in a row */
    /* Where it is subscribed. */
    struct subscription *subscriptions;
    uint32_t subscription_count;
    uint32_t subscription_cap;
    /* Time. */
    struct timer liveness; /* next ping, or the pong's deadline */
    bool pong_due;
    struct timer expiry;   /* warning, then the end, of the token; or of a connection that is closing */
    bool expiry_warned;
    struct list_link closed_link; /* in hub->reap */
};

#endif
