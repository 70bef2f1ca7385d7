/* scenario_cluster.c - scenario cluster: events are published to one node (--api) and delivered by another (--url).
 * What both and what is between them cost is in the servers' figures. */
#include "bench/load/scenarios/traffic.h"

enum err scenario_cluster(struct run *run, struct error *error)
{
    return traffic_run(run, NULL, error);
}
