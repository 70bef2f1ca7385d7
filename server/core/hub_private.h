/* hub_private.h - what the files of the hub share and nobody else sees. hub.c: sessions come and go; session.c: which
 * there are, and when one is to end; channel.c: who is
 * subscribed; recover.c: who comes back; history.c: pages and recoveries on their way; commands.c: what clients ask;
 * command_costs.c: at what price; output.c: outboxes and the flush; liveness.c: pings and deadlines; session_slot.c:
 * limits across nodes. */
#ifndef CARILLON_CORE_HUB_PRIVATE_H
#define CARILLON_CORE_HUB_PRIVATE_H

#include "common/base/buf.h"
#include "server/core/hub.h"

/* The most that is joined into one write. A transport that holds an unsent rest holds at most this, or one frame. */
enum { WRITE_CHUNK = 65536, JOINED_MAX = 256 };

/* The messages that were joined last, for one write, in this turn. */
struct joined {
    uint32_t count; /* 0: none */
    size_t len;
    struct message *messages[JOINED_MAX]; /* a reference each, so that no other message can have that address */
    char bytes[WRITE_CHUNK];
};

struct hub_slot {
    struct session *session; /* NULL: free */
    uint64_t generation;     /* of the session that is here or was here last */
    uint32_t next_free;
};

