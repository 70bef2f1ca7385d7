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
    struct map counts; /* key -> struct counted, which holds the key's bytes */
};

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
    if (key.len > 0)
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

size_t quota_take(struct quota *quota, struct str key, size_t max)
{
    size_t count = 0;
    return add(quota, key, 1, max, &count) ? count : 0;
}

bool quota_reserve(struct quota *quota, struct str key, size_t amount, size_t max)
{
    size_t count;
    return amount == 0 || add(quota, key, amount, max, &count);
}

void quota_give_back(struct quota *quota, struct str key, size_t amount)
{
    if (amount == 0)
        return;
    pthread_mutex_lock(&quota->mutex);
    subtract(quota, map_get(&quota->counts, key), amount);
    pthread_mutex_unlock(&quota->mutex);
}

void quota_release(struct quota *quota, struct str key)
{
    quota_give_back(quota, key, 1);
}

size_t quota_count(struct quota *quota, struct str key)
{
    pthread_mutex_lock(&quota->mutex);
    const struct counted *counted = map_get(&quota->counts, key);
    size_t count = counted ? counted->count : 0;
    pthread_mutex_unlock(&quota->mutex);
    return count;
}

size_t lease_take(struct lease *lease, struct quota *quota, const char *kind, struct str key, size_t max)
{
    char room[256];
    size_t kind_len = strlen(kind), len = kind_len + 1 + key.len, count = 0;
    char *whole = len <= sizeof room ? room : xmalloc(len);
    assert(lease->count < LEASE_KEYS_MAX);
    memcpy(whole, kind, kind_len);
    whole[kind_len] = ':';
    if (key.len > 0)
        memcpy(whole + kind_len + 1, key.ptr, key.len);
    struct counted *counted = add(quota, str_from(whole, len), 1, max ? max : SIZE_MAX, &count);
    if (counted)
        lease->of[lease->count++] = counted;
    if (whole != room)
        free(whole);
    return counted ? count : 0;
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
