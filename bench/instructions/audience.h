/* audience.h - a hub with any number of sessions and no sockets. Written bytes are counted and forgotten. The broker
 * accepts every channel. The clock stands still. */
#ifndef CARILLON_BENCH_AUDIENCE_H
#define CARILLON_BENCH_AUDIENCE_H

#include "common/base/buf.h"
#include "server/core/hub.h"

struct audience {
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
struct rules *audience_rules(size_t count);

/* With that many rules. */
void audience_init(struct audience *audience, size_t rules);
/* All sessions have been closed. */
void audience_fini(struct audience *audience);

/* A session in the middle of a turn: session_init is queued. */
struct session *audience_open(struct audience *audience);
/* The same, of this user. */
struct session *audience_open_as(struct audience *audience, struct str user);
/* So many of them, written out. The caller frees the list, and closes the sessions by audience_close. */
struct session **audience_open_many(struct audience *audience, size_t count);
void audience_close(struct audience *audience, struct session **sessions, size_t count);

/* A client's message; nothing is written yet. */
void audience_say(struct audience *audience, struct session *session, struct str message);
/* Subscribes without a command. */
void audience_subscribe(struct audience *audience, struct session *session, struct str channel);
/* The broker answers what was asked, and the turn ends. */
void audience_settle(struct audience *audience);

#endif
