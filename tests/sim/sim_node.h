/* sim_node.h - one simulated node: the real hubs, router and Redis broker, each worker and the broker on a loop of its
 * own (or all on one), wired as server/app and server/net do it. */
#ifndef CARILLON_TESTS_SIM_SIM_NODE_H
#define CARILLON_TESTS_SIM_SIM_NODE_H

#include "server/node/node_presence.h"
#include "server/node/revoker.h"
#include "server/node/router.h"
#include "tests/sim/loop.h"

enum { WORKERS_MAX = 2 };

struct node;

struct sim_worker {
    struct node *node;
    unsigned index;
    struct sim_loop own_loop;
    struct turn own_turn;
    struct sim_loop *loop; /* the node's if it has but one worker */
    struct turn *turn;
    struct mailbox mailbox; /* its owner is the hub */
    struct hub *hub;
    struct metrics metrics;
    struct turn_hook end_of_turn;
    uv_timer_t tick;
    uv_check_t after_poll;
    bool time_is_fresh;
};

/* Lives until the end of the run, also when it is stopped or killed. */
struct node {
    unsigned number;
    unsigned life;
    char id[24];
    bool alive;
    bool turned;          /* its rules give channels that turn their history */
    struct sim_loop loop; /* the broker's */
    struct turn turn;
    struct metrics metrics;
    struct router router;
    struct broker *broker;
    struct presence *presence;
    struct revocations *revocations;
    struct revoker *revoker;
    bool broker_closed;
    uv_timer_t tick;
    unsigned worker_count;
    struct sim_worker workers[WORKERS_MAX];
};

/* The channel rules and what else all nodes share. */
void node_begin(void);
void node_end(void);

struct node *node_start(unsigned number, unsigned life, unsigned worker_count, bool turned);
/* Other rules, which get to each worker in a turn of its own. */
void node_reload(struct node *node, bool turned);
/* What its rules say now. */
struct history_policy node_history(const struct node *node, size_t channel);
/* Ends it: killed, nothing leaves it any more. Its sessions are gone. */
void node_stop(struct node *node, bool killed);
void node_free(struct node *node);

/* In the worker's thread, before it is given work. */
void worker_touch(struct sim_worker *worker);

#endif
