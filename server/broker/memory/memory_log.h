/* memory_log.h - the events that the memory broker keeps: a ring for each channel, all rings together bounded in bytes.
 * Each event is kept as its subscribers got it. Pure, for one thread. Events go
 * - one by one, when there are more than the channel's rule says;
 * - all of a channel, when none has come for the rule's ttl;
 * - over the bound, from the channel that has been silent for longest.
 *
 * The events of one user's clients have a bound of their own, the user's share. Over it the user's oldest event goes. A
 * history has no holes, so all older events of that channel go with it. Channels without an event of this user lose
 * nothing. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_LOG_H
#define CARILLON_BROKER_MEMORY_MEMORY_LOG_H

#include "common/base/list.h"
#include "common/base/ring.h"
#include "server/broker/memory/memory_shares.h"
#include "server/core/history.h"

/* Of one channel. Zeroed: empty. */
struct memory_log {
    struct list_link link;               /* in memory_logs.used while it has events */
    struct ring events;                  /* of struct kept_event * */
    uint64_t first;                      /* offset of the oldest, which the others follow without holes */
    uint64_t ends_us;                    /* 0: never by age */
    char before_id[POSITION_ID_MAX + 1]; /* of the event before the oldest; "" if that one did not go by age */
};

struct memory_logs {
    struct list_link used; /* silent for longest first */
    size_t bytes;
    size_t bytes_max;
    struct memory_shares shares; /* of kept events */
    struct buf encoded;          /* of the newest, during the call */
};

/* share: bytes of one user's. The newest event may be larger by itself. */
void memory_logs_init(struct memory_logs *logs, size_t bytes_max, size_t share);
/* All logs must have been cleared. */
void memory_logs_fini(struct memory_logs *logs);

/* The channel's next event. user: publication.user_hash. history: its size is 1 or more. */
void memory_log_append(struct memory_logs *logs, struct memory_log *log, const struct event *event, uint64_t user,
                       const struct history_policy *history, uint64_t now_us);
void memory_log_clear(struct memory_logs *logs, struct memory_log *log);
/* Frees what has outlived its ttl, as far as that is found without a search. */
void memory_logs_expire(struct memory_logs *logs, uint64_t now_us);
/* Fills read with the events it asks for. */
void memory_log_read(struct memory_logs *logs, struct memory_log *log, struct history_read *read, uint64_t now_us);

#endif
