/* outbox.c - see outbox.h. */
#include "server/core/outbox.h"

#include "common/base/alloc.h"

enum { FIRST_RING = 16 }; /* a power of two */

void outbox_grow(struct outbox *outbox)
{
    uint32_t larger = outbox->cap ? outbox->cap * 2 : FIRST_RING;
    struct message **ring = xmalloc(larger * sizeof(struct message *));
    for (uint32_t i = 0; i < outbox->count; i++)
        ring[i] = *outbox_at(outbox, i);
    if (outbox->cap)
        free(outbox->ring.many);
    outbox->ring.many = ring;
    outbox->cap = larger;
    outbox->head = 0;
}

void outbox_free_ring(struct outbox *outbox)
{
    free(outbox->ring.many);
    outbox->cap = outbox->head = 0;
}

void outbox_clear(struct outbox *outbox)
{
    for (struct message *message; (message = outbox_take(outbox));)
        message_unref(message);
}
