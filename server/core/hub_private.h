/* hub_private.h - what the files of the hub share. No other file includes it. A file calls only files below it:
 *
 *   hub.c                sessions come and go; the turn ends
 *   input.c              what comes from clients, and what becomes of it by the endpoint
 *   commands.c           what clients ask, and what the node has answered to that
 *   delivery.c           what the broker says of a channel; recover.c: subscribers who come back
 *   subscription.c       who is subscribed to what
 *   channel.c            the channels and their lists; channel_presence.c: the node is told who is subscribed
 *   session_upstream.c   what goes between a session and its upstream
 *   liveness.c           pings and deadlines; command_costs.c: prices of commands
 *   output.c             outboxes and what the flush writes; observer.c: observers are told
 *   session_life.c       when a session is to end
 *   session_slot.c       limits across nodes; session_ticket.c: tickets
 *   session_index.c      which sessions there are */
#ifndef CARILLON_CORE_HUB_PRIVATE_H
#define CARILLON_CORE_HUB_PRIVATE_H

#include "common/base/buf.h"
#include "server/core/hub.h"
#include "server/core/observer.h"
#include "server/core/session_ticket.h"

/* The most that is joined into one write. A transport that holds an unsent rest holds at most this, or one frame. */
enum { WRITE_CHUNK = 65536, JOINED_MAX = 256 };

/* The messages of the last write in this turn, joined. */
struct joined {
    uint32_t count; /* 0: none */
    size_t len;
    struct message *messages[JOINED_MAX]; /* a reference each, so that no other message can have that address */
    char bytes[WRITE_CHUNK];
};

/* What session_ticket.c hears of a session that has_ticket, from files below it. */
struct ticket_events {
    void (*subscribed)(const struct session *session, const struct channel *channel); /* it is confirmed */
    void (*pinged)(struct session *session);                                          /* a ping is queued next */
    void (*ending)(struct session *session);                                          /* its end has been decided */
};

struct hub {
    uint32_t worker;
    const struct node_ops *node;
    void *node_owner;
    struct str node_id;
    const struct hub_ops *ops;
    void *owner;
    struct hub_settings settings;
    struct rules *rules;
    struct metrics *metrics;
    struct list_link observers; /* struct observer */
    struct observer counting;   /* hub.c */
    struct observer presence;   /* channel_presence.c */
    struct mailbox *replies;
    uint64_t now_us;
    uint64_t wall_ms;
    struct wheel wheel;
    struct session_index sessions;
    struct map channels; /* name -> struct channel */
    struct sorted channels_by_name;
    struct timer follow; /* runs while channels after this name have yet to follow changed rules */
    size_t followed_len;
    char followed[CHANNEL_NAME_MAX];
    uint64_t last_join_id;
    uint64_t last_recovery; /* serial */
    struct session **dirty; /* with something to write, in this order; NULL: gone since */
    size_t dirty_count;
    size_t dirty_cap;
    struct list_link session_slots; /* slots that are not given back */
    struct list_link tickets;       /* struct session_ticket, all of them */
    const struct ticket_events *ticket_events;
    struct map tickets_by_session; /* session_id -> struct session_ticket, of sessions with has_ticket */
    struct list_link ending;       /* sessions whose end was decided in this turn; hub_flush carries the ends out */
    struct list_link reaped;       /* sessions whose connection has gone */
    size_t links;                  /* connections of upstreams on the loop */
    bool draining;
    uint64_t drained_at_us; /* sessions that drain end by then */
    struct formats formats; /* of its sessions */
    struct buf parse;       /* of the command that is being carried out */
    uint64_t *accepted_us;  /* of the events delivered in this turn */
    size_t accepted_count;
    size_t accepted_cap;
    struct joined joined;
};

enum channel_state {
    CHANNEL_JOINING, /* the broker has been asked */
    CHANNEL_JOINED,
};

struct subscriber {
    struct session *session;
    uint32_t index; /* of the subscription in the session's list */
};

