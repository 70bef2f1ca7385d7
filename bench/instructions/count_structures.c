/* count_structures.c - the structures that the rest stands on: the timer wheel and the map. */
#include <stdio.h>

#include "bench/instructions/measure.h"
#include "common/base/alloc.h"
#include "common/base/map.h"
#include "common/base/wheel.h"

enum { OPERATIONS = 20000 };

/* --- timers --- */

static const uint64_t interval_us = 25000000; /* as pings */
static const uint64_t hour_us = 3600000000;

static struct wheel wheel;

static void start_again(struct timer *timer, uint64_t now_us)
{
    wheel_start(&wheel, timer, now_us + interval_us, start_again);
}

static void start_for_next_tick(struct timer *timer, uint64_t now_us)
{
    wheel_start(&wheel, timer, now_us + WHEEL_TICK_US, start_for_next_tick);
}

static void count_start_and_stop(size_t running, struct timer *timers)
{
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (size_t i = 0; i < OPERATIONS; i++) {
            struct timer *timer = &timers[measure_random(running)];
            wheel_stop(&wheel, timer);
            wheel_start(&wheel, timer, measure_random(interval_us), start_again);
        }
        measure_to_number("timer_stop_and_start", "running", running, OPERATIONS);
    }
    measure_off();
}

/* The whole interval, in which each of the timers fires once and is started again. */
static uint64_t count_lives(size_t running)
{
    uint64_t now_us = 0;
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (uint64_t until_us = now_us + interval_us; now_us < until_us;)
            wheel_advance(&wheel, now_us += WHEEL_TICK_US);
        measure_to_number("timer_from_start_to_start", "running", running, running);
    }
    measure_off();
    return now_us;
}

/* One timer fires every tick while the others wait. */
static void count_ticks(size_t running, struct timer *timers, uint64_t now_us)
{
    enum { TICKS = 2000 };
    struct timer every_tick = {.due_tick = 0};
    for (size_t i = 0; i < running; i++)
        wheel_start(&wheel, &timers[i], now_us + hour_us + measure_random(hour_us), start_again);
    start_for_next_tick(&every_tick, now_us);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (int i = 0; i < TICKS; i++)
            wheel_advance(&wheel, now_us += WHEEL_TICK_US);
        measure_to_number("timer_tick", "running", running, TICKS);
    }
    measure_off();
}

static void count_timers(size_t running)
{
    struct timer *timers = xcalloc(running, sizeof *timers);
    wheel_init(&wheel, 0);
    for (size_t i = 0; i < running; i++)
        wheel_start(&wheel, &timers[i], measure_random(interval_us), start_again);
    count_start_and_stop(running, timers);
    count_ticks(running, timers, count_lives(running));
    free(timers);
}

/* --- map --- */

struct name {
    char text[24];
};

static struct str name_str(const struct name *name)
{
    return str_from_cstr(name->text);
}

/* From a walk through another: as in a sweep that keeps what is left. */
static void count_copy(const struct map *map)
{
    measure_on();
    for (int round = 0; round < 2; round++) {
        struct map copy = {0};
        size_t cursor = 0;
        measure_from();
        for (struct name *name; (name = map_next(map, &cursor));)
            map_put(&copy, name_str(name), name);
        measure_to_number("map_put_from_a_walk", "entries", map->count, map->count);
        map_fini(&copy);
    }
    measure_off();
}

static void count_map(size_t entries)
{
    struct map map = {0};
    struct name *names = xcalloc(entries, sizeof *names);
    struct name *new = xcalloc(OPERATIONS, sizeof *new);
    for (size_t i = 0; i < entries; i++) {
        snprintf(names[i].text, sizeof names[i].text, "room:%08zu", i);
        map_put(&map, name_str(&names[i]), &names[i]);
    }
    for (size_t i = 0; i < OPERATIONS; i++)
        snprintf(new[i].text, sizeof new[i].text, "room:%08zu", entries + i);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (size_t i = 0; i < OPERATIONS; i++)
            map_get(&map, name_str(&names[measure_random(entries)]));
        measure_to_number("map_get", "entries", entries, OPERATIONS);
        measure_from();
        for (size_t i = 0; i < OPERATIONS; i++) {
            map_put(&map, name_str(&new[i]), &new[i]);
            map_remove(&map, name_str(&new[i]));
        }
        measure_to_number("map_put_and_remove", "entries", entries, OPERATIONS);
    }
    measure_off();
    count_copy(&map);
    map_fini(&map);
    free(new);
    free(names);
}

int main(void)
{
    static const size_t timers[] = {1000, 10000, 100000};
    static const size_t entries[] = {1000, 32000, 1000000}; /* each fills the table to the same degree: a half */
    for (size_t i = 0; i < 3; i++)
        count_timers(timers[i]);
    for (size_t i = 0; i < 3; i++)
        count_map(entries[i]);
    return 0;
}
