/* pace.c - see pace.h. */
#include "bench/load/pace.h"

void pace_begin(struct pace *pace, uint64_t per_second, uint64_t now_us)
{
    *pace = (struct pace){.per_second = per_second, .began_us = now_us};
}

uint64_t pace_due_us(const struct pace *pace)
{
    /* Whole seconds apart, so that the product stays small however long it runs. */
    if (pace->per_second == 0)
        return UINT64_MAX;
    return pace->began_us + pace->taken / pace->per_second * 1000000 +
           pace->taken % pace->per_second * 1000000 / pace->per_second;
}

void pace_take(struct pace *pace)
{
    pace->taken++;
}
