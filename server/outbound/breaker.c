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

static enum breaker_change succeed(struct breaker *breaker)
{
    enum breaker_state before = breaker->state;
    breaker->state = BREAKER_CLOSED;
    breaker->failures = 0;
    return before == BREAKER_CLOSED ? BREAKER_SAME : BREAKER_HAS_CLOSED;
}

static enum breaker_change fail(struct breaker *breaker, bool probe, uint64_t now_us)
{
    if (breaker->failures_max == UINT32_MAX || (!probe && ++breaker->failures < breaker->failures_max))
        return BREAKER_SAME;
    breaker->state = BREAKER_OPEN;
    breaker->opened_us = now_us;
    breaker->failures = 0;
    return probe ? BREAKER_SAME : BREAKER_OPENED;
}

enum breaker_change breaker_tell(struct breaker *breaker, bool probe, enum breaker_verdict verdict, uint64_t now_us)
{
    if (breaker->state != BREAKER_CLOSED && !probe)
        return BREAKER_SAME;
    breaker->probing = false;
    switch (verdict) {
    case BREAKER_ANSWERS: return succeed(breaker);
    case BREAKER_IS_DOWN: return fail(breaker, probe, now_us);
    case BREAKER_UNKNOWN: break;
    }
    return BREAKER_SAME;
}