/* A subscriber that comes back, until it has what it missed. */
struct recovering_subscriber {
    struct session *session;
    uint32_t index;            /* of the subscription in the session's list */
    bool told;                 /* `subscribed` has been sent; from now on a gap tells of lost events */
    bool asked;                /* a recovery is under way; otherwise the outbox has yet to drain */
    uint64_t serial;           /* of that recovery */
    char epoch[EPOCH_MAX + 1]; /* what it has: up to (epoch, offset); "": it wants the last events */
    uint64_t offset;
    char id[POSITION_ID_MAX + 1]; /* of the event there, as the client says; "" once it is told */
    uint64_t last;
    bool or_kept; /* if that position is lost, it wants all events that are kept */
};

/* The recovering subscribers of a channel. The channel owns this list. It has no list when none is recovering. */
struct recovering {
    struct channel *channel;
    struct timer look; /* whether outboxes have drained */
    struct recovering_subscriber *entries;
    uint32_t count;
    uint32_t cap;
};

/* Owned by hub->channels. A channel lives while it has subscribers, and lingers a while after the last one. */
struct channel {
    struct hub *hub;
    struct sorted_link by_name;
    enum channel_state state;
    uint64_t join_id;
    struct history_policy history;   /* of the rule, as the node was told with the join */
    struct presence_policy presence; /* as the node was told */
    struct subscriber *subscribers;
    uint32_t count;
    uint32_t cap;
    char epoch[EPOCH_MAX + 1];     /* "": no history */
    uint64_t offset;               /* of the last event delivered */
    char id[POSITION_ID_MAX + 1];  /* of that event; "": not known */
    struct recovering *recovering; /* NULL: nobody */
    struct timer linger;
    struct str name; /* points into bytes */
    char bytes[];
};

/* --- channel.c --- */
void channels_init(struct hub *hub);
void channels_free(struct hub *hub);
/* The channel of that name. It is made and joined if need be, and lingers no longer. */
struct channel *channel_want(struct hub *hub, struct str name);
/* Call after a subscriber has gone. The node is told a while later if no other subscriber is there. */
void channel_linger_if_unused(struct channel *channel);
/* Frees a channel that has no subscribers, and that the broker does not have. */
void channel_forget(struct channel *channel);
/* The rules are other ones. The node is told which channels have another history now, some in each turn. A subscriber
 * that comes meanwhile makes its channel follow at once. */
void channels_follow_rules(struct hub *hub);
/* The same for one channel. Its history follows once it is joined, since the answer to its first join may be a refusal.
 */
void channel_follow_rule(struct channel *channel);
/* Returns the subscriber's index. */
uint32_t channel_add_subscriber(struct channel *channel, struct subscriber subscriber);
void channel_remove_subscriber(struct channel *channel, uint32_t at);
/* At the end of channel->recovering->entries. Valid until the next one is added or removed. */
struct recovering_subscriber *channel_add_recovering(struct channel *channel, struct subscriber subscriber);
/* The last one frees the list. */
void channel_remove_recovering(struct channel *channel, uint32_t at);
void channel_set_position(struct channel *channel, const struct position *position);

/* --- subscription.c --- */
/* NULL if the session does not have the channel. */
struct subscription *subscription_find(struct session *session, struct str name);
/* Adds the session to the channel. The channel is made and joined if need be. The session is not in it yet. */
struct subscription *subscription_begin(struct hub *hub, struct session *session, struct str name);
/* The session's half of subscription_begin. The channel does not know the session yet. */
struct subscription *subscription_add(struct hub *hub, struct session *session, struct str name);
/* Takes the session out of the channel. Commands that still wait are answered with an error of this text. The
 * subscription's memory goes. */
void subscription_end(struct hub *hub, struct session *session, struct subscription *subscription, struct str text);
#define LEFT_TOO_SOON STR("unsubscribed before the channel was ready")
void subscription_end_all(struct hub *hub, struct session *session);
/* The channel's entry of a recovering subscription. */
struct recovering_subscriber *subscription_recovering(const struct subscription *subscription);
/* Answers a subscribe at once if the channel is joined, otherwise when it is. */
void subscription_answer(struct hub *hub, struct session *session, struct subscription *subscription, struct str id);
/* The broker has the channel, and the subscription is answered next. Nothing happens to a subscription that is
 * confirmed, or whose session is ending. */
void subscription_confirm(struct session *session, struct subscription *subscription);
/* Answers `subscribed` to the commands that wait. */
void subscription_answer_waiting(struct hub *hub, struct session *session, struct subscription *subscription,
                                 const struct position *position, bool recovered);

