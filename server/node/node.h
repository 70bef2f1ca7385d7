/* node.h - one node between the hubs of its workers and its broker: router, presence, lifecycle, revoker, surveys,
 * peers, and the timer that drives them. A node has no sockets, no signals and no threads of its own. The program
 * (server/app) and the simulator (tests/sim) run this same composition.
 *
 * A node lives in the thread of its loop. The calls come in this order:
 *
 *     node_init
 *     node_open              with a broker, made with node_sink and &node->router
 *     router_add_worker      for each worker, before its hub asks for anything
 *     node_close             when the workers' sessions have gone; then the loop runs until node->is_closed
 *     node_answer_waiting    while the workers still take mail, and their threads have ended; then the owner destroys
 *                            its workers
 *     node_fini              then the loop runs once more */
#ifndef CARILLON_NODE_NODE_H
#define CARILLON_NODE_NODE_H

#include "server/node/lifecycle.h"
#include "server/node/node_presence.h"
#include "server/node/peers.h"
#include "server/node/revoker.h"
#include "server/node/router.h"
#include "server/node/survey.h"

struct node_options {
    uv_loop_t *loop;                      /* the broker's; borrowed */
    const char *id;                       /* at most UUID_LEN bytes; copied */
    const char *version;                  /* shown by surveys, as is libraries; borrowed */
    const char *libraries;                /* "libuv 1.44.2, ..." */
    uint64_t started_us;                  /* monotonic */
    const struct router_settings *router; /* NULL: the defaults */
};

/* The members are for the owner to read and to pass on. */
struct node {
    char id[UUID_LEN + 1];
    struct turn turn;       /* of the loop */
    struct metrics metrics; /* of the loop's thread */
    struct router router;   /* the owner of node_ops */
    struct broker *broker;  /* NULL before node_open */
    struct revocations *revocations;
    struct revoker *revoker;
    struct presence *presence;
    struct lifecycle *lifecycle;
    struct peers *peers; /* NULL before node_open, as is surveys */
    struct surveys *surveys;
    struct survey_facts facts;
    struct timer tick;
    struct timer flush; /* while the node ends: until the last lifecycle events are at the broker */
    uint64_t flush_until_us;
    bool is_closed; /* the broker has closed, or there was none */
};

/* The operations that hubs ask of their node, and what the broker tells the node. The owner of both is &node->router.
 */
extern const struct node_ops node_ops;
extern const struct broker_sink node_sink;

void node_init(struct node *node, const struct node_options *options);

/* Takes the broker, and starts the timer. */
void node_open(struct node *node, struct broker *broker);

/* Call when no worker has sessions any more, also without node_open before. Surveys are answered, the broker is told
 * who has left, and the broker begins to close. */
void node_close(struct node *node);
/* Once node->is_closed: requests that still wait are answered, and the askers have taken the answers (router_close).
 * The node takes no more mail: from here on no worker may ask for anything. */
void node_answer_waiting(struct node *node);
/* Frees what the node has made. The loop's handles are part of the node, so its memory must stay until the loop has run
 * once more. */
void node_fini(struct node *node);

#endif
