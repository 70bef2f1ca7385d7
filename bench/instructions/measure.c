/* measure.c - see measure.h. */
#include "bench/instructions/measure.h"

#include <stdio.h>
#include <sys/random.h>
#include <valgrind/callgrind.h>

#include "common/base/alloc.h"

/* splitmix64 (Steele, Lea and Flood, 2014). */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* Takes the place of the C library's, so that hash keys, ids and jitter are those of the last run. */
ssize_t getrandom(void *out, size_t len, unsigned flags)
{
    static uint64_t state = 1;
    unsigned char *bytes = out;
    (void)flags;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)draw(&state);
    return (ssize_t)len;
}

size_t measure_random(size_t limit)
{
    static uint64_t state = 2;
    return (size_t)(draw(&state) % limit);
}

size_t *measure_shuffled(size_t count)
{
    size_t *order = xmalloc(count * sizeof *order);
    for (size_t i = 0; i < count; i++) {
        size_t at = measure_random(i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    return order;
}

void measure_on(void)
{
    CALLGRIND_START_INSTRUMENTATION;
}

void measure_off(void)
{
    CALLGRIND_STOP_INSTRUMENTATION;
}

void measure_from(void)
{
    CALLGRIND_ZERO_STATS;
}

void measure_to(const char *path, const char *variable, const char *value, size_t operations)
{
    char label[128];
    snprintf(label, sizeof label, "%s %s %s %zu", path, variable, value, operations);
    CALLGRIND_DUMP_STATS_AT(label);
}

void measure_to_number(const char *path, const char *variable, size_t value, size_t operations)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", value);
    measure_to(path, variable, text, operations);
}
