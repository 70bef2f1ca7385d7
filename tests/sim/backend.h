/* backend.h - publishers behind the API. They publish through any node. An event with an event_id is published again
 * until it is acknowledged. */
#ifndef CARILLON_TESTS_SIM_BACKEND_H
#define CARILLON_TESTS_SIM_BACKEND_H

#include "tests/sim/sim_node.h"

/* nodes: those alive are tried. */
void backend_begin(struct sim_node **nodes, size_t count);
void backend_publish(uint64_t number);
/* Later, if it is not settled by then: also for what a client has published. */
void backend_try_again(uint64_t number);
/* None waits for an answer or for another try. */
bool backend_is_quiet(void);

#endif
