/* breaker.h - stops calls to a backend that has just failed several times, so that callers fail fast and the backend
 * gets time to come back. Pure: the caller gives the time. One thread.
 *
 *     CLOSED     calls pass. `failures` failures without a success between them open the breaker.
 *     OPEN       calls are refused, for open_us.
 *     HALF_OPEN  one call passes, the probe. Its success closes the breaker, its failure opens it again. */
#ifndef CARILLON_OUTBOUND_BREAKER_H
#define CARILLON_OUTBOUND_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/* The values are those of the metric. */
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    uint32_t failures_max; /* UINT32_MAX: never opens */
    uint64_t open_us;
    enum breaker_state state;
    uint32_t failures; /* consecutive */
    uint64_t opened_us;
    bool probing; /* half-open: the probe is on its way */
};

/* Zeroes the state: closed. */
void breaker_init(struct breaker *breaker, uint32_t failures_max, uint64_t open_us);

/* May a call go out now? If it does, the caller says later how it ended, with the same *out_probe. */
bool breaker_allows(struct breaker *breaker, uint64_t now_us, bool *out_probe);

/* What the end of a call says about the backend. */
enum breaker_verdict {
    BREAKER_ANSWERS,
    BREAKER_IS_DOWN,
    BREAKER_UNKNOWN, /* the call was given up; the next call probes again */
};

enum breaker_change {
    BREAKER_SAME,
    BREAKER_OPENED, /* it was closed; a failed probe is no change */
    BREAKER_HAS_CLOSED,
};

/* A call that was allowed has ended. Results of calls from before the breaker opened change nothing. */
enum breaker_change breaker_tell(struct breaker *breaker, bool probe, enum breaker_verdict verdict, uint64_t now_us);

#endif
