/* memory_ids.h - recent event_ids with the answers to their publications, for idempotency in the memory broker. Time
 * and bytes are bounded. Over the bound in bytes the oldest ids are forgotten early. A user over its share loses its
 * own oldest ids first. Pure, for one thread. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_IDS_H
#define CARILLON_BROKER_MEMORY_MEMORY_IDS_H

#include "server/broker/memory/memory_shares.h"
#include "server/core/request.h"

struct memory_ids {
    uint64_t window_us;
    size_t bytes;
    size_t bytes_max;
    struct memory_shares shares;
    struct map map;         /* channel and event_id -> struct known_id */
    struct list_link queue; /* oldest first */
};

/* share: bytes of one user's. */
void memory_ids_init(struct memory_ids *ids, uint64_t window_us, size_t bytes_max, size_t share);
void memory_ids_fini(struct memory_ids *ids);

/* True if the publication's event_id is known on its channel. Its id, epoch and offset are then filled, and duplicate
 * is set. */
bool memory_ids_recall(struct memory_ids *ids, struct publication *publication, uint64_t now_us);

/* Remembers an answered publication that has an event_id. Returns how many others were forgotten before their time. */
size_t memory_ids_remember(struct memory_ids *ids, const struct publication *publication, uint64_t now_us);

#endif
