/* scenario_fanout.c - scenario fanout: every subscriber of one channel gets every event, in the same order, once. */
#include "bench/load/scenarios/traffic.h"

enum err scenario_fanout(struct run *run, struct error *error)
{
    return traffic_run(run, NULL, error);
}
