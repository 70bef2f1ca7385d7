/* revocations.c - see revocations.h. */
#include "server/core/revocations.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/base/map.h"

struct kept_revocation {
    struct list_link link; /* in revocations.all */
    struct revocation revocation;
    uint64_t kept; /* by the broker, in this of its lives; 0: not */
    size_t key_len;
    char key[]; /* the kind's letter and the value */
};

/* A table grows while nobody may look. A small table grows in a moment, so there are many. */
enum { PARTS = 64 };

struct revocations {
    pthread_rwlock_t lock;
    atomic_size_t count; /* of entries, for those who need no lock when it is 0 */
    struct map parts[PARTS];
    struct list_link all; /* those looked at longest ago first */
    size_t unseen;        /* of them, in this round */
    uint64_t life;        /* of the broker: goes up when it may have lost what it kept */
};

struct key {
    char bytes[1 + REVOCATION_VALUE_MAX];
};

/* Empty for a value that is too long. Such a value is never in the table. */
static struct str make_key(struct key *key, enum revocation_kind kind, struct str value)
{
    if (value.len == 0 || value.len > REVOCATION_VALUE_MAX)
        return STR("");
    key->bytes[0] = kind == REVOCATION_JTI ? 'j' : 'u';
    memcpy(key->bytes + 1, value.ptr, value.len);
    return str_from(key->bytes, value.len + 1);
}

/* All of the key counts: some keys differ at their end (user-17), others at their beginning (ann@example.com). The
 * parts need not be quite even. */
static struct map *part_of(struct revocations *revocations, struct str key)
{
    unsigned sum = 0;
    for (size_t i = 0; i < key.len; i++)
        sum = sum * 31 + (unsigned char)key.ptr[i];
    return &revocations->parts[sum % PARTS];
}

struct revocations *revocations_create(void)
{
    struct revocations *revocations = xcalloc(1, sizeof *revocations);
    pthread_rwlock_init(&revocations->lock, NULL);
    list_init(&revocations->all);
    revocations->life = 1;
    return revocations;
}

void revocations_each(struct revocations *revocations, void (*tell)(void *owner, const struct revocation *revocation),
                      void *owner)
{
    pthread_rwlock_rdlock(&revocations->lock);
    LIST_EACH(link, &revocations->all)
    {
        tell(owner, &CONTAINER_OF(link, struct kept_revocation, link)->revocation);
    }
    pthread_rwlock_unlock(&revocations->lock);
}

void revocations_clear(struct revocations *revocations)
{
    pthread_rwlock_wrlock(&revocations->lock);
    for (struct list_link *link; (link = list_take_first(&revocations->all));)
        free(CONTAINER_OF(link, struct kept_revocation, link));
    for (size_t i = 0; i < PARTS; i++) {
        map_fini(&revocations->parts[i]);
        revocations->parts[i] = (struct map){0};
    }
    revocations->unseen = 0;
    atomic_store(&revocations->count, 0);
    pthread_rwlock_unlock(&revocations->lock);
}

void revocations_destroy(struct revocations *revocations)
{
    revocations_clear(revocations);
    pthread_rwlock_destroy(&revocations->lock);
    free(revocations);
}

static struct kept_revocation *create(struct revocations *revocations, struct str key,
                                      const struct revocation *revocation)
{
    struct kept_revocation *entry = xcalloc(1, sizeof *entry + key.len);
    memcpy(entry->key, key.ptr, key.len);
    entry->key_len = key.len;
    entry->revocation = *revocation;
    entry->revocation.value = str_from(entry->key + 1, key.len - 1);
    list_append(&revocations->all, &entry->link);
    map_put(part_of(revocations, key), str_from(entry->key, key.len), entry);
    atomic_fetch_add(&revocations->count, 1);
    return entry;
}

/* 0 stands for all tokens. It is wider than any time. */
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
    struct kept_revocation *entry = map_get(part_of(revocations, key), key);
    if (!entry)
        entry = create(revocations, key, revocation);
    struct revocation *known = &entry->revocation;
    known->issued_before_ms = wider(known->issued_before_ms, revocation->issued_before_ms);
    if (revocation->until_ms > known->until_ms)
        known->until_ms = revocation->until_ms;
    /* Another node may know only a narrower revocation. Then the broker may not have the wider one yet. */
    if (known->issued_before_ms == revocation->issued_before_ms && known->until_ms == revocation->until_ms)
        entry->kept = revocations->life;
    pthread_rwlock_unlock(&revocations->lock);
}

size_t revocations_count(const struct revocations *revocations)
{
    return atomic_load(&revocations->count);
}

static bool covers(struct revocations *revocations, enum revocation_kind kind, struct str value, uint64_t iat_ms,
                   uint64_t now_ms)
{
    struct key room;
    struct str key = make_key(&room, kind, value);
    const struct kept_revocation *entry = key.len ? map_get(part_of(revocations, key), key) : NULL;
    if (!entry || entry->revocation.until_ms <= now_ms)
        return false;
    uint64_t before_ms = entry->revocation.issued_before_ms;
    return before_ms == 0 || iat_ms == 0 || iat_ms < before_ms;
}

static bool covers_claims(struct revocations *revocations, const struct claims *claims, uint64_t now_ms)
{
    return covers(revocations, REVOCATION_JTI, claims->jti, claims->iat_ms, now_ms) ||
           covers(revocations, REVOCATION_USER, claims->sub, claims->iat_ms, now_ms);
}

bool revocations_cover(struct revocations *revocations, const struct claims *claims, uint64_t now_ms)
{
    if (revocations_count(revocations) == 0)
        return false;
    pthread_rwlock_rdlock(&revocations->lock);
    bool covered = covers_claims(revocations, claims, now_ms) ||
                   (claims->changes && covers_claims(revocations, claims_of_token(claims), now_ms));
    pthread_rwlock_unlock(&revocations->lock);
    return covered;
}

void revocations_doubt(struct revocations *revocations)
{
    pthread_rwlock_wrlock(&revocations->lock);
    revocations->life++;
    pthread_rwlock_unlock(&revocations->lock);
}

void revocations_begin_round(struct revocations *revocations)
{
    pthread_rwlock_wrlock(&revocations->lock);
    revocations->unseen = revocations_count(revocations);
    pthread_rwlock_unlock(&revocations->lock);
}

static void look_at(struct revocations *revocations, struct kept_revocation *entry, uint64_t now_ms,
                    void (*doubted)(void *owner, const struct revocation *revocation), void *owner)
{
    if (entry->revocation.until_ms <= now_ms) {
        struct str key = str_from(entry->key, entry->key_len);
        map_remove(part_of(revocations, key), key);
        atomic_fetch_sub(&revocations->count, 1);
        free(entry);
        return;
    }
    list_append(&revocations->all, &entry->link);
    if (entry->kept != revocations->life)
        doubted(owner, &entry->revocation);
}

bool revocations_look(struct revocations *revocations, size_t count, uint64_t now_ms,
                      void (*doubted)(void *owner, const struct revocation *revocation), void *owner)
{
    if (revocations_count(revocations) == 0)
        return false;
    pthread_rwlock_wrlock(&revocations->lock);
    for (; count && revocations->unseen; count--, revocations->unseen--)
        look_at(revocations, CONTAINER_OF(list_take_first(&revocations->all), struct kept_revocation, link), now_ms,
                doubted, owner);
    bool more = revocations->unseen > 0;
    pthread_rwlock_unlock(&revocations->lock);
    return more;
}