/* --- recover.c --- */
/* Like subscription_begin, but from command->since, or with the last events. */
struct subscription *recover_subscribe(struct hub *hub, struct session *session, struct str name,
                                       const struct command *command);

/* --- output.c --- */
/* Borrows the message. A full outbox is written at once if the kernel takes it. Otherwise the session is a slow
 * consumer, and its end is decided here. No other session ends. Subscriptions and lists stay as they are until the
 * flush. */
void output_queue(struct hub *hub, struct session *session, struct message *message);
/* Whether one more frame would be within the limits of the outbox. */
bool output_has_room(const struct hub *hub, const struct session *session, size_t frame_len);
/* See hub_make_room. The session is open. */
bool output_make_room(struct hub *hub, struct session *session, size_t unsent, size_t frame_len);
/* Part of output_event: the format is not the one that events come in. */
size_t output_encoded(struct hub *hub, struct session *session, struct message *event);
/* The event does not go to this session. For one session among few: a walk through all subscribers does not ask it. */
static inline bool message_excludes(const struct message *event, const struct session *session)
{
    return event->exclude_len && str_eq(message_exclude(event), str_from(session->uuid, UUID_LEN));
}
/* The same for an event, in the session's format. Returns how many bytes it has there; 0: the dialect has no words for
 * it, and nothing is queued. */
static inline size_t output_event(struct hub *hub, struct session *session, struct message *event)
{
    if (!session->format->of_events)
        return output_encoded(hub, session, event);
    output_queue(hub, session, event);
    return event->frame_len;
}
/* The same for a message that is made for this session alone. Takes the message. NULL: nothing is queued. */
void output_message(struct hub *hub, struct session *session, struct message *message);
/* The reply, in the session's format. */
void output_reply(struct hub *hub, struct session *session, const struct reply *reply);
/* The reply for all subscribers of the channel. Those of one format share one message. */
void output_reply_all(struct hub *hub, struct channel *channel, const struct reply *reply);
/* Replies that are made in several places. id and channel are empty where there is none. */
void output_error(struct hub *hub, struct session *session, struct str id, struct str channel, enum err code,
                  struct str message);
void output_subscribed(struct hub *hub, struct session *session, struct str id, struct str channel,
                       const struct position *position, bool recovered);
void output_unsubscribed(struct hub *hub, struct session *session, struct str id, struct str channel);
void output_gap(struct hub *hub, struct session *session, struct str channel, enum gap gap,
                const struct position *position);
void output_mark_dirty(struct hub *hub, struct session *session);
/* The session goes. What it had to write is not written. */
void output_forget_dirty(struct hub *hub, struct session *session);
/* Writes the dirty outboxes. */
void output_flush(struct hub *hub);
/* An event that the node got at that time was delivered in this turn. Its delivery time is measured when the turn's
 * writes are done. */
void output_note_delivery(struct hub *hub, uint64_t accepted_us);
/* Calls ops->finish, once of each kind at most, and never again after an abrupt one (transport.h). */
void output_finish(struct hub *hub, struct session *session, bool abrupt);

/* --- liveness.c --- */
/* 0: the session gets no pings. */
uint64_t liveness_interval_us(const struct session *session);
void liveness_start(struct hub *hub, struct session *session);
/* Sends a ping now. False: the session gets no pings, or its pongs would not be read. */
bool liveness_probe(struct hub *hub, struct session *session);
void liveness_hear_pong(struct hub *hub, struct session *session);
/* When the session ends by its claims, wall clock; 0: it does not. */
uint64_t liveness_end_ms(const struct hub *hub, const struct session *session);
/* The claims have been set: they say when to warn and when to end. */
void liveness_watch_expiry(struct hub *hub, struct session *session);
/* The same after a refresh: nobody is warned at once of the token that they have just brought. */
void liveness_watch_fresh(struct hub *hub, struct session *session);
void liveness_drain(struct hub *hub, struct session *session, uint64_t after_us);
/* The closing connection may take no longer than this. */
void liveness_bound_closing(struct hub *hub, struct session *session);
/* The settings are other ones. The timers of the open session follow them. */
void liveness_follow(struct hub *hub, struct session *session, const struct hub_settings *before);
/* The same of the endpoint that the session had. */
void liveness_follow_endpoint(struct hub *hub, struct session *session, const struct endpoint *before);
void liveness_stop(struct hub *hub, struct session *session);

