/* rate.h - a token bucket: a rate on average, and a burst at once. Pure: time and limits come in with each call. Other
 * limits count from the next call on. Messages used up before stay used up. */
#ifndef CARILLON_CORE_RATE_H
#define CARILLON_CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
    uint64_t per_minute; /* 0: no limit */
    uint64_t burst;      /* at least 1 counts */
};

/* What has been used up. A zeroed one has used up nothing. */
struct rate {
    uint64_t period_us;  /* what one took, by the limits of the last call; 0: there was no limit */
    uint64_t free_at_us; /* when the bucket will be full again (the "virtual schedule" of GCRA) */
};

/* Takes what `cost` messages use. False if less is left: then *out_retry_us says when enough will be free. A cost over
 * the burst needs a full bucket, and is paid off afterwards. out_retry_us may be NULL. */
bool rate_take(struct rate *rate, const struct rate_limit *limit, uint64_t cost, uint64_t now_us,
               uint64_t *out_retry_us);

/* Charges a cost that has arisen without rate_take. It is owed, by the limits of the last call. */
void rate_charge(struct rate *rate, uint64_t cost, uint64_t now_us);
/* Gives back a part of what was taken by these limits and has not been used. */
void rate_give_back(struct rate *rate, uint64_t cost);

#endif
