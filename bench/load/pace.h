/* pace.h - when events of an open loop are due: the k-th one k / rate seconds after the start, whatever has become of
 * those before it. Pure; the time comes in. One thread. */
#ifndef CARILLON_BENCH_LOAD_PACE_H
#define CARILLON_BENCH_LOAD_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t per_second; /* 0: nothing is ever due */
    uint64_t began_us;
    uint64_t taken;
};

void pace_begin(struct pace *pace, uint64_t per_second, uint64_t now_us);

/* When the next one is due. UINT64_MAX: never. */
uint64_t pace_due_us(const struct pace *pace);

/* The next one is being sent. */
void pace_take(struct pace *pace);

#endif
