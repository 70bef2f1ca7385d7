/* scenario_cluster.c - scenario cluster: events are published to one node (--api) and delivered by another (--url). The
 * servers' figures have the cost of both nodes and of Redis between them. */
#include "bench/load/scenarios/traffic.h"

enum err scenario_cluster(struct run *run, struct error *error)
{
    return traffic_run(run, NULL, error);
}
