/* router_private.h - what the files of the router share.
 *
 *     router.c          requests, what the broker says, and what workers are told of it
 *     router_broker.c   the way to the broker, while there is one
 *     router_joins.c    which worker wants which channel
 *     positions.c       asks for the positions that channels lack
 *     reads.c           the queues of reads: of histories, and of who is on a channel
 *     catchup/          which event is posted when; has no mail and no broker */
#ifndef CARILLON_NODE_ROUTER_PRIVATE_H
#define CARILLON_NODE_ROUTER_PRIVATE_H

#include "server/core/presence.h"
#include "server/node/catchup/catchup.h"
#include "server/node/router.h"

/* A channel that a worker wants. Owned by router->channels. */
struct channel_route {
    struct catchup catchup;            /* the channel's position, and the events that are missing */
    uint64_t wanting;                  /* workers that want the channel: bit i is router->workers[i] */
    uint64_t unanswered;               /* of them, workers whose last join is not answered */
    struct channel_join *joins;        /* each worker's last one */
    struct history_policy history;     /* of the channel's rule */
    struct list_link without_position; /* in router->positions, while a position is missing */
    struct str name;                   /* points into bytes */
    char bytes[];
};

static inline struct channel_route *route_of(struct catchup *catchup)
{
    return CONTAINER_OF(catchup, struct channel_route, catchup);
}

static inline bool router_broker_is_up(struct router *router)
{
    return atomic_load_explicit(&router->broker_state, memory_order_relaxed) == BROKER_UP;
}

/* The time of this turn. */
static inline uint64_t router_now_us(struct router *router)
{
    return turn_now_us(router->mailbox.turn);
}

/* --- router_joins.c --------------------------------------------------------------------------------------------- */
/* Answers the joins that wait: with the channel's position, or with an error and its text. */
void router_answer_joins(struct router *router, struct channel_route *route, enum err err, struct str text);
/* Call when no worker wants the channel any more, or the broker has refused it. Frees the route. */
void router_forget_route(struct router *router, struct channel_route *route);
/* Frees the route alone: the caller sees to router->channels. */
void router_free_route(struct channel_route *route);

/* --- positions.c ------------------------------------------------------------------------------------------------ */
void positions_init(struct positions *positions);
/* Call when the channel may have got a position or lost it. The broker has been asked for the position already. */
void positions_note(struct router *router, struct channel_route *route);
void positions_tick(struct router *router);

/* --- reads.c ---------------------------------------------------------------------------------------------------- */
void reads_init(struct router *router);
/* False when the request is no read. Else takes it: the broker is asked once there is room, or the read is refused. */
bool reads_take(struct router *router, struct request *request);
/* The broker has answered. False when the request is no read. Else takes it. */
bool reads_answered(struct router *router, struct request *request);
/* As catchup_ops.read. The owner is the router. */
void reads_ask_for_catchup(void *router, struct catchup *catchup, uint64_t number);
/* The broker has closed: the reads that still wait are answered. */
void reads_close(struct router *router);

#endif
