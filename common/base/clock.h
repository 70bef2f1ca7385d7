/* clock.h - the two clocks. A turn reads them once (mailbox.h). All other code of the server gets the time from its
 * turn or as an argument; tests/layers.py has the list of exceptions. Any thread. */
#ifndef CARILLON_BASE_CLOCK_H
#define CARILLON_BASE_CLOCK_H

#include "common/base/str.h"

/* A test's clocks in place of the real ones, for the whole process; NULL: the real ones again. Call while there is only
 * one thread. */
struct clock {
    uint64_t (*now_us)(void);
    uint64_t (*wall_ms)(void);
    uint64_t (*timer_us)(void); /* as clock_timer_us; NULL: now_us */
};
void clock_use(const struct clock *clock);

/* Microseconds of the monotonic clock: for deadlines and durations. */
uint64_t clock_now_us(void);

/* What the timers of turns go by (mailbox.h). It is now_us, which clock_now_us has just given, unless a test's clock
 * stands still: the server's own housekeeping goes on then. */
uint64_t clock_timer_us(uint64_t now_us);

/* Milliseconds since 1970-01-01 UTC: for timestamps, ids and token times. */
uint64_t clock_wall_ms(void);

enum { CLOCK_RFC3339_LEN = 24 };

/* Writes "2026-01-15T10:30:00.000Z" (RFC 3339, UTC) and a NUL. */
void clock_format(uint64_t wall_ms, char out[CLOCK_RFC3339_LEN + 1]);

/* Reads a date and a time of RFC 3339 in UTC, as clock_format writes them, with any number of digits of a second or
 * none: "2026-01-15T10:30:00Z". False: text is none, or is before 1970; *out_wall_ms is left alone. */
bool clock_parse(struct str text, uint64_t *out_wall_ms);

#endif
