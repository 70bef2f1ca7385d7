/* broker.h - the broker gives events their order and carries them between nodes. There are two kinds: memory, for one
 * node, and Redis. A broker lives on one loop. All calls and all callbacks happen in that loop's thread.
 *
 * A publication is acknowledged once it is safe: with Redis, once Redis has stored it. */
#ifndef CARILLON_BROKER_BROKER_H
#define CARILLON_BROKER_BROKER_H

#include "common/base/error.h"
#include "common/metrics/metrics.h"
#include "common/protocol/event.h"
#include "server/core/history.h"
#include "server/core/request.h"

enum broker_state {
    BROKER_CONNECTING, /* not up yet since the start */
    BROKER_UP,
    BROKER_DOWN, /* was up, and connects again */
};

static inline const char *broker_state_text(enum broker_state state)
{
    return state == BROKER_UP ? "up" : state == BROKER_DOWN ? "down" : "connecting";
}

struct broker_info {
    enum broker_state state;
    const char *kind;       /* "memory", "redis" */
    char text[320];         /* why it is not up; without passwords */
    uint64_t round_trip_us; /* the last one measured; 0: none */
};

/* The node, as the broker sees it. All arguments are borrowed for the call, unless the sink takes them. */
struct broker_sink {
    /* The request comes back with its answer. The sink takes it. */
    void (*answered)(void *owner, struct request *request);
    /* The answer to subscribe. position is that of the channel's last event; NULL with an error. The epoch is empty
     * when the channel has no history, and when no epoch could be begun (Redis is full or read-only).
     * Called again, without an error, after a lost connection is back: events may have been missed meanwhile. */
    void (*subscribed)(void *owner, struct str channel, enum err err, struct str text, const struct position *position);
    /* The position of a subscribed channel with history, at its place among the channel's events. No connection was
     * lost: some node has begun an epoch, or this one has called subscribe again. An empty epoch: none could be begun.
     * The channel's epoch is the last one that came here, by subscribed or with an event. */
    void (*located)(void *owner, struct str channel, const struct position *position);
    /* An event of a subscribed channel, in the channel's order. After a lost connection, events may be missing or come
     * twice until subscribed is called again. */
    void (*event)(void *owner, const struct event *event);
    /* A message that a node, perhaps this one, has sent with nodes->send. from: the id of that node. */
    void (*control)(void *owner, struct str from, struct str bytes);
    /* A token is revoked. When the Redis broker comes up, it tells all revocations that Redis keeps: first
     * revocations(begin), then revoked for each, then revocations(not begin). */
    void (*revoked)(void *owner, const struct revocation *revocation);
    void (*revocations)(void *owner, bool begin);
    /* The state has changed, or the reason why the broker is not up. */
    void (*state)(void *owner, const struct broker_info *info);
};

struct broker;

struct broker_ops {
    /* Takes the request, fills its answer and gives it back by sink->answered, not from within this call. When it
     * fails, request->error says why: after ERR_UNAVAILABLE another try may help. Needs no subscription. */
    void (*ask)(struct broker *broker, struct request *request);
    /* Asks for a channel's events. The answer is sink->subscribed. While Redis is down, it waits until Redis is back.
     * history is that of the channel's rule, borrowed for the call. With a history, the channel has an epoch from here
     * on, also before its first event.
     *
     * Called again for a subscribed channel, it says that the rule has this history now. If there is a history and no
     * epoch is known, the answer is sink->located, not from within this call, or sink->subscribed once Redis is back.
     * Each further call asks for the epoch again. */
    void (*subscribe)(struct broker *broker, struct str channel, const struct history_policy *history);
    void (*unsubscribe)(struct broker *broker, struct str channel);
    void (*info)(struct broker *broker, struct broker_info *out);
    /* 1. Waits for the answers of Redis, two seconds at most.
     * 2. Answers the requests that still wait with ERR_UNAVAILABLE.
     * 3. Closes the connections, and calls closed when the broker has nothing left on the loop. */
    void (*close)(struct broker *broker, void (*closed)(void *owner));
    /* Call after closed. Frees the broker. */
    void (*destroy)(struct broker *broker);
};

/* How nodes find each other and talk, for surveys and settings. */
struct node_control_ops {
    /* Sends bytes to one node (its id), or to all others (to empty). A message arrives once or not
     * at all, and the sender is not told. The receiver gets it by sink->control. */
    void (*send)(struct broker *broker, struct str to, struct str bytes);
    /* Writes the ids of all nodes that are alive now, this one included, in order and separated by '\n'. A node is
     * among them once its broker is up. */
    void (*list)(struct broker *broker, struct buf *out);
};

/* Each kind of broker starts with this. The kind fills it when it creates the broker. */
struct broker {
    const struct broker_ops *ops;
    const struct node_control_ops *nodes;
    const struct broker_sink *sink;
    void *owner;
    struct metrics *metrics; /* of the broker's thread */
};

/* For a kind of broker: gives the request back. */
static inline void broker_answer(const struct broker *broker, struct request *request)
{
    broker->sink->answered(broker->owner, request);
}

#endif
