/* ring.c - see ring.h. */
#include "common/base/ring.h"

#include <string.h>

#include "common/base/alloc.h"

enum { FIRST_CAP = 4 };

static void make_room(struct ring *ring, size_t size)
{
    if (ring->count < ring->cap)
        return;
    size_t cap = ring->cap ? ring->cap * 2 : FIRST_CAP;
    char *items = xmalloc(cap * size);
    for (size_t i = 0; i < ring->count; i++)
        memcpy(items + i * size, ring_at(ring, i, size), size);
    free(ring->items);
    *ring = (struct ring){.items = items, .cap = cap, .count = ring->count};
}

void *ring_append(struct ring *ring, size_t size)
{
    make_room(ring, size);
    return ring_at(ring, ring->count++, size);
}

void *ring_prepend(struct ring *ring, size_t size)
{
    make_room(ring, size);
    ring->head = (ring->head - 1) & (ring->cap - 1);
    ring->count++;
    return ring_at(ring, 0, size);
}

void ring_fini(struct ring *ring)
{
    free(ring->items);
    *ring = (struct ring){0};
}
