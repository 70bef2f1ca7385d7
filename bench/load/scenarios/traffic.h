/* traffic.h - the common part of fanout, rooms, cluster and slow: subscribers on channels, events at a rate or in a
 * closed loop, and a ledger. */
#ifndef CARILLON_BENCH_LOAD_SCENARIOS_TRAFFIC_H
#define CARILLON_BENCH_LOAD_SCENARIOS_TRAFFIC_H

#include "bench/load/scenarios/scenarios.h"

/* Additions of a scenario. Either may be NULL. */
struct traffic_extra {
    void *owner;
    enum err (*connected)(void *owner, struct error *error); /* the subscribers are there */
    void (*measuring)(void *owner);                          /* the warm-up is over */
};

/* Runs the whole scenario: settings->connections subscribers shared among settings->channels. extra may be NULL. */
enum err traffic_run(struct run *run, const struct traffic_extra *extra, struct error *error);

#endif
