/* revocations.c - see revocations.h. */
#include "server/core/revocations.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/alloc.h"
#include "common/base/map.h"

/* How often those that are over are looked for: what was added since then bounds what stays too long. */
enum { SWEEP_MS = 60 * 1000 };

struct entry {
    struct revocation revocation;
    bool kept; /* by the broker */
    size_t key_len;
    char key[]; /* the kind's letter and the value */
};

struct revocations {
    pthread_rwlock_t lock;
    atomic_size_t count; /* of entries, for those who need no lock when it is 0 */
    struct map entries;
    uint64_t swept_ms;
};

struct key {
    char bytes[1 + REVOCATION_VALUE_MAX];
};

/* Empty for a value that is too long, which is never in the table. */
static struct str make_key(struct key *key, enum revocation_kind kind, struct str value)
{
    if (value.len == 0 || value.len > REVOCATION_VALUE_MAX)
        return STR("");
    key->bytes[0] = kind == REVOCATION_JTI ? 'j' : 'u';
    memcpy(key->bytes + 1, value.ptr, value.len);
    return str_from(key->bytes, value.len + 1);
}

struct revocations *revocations_create(void)
{
    struct revocations *revocations = xcalloc(1, sizeof *revocations);
    pthread_rwlock_init(&revocations->lock, NULL);
    return revocations;
}

void revocations_destroy(struct revocations *revocations)
{
    size_t cursor = 0;
    for (struct entry *entry; (entry = map_next(&revocations->entries, &cursor));)
        free(entry);
    map_fini(&revocations->entries);
    pthread_rwlock_destroy(&revocations->lock);
    free(revocations);
}

/* Into a new table, since a map must not change while it is walked. */
static void sweep(struct revocations *revocations, uint64_t now_ms)
{
    struct map left = {0};
    size_t cursor = 0;
    if (now_ms < revocations->swept_ms + SWEEP_MS)
        return;
    revocations->swept_ms = now_ms;
    for (struct entry *entry; (entry = map_next(&revocations->entries, &cursor));) {
        if (entry->revocation.until_ms > now_ms)
            map_put(&left, str_from(entry->key, entry->key_len), entry);
        else
            free(entry);
    }
    map_fini(&revocations->entries);
    revocations->entries = left;
}

static struct entry *create(struct revocations *revocations, struct str key, const struct revocation *revocation)
{
    struct entry *entry = xcalloc(1, sizeof *entry + key.len);
    memcpy(entry->key, key.ptr, key.len);
    entry->key_len = key.len;
    entry->revocation = *revocation;
    entry->revocation.value = str_from(entry->key + 1, key.len - 1);
    map_put(&revocations->entries, str_from(entry->key, key.len), entry);
    return entry;
}

/* 0 stands for all tokens, so it covers more than any time does. */
static uint64_t wider(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return 0;
    return a > b ? a : b;
}

void revocations_add(struct revocations *revocations, const struct revocation *revocation, uint64_t now_ms)
{
    struct key room;
    struct str key = make_key(&room, revocation->kind, revocation->value);
    if (key.len == 0 || revocation->until_ms <= now_ms)
        return;
    pthread_rwlock_wrlock(&revocations->lock);
    sweep(revocations, now_ms);
    struct entry *entry = map_get(&revocations->entries, key);
    if (!entry)
        entry = create(revocations, key, revocation);
    struct revocation *known = &entry->revocation;
    known->issued_before_ms = wider(known->issued_before_ms, revocation->issued_before_ms);
    if (revocation->until_ms > known->until_ms)
        known->until_ms = revocation->until_ms;
    /* Not by one that is narrower: another node's, of which this one has heard more. */
    entry->kept = entry->kept ||
                  (known->issued_before_ms == revocation->issued_before_ms && known->until_ms == revocation->until_ms);
    atomic_store(&revocations->count, revocations->entries.count);
    pthread_rwlock_unlock(&revocations->lock);
}

size_t revocations_count(const struct revocations *revocations)
{
    return atomic_load(&revocations->count);
}

static bool covers(const struct revocations *revocations, enum revocation_kind kind, struct str value, uint64_t iat_ms,
                   uint64_t now_ms)
{
    struct key room;
    struct str key = make_key(&room, kind, value);
    const struct entry *entry = key.len ? map_get(&revocations->entries, key) : NULL;
    if (!entry || entry->revocation.until_ms <= now_ms)
        return false;
    uint64_t before_ms = entry->revocation.issued_before_ms;
    return before_ms == 0 || iat_ms == 0 || iat_ms < before_ms;
}

bool revocations_cover(struct revocations *revocations, const struct claims *claims, uint64_t now_ms)
{
    if (revocations_count(revocations) == 0)
        return false;
    pthread_rwlock_rdlock(&revocations->lock);
    bool covered = covers(revocations, REVOCATION_JTI, claims->jti, claims->iat_ms, now_ms) ||
                   covers(revocations, REVOCATION_USER, claims->sub, claims->iat_ms, now_ms);
    pthread_rwlock_unlock(&revocations->lock);
    return covered;
}

void revocations_doubt(struct revocations *revocations)
{
    size_t cursor = 0;
    pthread_rwlock_wrlock(&revocations->lock);
    for (struct entry *entry; (entry = map_next(&revocations->entries, &cursor));)
        entry->kept = false;
    pthread_rwlock_unlock(&revocations->lock);
}

void revocations_each_doubted(struct revocations *revocations, uint64_t now_ms,
                              void (*each)(void *owner, const struct revocation *revocation), void *owner)
{
    size_t cursor = 0;
    pthread_rwlock_rdlock(&revocations->lock);
    for (const struct entry *entry; (entry = map_next(&revocations->entries, &cursor));)
        if (!entry->kept && entry->revocation.until_ms > now_ms)
            each(owner, &entry->revocation);
    pthread_rwlock_unlock(&revocations->lock);
}
