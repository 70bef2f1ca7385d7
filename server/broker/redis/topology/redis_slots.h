/* redis_slots.h - which of a Redis cluster's slots a key is in (Redis Cluster specification, "Key distribution model").
 * Pure; any thread. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_SLOTS_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_SLOTS_H

#include "common/base/str.h"

enum { REDIS_SLOTS = 16384 };

/* By its hash tag, what stands between the first '{' and the next '}', if that is not empty. */
unsigned redis_slot_of(struct str key);

#endif
