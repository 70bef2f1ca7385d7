/* redis_subscription.h - the channels that a node has subscribed in Redis, and the state of each. redis_subscribe.c
 * sends the commands for a channel, and redis_position.c asks for its position. One thread. */
#ifndef CARILLON_BROKER_REDIS_REDIS_SUBSCRIPTION_H
#define CARILLON_BROKER_REDIS_REDIS_SUBSCRIPTION_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/random.h"
#include "common/metrics/metrics.h"
#include "server/core/history.h"

struct redis_shard;

/* A channel that the node wants, or whose UNSUBSCRIBE is under way. Owned by its set. */
struct redis_subscription {
    struct list_link change;       /* in redis_subscriptions.changed */
    struct list_link of_slot;      /* in redis_subscriptions.by_slot */
    unsigned slot;                 /* of key, in a cluster */
    struct redis_shard *shard;     /* where the channel is, or is to be, subscribed; NULL: not known yet */
    bool wanted;                   /* by the node */
    bool sent;                     /* the last command sent was SUBSCRIBE */
    bool answered;                 /* sink->subscribed has been called: events may follow */
    bool interrupted;              /* the connection was lost after the answer: the position may have moved */
    bool recheck;                  /* the epoch is not known, or may not be the one in Redis */
    unsigned unconfirmed;          /* commands without a confirmation; confirmations come in the order of commands */
    unsigned positions;            /* calls of SCRIPT_POSITION without an answer; they hold the struct */
    struct list_link untold;       /* in redis_subscriptions.untold */
    uint64_t untold_since;         /* the last canary that was sent before it was put there */
    struct history_policy history; /* of the channel's rule; the node gives it, and again when a reload changes it */
    char epoch[EPOCH_MAX + 1];     /* of the last event or position that the node was told */
    uint64_t offset;
    char last_id[UUID_LEN + 1]; /* of the event at offset; "": not known */
    uint64_t read;              /* highest offset of that epoch that a read of the history has told */
    uint64_t read_before;       /* read, when the first of the positions without an answer was asked for */
    bool outdated;              /* one of these positions has come, and is older than that read */
    struct str channel;
    struct str key; /* of its live channel */
    char bytes[];
};

/* Embedded in its owner. */
struct redis_subscriptions {
    struct map by_key;
    struct list_link changed;  /* subscriptions that the next flush looks at */
    struct list_link untold;   /* subscriptions whose position was made and has not come, the oldest first */
    struct list_link *by_slot; /* REDIS_SLOTS lists in a cluster; else NULL */
    struct metrics *metrics;   /* borrowed */
};

void redis_subscriptions_init(struct redis_subscriptions *set, bool by_slot, struct metrics *metrics);
/* Frees all subscriptions. */
void redis_subscriptions_fini(struct redis_subscriptions *set);
/* The number of subscriptions that are, or are to be, at that shard. */
size_t redis_subscriptions_count(const struct redis_subscriptions *set, const struct redis_shard *shard);

/* The subscription of that live channel. NULL: there is none. */
struct redis_subscription *redis_subscription_find(struct redis_subscriptions *set, struct str key);
/* The subscription of that live channel, if it is at that shard. NULL: there is none. */
struct redis_subscription *redis_subscription_find_at(struct redis_subscriptions *set, const struct redis_shard *shard,
                                                      struct str key);
/* Adds a subscription. The channel must not have one. The texts are copied. */
struct redis_subscription *redis_subscription_create(struct redis_subscriptions *set, struct str channel,
                                                     struct str key);
/* Lets the next flush look at the subscription. */
void redis_subscription_note_change(struct redis_subscriptions *set, struct redis_subscription *subscription);
/* Frees the subscription if the node does not want it and nothing of it is under way. */
void redis_subscription_drop_if_done(struct redis_subscriptions *set, struct redis_subscription *subscription);

#endif
