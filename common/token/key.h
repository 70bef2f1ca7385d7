/* key.h - one key of a keyset, and the raw signature operations with it. Only for the files of this folder: other code
 * holds a struct token_keys. A key does not change once its keyset is in use, so any thread may read it. */
#ifndef CARILLON_TOKEN_KEY_H
#define CARILLON_TOKEN_KEY_H

#include "common/json/json.h"
#include "common/token/algorithm.h"

struct token_key {
    char *source; /* the file or option it came from: for messages */
    char *kid;    /* NULL if it has none */
    enum key_kind kind;
    unsigned algorithms;    /* what it may verify: set of enum algorithm_bit, never more than its kind can serve */
    unsigned too_short_for; /* set of enum algorithm_bit: HMACs with a hash longer than the secret */
    bool can_sign;
    EVP_PKEY *pkey;    /* owned; NULL for secrets */
    struct buf secret; /* owned; wiped when freed */
};

/* Fills kind, algorithms, pkey or secret, and kid (if the caller gave none), from PEM text or one JWK object. After a
 * failure, key_fini frees the fields that were filled. */
enum err key_from_pem(struct token_key *key, struct str pem, struct error *error);
enum err key_from_jwk(struct token_key *key, struct json_value jwk, struct error *error);

/* May a JWK be passed over, as RFC 7517 section 5 asks: another use, an unknown type, curve or algorithm? */
bool jwk_is_foreign(struct json_value jwk);

/* Takes over pkey (also on failure) after checking that it is of a kind and size we accept. */
enum err key_adopt(struct token_key *key, EVP_PKEY *pkey, struct error *error);
/* The same for an HMAC secret, which is copied. */
enum err key_adopt_secret(struct token_key *key, struct str secret, struct error *error);
/* Binds the key to the wanted algorithms (0: all of its kind). Refuses what the kind cannot serve. */
enum err key_restrict(struct token_key *key, unsigned wanted, struct error *error);
/* "the secret has 40 bytes; HS512 needs at least 64 (RFC 7518, 3.2)" */
enum err key_say_too_short(const struct token_key *key, const struct algorithm *algorithm, struct error *error);
void key_fini(struct token_key *key);

/* Is this the algorithm's signature of text? key->algorithms must include the algorithm. */
bool signature_verify(const struct token_key *key, const struct algorithm *algorithm, struct str text,
                      struct str signature);

/* Appends the raw signature (for ES: r and s, RFC 7518 section 3.4). key->can_sign must be true. */
enum err signature_make(const struct token_key *key, const struct algorithm *algorithm, struct str text,
                        struct buf *out, struct error *error);

#endif
