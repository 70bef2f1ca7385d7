/* memory_ids.h - the event_ids of late, each with what its publication was answered: for idempotency in the memory
 * broker. Bounded in time and number. Pure; one thread. */
#ifndef CARILLON_BROKER_MEMORY_IDS_H
#define CARILLON_BROKER_MEMORY_IDS_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "server/core/publication.h"

struct memory_ids {
    uint64_t window_us;
    size_t max;
    struct map map;         /* channel and event_id -> struct known_id */
    struct list_link queue; /* oldest first */
};

void memory_ids_init(struct memory_ids *ids, uint64_t window_us, size_t max);
void memory_ids_fini(struct memory_ids *ids);

/* If the publication's event_id is known on its channel: fills its id, epoch and offset, sets duplicate, returns true.
 */
bool memory_ids_recall(struct memory_ids *ids, struct publication *publication, uint64_t now_us);

/* Remembers an answered publication that has an event_id. */
void memory_ids_remember(struct memory_ids *ids, const struct publication *publication, uint64_t now_us);

#endif
