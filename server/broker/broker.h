/* broker.h - what orders events and carries them between nodes. Two kinds: memory (one node) and Redis. A broker lives
 * on one loop; all calls and all callbacks happen in that loop's thread.
 *
 * It acknowledges a publication only when it is safe: with Redis, when Redis has stored it. */
#ifndef CARILLON_BROKER_BROKER_H
#define CARILLON_BROKER_BROKER_H

#include "common/base/error.h"
#include "common/metrics/metrics.h"
#include "common/protocol/event.h"
#include "server/core/history.h"
#include "server/core/publication.h"
#include "server/core/request.h"

enum broker_state {
    BROKER_CONNECTING, /* not up yet since the start */
    BROKER_UP,
    BROKER_DOWN, /* was up; reconnecting */
};

static inline const char *broker_state_text(enum broker_state state)
{
    return state == BROKER_UP ? "up" : state == BROKER_DOWN ? "down" : "connecting";
}

struct broker_info {
    enum broker_state state;
    const char *kind;       /* "memory", "redis" */
    char text[320];         /* why it is not up; never a password */
    uint64_t round_trip_us; /* the last one measured; 0: none */
};

/* What the broker tells its node. */
struct broker_sink {
    /* The publication comes back with its answer. The sink takes it. */
    void (*published)(void *owner, struct publication *publication);
    /* The answer to subscribe. position: of the last event so far; with an error NULL. Its epoch is empty when the
     * channel has no history, or none could be begun (Redis is full or read-only). It comes again, without an error,
     * when the broker had lost its connection: events may have been missed, and this is where the channel is now. */
    void (*subscribed)(void *owner, struct str channel, enum err err, struct str text, const struct position *position);
    /* Where a subscribed channel with history is, told among its events though no connection was lost: an epoch has
     * been begun for it, or subscribe was called again. An empty epoch: none could be begun. The last one told, here,
     * by subscribed or with an event, is the channel's: whoever begins another one tells all nodes. */
    void (*located)(void *owner, struct str channel, const struct position *position);
    /* An event on a subscribed channel, in the order of its channel; after a lost connection one may be missing or come
     * once more, until the position is told again. Everything is borrowed for the call. */
    void (*event)(void *owner, const struct event *event);
    /* The answer to history. The sink takes it. */
    void (*history)(void *owner, struct history_read *read);
    /* A message that another node, or this one, has sent with nodes->send. from: the sender's node id. */
    void (*control)(void *owner, struct str from, struct str bytes);
    /* A token is revoked. Borrowed for the call. Whenever a broker of several nodes comes up, it tells all that it
     * keeps, between revocations with begin and with its contrary. */
    void (*revoked)(void *owner, const struct revocation *revocation);
    void (*revocations)(void *owner, bool begin);
    /* Up, down or why has changed. */
    void (*state)(void *owner, const struct broker_info *info);
};

struct broker;

struct broker_ops {
    /* Takes the publication and gives it back by sink->published, also when it fails, not from within this call. */
    void (*publish)(struct broker *broker, struct publication *publication);
    /* Asks for a channel's events. The answer is sink->subscribed; while Redis is down, it waits until Redis is back.
     * history is that of the channel's rule, borrowed for the call. With a history, the channel has an epoch from here
     * on, also before its first event.
     *
     * Called again for a subscribed channel: this is its rule's history now. If it has one and no epoch is known,
     * the answer is sink->located, not from within this call. Another call asks once more. */
    void (*subscribe)(struct broker *broker, struct str channel, const struct history_policy *history);
    void (*unsubscribe)(struct broker *broker, struct str channel);
    /* Takes the read, fills its answer and gives it back by sink->history, also when it fails (ERR_UNAVAILABLE: trying
     * again may help), not from within this call. Needs no subscription. */
    void (*history)(struct broker *broker, struct history_read *read);
    /* Takes the request and answers it (broker_request_answer), also when it fails, not from within this call. */
    void (*ask)(struct broker *broker, struct broker_request *request);
    void (*info)(struct broker *broker, struct broker_info *out);
    /* Lets Redis answer what it has been asked, for two seconds at most; answers what then still waits with
     * ERR_UNAVAILABLE, closes the connections and calls closed once nothing is left on the loop. */
    void (*close)(struct broker *broker, void (*closed)(void *owner));
    /* After closed. */
    void (*destroy)(struct broker *broker);
};

/* How nodes talk to each other, for the administration. */
struct node_control_ops {
    /* Sends bytes to one node (its id), or to all others (to empty). A message comes once or not at all; nobody is told
     * which. The receiver gets it by sink->control. */
    void (*send)(struct broker *broker, struct str to, struct str bytes);
    /* Writes the ids of all nodes that are alive now, this one included, in order and separated by '\n'. */
    void (*list)(struct broker *broker, struct buf *out);
};

/* Every kind starts with this. */
struct broker {
    const struct broker_ops *ops;
    const struct node_control_ops *nodes;
    const struct broker_sink *sink;
    void *owner;
    struct metrics *metrics; /* of the broker's thread */
};

#endif
