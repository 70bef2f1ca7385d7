/* traffic.h - what fanout and its relatives are made of: subscribers on channels, events published at a rate or in a
 * closed loop, and a ledger of who got what. */
#ifndef CARILLON_BENCH_LOAD_SCENARIOS_TRAFFIC_H
#define CARILLON_BENCH_LOAD_SCENARIOS_TRAFFIC_H

#include "bench/load/scenarios/scenarios.h"

/* What a scenario does besides. Either may be NULL. */
struct traffic_extra {
    void *owner;
    enum err (*connected)(void *owner, struct error *error); /* the subscribers are there */
    void (*measuring)(void *owner);                          /* the warm-up is over */
};

/* Runs the whole scenario: settings->connections subscribers shared among settings->channels. extra may be NULL. */
enum err traffic_run(struct run *run, const struct traffic_extra *extra, struct error *error);

#endif
