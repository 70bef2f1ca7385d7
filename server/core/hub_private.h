/* hub_private.h - what the files of the hub share and nobody else sees. A file calls only files below it:
 *
 *   hub.c                sessions come and go; the turn ends
 *   commands.c           what clients ask; command_answers.c: what the node has answered to that
 *   delivery.c           what the broker says of a channel; recover.c: subscribers who come back
 *   subscription.c       who is subscribed to what
 *   channel.c            the channels and their lists; channel_presence.c: the node is told who is subscribed
 *   liveness.c           pings and deadlines; session_slot.c: limits across nodes; command_costs.c: prices of commands
 *   output.c             outboxes and what the flush writes; observer.c: observers are told
 *   session_life.c       when a session is to end
 *   session_index.c      which sessions there are */
#ifndef CARILLON_CORE_HUB_PRIVATE_H
#define CARILLON_CORE_HUB_PRIVATE_H

#include "common/base/buf.h"
#include "server/core/hub.h"
#include "server/core/observer.h"

/* The most that is joined into one write. A transport that holds an unsent rest holds at most this, or one frame. */
enum { WRITE_CHUNK = 65536, JOINED_MAX = 256 };

/* The messages that were joined last, for one write, in this turn. */
struct joined {
    uint32_t count; /* 0: none */
    size_t len;
    struct message *messages[JOINED_MAX]; /* a reference each, so that no other message can have that address */
    char bytes[WRITE_CHUNK];
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
    struct timer follow; /* runs while channels have yet to follow changed rules: those after this name */
    size_t followed_len;
    char followed[CHANNEL_NAME_MAX];
    uint64_t last_join_id;
    uint64_t last_recovery; /* serial */
    struct session **dirty; /* with something to write, in this order; NULL: gone since */
    size_t dirty_count;
    size_t dirty_cap;
    struct list_link session_slots; /* those that are not given back */
    struct list_link ending;        /* sessions whose end was decided in this turn; the flush carries it out */
    struct list_link reaped;        /* sessions whose connection has gone */
    bool draining;
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

/* A subscriber that comes back. */
struct recovering_subscriber {
    struct session *session;
    uint32_t index;            /* of the subscription in the session's list */
    bool told;                 /* `subscribed` has been sent: what cannot be had any more is a gap from now on */
    bool asked;                /* a recovery is under way; else its outbox has yet to drain */
    uint64_t serial;           /* of that recovery */
    char epoch[EPOCH_MAX + 1]; /* what it has: up to (epoch, offset); "": it wants the last events */
    uint64_t offset;
    char id[POSITION_ID_MAX + 1]; /* of the event there, as the client says; "" once it is told */
    uint64_t last;
};

/* Those of a channel; owned by it, and there only while somebody returns. */
struct recovering {
    struct channel *channel;
    struct timer look; /* whether outboxes have drained */
    struct recovering_subscriber *entries;
    uint32_t count;
    uint32_t cap;
};

/* Owned by hub->channels. Lives while it has subscribers, and lingers a while after the last one. */
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
/* Made and joined if need be; lingers no longer. */
struct channel *channel_want(struct hub *hub, struct str name);
/* After a subscriber has gone: without any other the broker is told a while later. */
void channel_linger_if_unused(struct channel *channel);
/* Nobody is in it, and the broker does not have it. Frees it. */
void channel_forget(struct channel *channel);
/* After other rules: the node is told which channels have another history now, some in each turn. A channel that is
 * joined meanwhile has the new rules. */
void channels_follow_rules(struct hub *hub);
/* The same for one channel. Its history follows only once it is joined: the answer to its first join may be a refusal.
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
/* Borrows from the channel. */
struct position channel_position(const struct channel *channel);

/* --- subscription.c --- */
/* NULL if the session does not have the channel. */
struct subscription *subscription_find(struct session *session, struct str name);
/* Adds the session to the channel, which is made and joined if need be. The session must not be in it yet. */
struct subscription *subscription_begin(struct hub *hub, struct session *session, struct str name);
/* The session's half of it only: the channel does not know it yet. */
struct subscription *subscription_add(struct hub *hub, struct session *session, struct str name);
/* Takes the session out of the channel; answers commands that still waited. The subscription's memory goes. */
void subscription_end(struct hub *hub, struct session *session, struct subscription *subscription);
/* The same, with this text for commands that waited. */
void subscription_refuse(struct hub *hub, struct session *session, struct subscription *subscription, struct str text);
void subscription_end_all(struct hub *hub, struct session *session);
/* Of a recovering one: its entry in the channel. */
struct recovering_subscriber *subscription_recovering(const struct subscription *subscription);
/* Answers a subscribe: at once when the channel is joined, else when it will be. */
void subscription_answer(struct hub *hub, struct session *session, struct subscription *subscription, struct str id);
/* The broker has the channel, and the subscription is answered next. Does nothing to one that is confirmed, or whose
 * session is ending. */
void subscription_confirm(struct session *session, struct subscription *subscription);
/* Answers `subscribed` to the commands that wait. */
void subscription_answer_waiting(struct hub *hub, struct session *session, struct subscription *subscription,
                                 const struct position *position, bool recovered);

/* --- recover.c --- */
/* As subscription_begin, but from command->since, or with the last events. */
struct subscription *recover_subscribe(struct hub *hub, struct session *session, struct str name,
                                       const struct command *command);

/* --- output.c --- */
/* Borrows the message. May write at once when the outbox is full but the kernel is not. The end of a slow consumer is
 * decided here, and of no other session: subscriptions and lists stay as they are until the flush. */
void output_queue(struct hub *hub, struct session *session, struct message *message);
/* The same of an event, in the session's format. Returns how many bytes it has there. */
static inline size_t output_event(struct hub *hub, struct session *session, struct message *event)
{
    struct message *message = format_event(&hub->formats, session->format, event);
    output_queue(hub, session, message);
    return message->frame_len;
}
/* The same of a message that is made for this session alone. Takes it; NULL: nothing is queued. */
void output_message(struct hub *hub, struct session *session, struct message *message);
/* The reply, in the session's format. */
void output_reply(struct hub *hub, struct session *session, const struct reply *reply);
/* The same reply for all subscribers of the channel: one message for those of one format. */
void output_reply_all(struct hub *hub, struct channel *channel, const struct reply *reply);
/* The replies that are made in several places. id and channel: empty, where there is none. */
void output_error(struct hub *hub, struct session *session, struct str id, struct str channel, enum err code,
                  struct str message);
void output_subscribed(struct hub *hub, struct session *session, struct str id, struct str channel,
                       const struct position *position, bool recovered);
void output_unsubscribed(struct hub *hub, struct session *session, struct str id, struct str channel);
void output_gap(struct hub *hub, struct session *session, struct str channel, enum gap gap,
                const struct position *position);
void output_mark_dirty(struct hub *hub, struct session *session);
/* The session goes, whatever it had to write. */
void output_forget_dirty(struct hub *hub, struct session *session);
/* Writes what the dirty outboxes hold. */
void output_flush(struct hub *hub);
/* An event of this moment was delivered in this turn: its delivery time is measured when the turn's writes are done. */
void output_note_delivery(struct hub *hub, uint64_t accepted_us);
/* Calls ops->finish once. */
void output_finish(struct hub *hub, struct session *session, bool abrupt);

/* --- liveness.c --- */
void liveness_start(struct hub *hub, struct session *session);
/* After the claims have been set: when to warn, when to end. */
void liveness_watch_expiry(struct hub *hub, struct session *session);
void liveness_drain(struct hub *hub, struct session *session, uint64_t after_us);
/* The closing connection may take no longer than this. */
void liveness_bound_closing(struct hub *hub, struct session *session);
/* Timers that run for an open session follow other settings. */
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
/* From now on the node is told of each session that subscribes and unsubscribes, where the channel's rule keeps that.
 */
void presence_init(struct hub *hub);
/* The channel's rule is another one. From now on its subscribers count for presence, or count no longer, or count
 * otherwise. */
void presence_follow(struct channel *channel, const struct presence_policy *policy);

/* --- command_answers.c --- */
/* Asks the node what the session's command needs, and gives the session the reply. Takes the request. */
void command_ask(struct session *session, struct request *request);

/* --- session_slot.c --- */
/* The session that gets the slot has this uuid. */
const char *session_slot_uuid(const struct session_slot *slot);
/* The broker is told another ttl soon, and not only when the next renewals are due. */
void session_slots_follow(struct hub *hub, const struct hub_settings *before);

/* --- session_life.c --- */
struct session *session_create(struct hub *hub, const struct session_start *start);
/* Its connection has gone. Its memory goes with sessions_reap. */
void session_forget(struct session *session);
void sessions_reap(struct hub *hub);
/* Asks the node on behalf of the session, and takes the request. When it has come back, answer runs, unless the session
 * has gone by then; NULL: there is nothing to do. Then the request is freed. */
void session_ask(struct session *session, struct request *request,
                 void (*answer)(struct session *session, struct request *request));

/* --- command_costs.c --- */
/* In messages of the session's rate, before it is carried out. */
uint64_t command_cost(const struct command *command);
/* One more page for the session, unless too many wait for their answers already: then it is told so. */
bool command_begin_page(struct hub *hub, struct session *session, const struct command *command);
/* The answer to a command's request has come. The client gets back its payment (command_begin_page) for events or
 * members that the page does not have. */
void command_page_came(struct session *session, struct request *request);
/* A missed event is queued for a session that comes back. */
void command_recovered(struct hub *hub, struct session *session);
/* Its event is the first one of a channel with history. */
void command_began_history(struct hub *hub, struct session *session);

#endif
