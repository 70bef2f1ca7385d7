/* redis_subscription.h - the channels that a node has in Redis, and what is known of each. Only the data: what is sent
 * for a channel, redis_subscribe.c decides. Where a channel is, redis_position.c asks. One thread. */
#ifndef CARILLON_BROKER_REDIS_REDIS_SUBSCRIPTION_H
#define CARILLON_BROKER_REDIS_REDIS_SUBSCRIPTION_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/random.h"
#include "common/metrics/metrics.h"
#include "server/core/history.h"

struct redis_shard;

/* A channel that is wanted, or whose UNSUBSCRIBE is under way. Owned by its set. */
struct redis_subscription {
    struct list_link change;       /* in redis_subscriptions.changed */
    struct list_link of_slot;      /* in redis_subscriptions.by_slot */
    unsigned slot;                 /* of a cluster */
    struct redis_shard *shard;     /* where it is, or is to be, subscribed; NULL: not known yet */
    bool wanted;                   /* by the node */
    bool sent;                     /* the last command sent was SUBSCRIBE */
    bool answered;                 /* sink->subscribed has been called: events may follow */
    bool interrupted;              /* answered, and its connection was lost since: the position may have moved */
    bool recheck;                  /* answered, and its epoch is not known, or may not be the one in Redis */
    unsigned unconfirmed;          /* commands without a confirmation; confirmations come in the order of commands */
    unsigned positions;            /* calls of SCRIPT_POSITION without an answer: until then it stays */
    struct history_policy history; /* of the channel's rule, when the node asked for the channel */
    char epoch[EPOCH_MAX + 1];     /* of the last event that was handed on, or of the position that was told */
    uint64_t offset;
    char last_id[UUID_LEN + 1]; /* of the event at offset; "": not known */
    uint64_t read;              /* highest offset in that epoch that a read of the history has told */
    uint64_t read_before;       /* the same, when the first of the positions without an answer was asked for */
    bool outdated;              /* one of these positions has come and tells nothing: it is older than that read */
    struct str channel;
    struct str key; /* of its live channel */
    char bytes[];
};

/* Embedded in its owner. */
struct redis_subscriptions {
    struct map by_key;
    struct list_link changed;  /* those that the next flush looks at */
    struct list_link *by_slot; /* of a cluster: all by slot; else NULL */
    struct metrics *metrics;   /* borrowed */
};

void redis_subscriptions_init(struct redis_subscriptions *set, bool by_slot, struct metrics *metrics);
/* Frees all. */
void redis_subscriptions_fini(struct redis_subscriptions *set);
/* How many are, or are to be, at that shard. */
size_t redis_subscriptions_count(const struct redis_subscriptions *set, const struct redis_shard *shard);

/* NULL: there is none. key: of the live channel. */
struct redis_subscription *redis_subscription_find(struct redis_subscriptions *set, struct str key);
/* The same; NULL also if it is at another shard. */
struct redis_subscription *redis_subscription_find_at(struct redis_subscriptions *set, const struct redis_shard *shard,
                                                      struct str key);
/* There must be none yet. The texts are copied. */
struct redis_subscription *redis_subscription_create(struct redis_subscriptions *set, struct str channel,
                                                     struct str key);
/* The next flush looks at it. */
void redis_subscription_note_change(struct redis_subscriptions *set, struct redis_subscription *subscription);
/* Frees it if nobody wants it and nothing of it is under way. */
void redis_subscription_drop_if_done(struct redis_subscriptions *set, struct redis_subscription *subscription);

#endif
