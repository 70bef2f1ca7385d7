/* rate.c - see rate.h. The bucket is kept as one moment in time (GCRA, ITU-T I.371). It needs no refill and no timer.
 */
#include "server/core/rate.h"

enum { MINUTE_US = 60000000 };

static uint64_t period_of(const struct rate_limit *limit)
{
    uint64_t period_us = limit->per_minute ? MINUTE_US / limit->per_minute : 0;
    return limit->per_minute && period_us == 0 ? 1 : period_us;
}

/* As many messages are used up by the new limits as were by the old ones. The number is not cut to a smaller burst.
 * Otherwise a client could change from one token to another and back, and have the difference again and again. */
static void follow(struct rate *rate, uint64_t period_us, uint64_t now_us)
{
    uint64_t old_us = rate->period_us;
    uint64_t used_us = old_us && rate->free_at_us > now_us ? rate->free_at_us - now_us : 0;
    rate->period_us = period_us;
    rate->free_at_us = used_us ? now_us + used_us / old_us * period_us + used_us % old_us * period_us / old_us : 0;
}

bool rate_take(struct rate *rate, const struct rate_limit *limit, uint64_t cost, uint64_t now_us,
               uint64_t *out_retry_us)
{
    uint64_t period_us = period_of(limit);
    uint64_t burst = limit->burst ? limit->burst : 1;
    if (rate->period_us != period_us)
        follow(rate, period_us, now_us);
    if (period_us == 0)
        return true;
    uint64_t from_us = rate->free_at_us > now_us ? rate->free_at_us : now_us;
    uint64_t needed_us = from_us + (cost < burst ? cost : burst) * period_us;
    uint64_t end_us = now_us + burst * period_us;
    if (needed_us > end_us) {
        if (out_retry_us)
            *out_retry_us = needed_us - end_us;
        return false;
    }
    rate->free_at_us = from_us + cost * period_us;
    return true;
}

void rate_charge(struct rate *rate, uint64_t cost, uint64_t now_us)
{
    uint64_t from_us = rate->free_at_us > now_us ? rate->free_at_us : now_us;
    rate->free_at_us = from_us + cost * rate->period_us;
}

void rate_give_back(struct rate *rate, uint64_t cost)
{
    uint64_t price_us = cost * rate->period_us;
    rate->free_at_us -= rate->free_at_us < price_us ? rate->free_at_us : price_us;
}
