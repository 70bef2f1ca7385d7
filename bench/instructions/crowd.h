/* crowd.h - a hub with any number of sessions and no sockets. Written bytes are counted and forgotten. The broker
 * accepts every channel. The clock stands still. */
#ifndef CARILLON_BENCH_CROWD_H
#define CARILLON_BENCH_CROWD_H

#include "common/base/buf.h"
#include "server/core/hub.h"

struct crowd {
    struct hub *hub;
    struct rules *rules;
    struct metrics metrics;
    struct endpoint endpoint;
    struct claims *claims;
    uint64_t bytes_written;
    struct buf joins; /* struct asked_join each: channels that the hub has asked for */
    size_t opened;
};

/* So many rules, of which the last one matches "bench:...". One reference. */
struct rules *crowd_rules(size_t count);

/* With that many rules. */
void crowd_init(struct crowd *crowd, size_t rules);
/* All sessions have been closed. */
void crowd_fini(struct crowd *crowd);

/* A session in the middle of a turn: session_init is queued. */
struct session *crowd_open(struct crowd *crowd);
/* The same, of this user. */
struct session *crowd_open_as(struct crowd *crowd, struct str user);
/* So many of them, written out. The caller frees the list, and closes the sessions by crowd_close. */
struct session **crowd_open_many(struct crowd *crowd, size_t count);
void crowd_close(struct crowd *crowd, struct session **sessions, size_t count);

/* A client's message; nothing is written yet. */
void crowd_say(struct crowd *crowd, struct session *session, struct str message);
/* Subscribes without a command. */
void crowd_subscribe(struct crowd *crowd, struct session *session, struct str channel);
/* The broker answers what was asked, and the turn ends. */
void crowd_settle(struct crowd *crowd);

#endif
