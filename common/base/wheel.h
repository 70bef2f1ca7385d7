/* wheel.h - timers at O(1): a hierarchical timing wheel (Varghese and Lauck, 1987) with ticks of 10 ms. A timer fires
 * within a tick of its time, never early. Timers are embedded in their owners; the wheel owns nothing. Pure: callers
 * give the time. One thread. */
#ifndef CARILLON_BASE_WHEEL_H
#define CARILLON_BASE_WHEEL_H

#include <stdint.h>

#include "common/base/list.h"

enum { WHEEL_TICK_US = 10000, WHEEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_BITS, WHEEL_LEVELS = 6 };

struct timer {
    struct list_link link;
    uint64_t due_tick;
    void (*fire)(struct timer *timer, uint64_t now_us);
};

struct wheel {
    uint64_t tick; /* the last one that has been run */
    size_t count;
    struct list_link slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, uint64_t now_us);

/* Starts the timer, or moves it if it runs. It fires once, in wheel_advance, at the first tick at or after due_us. */
void wheel_start(struct wheel *wheel, struct timer *timer, uint64_t due_us, void (*fire)(struct timer *, uint64_t));

/* May be called for a timer that does not run (zeroed or fired). */
void wheel_stop(struct wheel *wheel, struct timer *timer);

static inline bool timer_is_running(const struct timer *timer)
{
    return list_is_linked(&timer->link);
}

/* Fires the timers that are due by now_us. A timer that fires may start or stop any timer, and free its own owner. */
void wheel_advance(struct wheel *wheel, uint64_t now_us);

/* A time at which wheel_advance has work: no timer fires before it. UINT64_MAX when no timer runs. */
uint64_t wheel_next_us(const struct wheel *wheel);

#endif
