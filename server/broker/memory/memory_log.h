/* memory_log.h - the events that the memory broker keeps: a ring a channel, all of them together bounded in bytes. Each
 * event is kept as its subscribers got it. Events leave one by one when there are more than the channel's rule says;
 * all of a channel's when none has come for the rule's ttl; and where the bound is passed, those of the channel that
 * has been silent for longest. What a user's clients have published is bounded by itself before that: each event counts
 * for the user who published it. Over the user's share its oldest event goes. What is before that one in the same
 * channel goes with it, whoever published that, as a history has no holes. Nothing goes from a channel in which no
 * event of this user is kept. Pure; one thread. */
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
    uint64_t first;                      /* offset of the oldest; the others follow without holes */
    uint64_t ends_us;                    /* 0: with age never */
    char before_id[POSITION_ID_MAX + 1]; /* of the event before the oldest, where those before it went with age */
};

struct memory_logs {
    struct list_link used; /* silent for longest first */
    size_t bytes;
    size_t bytes_max;
    struct memory_shares shares; /* of kept events */
    struct buf encoded;          /* of the newest; for the call */
};

/* share: bytes of one user's. The newest event may be larger by itself. */
void memory_logs_init(struct memory_logs *logs, size_t bytes_max, size_t share);
/* All logs must have been cleared. */
void memory_logs_fini(struct memory_logs *logs);

/* The channel's next event. user: publication.user. history: its size is 1 or more. */
void memory_log_append(struct memory_logs *logs, struct memory_log *log, const struct event *event, uint64_t user,
                       const struct history_policy *history, uint64_t now_us);
void memory_log_clear(struct memory_logs *logs, struct memory_log *log);
/* Frees what has outlived its ttl, as far as that is found without a search. */
void memory_logs_expire(struct memory_logs *logs, uint64_t now_us);
/* Fills read with the events it asks for. */
void memory_log_read(struct memory_logs *logs, struct memory_log *log, struct history_read *read, uint64_t now_us);

#endif
