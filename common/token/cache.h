/* cache.h - tokens whose signature has been checked, so that a client that reconnects does not cost a public-key
 * operation again. One per worker, no locks. Kept under the SHA-256 of the token, never under the token; a refused
 * token is not kept. A hit still passes everything that depends on policy and time (algorithm, issuer, audience,
 * times), so it answers exactly as token_verify would. Least recently used entries go first; another keyset empties it.
 */
#ifndef CARILLON_TOKEN_CACHE_H
#define CARILLON_TOKEN_CACHE_H

#include "common/token/verify.h"

struct token_cache;

/* At most max entries, each of about the size of a token; 0 keeps none. */
struct token_cache *token_cache_create(size_t max);
void token_cache_destroy(struct token_cache *cache);

/* As token_verify. Holds a reference to keys until it sees another keyset. */
enum reason token_cache_verify(struct token_cache *cache, struct token_keys *keys, const struct token_policy *policy,
                               struct str token, uint64_t now_ms, struct claims **out, struct error *error);

size_t token_cache_count(const struct token_cache *cache);
/* How many verifications were answered without looking at a signature. */
uint64_t token_cache_hits(const struct token_cache *cache);

#endif
