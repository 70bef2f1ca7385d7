/* router_rig.h - an exchange without workers, on a loop of the test's, over a broker that only gets questions. */
#ifndef CARILLON_TESTS_UNIT_NODE_ROUTER_RIG_H
#define CARILLON_TESTS_UNIT_NODE_ROUTER_RIG_H

#include "server/node/router.h"

struct exchange_rig {
    uv_loop_t loop;
    struct turn turn;
    struct metrics metrics;
    struct exchange exchange;
    struct broker broker;
};

/* ops->ask gets what the exchange asks; borrowed. */
void exchange_rig_setup(struct exchange_rig *rig, const struct broker_ops *ops);

/* In this order: close, what the test has on the exchange, teardown. */
void exchange_rig_close(struct exchange_rig *rig);
void exchange_rig_teardown(struct exchange_rig *rig);

#endif
