/* cache.c - see cache.h. */
#include "common/token/cache.h"

#include <openssl/evp.h>

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/base/map.h"

enum {
    HASH_LEN = 32,
    ELSEWHERE_BYTES = 160, /* that an entry costs besides its struct and claims, about: malloc's headers, the map */
    LOOKS = 4,             /* for expired ones whenever one is added: more go than come */
};

struct cached_token {
    struct list_link link;
    char hash[HASH_LEN];
    enum algorithm_bit algorithm;
    struct claims *claims; /* one reference */
    size_t bytes;
};

struct token_cache {
    size_t max;
    size_t bytes;
    size_t bytes_max;
    uint64_t hits;
    size_t sweep;            /* where token_cache_expire goes on */
    struct map entries;      /* hash -> struct cached_token, which owns the key's bytes */
    struct list_link recent; /* least recently used first */
    struct token_keys *keys; /* one reference, so that a new keyset cannot have the old one's address */
    EVP_MD_CTX *digest;
    const EVP_MD *sha256;
};

struct token_cache *token_cache_create(size_t max, size_t bytes_max)
{
    struct token_cache *cache = xcalloc(1, sizeof *cache);
    cache->max = max;
    cache->bytes_max = bytes_max;
    cache->digest = EVP_MD_CTX_new();
    cache->sha256 = algorithm_digest(algorithm_first(ALGORITHM_HS256));
    list_init(&cache->recent);
    return cache;
}

static void drop(struct token_cache *cache, struct cached_token *entry)
{
    map_remove(&cache->entries, str_from(entry->hash, HASH_LEN));
    list_remove(&entry->link);
    cache->bytes -= entry->bytes;
    claims_unref(entry->claims);
    free(entry);
}

static struct cached_token *oldest(const struct token_cache *cache)
{
    return CONTAINER_OF(cache->recent.next, struct cached_token, link);
}

static void clear(struct token_cache *cache)
{
    while (!list_is_empty(&cache->recent))
        drop(cache, oldest(cache));
}

void token_cache_destroy(struct token_cache *cache)
{
    if (!cache)
        return;
    clear(cache);
    map_fini(&cache->entries);
    token_keys_unref(cache->keys);
    EVP_MD_CTX_free(cache->digest);
    free(cache);
}

size_t token_cache_count(const struct token_cache *cache)
{
    return cache->entries.count;
}

size_t token_cache_bytes(const struct token_cache *cache)
{
    return cache->bytes;
}

uint64_t token_cache_hits(const struct token_cache *cache)
{
    return cache->hits;
}

static void use_keys(struct token_cache *cache, struct token_keys *keys)
{
    if (cache->keys == keys)
        return;
    clear(cache);
    token_keys_unref(cache->keys);
    cache->keys = token_keys_ref(keys);
}

static bool hash_token(struct token_cache *cache, struct str token, char out[HASH_LEN])
{
    return EVP_DigestInit_ex(cache->digest, cache->sha256, NULL) == 1 &&
           EVP_DigestUpdate(cache->digest, token.ptr, token.len) == 1 &&
           EVP_DigestFinal_ex(cache->digest, (unsigned char *)out, NULL) == 1;
}

void token_cache_expire(struct token_cache *cache, const struct token_policy *policy, uint64_t now_ms, size_t looks)
{
    while (looks-- > 0) {
        struct cached_token *entry = map_next(&cache->entries, &cache->sweep);
        if (!entry) {
            cache->sweep = 0;
            return;
        }
        uint64_t ends_ms = entry->claims->exp_ms;
        if (ends_ms && ends_ms + policy->leeway_ms <= now_ms)
            drop(cache, entry); /* another may move to where it was: that one is looked at the next time round */
    }
}

/* Takes over the caller's reference. */
static void keep(struct token_cache *cache, const char hash[HASH_LEN], enum algorithm_bit algorithm,
                 struct claims *claims)
{
    struct cached_token *entry = xcalloc(1, sizeof *entry);
    memcpy(entry->hash, hash, HASH_LEN);
    entry->algorithm = algorithm;
    entry->claims = claims;
    entry->bytes = sizeof *entry + claims_bytes(claims) + ELSEWHERE_BYTES;
    cache->bytes += entry->bytes;
    while (!list_is_empty(&cache->recent) && (cache->entries.count >= cache->max || cache->bytes > cache->bytes_max))
        drop(cache, oldest(cache));
    list_append(&cache->recent, &entry->link);
    map_put(&cache->entries, str_from(entry->hash, HASH_LEN), entry);
}

static enum reason verify_known(struct token_cache *cache, struct cached_token *entry,
                                const struct token_policy *policy, uint64_t now_ms, struct claims **out,
                                struct error *error)
{
    enum reason reason = token_check_claims(policy, entry->claims, now_ms, error);
    if (reason == REASON_TOKEN_EXPIRED)
        drop(cache, entry);
    if (reason)
        return reason;
    list_remove(&entry->link);
    list_append(&cache->recent, &entry->link);
    *out = claims_ref(entry->claims);
    cache->hits++;
    return REASON_NONE;
}

enum reason token_cache_verify(struct token_cache *cache, struct token_keys *keys, const struct token_policy *policy,
                               struct str token, uint64_t now_ms, struct claims **out, struct error *error)
{
    char hash[HASH_LEN];
    use_keys(cache, keys);
    if (cache->max == 0 || token.len > policy->max_bytes || !hash_token(cache, token, hash))
        return token_verify(keys, policy, token, now_ms, out, error);
    struct cached_token *entry = map_get(&cache->entries, str_from(hash, HASH_LEN));
    /* An algorithm that another endpoint allows and this one does not: the full way finds the words for it. */
    if (entry && (entry->algorithm & policy->algorithms))
        return verify_known(cache, entry, policy, now_ms, out, error);
    struct claims *claims = NULL;
    const struct algorithm *algorithm;
    enum reason reason = token_open(keys, policy, token, &claims, &algorithm, error);
    if (!reason)
        reason = token_check_claims(policy, claims, now_ms, error);
    if (reason) {
        claims_unref(claims);
        return reason;
    }
    token_cache_expire(cache, policy, now_ms, LOOKS);
    keep(cache, hash, algorithm->bit, claims_ref(claims));
    *out = claims;
    return REASON_NONE;
}
