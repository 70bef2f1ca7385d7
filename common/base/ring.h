/* ring.h - a queue of items of one size in a ring that doubles when it is full. Items are addressed by how many older
 * ones there are. A zeroed struct ring is empty. `size` is the size of an item in bytes, the same in all calls for one
 * ring. Pointers to items are valid until the ring changes. One thread. */
#ifndef CARILLON_BASE_RING_H
#define CARILLON_BASE_RING_H

#include <stddef.h>

struct ring {
    char *items; /* owned */
    size_t cap;  /* 0 or a power of two, in items */
    size_t head;
    size_t count;
};

/* The item after `index` older ones; index < count. */
static inline void *ring_at(const struct ring *ring, size_t index, size_t size)
{
    return ring->items + ((ring->head + index) & (ring->cap - 1)) * size;
}

/* Adds an item as the newest or the oldest. The caller writes it: its bytes are undefined. */
void *ring_append(struct ring *ring, size_t size);
void *ring_prepend(struct ring *ring, size_t size);

/* Removes the oldest item; there must be one. The memory stays for others. */
static inline void ring_drop(struct ring *ring)
{
    ring->head = (ring->head + 1) & (ring->cap - 1);
    ring->count--;
}

/* Frees the memory, but nothing that the items own. The ring is empty then. */
void ring_fini(struct ring *ring);

#endif
