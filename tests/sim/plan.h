/* plan.h - one run: its events are drawn from the seed. */
#ifndef CARILLON_TESTS_SIM_PLAN_H
#define CARILLON_TESTS_SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>

struct plan_result {
    uint64_t trace_hash;
    char failure[1024]; /* "": all is well */
};

void plan_run(uint64_t seed, bool trace, struct plan_result *out);

#endif
