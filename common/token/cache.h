/* cache.h - tokens whose signature has been checked. A client that reconnects then costs no public-key operation. Each
 * worker has one cache, without locks.
 *
 * - The key of an entry is the SHA-256 of the token, never the token. A refused token is not kept.
 * - A hit still passes all checks of policy and time (algorithm, issuer, audience, times). So the cache answers exactly
 * as token_verify would.
 * - The cache is bounded in number and bytes. Expired entries go first, then those used least recently. Another keyset
 *   empties it. */
#ifndef CARILLON_TOKEN_CACHE_H
#define CARILLON_TOKEN_CACHE_H

#include "common/token/verify.h"

struct token_cache;

/* Keeps at most max entries (0 keeps none), and bytes_max bytes of claims. */
struct token_cache *token_cache_create(size_t max, size_t bytes_max);
void token_cache_destroy(struct token_cache *cache);

/* As token_verify. Holds a reference to keys until it sees another keyset. */
enum reason token_cache_verify(struct token_cache *cache, struct token_keys *keys, const struct token_policy *policy,
                               struct str token, uint64_t now_ms, struct claims **out, struct error *error);

/* Drops the expired ones of the next `looks` entries. Calls look at all entries in turn. Call it now and then, because
 * verifying looks only at a few. */
void token_cache_expire(struct token_cache *cache, const struct token_policy *policy, uint64_t now_ms, size_t looks);

size_t token_cache_bytes(const struct token_cache *cache);
size_t token_cache_count(const struct token_cache *cache);
/* How many verifications needed no signature check. */
uint64_t token_cache_hits(const struct token_cache *cache);

#endif
