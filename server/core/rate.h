/* rate.h - token bucket: so many a second on average, so many at once. Pure; time comes in. */
#ifndef CARILLON_CORE_RATE_H
#define CARILLON_CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint64_t period_us;  /* what one takes; 0: no limit */
    uint64_t burst_us;   /* period * burst */
    uint64_t free_at_us; /* when the bucket would be full again (the "virtual schedule" of GCRA) */
};

/* per_minute 0: no limit. burst is at least 1. */
void rate_init(struct rate *rate, uint64_t per_minute, uint64_t burst);

/* Takes one; false, and *out_retry_us says when one will be free, if there is none. out_retry_us may be NULL. */
bool rate_take(struct rate *rate, uint64_t now_us, uint64_t *out_retry_us);

#endif
