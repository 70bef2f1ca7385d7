/* algorithm.h - the table of signature algorithms that a token may be verified with (RFC 7518 section 3, RFC 8037).
 * "none" is not in it and never will be. Any thread. */
#ifndef CARILLON_TOKEN_ALGORITHM_H
#define CARILLON_TOKEN_ALGORITHM_H

#include <openssl/evp.h>

#include "common/base/buf.h"
#include "common/base/error.h"

/* The sizes of keys that are accepted. */
enum {
    TOKEN_SECRET_MIN = 32,     /* bytes, RFC 7518 section 3.2 for HS256 */
    TOKEN_RSA_MIN_BITS = 2048, /* RFC 7518 section 3.3 */
    TOKEN_RSA_MAX_BITS = 8192, /* beyond it a verification costs too much to offer to strangers */
};

/* The kind of key that an algorithm needs. A key has one kind for life, so an RSA key can never be taken for an HMAC
 * secret. */
enum key_kind {
    KEY_SECRET,
    KEY_RSA,
    KEY_P256,
    KEY_P384,
    KEY_ED25519,
};

/* Algorithms as bits, for sets of them. */
enum algorithm_bit {
    ALGORITHM_HS256 = 1 << 0,
    ALGORITHM_HS384 = 1 << 1,
    ALGORITHM_HS512 = 1 << 2,
    ALGORITHM_RS256 = 1 << 3,
    ALGORITHM_RS384 = 1 << 4,
    ALGORITHM_RS512 = 1 << 5,
    ALGORITHM_PS256 = 1 << 6,
    ALGORITHM_PS384 = 1 << 7,
    ALGORITHM_PS512 = 1 << 8,
    ALGORITHM_ES256 = 1 << 9,
    ALGORITHM_ES384 = 1 << 10,
    ALGORITHM_EDDSA = 1 << 11,
    ALGORITHM_ALL = (1 << 12) - 1,
};

struct algorithm {
    const char *name; /* "RS256", as in the token's header */
    enum algorithm_bit bit;
    enum key_kind kind;
    const char *digest;     /* OpenSSL's name of the hash; NULL for EdDSA, which hashes by itself */
    size_t signature_bytes; /* 0: as long as the RSA modulus */
    bool pss;
};

/* Finds an algorithm by its exact name, or by the lowest bit of a set. NULL if there is none. */
const struct algorithm *algorithm_by_name(struct str name);
const struct algorithm *algorithm_first(unsigned set);

/* All that a key of this kind can serve. */
unsigned algorithm_set_of(enum key_kind kind);

/* Reads "HS256, ES256" (commas, spaces, or both). The error names the word and lists the known ones. */
enum err algorithm_set_parse(struct str names, unsigned *out, struct error *error);

/* Appends "HS256, ES256". */
void algorithm_set_append(struct buf *out, unsigned set);

/* "RSA", "EC P-256", ...: for messages. */
const char *key_kind_text(enum key_kind kind);

/* The algorithm's hash, fetched once per process: a fetch takes locks and time. NULL for EdDSA. */
const EVP_MD *algorithm_digest(const struct algorithm *algorithm);

#endif
