/* world.h - time, chance and the trace of one simulated run. Everything that happens is an action at a moment.
 * Actions of the same moment run in the order in which they were asked for. All chance comes from the seed, in
 * separate streams. So the code under test may draw one more random number without other faults. One run at a time. */
#ifndef CARILLON_TESTS_SIM_WORLD_H
#define CARILLON_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum chance {
    CHANCE_PLAN,    /* what clients, publishers and faults do */
    CHANCE_NETWORK, /* delays and the sizes of what is read and written */
    CHANCE_CODE,    /* what the code under test draws: ids, epochs, jitter */
    CHANCE_COUNT
};

enum { WORLD_START_US = 1000000 };
#define WORLD_START_WALL_MS UINT64_C(1768473000000)

typedef void world_action(void *owner, uint64_t number);

/* trace: also print what world_trace is told. */
void world_begin(uint64_t seed, bool trace);
/* Forgets what has not run. */
void world_end(void);

uint64_t world_now_us(void);
/* The right time of day, which Redis and the backends have; a node may have another (loop.h). */
uint64_t world_wall_ms(void);
void world_at(uint64_t at_us, world_action *run, void *owner, uint64_t number);
/* Runs everything up to that moment, which then is now. */
void world_run_until(uint64_t until_us);

uint64_t world_draw(enum chance chance);
/* 0 <= result < limit. */
uint64_t world_below(enum chance chance, uint64_t limit);
static inline bool world_percent(enum chance chance, unsigned percent)
{
    return world_below(chance, 100) < percent;
}

/* One line of the trace; the hash of all lines tells whether two runs were the same. */
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t world_trace_hash(void);

/* The run is wrong: says so with its moment, and remembers the first one. */
void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "" if nothing is wrong. */
const char *world_failure(void);

#endif
