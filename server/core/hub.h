/* hub.h - who listens where, and who gets each message. A worker has one hub. A hub has one thread and no locks. It
 * knows no sockets, no clocks and no Redis. presence.c alone writes JSON:
 * - Time comes in as now_us (monotonic) and wall_ms.
 * - Requests leave through node_ops.
 * - Output leaves through the transport_ops of each session.
 *
 * A call appends messages to outboxes and writes nothing. hub_flush, at the end of the loop turn, joins each dirty
 * outbox into one write. hub_flush also reaps sessions, so a pointer to a session is valid until the turn ends. Keep a
 * session_id for longer than that. */
#ifndef CARILLON_CORE_HUB_H
#define CARILLON_CORE_HUB_H

#include "common/base/map.h"
#include "common/base/wheel.h"
#include "common/metrics/metrics.h"
#include "server/core/access.h"
#include "server/core/history.h"
#include "server/core/presence.h"
#include "server/core/request.h"
#include "server/core/session_index.h"

struct mailbox;

/* Live settings of all sessions and channels; those of one endpoint are in endpoint.h. The hub keeps a copy. */
struct hub_settings {
    size_t outbox_max_bytes;
    size_t outbox_max_messages;
    size_t event_bytes;        /* the most that an event's data may have */
    uint64_t close_timeout_us; /* how long a closing session may take to go */
    uint64_t expiry_warning_us;
    uint64_t leeway_ms;           /* a token accepted within this time after its end is good until that time is over */
    uint64_t session_slot_ttl_ms; /* how long a slot is kept after its node has died; 0: there is no other node */
    uint64_t ticket_lease_ms;     /* how long a ticket stays taken after the node of its session has died */
    uint64_t ticket_resume_ms;    /* how long it waits for its next use after a lost connection */
    uint64_t linger_us;           /* a channel without subscribers is kept this long before the broker is told */
    bool custom_events;
};

/* What a hub says of a channel that it wants. */
struct channel_join {
    struct history_policy history; /* of the channel's rule */
    uint64_t rules_version;        /* of the rules that say so: workers follow a reload one after the other */
    uint64_t id;                   /* tells this join from an earlier one that was left before it was answered */
};

/* What a hub asks of its node. The node itself implements these operations (server/node/node.h). Each is called in the
 * hub's thread. No operation may call back into the hub. worker: the hub's number. */
struct node_ops {
    /* The worker wants this channel's messages. join is borrowed for the call. The answer is hub_joined with join->id.
     * Called again with the same id when a reload changes the channel's history. */
    void (*join)(void *owner, unsigned worker, struct str channel, const struct channel_join *join);
    void (*leave)(void *owner, unsigned worker, struct str channel);
    /* Takes the change. A session has joined or left a channel whose members are kept, or the channel's presence policy
     * is another one. */
    void (*presence)(void *owner, struct presence_change *change);
    /* Takes the request. Its answer comes back through request->done in the hub's thread. A recovery is of a channel
     * that has been joined. It comes back by hub_replay instead, unless the channel is refused or left first. */
    void (*ask)(void *owner, struct request *request);
};

/* How a hub verifies tokens, and its clock. No operation may call back into the hub. */
struct hub_ops {
    /* Verifies a token for `refresh`, by the policy of the session's endpoint. On success *out_claims has one reference
     * for the caller. error->code is ERR_NONE, or error->text says more than the reason. */
    enum reason (*verify)(void *owner, struct session *session, struct str token, struct claims **out_claims,
                          struct error *error);
    /* The monotonic clock as it is now. It measures how long delivery took. A flush calls it at most once. */
    uint64_t (*clock_us)(void *owner);
};

struct hub;

struct hub_options {
    uint32_t worker; /* the hub's number on its node */
    const struct node_ops *node;
    void *node_owner;   /* borrowed, as are owner, metrics and replies */
    struct str node_id; /* borrowed for the hub's life; the ids of its sessions name it (session_uuid.h) */
    const struct hub_ops *ops;
    void *owner;
    const struct hub_settings *settings; /* copied */
    struct rules *rules;                 /* the hub takes a reference of its own */
    struct metrics *metrics;             /* of this worker */
    struct mailbox *replies;             /* where answers for this hub are posted */
    uint64_t now_us;
};

struct hub *hub_create(const struct hub_options *options);
/* All sessions must have gone (hub_gone and a flush). */
void hub_destroy(struct hub *hub);

/* New live settings and rules. Sessions keep their subscriptions. The same rules cost nothing. */
void hub_configure(struct hub *hub, const struct hub_settings *settings, struct rules *rules);

/* Sets the clocks of this turn, for all calls that bring no time of their own, and fires due timers. Call before each
 * batch of work. */
