/* quota.c - see quota.h. */
#include "server/net/quota.h"

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

/* The new count; 0: refused. */
static size_t add(struct quota *quota, struct str key, size_t amount, size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&quota->mutex);
    struct counted *counted = map_get(&quota->counts, key);
    size_t before = counted ? counted->count : 0;
    if (before <= max && amount <= max - before && amount > 0) {
        if (!counted)
            counted = add_key(quota, key);
        counted->count += amount;
        count = counted->count;
    }
    pthread_mutex_unlock(&quota->mutex);
    return count;
}

size_t quota_take(struct quota *quota, struct str key, size_t max)
{
    return add(quota, key, 1, max);
}

bool quota_reserve(struct quota *quota, struct str key, size_t amount, size_t max)
{
    return amount == 0 || add(quota, key, amount, max) > 0;
}

void quota_give_back(struct quota *quota, struct str key, size_t amount)
{
    if (amount == 0)
        return;
    pthread_mutex_lock(&quota->mutex);
    struct counted *counted = map_get(&quota->counts, key);
    assert(counted && counted->count >= amount);
    counted->count -= amount;
    if (counted->count == 0) {
        map_remove(&quota->counts, key);
        free(counted);
    }
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
    assert(lease->count < LEASE_KEYS_MAX);
    size_t kind_len = strlen(kind);
    char *whole = xmalloc(kind_len + 1 + key.len + 1);
    memcpy(whole, kind, kind_len);
    whole[kind_len] = ':';
    if (key.len > 0)
        memcpy(whole + kind_len + 1, key.ptr, key.len);
    whole[kind_len + 1 + key.len] = '\0'; /* a subject has no NUL: claims.h */
    size_t count = quota_take(quota, str_from_cstr(whole), max ? max : SIZE_MAX);
    if (count)
        lease->keys[lease->count++] = whole;
    else
        free(whole);
    return count;
}

void lease_release(struct lease *lease, struct quota *quota)
{
    while (lease->count > 0) {
        char *key = lease->keys[--lease->count];
        quota_release(quota, str_from_cstr(key));
        free(key);
    }
}