/* --- observer.c --- */
void observe_opened(struct hub *hub, const struct session *session);
void observe_closed(struct hub *hub, const struct session *session);
void observe_subscribed(struct hub *hub, const struct session *session, const struct channel *channel);
void observe_unsubscribed(struct hub *hub, const struct session *session, const struct channel *channel);
void observe_occupied(struct hub *hub, const struct channel *channel);
void observe_vacated(struct hub *hub, const struct channel *channel);

/* --- channel_presence.c --- */
/* From now on the node is told of each session that subscribes and unsubscribes, where the rule keeps members. */
void presence_init(struct hub *hub);
/* The channel's rule is another one. Its subscribers are members from now on, or no longer, or by another policy. */
void presence_follow(struct channel *channel, const struct presence_policy *policy);

/* --- session_slot.c --- */
/* The ttl is another one. The broker is told soon, before the next renewals are due. */
void session_slots_follow(struct hub *hub, const struct hub_settings *before);

/* --- session_ticket.c --- */
/* The session begins with the ticket, and with these channels. It has_ticket from now on if the ticket may be used
 * again. Otherwise the ticket is freed. */
void session_ticket_begin(struct session_ticket *ticket, struct session *session, const struct first_channel *channels,
                          size_t count);
/* Call the functions below for a session that has_ticket. */
/* The position from which the session gets this channel. False: from now on. Borrowed from the ticket. */
bool session_ticket_since(const struct session *session, struct str channel, struct position *out);
/* The client has answered the ping or the close frame. */
void session_ticket_proven(struct session *session);
/* The connection has gone. */
void session_ticket_end(struct session *session);
void session_tickets_init(struct hub *hub);
/* The hub ends. */
void session_tickets_fini(struct hub *hub);

/* --- session_life.c --- */
struct session *session_create(struct hub *hub, const struct session_start *start);
/* The session's connection is broken, so that no end can be told. The flush takes the session out of its channels. */
void session_break(struct session *session);
/* The session's connection has gone. Its memory goes with sessions_reap. */
void session_forget(struct session *session);
void sessions_reap(struct hub *hub);
/* Asks the node on behalf of the session, and takes the request. answer runs when the request has come back, unless the
 * session has gone by then. NULL: there is nothing to do. Then the request is freed. */
void session_ask(struct session *session, struct request *request,
                 void (*answer)(struct session *session, struct request *request));

/* --- session_upstream.c --- */
/* The endpoint has an upstream: the session begins there too. */
void session_upstream_open(struct hub *hub, struct session *session, struct session_origin *origin);
void session_upstream_take(struct hub *hub, struct session *session, bool binary, struct str bytes);
/* How the message names itself, by the endpoint. Borrowed from bytes. */
struct correlated session_correlate(const struct session *session, bool binary, struct str bytes);
/* The session has ended. Its upstream, if it has one, is told. */
void session_upstream_end(struct session *session);
/* Keeps the reason of the client's close frame for the upstream, if the session is open and has one. */
void session_upstream_note_close(struct session *session, struct str reason);

/* --- commands.c --- */
/* One command of a client, in its dialect. */
void command_receive(struct hub *hub, struct session *session, struct str text);

/* --- command_costs.c --- */
/* Takes the cost from the session's rate. False: too little is left; *out_retry_us says when enough will be. */
bool command_pay(struct session *session, uint64_t cost, uint64_t *out_retry_us);
/* The text for a message that cannot be paid. */
void command_too_fast(uint64_t retry_us, struct error *error);
/* One more bad message in a row; too many end the session with the reason. */
void command_count_bad(struct session *session, enum metric metric, enum reason reason);
/* The cost of a command before it is carried out, in messages of the session's rate. */
uint64_t command_cost(const struct command *command);
/* One more page for the session. False: too many wait for their answers, and the session is told. */
bool command_begin_page(struct hub *hub, struct session *session, const struct command *command);
/* The answer to a command has come. A page (command_begin_page) may have fewer events or members than asked for. The
 * client gets back what it has paid for the missing ones. */
void command_page_came(struct session *session, struct request *request);
/* A missed event is queued for a recovering session. */
void command_recovered(struct hub *hub, struct session *session);
/* The session's event is the first one of a channel with history. */
void command_began_history(struct hub *hub, struct session *session);

#endif