void hub_advance(struct hub *hub, uint64_t now_us, uint64_t wall_ms);

/* The present rules, for the turn. */
const struct rules *hub_rules(const struct hub *hub);

/* The hub's timers, on which the owner may run its own. */
struct wheel *hub_wheel(struct hub *hub);
uint64_t hub_now_us(const struct hub *hub);
uint64_t hub_wall_ms(const struct hub *hub);
/* Where mail for this hub is posted; its owner is the hub. */
struct mailbox *hub_replies(const struct hub *hub);
/* Counted in by the hub's thread alone. */
struct metrics *hub_metrics(const struct hub *hub);

/* An upstream has opened a connection on the hub's loop, or has started a timer for messages that wait (1). The
 * connection has closed, or the timer has ended (-1). Both may be after the session has ended. The loop must run until
 * there is none. */
void hub_count_link(struct hub *hub, int change);
size_t hub_links(const struct hub *hub);

/* --- sessions ----------------------------------------------------------------------------------------------- */

/* A channel that a session has from the beginning. The name has passed channel_check. */
struct first_channel {
    struct str name;
    bool by_backend; /* a backend has asked for it: it stays whatever the session's token says */
};

struct session_start {
    struct str uuid;       /* of the session (session_uuid.h); empty: a new one */
    struct claims *claims; /* a reference is taken */
    struct str address;
    struct endpoint *endpoint; /* a reference is taken */
    const struct transport_ops *ops;
    struct session_slot *slot;            /* taken; NULL: it needs none (session_slot.h) */
    struct session_ticket *ticket;        /* taken; NULL: none (session_ticket.h) */
    void *transport;                      /* the connection, for ops */
    const struct first_channel *channels; /* copied. Those over the session's limit are left out */
    size_t channel_count;
    struct session_origin *origin; /* borrowed for the call, for the upstream; NULL: none */
};

/* A session begins on a connection that has been admitted and upgraded. It queues session_init, starts the timers, and
 * subscribes the session to its first channels. */
struct session *hub_open(struct hub *hub, const struct session_start *start);

/* After a reload this endpoint takes the place of the session's own. A reference is taken. */
void hub_use_endpoint(struct hub *hub, struct session *session, struct endpoint *endpoint);

/* The connection has ended, by either side. The session is forgotten. Its memory goes at the end of the turn. */
void hub_gone(struct hub *hub, struct session *session);

/* One whole text message, UTF-8 already checked. */
void hub_receive(struct hub *hub, struct session *session, struct str text);
/* One whole binary message. */
void hub_receive_binary(struct hub *hub, struct session *session, struct str bytes);
/* The client has sent frames that are no messages. Its rate is charged for them as for this many messages. */
void hub_charge(struct hub *hub, struct session *session, uint64_t messages);
/* A ping of the client has come. Its answer has the same payload, at most 125 bytes. */
void hub_ping(struct hub *hub, struct session *session, struct str payload);
void hub_pong(struct hub *hub, struct session *session);
/* The client has sent a close frame, with this code (0: without one) and reason (UTF-8, maybe empty). It gets the code
 * back, after what was on its way to it. */
void hub_closed(struct hub *hub, struct session *session, int code, struct str reason);
/* The client has answered the session's close frame: it has everything that was sent before. */
void hub_close_answered(struct hub *hub, struct session *session);
/* The kernel takes data again. unsent: how many bytes the transport still holds. */
void hub_writable(struct hub *hub, struct session *session, uint32_t unsent);

/* Queues one message as it is. text must be UTF-8. False: the session is ending, or its transport has no such messages;
 * nothing is queued. */
bool hub_send(struct hub *hub, struct session *session, bool binary, struct str bytes);
/* Would a message of that many bytes be within the limits of the session's outbox now? If it is not, and the kernel
 * takes nothing, hub_send ends the session as a slow consumer. */
bool hub_has_room(const struct hub *hub, const struct session *session, size_t bytes);
/* The same, if besides at most `unsent` bytes wait for the client. What waits is written first where that helps. True
 * for a session that is ending: hub_send queues nothing then. */
bool hub_make_room(struct hub *hub, struct session *session, size_t unsent, size_t bytes);
/* The same for each subscriber of a channel, at its place among the channel's events. The message is no event: it is in
 * no history, and has no offset. Returns to how many it was queued. */
size_t hub_send_to_channel(struct hub *hub, struct str channel, bool binary, struct str bytes);
/* Asks the node. Takes the request, whose `done` runs in the hub's thread, with the hub as its owner. */
void hub_ask(struct hub *hub, struct request *request);
/* Stops reading what the client sends, or goes on with it, so that TCP slows the client down. A session that is held
 * still gets pings, and it does not end because its pongs are not read. Its end ends the hold. Costs nothing when it is
 * so already. */
