/* quota.c - see quota.h. */
#include "server/net/admission/quota.h"

#include <assert.h>
#include <pthread.h>

#include "common/base/alloc.h"
#include "common/base/map.h"

struct counted {
    size_t count;
    size_t key_len;
    char key[];
};

struct quota {
    pthread_mutex_t mutex;
    struct map counts; /* kind and key -> struct counted, which holds these bytes */
};

/* A byte of the kind, then the key. */
struct whole_key {
    struct str bytes;
    char *long_bytes; /* NULL: they are in `room` */
    char room[256];
};

static void whole_key_init(struct whole_key *whole, enum quota_kind kind, struct str key)
{
    whole->long_bytes = key.len < sizeof whole->room ? NULL : xmalloc(key.len + 1);
    char *bytes = whole->long_bytes ? whole->long_bytes : whole->room;
    bytes[0] = (char)kind;
    if (key.len > 0)
        memcpy(bytes + 1, key.ptr, key.len);
    whole->bytes = str_from(bytes, key.len + 1);
}

static void whole_key_fini(struct whole_key *whole)
{
    free(whole->long_bytes);
}

struct quota *quota_create(void)
{
    struct quota *quota = xcalloc(1, sizeof *quota);
    pthread_mutex_init(&quota->mutex, NULL);
    return quota;
}

void quota_destroy(struct quota *quota)
{
    assert(quota->counts.count == 0);
    map_fini(&quota->counts);
    pthread_mutex_destroy(&quota->mutex);
    free(quota);
}

static struct counted *add_key(struct quota *quota, struct str key)
{
    struct counted *counted = xmalloc(sizeof *counted + key.len);
    counted->count = 0;
    counted->key_len = key.len;
    memcpy(counted->key, key.ptr, key.len);
    map_put(&quota->counts, str_from(counted->key, key.len), counted);
    return counted;
}

/* NULL: refused. */
static struct counted *add(struct quota *quota, struct str key, size_t amount, size_t max, size_t *out_count)
{
    struct counted *added = NULL;
    pthread_mutex_lock(&quota->mutex);
    struct counted *counted = map_get(&quota->counts, key);
    size_t before = counted ? counted->count : 0;
    if (before <= max && amount <= max - before && amount > 0) {
        if (!counted)
            counted = add_key(quota, key);
        counted->count += amount;
        *out_count = counted->count;
        added = counted;
    }
    pthread_mutex_unlock(&quota->mutex);
    return added;
}

/* Under the mutex. */
static void subtract(struct quota *quota, struct counted *counted, size_t amount)
{
    assert(counted && counted->count >= amount);
    counted->count -= amount;
    if (counted->count > 0)
        return;
    map_remove(&quota->counts, str_from(counted->key, counted->key_len));
    free(counted);
}

bool quota_reserve(struct quota *quota, enum quota_kind kind, size_t amount, size_t max)
{
    const char key = (char)kind;
    size_t count;
    return amount == 0 || add(quota, str_from(&key, 1), amount, max, &count);
}

void quota_give_back(struct quota *quota, enum quota_kind kind, size_t amount)
{
    const char key = (char)kind;
    if (amount == 0)
        return;
    pthread_mutex_lock(&quota->mutex);
    subtract(quota, map_get(&quota->counts, str_from(&key, 1)), amount);
    pthread_mutex_unlock(&quota->mutex);
}

size_t quota_count(struct quota *quota, enum quota_kind kind, struct str key)
{
    struct whole_key whole;
    whole_key_init(&whole, kind, key);
    pthread_mutex_lock(&quota->mutex);
    const struct counted *counted = map_get(&quota->counts, whole.bytes);
    size_t count = counted ? counted->count : 0;
    pthread_mutex_unlock(&quota->mutex);
    whole_key_fini(&whole);
    return count;
}

size_t lease_take(struct lease *lease, struct quota *quota, enum quota_kind kind, struct str key, size_t max)
{
    struct whole_key whole;
    size_t count = 0;
    assert(lease->count < LEASE_KEYS_MAX);
    whole_key_init(&whole, kind, key);
    struct counted *counted = add(quota, whole.bytes, 1, max ? max : SIZE_MAX, &count);
    whole_key_fini(&whole);
    if (!counted)
        return 0;
    lease->of[lease->count++] = counted;
    return count;
}

void lease_release(struct lease *lease, struct quota *quota)
{
    if (lease->count == 0)
        return;
    pthread_mutex_lock(&quota->mutex);
    while (lease->count > 0)
        subtract(quota, lease->of[--lease->count], 1);
    pthread_mutex_unlock(&quota->mutex);
}
