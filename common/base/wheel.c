/* wheel.c - see wheel.h. Level 0 has one slot for each of the next 64 ticks. A slot of level n has 64^n ticks. When a
 * level wraps, the timers in the next slot of the level above are spread over it. */
#include "common/base/wheel.h"

#include <assert.h>

static void place(struct wheel *wheel, struct timer *timer)
{
    uint64_t ahead = timer->due_tick - wheel->tick;
    int level = 0;
    while (level < WHEEL_LEVELS - 1 && ahead >> (WHEEL_BITS * (level + 1)))
        level++;
    uint64_t at = timer->due_tick;
    uint64_t reach = (uint64_t)1 << (WHEEL_BITS * WHEEL_LEVELS);
    if (ahead >= reach) /* beyond the last level (some 21 years): waits in its farthest slot and is placed again */
        at = wheel->tick + reach - 1;
    size_t slot = (size_t)(at >> (WHEEL_BITS * level)) & (WHEEL_SLOTS - 1);
    list_append(&wheel->slots[level][slot], &timer->link);
}

void wheel_init(struct wheel *wheel, uint64_t now_us)
{
    wheel->tick = now_us / WHEEL_TICK_US;
    wheel->count = 0;
    for (int level = 0; level < WHEEL_LEVELS; level++)
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
}

void wheel_start(struct wheel *wheel, struct timer *timer, uint64_t due_us, void (*fire)(struct timer *, uint64_t))
{
    wheel_stop(wheel, timer);
    timer->due_tick = due_us / WHEEL_TICK_US + (due_us % WHEEL_TICK_US != 0);
    if (timer->due_tick <= wheel->tick)
        timer->due_tick = wheel->tick + 1;
    timer->fire = fire;
    place(wheel, timer);
    wheel->count++;
}

void wheel_stop(struct wheel *wheel, struct timer *timer)
{
    if (!timer_is_running(timer))
        return;
    list_remove(&timer->link);
    wheel->count--;
}

static void spread(struct wheel *wheel, int level)
{
    size_t slot = (size_t)(wheel->tick >> (WHEEL_BITS * level)) & (WHEEL_SLOTS - 1);
    struct list_link *head = &wheel->slots[level][slot];
    struct list_link moved;
    list_init(&moved);
    for (struct list_link *link; (link = list_take_first(head));)
        list_append(&moved, link);
    for (struct list_link *link; (link = list_take_first(&moved));)
        place(wheel, CONTAINER_OF(link, struct timer, link));
}

/* The first tick at which the wheel has work: a timer, or a slot of a level above 0, whose timers are spread at its
 * first tick. There are timers. */
static uint64_t next_tick(const struct wheel *wheel)
{
    uint64_t next = UINT64_MAX / WHEEL_TICK_US;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t first = wheel->tick >> (WHEEL_BITS * level);
        for (uint64_t ahead = 1; ahead <= WHEEL_SLOTS; ahead++) {
            uint64_t tick = (first + ahead) << (WHEEL_BITS * level);
            if (tick >= next)
                break;
            if (!list_is_empty(&wheel->slots[level][(first + ahead) & (WHEEL_SLOTS - 1)]))
                next = tick;
        }
    }
    return next;
}

uint64_t wheel_next_us(const struct wheel *wheel)
{
    return wheel->count > 0 ? next_tick(wheel) * WHEEL_TICK_US : UINT64_MAX;
}

/* Far behind: ticks without work are left out, but for the last one. */
static void skip(struct wheel *wheel, uint64_t until)
{
    uint64_t next = wheel->count > 0 ? next_tick(wheel) : until;
    wheel->tick = (next < until ? next : until) - 1;
}

void wheel_advance(struct wheel *wheel, uint64_t now_us)
{
    uint64_t until = now_us / WHEEL_TICK_US;
    while (wheel->tick < until) {
        if (wheel->count == 0 || until - wheel->tick > WHEEL_SLOTS)
            skip(wheel, until);
        wheel->tick++;
        for (int level = 1; level < WHEEL_LEVELS && (wheel->tick & (((uint64_t)1 << (WHEEL_BITS * level)) - 1)) == 0;
             level++)
            spread(wheel, level);
        struct list_link *due = &wheel->slots[0][wheel->tick & (WHEEL_SLOTS - 1)];
        for (struct list_link *link; (link = list_take_first(due));) {
            struct timer *timer = CONTAINER_OF(link, struct timer, link);
            assert(timer->due_tick == wheel->tick);
            wheel->count--;
            timer->fire(timer, now_us);
        }
    }
}
