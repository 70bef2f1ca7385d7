/* rate.h - a token bucket: a rate on average, and a burst at once. Pure: time and limits come in with each call. Other
 * limits count from the next call on. What was used up before stays used up. */
#ifndef CARILLON_CORE_RATE_H
#define CARILLON_CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
    uint64_t per_minute; /* 0: no limit */
    uint64_t burst;      /* at least 1 counts */
};

/* The part of the bucket that is used up. Zeroed: nothing. */
struct rate {
    uint64_t period_us;  /* what one took, by the limits of the last call; 0: there was no limit */
    uint64_t free_at_us; /* when the bucket will be full again (the "virtual schedule" of GCRA) */
};

/* Takes `cost` messages' worth; false, and *out_retry_us says when it will be free, if there is not as much left. A
 * cost over the burst needs a full bucket, and is paid off afterwards. out_retry_us may be NULL. */
bool rate_take(struct rate *rate, const struct rate_limit *limit, uint64_t cost, uint64_t now_us,
               uint64_t *out_retry_us);

/* Uses messages up without asking. They are owed, by the limits of the last call. */
void rate_charge(struct rate *rate, uint64_t cost, uint64_t now_us);
/* Of what was taken by these limits, so much has not been used after all. */
void rate_give_back(struct rate *rate, uint64_t cost);

#endif
