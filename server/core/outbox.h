/* outbox.h - what a session has yet to be sent: a queue of message references, counted in bytes and messages. Knows no
 * limits and no sockets. A zeroed struct outbox is empty. One thread. */
#ifndef CARILLON_CORE_OUTBOX_H
#define CARILLON_CORE_OUTBOX_H

#include "server/core/message.h"

enum { OUTBOX_INLINE = 2 };

struct outbox {
    struct message **items; /* a ring on the heap once more than OUTBOX_INLINE wait; else NULL */
    uint32_t cap;
    uint32_t head;
    uint32_t count;
    size_t bytes;
    struct message *first[OUTBOX_INLINE]; /* most sessions never have more waiting than this */
};

/* Drops all references. */
void outbox_clear(struct outbox *outbox);

/* Takes a reference of its own. */
void outbox_append(struct outbox *outbox, struct message *message);

/* The oldest, borrowed; NULL if there is none. */
struct message *outbox_first(const struct outbox *outbox);

/* Removes the oldest and gives its reference to the caller; NULL if there is none. */
struct message *outbox_take(struct outbox *outbox);

#endif