void hub_hold_input(struct hub *hub, struct session *session, bool hold);
/* A message of the client has failed: it gets the endpoint's error frame, or else that of its dialect. id: that of the
 * message (correlation.h); empty: it had none. */
void hub_fail(struct hub *hub, struct session *session, struct str id, enum err code, struct str text);

/* The upstream's word on a question (upstream.h, ask). Takes the question. ERR_NONE: the session gets the channel, as
 * far as its rights and limits still allow it. Otherwise the client gets an error with the text. */
void hub_answer_subscribe(struct hub *hub, struct session *session, struct subscribe_question *question, enum err err,
                          struct str text);

/* Finds sessions (session_index.h). */
const struct session_index *hub_sessions(const struct hub *hub);
/* Channels by their names. A channel without subscribers is among them while it joins or lingers. */
const struct sorted *hub_channels_in_order(const struct hub *hub);
struct channel *channel_of(struct sorted_link *link);
struct str channel_name(const struct channel *channel);
/* Those who get each event. A recovering subscriber is not among them yet. 0 until the broker has the channel. */
size_t channel_subscribers(const struct channel *channel);
/* That of the last event that its subscribers got. Borrows from the channel. */
struct position channel_position(const struct channel *channel);
/* Up to where a session has its channel. A session that recovers is behind the others. False: it has no position yet.
 * Borrows from the channel. */
bool subscription_position(const struct subscription *subscription, struct position *out);
struct channel *hub_channel(struct hub *hub, struct str name); /* NULL if there is none */
/* Channels without subscribers linger no longer: the node is told that they are left. For a server for development. */
void hub_leave_unused(struct hub *hub);

/* Subscribes or unsubscribes the session for a backend. The session's rights do not count. The client gets `subscribed`
 * or `unsubscribed` without an id. False when there was nothing to do, or when a limit is in the way. */
bool hub_subscribe(struct hub *hub, struct session *session, struct str channel);
bool hub_unsubscribe(struct hub *hub, struct session *session, struct str channel);

/* Tells one session to reconnect, as draining does. It is closed with going_away after after_us. False: it is closing.
 */
bool hub_send_away(struct hub *hub, struct session *session, uint64_t after_us);
/* The session's token ends now, whatever it says. warn: the client is warned now, and the token ends after the time of
 * the warning (hub_settings.expiry_warning_us), unless a refresh brings another one. False: it is closing. */
bool hub_expire(struct hub *hub, struct session *session, bool warn);

/* Starts draining. Each session gets `reconnect` with an after_ms of its own, spread over window_us. It is closed with
 * going_away at that time. Where an upstream still has something of it in flight, it is closed once that has come back,
 * and after window_us at the latest. From now on no session may be opened. */
void hub_drain(struct hub *hub, uint64_t window_us);
bool hub_is_draining(const struct hub *hub);

/* --- from the broker ------------------------------------------------------------------------------------------ */

/* The answer to node_ops.join. ERR_NONE: waiting subscribers get `subscribed` with this position. Its epoch is empty
 * where the channel has no history. Any other err: the channel cannot be had, and text says why. Waiting subscribers
 * get the text, and those who had the channel get `unsubscribed`. position may be NULL. */
void hub_joined(struct hub *hub, struct str channel, uint64_t join_id, enum err err, struct str text,
                const struct position *position);

/* Queues the message for each subscriber of its channel. Takes the reference. */
void hub_deliver(struct hub *hub, struct message *message);

/* Recovering subscribers get what they missed. Takes the replay. */
void hub_replay(struct hub *hub, struct replay *replay);

/* Continuity is lost on a channel. Its subscribers are told, with the position from which the channel goes on. */
void hub_gap(struct hub *hub, struct str channel, enum gap gap, const struct position *position);

/* Tells one subscriber that continuity is lost, with the channel's present position. Nothing is lost thereby. False:
 * the session is not subscribed, or has yet to get what it missed. */
bool hub_tell_gap(struct hub *hub, struct session *session, struct str channel, enum gap gap);

/* The node was cut from the broker, and no numbered event of the channel is lost. Where joins and leaves are told, some
 * may be missing. Then a gap at the present position tells the subscribers. */
void hub_interrupted(struct hub *hub, struct str channel);

/* --- the end of the turn --------------------------------------------------------------------------------------- */

/* Carries out the ends that were decided in this turn (session_end): it unsubscribes those sessions and limits the time
 * that closing may take. Then it writes each dirty outbox, and reaps the sessions whose connection has gone. */
void hub_flush(struct hub *hub);

#endif
