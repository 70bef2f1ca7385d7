/* scenarios.h - what the load generator can do: a table of scenarios. A scenario is a function that fills run->result.
 * The rows are in scenarios.def. */
#ifndef CARILLON_BENCH_LOAD_SCENARIOS_SCENARIOS_H
#define CARILLON_BENCH_LOAD_SCENARIOS_SCENARIOS_H

#include "bench/load/run.h"

/* The traits of a scenario. */
enum scenario_trait {
    CLIENTS = 1 << 0,    /* WebSocket clients */
    THREADS = 1 << 1,    /* that more than one thread may serve */
    EVENTS = 1 << 2,     /* it publishes */
    TRAFFIC = 1 << 3,    /* to subscribers, at a rate or in a closed loop */
    ROOMS = 1 << 4,      /* on many channels */
    DOOR = 1 << 5,       /* it may or may not subscribe */
    SLOW = 1 << 6,       /* some of them stop reading */
    WAITING = 1 << 7,    /* it only waits: a count of operations makes no sense */
    RECOVERING = 1 << 8, /* clients come back to a history */
    REQUESTS = 1 << 9,   /* clients send messages to an endpoint */
    PACED = 1 << 10,     /* without subscribers, at a rate or in a closed loop */
};

struct scenario {
    const char *name;
    const char *unit;
    size_t connections; /* by default */
    unsigned takes;     /* enum scenario_trait */
    const char *summary;
    enum err (*run)(struct run *run, struct error *error);
};

#define SCENARIO(name, unit, connections, takes, summary)                                                              \
    enum err scenario_##name(struct run *run, struct error *error);
#include "bench/load/scenarios/scenarios.def"
#undef SCENARIO

/* Ends with a row whose name is NULL. */
extern const struct scenario scenarios[];

#endif
