/* router_rig.h - a router without workers, on a loop of the test's, over a broker that only gets questions. */
#ifndef CARILLON_TESTS_UNIT_NODE_ROUTER_RIG_H
#define CARILLON_TESTS_UNIT_NODE_ROUTER_RIG_H

#include "server/node/router.h"

struct router_rig {
    uv_loop_t loop;
    struct turn turn;
    struct metrics metrics;
    struct router router;
    struct broker broker;
};

/* ops->ask gets the router's questions. Borrowed. */
void router_rig_setup(struct router_rig *rig, const struct broker_ops *ops);

/* In this order: close, what the test has on the router, teardown. */
void router_rig_close(struct router_rig *rig);
void router_rig_teardown(struct router_rig *rig);

#endif
