/* sim_node.h - one simulated node: the real composition of server/node/node.h with the real Redis broker, and for each
 * worker a real hub. Each worker and the node have a loop of their own, or all of them have one. */
#ifndef CARILLON_TESTS_SIM_SIM_NODE_H
#define CARILLON_TESTS_SIM_SIM_NODE_H

#include "server/node/node.h"
#include "tests/sim/loop.h"

enum { WORKERS_MAX = 2 };

struct sim_node;

struct sim_worker {
    struct sim_node *node;
    unsigned index;
    struct sim_loop own_loop;
    struct turn own_turn;
    struct sim_loop *loop; /* the node's if it has but one worker */
    struct turn *turn;
    struct mailbox mailbox; /* its owner is the hub */
    struct hub *hub;
    struct metrics metrics;
    struct turn_hook begin_of_turn;
    struct turn_hook end_of_turn;
    uv_timer_t tick;
    uv_check_t after_poll;
};

/* Lives until the end of the run, also when it is stopped or killed. */
struct sim_node {
    unsigned number;
    unsigned life;
    bool alive;
    bool turned;          /* its rules give channels that turn their history */
    struct rules *rules;  /* of the last reload, one reference */
    struct sim_loop loop; /* the broker's */
    struct node real;
    unsigned worker_count;
    struct sim_worker workers[WORKERS_MAX];
};

/* The channel rules and what else all nodes share. */
void sim_node_begin(void);
void sim_node_end(void);

struct sim_node *sim_node_start(unsigned number, unsigned life, unsigned worker_count, bool turned);
/* Other rules, which get to each worker in a turn of its own. */
void sim_node_reload(struct sim_node *node, bool turned);
/* The history of the channel by the node's present rules. */
struct history_policy sim_node_history(const struct sim_node *node, size_t channel);
/* Ends it: killed, nothing leaves it any more. Its sessions are gone. */
void sim_node_stop(struct sim_node *node, bool killed);
void sim_node_free(struct sim_node *node);

#endif
