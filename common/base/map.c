/* map.c - see map.h. Open addressing with linear probing. Removal shifts entries back, so there are no tombstones.
 *
 * Each table draws a multiplier. The hash times the multiplier gives an entry's slot. With one multiplier for all
 * tables, a walk through one table would fill another table in the order of its slots. The runs there would get longer
 * and longer, at a cost that is the square of the number of entries. A table keeps its multiplier when it grows or
 * shrinks. So its new slots are filled from one end to the other, in the order of memory. */
#include "common/base/map.h"

#include <pthread.h>

#include "common/base/alloc.h"
#include "common/base/random.h"

static uint64_t hash_key[2];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void draw_hash_key(void)
{
    random_bytes(hash_key, sizeof hash_key);
}

static inline uint64_t rotl(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

struct sip {
    uint64_t a, b, c, d;
};

/* Inline, and by value: so the state stays in registers. */
static inline struct sip sip_round(struct sip v)
{
    v.a += v.b;
    v.b = rotl(v.b, 13) ^ v.a;
    v.a = rotl(v.a, 32);
    v.c += v.d;
    v.d = rotl(v.d, 16) ^ v.c;
    v.a += v.d;
    v.d = rotl(v.d, 21) ^ v.a;
    v.c += v.b;
    v.b = rotl(v.b, 17) ^ v.c;
    v.c = rotl(v.c, 32);
    return v;
}

/* SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"). */
uint64_t str_hash(struct str s)
{
    pthread_once(&hash_key_once, draw_hash_key);
    struct sip v = {hash_key[0] ^ 0x736f6d6570736575, hash_key[1] ^ 0x646f72616e646f6d,
                    hash_key[0] ^ 0x6c7967656e657261, hash_key[1] ^ 0x7465646279746573};
    size_t left = s.len;
    const char *p = s.ptr;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        v.d ^= word;
        v = sip_round(v);
        v.a ^= word;
    }
    uint64_t last = (uint64_t)s.len << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)(unsigned char)p[i] << (8 * i);
    v.d ^= last;
    v = sip_round(v);
    v.a ^= last;
    v.c ^= 0xff;
    for (int i = 0; i < 3; i++)
        v = sip_round(v);
    return v.a ^ v.b ^ v.c ^ v.d;
}

void map_fini(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}

/* Where the entry would stand if it were alone: the product's upper bits, so that they depend on all bits of the hash.
 * cap > 0. */
static size_t home_of(const struct map *map, uint64_t hash)
{
    return (size_t)(hash * map->multiplier >> map->shift);
}

/* The slot of the key, or the free slot where it would go. cap > 0. */
static size_t find(const struct map *map, struct str key, uint64_t hash)
{
    size_t at = home_of(map, hash);
    while (map->slots[at].value && !(map->slots[at].hash == hash && str_eq(map->slots[at].key, key)))
        at = (at + 1) & (map->cap - 1);
    return at;
}

static void resize(struct map *map, size_t cap)
{
    struct map old = *map;
    if (!map->multiplier) {
        random_bytes(&map->multiplier, sizeof map->multiplier);
        map->multiplier |= 1;
    }
    map->slots = xcalloc(cap, sizeof *map->slots);
    map->cap = cap;
    map->shift = (unsigned)__builtin_clzll(cap) + 1; /* cap is 2 to the power of 64 - shift */
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value)
            map->slots[find(map, old.slots[i].key, old.slots[i].hash)] = old.slots[i];
    free(old.slots);
}

void *map_get(const struct map *map, struct str key)
{
    return map->count ? map->slots[find(map, key, str_hash(key))].value : NULL;
}

void *map_put(struct map *map, struct str key, void *value)
{
    if ((map->count + 1) * 4 > map->cap * 3)
        resize(map, map->cap ? map->cap * 2 : 8);
    uint64_t hash = str_hash(key);
    struct map_slot *slot = &map->slots[find(map, key, hash)];
    void *before = slot->value;
    if (!before)
        map->count++;
    *slot = (struct map_slot){key, value, hash};
    return before;
}

void *map_remove(struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    size_t at = find(map, key, str_hash(key));
    void *value = map->slots[at].value;
    if (!value)
        return NULL;
    size_t mask = map->cap - 1;
    for (size_t next = (at + 1) & mask; map->slots[next].value; next = (next + 1) & mask) {
        size_t home = home_of(map, map->slots[next].hash);
        /* An entry may fill the hole unless its home lies after the hole, up to where it stands. */
        if (((next - home) & mask) >= ((next - at) & mask)) {
            map->slots[at] = map->slots[next];
            at = next;
        }
    }
    map->slots[at] = (struct map_slot){0};
    map->count--;
    if (map->cap > 64 && map->count * 8 < map->cap)
        resize(map, map->cap / 4);
    return value;
}

void *map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->cap) {
        void *value = map->slots[(*cursor)++].value;
        if (value)
            return value;
    }
    return NULL;
}
