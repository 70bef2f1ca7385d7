/* seeded.c - see seeded.h. Number n of a sequence is a hash of seed, sequence and n. */
#include "common/base/seeded.h"

#include <stdatomic.h>
#include <string.h>

#include "common/base/random.h"

static _Atomic uint64_t seed_now;
static _Atomic uint64_t drawn[RANDOM_KINDS]; /* numbers of each sequence */

/* The finalizer of SplitMix64: each bit of the result depends on each bit of x. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t next(enum random_kind kind)
{
    uint64_t key = mix(atomic_load(&seed_now) + 0x9E3779B97F4A7C15u * (kind + 1));
    uint64_t n = atomic_fetch_add(&drawn[kind], 1);
    return mix(key + 0x9E3779B97F4A7C15u * (n + 1));
}

static void draw(enum random_kind kind, void *out, size_t len)
{
    unsigned char *at = out;
    while (len > 0) {
        uint64_t number = next(kind);
        size_t part = len < sizeof number ? len : sizeof number;
        memcpy(at, &number, part);
        at += part;
        len -= part;
    }
}

void seeded_rewind(uint64_t seed)
{
    atomic_store(&seed_now, seed);
    for (int kind = 0; kind < RANDOM_KINDS; kind++)
        atomic_store(&drawn[kind], 0);
}

void seeded_use(uint64_t seed)
{
    seeded_rewind(seed);
    random_use(draw);
}
