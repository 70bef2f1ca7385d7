/* made_keys.h - keys made anew for each run, in every form that a user could configure. Tokens have any header and
 * payload, also some that the product would never issue. */
#ifndef CARILLON_TESTS_MADE_KEYS_H
#define CARILLON_TESTS_MADE_KEYS_H

#include "common/token/issue.h"
#include "common/token/verify.h"

struct made_key {
    struct buf private_pem;
    struct buf public_pem;
    struct buf certificate_pem;
    struct buf jwk; /* public; an object without kid and alg, closed by '}' */
};

void made_rsa(struct made_key *out, unsigned bits);
void made_ec(struct made_key *out, const char *curve); /* "P-256", "P-384", "P-521" */
void made_ed25519(struct made_key *out);
void made_key_fini(struct made_key *key);

/* A keyset of one key file's text. Fails the test if it is not accepted. */
struct token_keys *keys_of(const char *text, const char *kid, unsigned algorithms);
struct token_keys *keys_of_secret(const char *secret, const char *kid);

/* header '.' payload '.' signature over them, made with the first key of keys, whatever the header claims. */
const char *raw_token(struct buf *out, const struct token_keys *keys, const char *algorithm, const char *header,
                      const char *payload);

#define SECRET  "a secret of more than sixty-four bytes, so that it serves HS512 too"
#define NOW_MS  1700000000000u
#define PAYLOAD "{\"sub\":\"user-1\",\"exp\":1700000100}"

#endif
