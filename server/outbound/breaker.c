/* breaker.c - see breaker.h. */
#include "server/outbound/breaker.h"

void breaker_init(struct breaker *breaker, uint32_t failures_max, uint64_t open_us)
{
    *breaker = (struct breaker){.failures_max = failures_max, .open_us = open_us};
}

bool breaker_allows(struct breaker *breaker, uint64_t now_us, bool *out_probe)
{
    *out_probe = false;
    if (breaker->state == BREAKER_CLOSED)
        return true;
    if (breaker->state == BREAKER_OPEN && now_us - breaker->opened_us >= breaker->open_us)
        breaker->state = BREAKER_HALF_OPEN;
    if (breaker->state == BREAKER_OPEN || breaker->probing)
        return false;
    breaker->probing = *out_probe = true;
    return true;
}

void breaker_succeeded(struct breaker *breaker, bool probe)
{
    if (breaker->state != BREAKER_CLOSED && !probe)
        return;
    breaker->state = BREAKER_CLOSED;
    breaker->failures = 0;
    breaker->probing = false;
}

bool breaker_failed(struct breaker *breaker, bool probe, uint64_t now_us)
{
    if (breaker->failures_max == UINT32_MAX || (breaker->state != BREAKER_CLOSED && !probe))
        return false;
    breaker->probing = false;
    if (!probe && ++breaker->failures < breaker->failures_max)
        return false;
    breaker->state = BREAKER_OPEN;
    breaker->opened_us = now_us;
    breaker->failures = 0;
    return true;
}

void breaker_forget(struct breaker *breaker, bool probe)
{
    if (probe)
        breaker->probing = false;
}
