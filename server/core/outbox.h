/* outbox.h - what a session has yet to be sent: a queue of message references, counted in bytes and messages. An outbox
 * knows no limits and no sockets. A zeroed struct outbox is empty. One thread. */
#ifndef CARILLON_CORE_OUTBOX_H
#define CARILLON_CORE_OUTBOX_H

#include "server/core/message.h"

enum { OUTBOX_INLINE = 2 }; /* a power of two, as every ring's capacity */

/* An outbox is small. It lies beside what else a delivery touches of its session (session.h). */
struct outbox {
    union {
        struct message *few[OUTBOX_INLINE]; /* the ring while cap is 0: most sessions never have more waiting */
        struct message **many;              /* the ring on the heap, once more than that wait */
    } ring;
    uint32_t bytes;
    uint32_t cap; /* of the ring on the heap */
    uint32_t head;
    uint32_t count;
};

/* Drops all references. */
void outbox_clear(struct outbox *outbox);

/* Part of outbox_append: the ring is full. */
void outbox_grow(struct outbox *outbox);
/* Part of outbox_take: an empty outbox keeps no ring on the heap. */
void outbox_free_ring(struct outbox *outbox);

/* The message after `index` older ones, borrowed. index < count. */
static inline struct message **outbox_at(struct outbox *outbox, uint32_t index)
{
    if (outbox->cap)
        return &outbox->ring.many[(outbox->head + index) & (outbox->cap - 1)];
    return &outbox->ring.few[(outbox->head + index) & (OUTBOX_INLINE - 1)];
}

/* Takes a reference of its own. */
static inline void outbox_append(struct outbox *outbox, struct message *message)
{
    if (outbox->count == (outbox->cap ? outbox->cap : OUTBOX_INLINE))
        outbox_grow(outbox);
    *outbox_at(outbox, outbox->count) = message_ref(message);
    outbox->count++;
    outbox->bytes += message->frame_len;
}

/* Removes the oldest message and gives its reference to the caller. NULL if there is none. */
static inline struct message *outbox_take(struct outbox *outbox)
{
    if (outbox->count == 0)
        return NULL;
    struct message *message = *outbox_at(outbox, 0);
    outbox->head = (outbox->head + 1) & ((outbox->cap ? outbox->cap : OUTBOX_INLINE) - 1);
    outbox->count--;
    outbox->bytes -= message->frame_len;
    if (outbox->count == 0 && outbox->cap)
        outbox_free_ring(outbox);
    return message;
}

#endif
