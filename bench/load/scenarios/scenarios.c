/* scenarios.c - see scenarios.h. */
#include "bench/load/scenarios/scenarios.h"

const struct scenario scenarios[] = {
#define SCENARIO(name, unit, connections, takes, summary) {#name, unit, connections, takes, summary, scenario_##name},
#include "bench/load/scenarios/scenarios.def"
#undef SCENARIO
    {0},
};
