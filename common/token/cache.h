/* cache.h - tokens whose signature has been checked, so that a client that reconnects does not cost a public-key
 * operation again. One per worker, no locks. Kept under the SHA-256 of the token, never under the token; a refused
 * token is not kept. A hit still passes everything that depends on policy and time (algorithm, issuer, audience,
 * times), so it answers exactly as token_verify would. Bounded in number and bytes: expired ones go, then those used
 * least recently; another keyset empties it. */
#ifndef CARILLON_TOKEN_CACHE_H
#define CARILLON_TOKEN_CACHE_H

#include "common/token/verify.h"

struct token_cache;

/* At most max entries (0 keeps none), and bytes_max bytes of what they say. */
struct token_cache *token_cache_create(size_t max, size_t bytes_max);
void token_cache_destroy(struct token_cache *cache);

/* As token_verify. Holds a reference to keys until it sees another keyset. */
enum reason token_cache_verify(struct token_cache *cache, struct token_keys *keys, const struct token_policy *policy,
                               struct str token, uint64_t now_ms, struct claims **out, struct error *error);

/* Drops those that have expired among the next `looks` ones; all are looked at in turn. To be called now and then, as
 * verifying looks only at few. */
void token_cache_expire(struct token_cache *cache, const struct token_policy *policy, uint64_t now_ms, size_t looks);

size_t token_cache_bytes(const struct token_cache *cache);
size_t token_cache_count(const struct token_cache *cache);
/* How many verifications were answered without looking at a signature. */
uint64_t token_cache_hits(const struct token_cache *cache);

#endif
