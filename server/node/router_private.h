/* router_private.h - what the files of the router share. router.c: who wants what, and the mail to and from the
 * workers; placing.c: that a channel with history has a position, and its subscribers know it; continuity.c: that each
 * worker gets every numbered event once and in order, or hears of a gap; recovery.c: subscribers who come back;
 * history_reads.c: the reads that both need, so many at once and no more; presence_reads.c: the same for pages of who
 * is on a channel. */
#ifndef CARILLON_NODE_ROUTER_PRIVATE_H
#define CARILLON_NODE_ROUTER_PRIVATE_H

#include "server/core/presence.h"
#include "server/node/catchup/log_window.h"
#include "server/node/router.h"

/* What is read at once for continuity, and what goes to a worker at once for who comes back; bytes are about. */
enum { RECOVERY_PAGE_EVENTS = 256, RECOVERY_PAGE_BYTES = 512 * 1024 };

/* A channel that some worker wants. Owned by router->channels. */
struct channel_route {
    bool subscribed;               /* the broker has answered */
    bool locating;                 /* its rule was given a history, and the broker has yet to say where that is */
    struct history_policy history; /* of its rule. Without one, it has no position, and its events no offset */
    uint64_t wanting;              /* a bit a worker */
    uint64_t unanswered;           /* of those whose last join waits for the position */
    uint64_t *join_ids;            /* of each wanting worker's join */
    struct list_link unplaced;     /* in router->unplaced or placing: it has a history and no position */
    char epoch[EPOCH_MAX + 1];     /* "": no position: no history, or the broker could not begin one */
    uint64_t offset;               /* of the last event posted to the workers, or passed over with a gap */
    char id[POSITION_ID_MAX + 1];  /* of that event; "": not known */
    struct continuity *continuity; /* NULL: nothing is missing, and nobody has come back lately */
    struct str name;               /* points into bytes */
    char bytes[];
};

/* What a route has while something is missing, somebody recovers, or did so a moment ago. */
struct continuity {
    struct channel_route *route;
    struct list_link link;               /* in router->active */
    struct list_link due;                /* in router->due: recoveries have come in this turn */
    uint64_t target;                     /* the broker had events up to here; above route->offset: some are missing */
    bool unproven;                       /* they are read from the last one posted on: is it still what they follow? */
    uint64_t known_first;                /* older events of this epoch are no longer kept; 0: not known */
    char before_id[POSITION_ID_MAX + 1]; /* of the event before that one; "": not known */
    struct log_window window;            /* what was read or went by lately, at most up to route->offset */
    struct log_window held;              /* events that came while older ones are missing */
    struct list_link recoveries;         /* those that wait, oldest first */
    uint64_t read;                       /* number of the read under way; 0: none */
    uint64_t retry_us;                   /* not to be tried before; 0: at once */
    uint64_t failing_us;                 /* since when reads have failed; 0: they have not */
    uint64_t used_us;
    /* The lowest position that somebody asked from, since period_us and in the period before that. */
    uint64_t asked_from, asked_from_before; /* UINT64_MAX: nobody did */
    uint64_t period_us;
};

/* --- router.c --- */
/* Posts the event to all workers that want it. Takes the reference. */
void router_post(struct router *router, const struct channel_route *route, struct message *message);
/* Answers the joins that wait. */
void router_answer_joins(struct router *router, struct channel_route *route, enum err err, struct str text);

/* --- placing.c --- */
/* The only way in which a route's epoch changes. */
void placing_set(struct router *router, struct channel_route *route, const struct position *position);
/* Its rule has another history than before; the broker has been asked for it already. */
void placing_follow_rule(struct router *router, struct channel_route *route, const struct history_policy *history);
/* The broker has told where it is. */
void placing_told(struct router *router, struct channel_route *route, const struct position *position);
/* Asks again for some of the channels that have no position. */
void placing_tick(struct router *router);

/* --- continuity.c --- */
/* A numbered event that is not simply the next one of a channel without a continuity. */
void continuity_event(struct router *router, struct channel_route *route, const struct event *event);
/* The broker has told the position again: it was away. */
void continuity_position(struct router *router, struct channel_route *route, const struct position *position);
/* A page has been read for it. Takes the read. */
void continuity_page(struct router *router, struct channel_route *route, struct history_read *read);
/* Does what can be done now: posts what is held, serves who waits, reads what is missing. */
void continuity_advance(struct router *router, struct channel_route *route);
struct continuity *continuity_of(struct router *router, struct channel_route *route);
void continuity_free(struct channel_route *route);
/* Continuity is over: the workers are told, and it goes on from there. */
void continuity_gap(struct router *router, struct channel_route *route, enum gap gap, const struct position *position);
void continuity_tick(struct router *router, struct continuity *continuity);
/* One line for all histories that were found lost lately. */
void continuity_log(struct router *router);

/* --- recovery.c --- */
/* Answers all that can be answered from the window and the position. page: offset that the broker has told in the read
 * of that number (0: none): whoever waits for a later one, and was there before the read, waits for what is lost. */
void recovery_serve(struct router *router, struct channel_route *route, uint64_t read, uint64_t broker_offset);
/* All that wait are told that it cannot be had. */
void recovery_give_up(struct router *router, struct channel_route *route, enum gap gap);
/* Where a read for those that wait should begin; false when none is needed. */
bool recovery_wants(const struct channel_route *route, uint64_t *out_after);
/* The worker has left the channel. */
void recovery_drop(struct continuity *continuity, unsigned worker);

/* --- history_reads.c --- */
/* Has a page read for the route's continuity once there is room: continuity_after says from where. */
void history_reads_ask(struct router *router, struct channel_route *route);
/* Where that read begins; false when it is no longer needed. */
bool continuity_wants(const struct channel_route *route, uint64_t *out_after);
void history_reads_answered(struct router *router, struct history_read *read);
void history_reads_fini(struct router *router);

/* --- presence_reads.c --- */
/* Takes the read: asks the broker once there is room, or refuses it. */
void presence_reads_ask(struct router *router, struct presence_read *read);
/* The broker has closed: those that still wait are answered. */
void presence_reads_close(struct router *router);

#endif
