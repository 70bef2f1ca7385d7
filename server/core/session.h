/* session.h - a connected client: who it is, what it may send how fast, what it has yet to receive, where it is
 * subscribed. The hub makes and reaps sessions (hub.h). Others name a session by its session_id. One thread. */
#ifndef CARILLON_CORE_SESSION_H
#define CARILLON_CORE_SESSION_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/random.h"
#include "common/base/sorted.h"
#include "common/base/wheel.h"
#include "common/protocol/reason.h"
#include "common/token/claims.h"
#include "server/core/endpoint.h"
#include "server/core/format.h"
#include "server/core/outbox.h"
#include "server/core/rate.h"
#include "server/core/request.h"

struct hub;
struct session_slot;
struct channel;

enum { CLOSE_LOST = 1006 }; /* told of a connection that has ended without a close frame (RFC 6455, 7.1.5) */

enum session_state {
    SESSION_OPEN,
    SESSION_CLOSING, /* its close frame is queued or sent, or its connection is broken: its messages are ignored, and
                        nothing more is queued */
    SESSION_GONE,    /* its connection has ended; its memory goes at the end of the turn */
};

/* A subscribe command whose answer waits for the broker. */
struct waiting_command {
    struct waiting_command *next;
    char id[]; /* as the client wrote it, NUL-terminated; "" if the command had none */
};

/* One channel that this session has. While the channel is not joined yet, the session waits for it. */
struct subscription {
    struct channel *channel;
    uint32_t index;                  /* of this subscription in the channel's subscribers, or in those that return */
    bool recovering;                 /* the session has yet to get what it missed (recover.c) */
    bool confirmed;                  /* `subscribed` has been, or is being, sent */
    bool by_backend;                 /* a backend has asked for it: it stays whatever the token says */
    struct waiting_command *waiting; /* oldest first; NULL once the channel is joined */
};

/* Thousands of these are open at once, so members are as small as their limits allow. */
struct session {
    /* A delivery touches these members. They lie side by side, since each cache line is a miss with thousands of
     * sessions. */
    void *transport; /* net's; opaque here */
    const struct transport_ops *ops;
    const struct format *format; /* of the endpoint it began with and of ops->framing; of the hub */
    struct outbox outbox;
    uint32_t unsent_bytes; /* taken by the transport, not yet by the kernel; counted into the limit */
    uint32_t dirty_at;     /* place in hub->dirty, from 1; 0: nothing to write */
    enum session_state state : 8;
    bool waits_writable; /* the kernel is full: the flush skips it until hub_writable */
    bool finished;       /* ops->finish has been called */
    bool cut : 1;        /* it has been called with abrupt */
    bool ping_sent : 1;
    bool ping_due : 1;      /* the interval is over, and the ping before has no pong yet */
    bool heard : 1;         /* anything at all, since the ping was sent */
    bool held : 1;          /* its input is not read (hub_hold_input) */
    bool has_ticket : 1;    /* that may be used again (session_ticket.h) */
    bool expiry_warned : 1; /* its client has been told that the token ends */
    bool late_token : 1;    /* taken within the leeway after its end, which then is the session's end */
    uint32_t bad_messages;  /* in a row */
    /* The session's identity. */
    struct hub *hub;
    struct session_id id;
    uint32_t messages;          /* whole ones, of any kind, that have come */
    struct sorted_link by_uuid; /* in the orders of hub->sessions, while it is open */
    struct sorted_link by_user;
    char uuid[UUID_LEN + 1];
    uint8_t recovered;         /* events it got back that its rate has not been charged for yet (ROWS_PER_MESSAGE) */
    uint8_t reads;             /* of histories and presence that have yet to be answered (READS_MAX) */
    struct claims *claims;     /* one reference */
    struct endpoint *endpoint; /* by which it has come in; one reference */
    uint64_t opened_ms;        /* wall clock */
    enum reason closing_reason : 8; /* REASON_NONE while open, or closed by the client or with a backend's own code */
    enum message_use text_use : 4;  /* of its endpoint when it began, as the next */
    enum message_use binary_use : 4;
    unsigned closing_code : 16; /* of the first close frame, sent or received. 0: it had none; CLOSE_LOST: none came */
    uint32_t subscription_count;
    struct upstream_session *upstream; /* NULL: none, or the session has ended */
    struct rate rate;
    /* Where it is subscribed. */
    struct subscription *subscriptions; /* with room for a power of two of them */
    struct map *places; /* of a session with many: channel's name -> place in subscriptions, from 1; else NULL */
    /* Time. */
    struct timer liveness;             /* next ping, or the end of the wait for a sign of life */
    struct timer deadline;             /* the token's warning and end; or of draining; or of a closing connection */
    struct session_slot *session_slot; /* owned; NULL: its token has no session_limit, or only this node counts */
    struct list_link link;             /* in hub->ending, then in hub->reaped */
    char address[];                    /* the client's, as text; for the sessions list and logs */
};

/* Decides the session's end, with the endpoint's close code for the reason. An error frame with the reason goes before
 * the close frame where a client can do something about it. From now on nothing is queued for the session, and its
 * messages are ignored. The session stays in its channels until the turn ends (hub_flush), so this may be called while
 * they are walked. A session that is closing keeps its first reason. */
void session_end(struct session *session, enum reason reason);
/* The same with a code (1000-4999; 0: a close frame without one) and a reason text, of a backend or of the peer. */
void session_end_with(struct session *session, int code, struct str reason_text);

#endif
