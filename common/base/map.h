/* map.h - a hash table from text to pointer. A zeroed struct map is empty. One thread at a time.
 *
 * - Keys are hashed with SipHash-1-3 under a key that is drawn once for each process. So strangers cannot choose names
 *   that collide.
 * - Each table has an order of its own. So one table may be filled from a walk through another.
 * - The map borrows keys: the value owns the bytes, and keeps them until it is removed. */
#ifndef CARILLON_BASE_MAP_H
#define CARILLON_BASE_MAP_H

#include "common/base/str.h"

struct map_slot {
    struct str key;
    void *value; /* NULL: the slot is free */
    uint64_t hash;
};

struct map {
    struct map_slot *slots;
    size_t cap; /* 0 or a power of two */
    size_t count;
    uint64_t multiplier; /* odd; drawn with the first entry */
    unsigned shift;
};

/* Frees the table, not the values. */
void map_fini(struct map *map);

/* The value of the key; NULL if there is none. */
void *map_get(const struct map *map, struct str key);

/* Adds the value (not NULL), or replaces a value and its key. Returns the value before, or NULL. */
void *map_put(struct map *map, struct str key, void *value);

/* Removes and returns the value; NULL if there is none. Other entries move: do not remove during a walk. */
void *map_remove(struct map *map, struct str key);

/* Walks all values, in no order. Start with *cursor = 0; NULL ends the walk. The map must not change meanwhile. */
void *map_next(const struct map *map, size_t *cursor);

/* The keyed hash of a text. It is the same within one process. */
uint64_t str_hash(struct str s);

#endif