struct hub {
    uint32_t worker;
    const struct node_ops *node;
    void *node_owner;
    const struct hub_ops *ops;
    void *owner;
    struct hub_settings settings;
    struct rules *rules;
    struct metrics *metrics;
    struct mailbox *replies;
    uint64_t now_us;
    uint64_t wall_ms;
    struct wheel wheel;
    struct hub_slot *slots;
    uint32_t slot_count;
    uint32_t slot_cap;
    uint32_t first_free; /* slot_count when none is free */
    size_t session_count;
    struct sorted sessions; /* open ones, by their uuids */
    size_t open_count;
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
    struct list_link ending; /* sessions whose end was decided in this turn; the flush carries it out */
    struct list_link reaped; /* sessions whose connection has gone */
    bool draining;
    struct message *ping;  /* one empty ping for everybody */
    struct buf scratch;    /* replies are built here */
    struct buf parse;      /* of the command that is being carried out */
    uint64_t *accepted_us; /* of the events delivered in this turn */
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
struct subscription *channel_find_subscription(struct session *session, struct str name);
/* Adds the session to the channel, which is made and joined if need be. The session must not be in it yet. */
struct subscription *channel_subscribe(struct hub *hub, struct session *session, struct str name);
/* The session's half of it only: the channel does not know it yet. */
struct subscription *channel_add_subscription(struct hub *hub, struct session *session, struct str name);
/* The channel's half; returns the subscriber's index. */
uint32_t channel_add_subscriber(struct channel *channel, struct subscriber subscriber);
/* Takes the session out of it; answers commands that still waited. The subscription's memory goes. */
void channel_unsubscribe(struct hub *hub, struct session *session, struct subscription *subscription);
void channel_unsubscribe_all(struct hub *hub, struct session *session);
/* Removes subscriptions that the session's claims (and rules) no longer allow, telling the client. */
void channel_recheck_access(struct hub *hub, struct session *session);
/* After other rules: the node is told which channels have another history now, some in each turn. What comes to a
 * channel meanwhile goes by the new rules. */
void channels_follow_rules(struct hub *hub);
void channels_init(struct hub *hub);
void channels_free(struct hub *hub);
void channel_set_position(struct channel *channel, const struct position *position);
/* Borrows from the channel. */
struct position channel_position(const struct channel *channel);
/* Answers `subscribed` to a detached list of commands and frees it. */
void channel_answer_waiting(struct hub *hub, struct session *session, struct channel *channel,
                            struct waiting_command *waiting, const struct position *position, bool recovered);

/* --- recover.c --- */
/* As channel_subscribe, but from command->since, or with the last events. */
struct subscription *channel_return(struct hub *hub, struct session *session, struct str name,
                                    const struct command *command);
/* Takes the entry out; the last one frees the list. */
void recovering_remove(struct channel *channel, uint32_t at);
void recovering_free(struct channel *channel);
/* An event that is in no history: queued to those who have had their `subscribed`. Borrows the message. Somebody is
 * recovering. */
void recover_deliver(struct channel *channel, struct message *message);
/* Of a recovering subscription: its `subscribed` has been sent. */
bool recover_is_told(const struct subscription *subscription);
/* Answers one more subscribe of one that is told, with the position it has come to. */
void recover_answer_again(struct hub *hub, struct session *session, const struct subscription *subscription,
                          struct str id);

/* --- output.c --- */
/* Borrows the message. May write at once when the outbox is full but the kernel is not. The end of a slow consumer is
 * decided here, and of no other session: subscriptions and lists stay as they are until the flush. */
void output_queue(struct hub *hub, struct session *session, struct message *message);
/* The reply, in the session's dialect. */
void output_reply(struct hub *hub, struct session *session, const struct reply *reply);
/* The same reply for all subscribers of the channel: one message for those of one dialect. */
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
void liveness_stop(struct hub *hub, struct session *session);

/* --- presence_commands.c --- */
/* The session's subscription is answered: from now on it is told of who comes, and so of itself. Does nothing to one
 * that has entered. */
void presence_enter(const struct session *session, struct subscription *subscription);
/* It ends. */
void presence_exit(const struct session *session, const struct subscription *subscription);
/* The channel's rule is another one. Whoever is subscribed is counted from now on, or no longer, or otherwise. */
void presence_follow(struct channel *channel, const struct presence_policy *policy);
/* The command `presence`. */
void presence_ask(struct hub *hub, struct session *session, const struct command *command);

/* --- session_slot.c --- */
/* Asks for the session's slot, if it needs one. True: it waits for the answer, and hub_admit follows, or its end. */
bool session_slot_take(struct hub *hub, struct session *session);
/* True: the session waits for its slot, and the message is kept until then (or the session closed, if it is too
 * much). */
bool session_slot_hold(struct hub *hub, struct session *session, struct str text);
bool session_slot_is_awaited(const struct session *session);
/* The broker is told another ttl soon, and not only when the next renewal is due. */
void session_slot_follow(struct hub *hub, struct session *session, const struct hub_settings *before);
void session_slot_leave(struct hub *hub, struct session *session);

/* --- hub.c --- */
/* The session begins: session_init, and the timers. */
void hub_admit(struct hub *hub, struct session *session);

/* --- session.c --- */
void sessions_init(struct hub *hub);
struct session *session_create(struct hub *hub, const struct session_start *start);
/* The reply as a message in the session's dialect; NULL: the dialect has no words for it. One reference. */
struct message *session_say(struct session *session, const struct reply *reply);
/* Its connection has gone. Its memory goes with sessions_reap. */
void session_forget(struct session *session);
void sessions_reap(struct hub *hub);

/* --- commands.c --- */
/* Answers a subscribe: at once when the channel is joined, else when it will be. */
void commands_answer_subscribed(struct hub *hub, struct session *session, struct subscription *subscription,
                                struct str id);
void commands_publication_done(struct publication *publication, void *hub);
/* One more page for the session, unless too many wait for their answers already: then it is told so. */
bool commands_begin_read(struct hub *hub, struct session *session, const struct command *command);

/* --- command_costs.c --- */
/* In messages of the session's rate, before it is carried out. */
uint64_t command_cost(const struct command *command);
/* A page of commands_begin_read was asked for with this limit, and paid for; it has so many events or members. */
void command_page_came(struct session *session, uint64_t limit, uint64_t rows);
/* A missed event is queued for a session that comes back. */
void command_recovered(struct hub *hub, struct session *session);
/* Its event is the first one of a channel with history. */
void command_began_history(struct hub *hub, struct session *session);

#endif
