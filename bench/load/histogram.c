/* histogram.c - see histogram.h. Step of a value: its highest HISTOGRAM_STEP_BITS + 1 bits, and how far they are
 * shifted; values below 2^HISTOGRAM_STEP_BITS are their own step. */
#include "bench/load/histogram.h"

#include <string.h>

static size_t step_of(uint64_t value_us)
{
    const uint64_t last = ((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1;
    if (value_us > last)
        value_us = last;
    unsigned highest = 63 - (unsigned)__builtin_clzll(value_us | 1);
    unsigned shift = highest > HISTOGRAM_STEP_BITS ? highest - HISTOGRAM_STEP_BITS : 0;
    return ((size_t)shift << HISTOGRAM_STEP_BITS) + (size_t)(value_us >> shift);
}

/* The largest value that falls into the step. */
static uint64_t end_of(size_t step)
{
    size_t shift = step >> HISTOGRAM_STEP_BITS;
    if (shift > 0)
        shift--; /* the first two rows are both exact: 0 to 63, and 64 to 127 */
    return (((uint64_t)step - ((uint64_t)shift << HISTOGRAM_STEP_BITS) + 1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t value_us)
{
    histogram->steps[step_of(value_us)]++;
    histogram->count++;
    if (value_us > histogram->max_us)
        histogram->max_us = value_us;
}

uint64_t histogram_percentile_us(const struct histogram *histogram, double percent)
{
    double exact = percent * (double)histogram->count / 100.0;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact || rank == 0)
        rank++;
    uint64_t seen = 0;
    for (size_t step = 0; step < HISTOGRAM_STEPS; step++) {
        seen += histogram->steps[step];
        if (seen >= rank) {
            uint64_t end_us = end_of(step);
            return end_us < histogram->max_us ? end_us : histogram->max_us;
        }
    }
    return histogram->max_us;
}

void histogram_add(struct histogram *histogram, const struct histogram *other)
{
    histogram->count += other->count;
    if (other->max_us > histogram->max_us)
        histogram->max_us = other->max_us;
    for (size_t step = 0; step < HISTOGRAM_STEPS; step++)
        histogram->steps[step] += other->steps[step];
}

uint64_t histogram_next(const struct histogram *histogram, size_t *step, uint64_t *out_us)
{
    while (*step < HISTOGRAM_STEPS && !histogram->steps[*step])
        ++*step;
    if (*step == HISTOGRAM_STEPS)
        return 0;
    *out_us = end_of(*step);
    return histogram->steps[(*step)++];
}

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}
