/* redis_slots.h - the slot of a key in a Redis cluster (Redis Cluster specification, "Key distribution model"). Pure;
 * any thread. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_SLOTS_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_SLOTS_H

#include "common/base/str.h"

enum { REDIS_SLOTS = 16384 };

/* The slot of a key's hash tag, the text between the first '{' and the next '}'. Without one, of the whole key. */
unsigned redis_slot_of(struct str key);

#endif
