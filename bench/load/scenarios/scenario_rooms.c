/* scenario_rooms.c - scenario rooms: many channels of few subscribers each; the next event goes to any of them. */
#include "bench/load/scenarios/traffic.h"

enum err scenario_rooms(struct run *run, struct error *error)
{
    return traffic_run(run, NULL, error);
}
