/* upstream.h - a server behind an endpoint, which gets what clients send. The hub knows no upstream but by this seam.
 * An implementation embeds struct upstream and struct upstream_session as the first members of its own.
 *
 * An upstream answers by hub_send and hub_fail, in the hub's thread: from within `take`, or later. A later answer comes
 * as mail to the mailbox of the hub. It keeps the session_id, and session_index_find says whether the session is still
 * there. By hub_hold_input an upstream stops the reading of a client that sends faster than it takes. */
#ifndef CARILLON_CORE_UPSTREAM_H
#define CARILLON_CORE_UPSTREAM_H

#include <stdatomic.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "server/core/correlation.h"

struct hub;
struct session;
struct subscribe_question; /* subscribe_question.h */
struct session_origin;     /* what the client has asked for at the upgrade: path names, query, headers, subprotocol */
struct upstream;

/* One message of a client. Borrowed for the call. */
struct session_message {
    struct str bytes; /* of a text message: UTF-8, already checked */
    bool binary;
    uint64_t sequence;            /* of the session's messages to the upstream, from 1 */
    struct correlated correlated; /* by the endpoint's correlation; empty without one, and of a binary message */
};

/* What an upstream keeps of one session, in the session's thread. */
struct upstream_session {
    struct upstream *upstream; /* one reference; upstream_session_begin takes it, the implementation drops it */
    struct session *session;   /* NULL once it has ended */
    uint64_t messages;         /* sequence of the last one; the hub counts */
    uint32_t in_flight;        /* calls or messages whose answer has yet to come. Draining waits for them */
    uint32_t questions;        /* subscribes that wait for the upstream's word; the hub counts */
    struct buf close_reason;   /* of the client's close frame; the hub writes it, and frees it before `ended` */
};

/* Each is called in the hub's thread, and none may block. */
struct upstream_ops {
    /* The session begins. Never NULL. origin: NULL, or valid for the call; take a reference to keep it. */
    struct upstream_session *(*opened)(struct upstream *upstream, struct hub *hub, struct session *session,
                                       struct session_origin *origin);
    /* Takes one message. On failure the client gets the endpoint's error frame with error->text (hub_fail). */
    enum err (*take)(struct upstream_session *state, const struct session_message *message, struct error *error);
    /* May the session have the channel that its client asks for? Takes the question. The answer comes later, by
     * hub_answer_subscribe, unless the session ends first. NULL in an upstream that is not asked. */
    void (*ask)(struct upstream_session *state, struct subscribe_question *question);
    /* The session has ended: state->session is NULL. Frees the state now, or once what is in flight has come back.
     * code: of the close frame that was sent or received. 0: it had none; 1006: the connection was lost.
     * reason: the text of the client's close frame, or the name of the reason that the hub has ended the session for.
     * Empty if neither gave one. At most 123 bytes of UTF-8, valid for the call. */
    void (*ended)(struct upstream_session *state, int code, struct str reason);
    /* With the last reference, in any thread. */
    void (*destroy)(struct upstream *upstream);
};

/* Shared by all threads. A session keeps the one that it has begun with. */
struct upstream {
    const struct upstream_ops *ops;
    atomic_uint refs;
    struct str name;           /* in "upstreams"; it belongs to the implementation */
    bool is_asked;             /* whether a session may have a channel (ops->ask). Set before it is shared */
    struct log_limit warnings; /* about its messages and sessions */
};

/* One reference. */
void upstream_init(struct upstream *upstream, const struct upstream_ops *ops, struct str name);
struct upstream *upstream_ref(struct upstream *upstream);
/* NULL is fine. */
void upstream_unref(struct upstream *upstream);

/* For `opened`: fills the state and takes a reference to the upstream. */
void upstream_session_begin(struct upstream_session *state, struct upstream *upstream, struct session *session);

#endif
