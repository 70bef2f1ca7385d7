/* keys.h - the keys that tokens are verified with (and, with private keys, signed). One thread builds a keyset; after
 * that it does not change. So several workers may hold references and verify at once. A reload builds a new keyset.
 * Errors name the source and what to do, never key bytes. Key bytes are wiped when the last reference is given back. */
#ifndef CARILLON_TOKEN_KEYS_H
#define CARILLON_TOKEN_KEYS_H

#include "common/base/error.h"
#include "common/token/algorithm.h"

struct token_keys;

/* Empty, with one reference. */
struct token_keys *token_keys_create(void);
struct token_keys *token_keys_ref(struct token_keys *keys);
void token_keys_unref(struct token_keys *keys);
size_t token_keys_count(const struct token_keys *keys);
/* 16 bits that show nodes whether they have the same keys, in any order and form. 16 bits are too few to help somebody
 * who guesses a secret. */
unsigned token_keys_digest(const struct token_keys *keys);

/* The functions below add to a keyset that is not shared yet. If they fail with ERR_INVALID_REQUEST, the keyset is as
 * it was. source is the file or option, for messages. kid may be empty. algorithms is a set of enum algorithm_bit that
 * the key is bound to. With 0 the kind of the key decides: an RSA key gets RS and PS, a secret each HS that it is long
 * enough for. A byte order mark at the beginning of a PEM or JWK text is passed over. */

/* The bytes themselves are the HMAC secret: at least TOKEN_SECRET_MIN of them. */
enum err token_keys_add_secret(struct token_keys *keys, const char *source, struct str kid, unsigned algorithms,
                               struct str secret, struct error *error);

/* One public key, private key without passphrase, or certificate (the first counts). */
enum err token_keys_add_pem(struct token_keys *keys, const char *source, struct str kid, unsigned algorithms,
                            struct str pem, struct error *error);

/* A JWK or a JWK set (RFC 7517): RSA, EC P-256 and P-384, OKP Ed25519, oct. Keys of a set that are not for signatures,
 * or of an unknown kind, are passed over. A bad key among the others fails. kid and algorithms apply to a single key
 * only, and must not contradict it. */
enum err token_keys_add_jwk(struct token_keys *keys, const char *source, struct str kid, unsigned algorithms,
                            struct str json, struct error *error);

/* Checks that each secret is long enough for each HMAC among the algorithms, unless the secret is bound to others. RFC
 * 7518, 3.2: a secret must be as long as the hash. ERR_INVALID_REQUEST names the secret that is too short. */
enum err token_keys_check(const struct token_keys *keys, unsigned algorithms, struct error *error);

/* A key file: PEM, or JWK(S) if it begins with '{'. */
enum err token_keys_add_file_text(struct token_keys *keys, const char *source, struct str kid, unsigned algorithms,
                                  struct str text, struct error *error);

#endif
