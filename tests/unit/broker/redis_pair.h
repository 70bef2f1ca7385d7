/* redis_pair.h - two nodes' brokers on one Redis of their own. The tests of a Redis that works begin with them. */
#ifndef CARILLON_TESTS_BROKER_REDIS_PAIR_H
#define CARILLON_TESTS_BROKER_REDIS_PAIR_H

#include "redis_server.h"
#include "rig.h"

struct redis_pair {
    struct redis_server server;
    struct rig rig;
    struct node a;
    struct node b;
};

/* For cmocka: *state is a struct redis_pair, both brokers are up. */
int redis_pair_set_up(void **state);
int redis_pair_tear_down(void **state);
#define WITH_REDIS_PAIR(test) cmocka_unit_test_setup_teardown(test, redis_pair_set_up, redis_pair_tear_down)

/* Subscribes the node to the channel, with history, and waits for the answer. */
void redis_pair_join(struct redis_pair *pair, struct node *node, const char *channel);

#endif
