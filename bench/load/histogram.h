/* histogram.h - counts durations in little and constant memory. Values up to 2^40 us are kept to within 1.6 %, values
 * under 128 us exactly. A zeroed struct is an empty histogram. Pure, for one thread at a time. */
#ifndef CARILLON_BENCH_LOAD_HISTOGRAM_H
#define CARILLON_BENCH_LOAD_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 6, /* each power of two is cut into 2^6 steps */
    HISTOGRAM_VALUE_BITS = 40,
    HISTOGRAM_STEPS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t max_us;
    uint64_t steps[HISTOGRAM_STEPS];
};

/* Values past the range count as its end; max_us is exact all the same. */
void histogram_record(struct histogram *histogram, uint64_t value_us);

/* The percentile by nearest rank: the smallest value that `percent` of the recorded values do not exceed. It is rounded
 * up to the end of its step, but not past the largest value seen. 0 when nothing was recorded. */
uint64_t histogram_percentile_us(const struct histogram *histogram, double percent);

/* Adds what another one has recorded. */
void histogram_add(struct histogram *histogram, const struct histogram *other);

/* The next step that has been recorded, from *step on, which begins with 0. *out_us: the largest value of the step. 0:
 * there is none. Returns how often. */
uint64_t histogram_next(const struct histogram *histogram, size_t *step, uint64_t *out_us);

void histogram_clear(struct histogram *histogram);

#endif
