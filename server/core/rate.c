/* rate.c - see rate.h. The bucket is kept as one moment in time (GCRA, ITU-T I.371): nothing to refill, no timer. */
#include "server/core/rate.h"

void rate_init(struct rate *rate, uint64_t per_minute, uint64_t burst)
{
    rate->period_us = per_minute ? 60000000 / per_minute : 0;
    if (per_minute && rate->period_us == 0)
        rate->period_us = 1;
    rate->burst_us = rate->period_us * (burst ? burst : 1);
    rate->free_at_us = 0;
}

bool rate_take(struct rate *rate, uint64_t now_us, uint64_t *out_retry_us)
{
    if (rate->period_us == 0)
        return true;
    uint64_t from = rate->free_at_us > now_us ? rate->free_at_us : now_us;
    uint64_t after = from + rate->period_us;
    if (after > now_us + rate->burst_us) {
        if (out_retry_us)
            *out_retry_us = after - now_us - rate->burst_us;
        return false;
    }
    rate->free_at_us = after;
    return true;
}
