/* map.h - a hash table from text to pointer. Keys are hashed with SipHash-1-3 under a key drawn once per process,
 * so that names chosen by strangers cannot be made to collide, and each table stands in an order of its own, so that
 * one may be filled from a walk through another. The map borrows keys: the value owns the bytes and keeps them until it
 * is removed. A zeroed struct map is empty. One thread at a time. */
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

/* NULL if the key is not there. */
void *map_get(const struct map *map, struct str key);

/* Adds the value (not NULL), or replaces it and its key; returns the value that was there before, or NULL. */
void *map_put(struct map *map, struct str key, void *value);

/* Removes and returns the value, NULL if the key is not there. Other entries move: do not remove while walking. */
void *map_remove(struct map *map, struct str key);

/* Walks all values in no order: start with *cursor = 0; NULL at the end. The map must not change meanwhile. */
void *map_next(const struct map *map, size_t *cursor);

/* The keyed hash itself, the same within one process. */
uint64_t str_hash(struct str s);

#endif
