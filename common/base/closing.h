/* closing.h - something that has closed once all its parts have. Each part is added when it is opened, and says when it
 * has closed; after the last one done is called, once. A part that never closes by itself keeps the whole open until
 * the end. One thread. */
#ifndef CARILLON_BASE_CLOSING_H
#define CARILLON_BASE_CLOSING_H

#include <assert.h>

/* Embedded in what is to close; done finds that by CONTAINER_OF, and may free it. */
struct closing {
    unsigned open; /* parts */
    void (*done)(struct closing *closing);
};

static inline void closing_add(struct closing *closing)
{
    closing->open++;
}

/* The part may be gone already. */
static inline void closing_part_closed(struct closing *closing)
{
    assert(closing->open);
    if (--closing->open == 0)
        closing->done(closing);
}

#endif
