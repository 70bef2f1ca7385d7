/* world.c - see world.h. Also what the linker puts in the place of random bytes (--wrap). */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/random.h"

struct action {
    uint64_t at_us;
    uint64_t order;
    world_action *run;
    void *owner;
    uint64_t number;
};

static struct world {
    uint64_t now_us;
    uint64_t chances[CHANCE_COUNT];
    struct action *heap; /* the next one first */
    size_t count;
    size_t cap;
    uint64_t orders;
    uint64_t hash;
    bool trace;
    char failure[1024];
} world;

/* ---- time ---- */

static bool is_before(const struct action *a, const struct action *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct action *a, struct action *b)
{
    struct action kept = *a;
    *a = *b;
    *b = kept;
}

void world_at(uint64_t at_us, world_action *run, void *owner, uint64_t number)
{
    if (world.count == world.cap) {
        world.cap = world.cap ? world.cap * 2 : 256;
        world.heap = xrealloc(world.heap, world.cap * sizeof *world.heap);
    }
    size_t at = world.count++;
    world.heap[at] = (struct action){at_us < world.now_us ? world.now_us : at_us, world.orders++, run, owner, number};
    for (size_t up; at > 0 && is_before(&world.heap[at], &world.heap[up = (at - 1) / 2]); at = up)
        swap(&world.heap[at], &world.heap[up]);
}

static struct action take_first(void)
{
    struct action first = world.heap[0];
    world.heap[0] = world.heap[--world.count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < world.count; child++)
            if (is_before(&world.heap[child], &world.heap[least]))
                least = child;
        if (least == at)
            return first;
        swap(&world.heap[at], &world.heap[least]);
        at = least;
    }
}

uint64_t world_now_us(void)
{
    return world.now_us;
}

uint64_t world_wall_ms(void)
{
    return WORLD_START_WALL_MS + world.now_us / 1000;
}

void world_run_until(uint64_t until_us)
{
    while (world.count && world.heap[0].at_us <= until_us) {
        struct action action = take_first();
        world.now_us = action.at_us;
        action.run(action.owner, action.number);
    }
    world.now_us = until_us;
}

/* ---- chance: SplitMix64 (Steele, Lea and Flood, 2014) ---- */

uint64_t world_draw(enum chance chance)
{
    uint64_t z = world.chances[chance] += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t world_below(enum chance chance, uint64_t limit)
{
    return world_draw(chance) % limit;
}

/* ---- trace ---- */

void world_trace(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int len = snprintf(line, sizeof line, "%10.6f ", (double)(world.now_us - WORLD_START_US) / 1e6);
    vsnprintf(line + len, sizeof line - (size_t)len, format, args);
    va_end(args);
    for (const char *p = line; *p; p++) /* FNV-1a */
        world.hash = (world.hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    if (world.trace)
        puts(line);
}

uint64_t world_trace_hash(void)
{
    return world.hash;
}

void world_fail(const char *format, ...)
{
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    world_trace("WRONG: %s", text);
    if (!world.failure[0])
        snprintf(world.failure, sizeof world.failure, "at %.6f s: %s", (double)(world.now_us - WORLD_START_US) / 1e6,
                 text);
}

const char *world_failure(void)
{
    return world.failure;
}

/* ---- life ---- */

void world_begin(uint64_t seed, bool trace)
{
    memset(&world, 0, sizeof world);
    /* Drawn once a process, whatever the seed: the order in which maps are walked must not depend on the run before. */
    (void)str_hash(STR("walk"));
    for (int i = 0; i < CHANCE_COUNT; i++) {
        world.chances[i] = seed * CHANCE_COUNT + (uint64_t)i;
        world.chances[i] = world_draw((enum chance)i);
    }
    world.now_us = WORLD_START_US;
    world.hash = UINT64_C(0xcbf29ce484222325);
    world.trace = trace;
}

void world_end(void)
{
    free(world.heap);
    world.heap = NULL;
    world.count = world.cap = 0;
}

/* ---- in the place of common/base/random.c ---- */

void __wrap_random_bytes(void *out, size_t len);
uint64_t __wrap_random_below(uint64_t limit);
void __wrap_uuid_v7(uint64_t wall_ms, char out[UUID_LEN + 1]);
void __wrap_epoch_new(char out[EPOCH_NEW_LEN + 1]);

void __wrap_random_bytes(void *out, size_t len)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)world_draw(CHANCE_CODE);
}

uint64_t __wrap_random_below(uint64_t limit)
{
    return world_below(CHANCE_CODE, limit);
}

void __wrap_uuid_v7(uint64_t wall_ms, char out[UUID_LEN + 1])
{
    uint64_t high = world_draw(CHANCE_CODE), low = world_draw(CHANCE_CODE);
    snprintf(out, UUID_LEN + 1, "%08x-%04x-7%03x-%04x-%04x%08x", (unsigned)(wall_ms >> 16),
             (unsigned)(wall_ms & 0xffff), (unsigned)(high & 0xfff), (unsigned)(0x8000 | (high >> 12 & 0x3fff)),
             (unsigned)(low >> 32 & 0xffff), (unsigned)low);
}

void __wrap_epoch_new(char out[EPOCH_NEW_LEN + 1])
{
    for (int i = 0; i < EPOCH_NEW_LEN; i++)
        out[i] = (char)('a' + world_draw(CHANCE_CODE) % 26);
    out[EPOCH_NEW_LEN] = '\0';
}
