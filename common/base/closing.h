/* closing.h - counts the open parts of a whole. The owner adds each part when it opens. Each part says when it has
 * closed. After the last one, done is called once. A part that never closes by itself keeps the whole open until the
 * end. One thread. */
#ifndef CARILLON_BASE_CLOSING_H
#define CARILLON_BASE_CLOSING_H

#include <assert.h>

/* Embedded in the whole. done finds the whole by CONTAINER_OF, and may free it. */
struct closing {
    unsigned open; /* parts */
    void (*done)(struct closing *closing);
};

static inline void closing_add(struct closing *closing)
{
    closing->open++;
}

/* The part itself may have been freed already. */
static inline void closing_part_closed(struct closing *closing)
{
    assert(closing->open);
    if (--closing->open == 0)
        closing->done(closing);
}

#endif
