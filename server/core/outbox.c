/* outbox.c - see outbox.h. */
#include "server/core/outbox.h"

#include "common/base/alloc.h"

enum { FIRST_RING = 16 }; /* a power of two */

/* The capacity is a power of two. */
static struct message **ring(const struct outbox *outbox, uint32_t *out_cap)
{
    *out_cap = outbox->items ? outbox->cap : OUTBOX_INLINE;
    return outbox->items ? outbox->items : (struct message **)(uintptr_t)outbox->first;
}

static void grow(struct outbox *outbox)
{
    uint32_t cap;
    struct message **old = ring(outbox, &cap);
    uint32_t larger = cap < FIRST_RING ? FIRST_RING : cap * 2;
    struct message **items = xmalloc(larger * sizeof(struct message *));
    for (uint32_t i = 0; i < outbox->count; i++)
        items[i] = old[(outbox->head + i) & (cap - 1)];
    free(outbox->items);
    outbox->items = items;
    outbox->cap = larger;
    outbox->head = 0;
}

void outbox_append(struct outbox *outbox, struct message *message)
{
    uint32_t cap;
    struct message **items = ring(outbox, &cap);
    if (outbox->count == cap) {
        grow(outbox);
        items = ring(outbox, &cap);
    }
    items[(outbox->head + outbox->count) & (cap - 1)] = message_ref(message);
    outbox->count++;
    outbox->bytes += message->frame_len;
}

struct message *outbox_first(const struct outbox *outbox)
{
    uint32_t cap;
    struct message **items = ring(outbox, &cap);
    return outbox->count ? items[outbox->head] : NULL;
}

struct message *outbox_take(struct outbox *outbox)
{
    uint32_t cap;
    struct message **items = ring(outbox, &cap);
    if (outbox->count == 0)
        return NULL;
    struct message *message = items[outbox->head];
    outbox->head = (outbox->head + 1) & (cap - 1);
    outbox->count--;
    outbox->bytes -= message->frame_len;
    if (outbox->count == 0) {
        /* An idle session keeps no ring. */
        free(outbox->items);
        outbox->items = NULL;
        outbox->cap = outbox->head = 0;
    }
    return message;
}

void outbox_clear(struct outbox *outbox)
{
    for (struct message *message; (message = outbox_take(outbox));)
        message_unref(message);
}
