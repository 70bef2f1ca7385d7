/* signature.c - the raw signature operations, by OpenSSL, with keys that are parsed once: see key.h. A failed operation
 * leaves OpenSSL's error queue empty. Otherwise TLS code of the same thread would find the error. */
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "common/token/key.h"

enum { EC_SIGNATURE_MAX = 96, DER_MAX = EC_SIGNATURE_MAX + 16 };

static const unsigned char *bytes_of(struct str s)
{
    return (const unsigned char *)s.ptr;
}

static bool hmac(const struct token_key *key, const struct algorithm *algorithm, struct str text,
                 unsigned char out[EVP_MAX_MD_SIZE])
{
    unsigned len = 0;
    return HMAC(algorithm_digest(algorithm), key->secret.ptr, (int)key->secret.len, bytes_of(text), text.len, out,
                &len) &&
           len == algorithm->signature_bytes;
}

static bool verify_hmac(const struct token_key *key, const struct algorithm *algorithm, struct str text,
                        struct str signature)
{
    unsigned char expected[EVP_MAX_MD_SIZE];
    bool good = signature.len == algorithm->signature_bytes && hmac(key, algorithm, text, expected) &&
                CRYPTO_memcmp(expected, signature.ptr, signature.len) == 0;
    OPENSSL_cleanse(expected, sizeof expected);
    return good;
}

/* JOSE has r and s side by side at full width (RFC 7518, 3.4), OpenSSL wants DER. Returns its length, 0 on failure. */
static int der_from_raw(struct str raw, unsigned char out[DER_MAX])
{
    int half = (int)raw.len / 2;
    unsigned char *end = out;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes_of(raw), half, NULL);
    BIGNUM *s = BN_bin2bn(bytes_of(raw) + half, half, NULL);
    if (!pair || !ECDSA_SIG_set0(pair, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return 0;
    }
    int len = i2d_ECDSA_SIG(pair, &end);
    ECDSA_SIG_free(pair);
    return len > 0 ? len : 0;
}

static bool raw_from_der(const unsigned char *der, size_t len, size_t raw_len, unsigned char out[EC_SIGNATURE_MAX])
{
    int half = (int)raw_len / 2;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, half) == half &&
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, half) == half;
    ECDSA_SIG_free(pair);
    return good;
}

static bool is_elliptic(const struct algorithm *algorithm)
{
    return algorithm->kind == KEY_P256 || algorithm->kind == KEY_P384;
}

/* RFC 7518, 3.5: MGF1 with the same hash, salt as long as the hash. */
static bool set_padding(const struct algorithm *algorithm, EVP_PKEY_CTX *parameters)
{
    return !algorithm->pss || (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
                               EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1);
}

bool signature_verify(const struct token_key *key, const struct algorithm *algorithm, struct str text,
                      struct str signature)
{
    unsigned char der[DER_MAX];
    if (!(key->algorithms & algorithm->bit) || key->kind != algorithm->kind)
        return false;
    if (algorithm->kind == KEY_SECRET)
        return verify_hmac(key, algorithm, text, signature);
    if (algorithm->signature_bytes && signature.len != algorithm->signature_bytes)
        return false;
    if (is_elliptic(algorithm))
        signature = str_from((const char *)der, (size_t)der_from_raw(signature, der));
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL; /* owned by digest */
    bool good = digest &&
                EVP_DigestVerifyInit(digest, &parameters, algorithm_digest(algorithm), NULL, key->pkey) == 1 &&
                set_padding(algorithm, parameters) &&
                EVP_DigestVerify(digest, bytes_of(signature), signature.len, bytes_of(text), text.len) == 1;
    EVP_MD_CTX_free(digest);
    if (!good)
        ERR_clear_error();
    return good;
}

static bool sign(const struct token_key *key, const struct algorithm *algorithm, struct str text, struct buf *out)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL; /* owned by digest */
    size_t len = 0;
    bool good = digest && EVP_DigestSignInit(digest, &parameters, algorithm_digest(algorithm), NULL, key->pkey) == 1 &&
                set_padding(algorithm, parameters) && EVP_DigestSign(digest, NULL, &len, bytes_of(text), text.len) == 1;
    if (good) {
        buf_reserve(out, len);
        unsigned char *end = (unsigned char *)out->ptr + out->len;
        good = EVP_DigestSign(digest, end, &len, bytes_of(text), text.len) == 1;
        out->len += good ? len : 0;
    }
    EVP_MD_CTX_free(digest);
    ERR_clear_error();
    return good;
}

enum err signature_make(const struct token_key *key, const struct algorithm *algorithm, struct str text,
                        struct buf *out, struct error *error)
{
    unsigned char raw[EC_SIGNATURE_MAX > EVP_MAX_MD_SIZE ? EC_SIGNATURE_MAX : EVP_MAX_MD_SIZE];
    size_t before = out->len;
    bool good;
    if (algorithm->kind == KEY_SECRET) {
        good = hmac(key, algorithm, text, raw);
    } else {
        good = sign(key, algorithm, text, out);
        if (!is_elliptic(algorithm))
            return good ? ERR_NONE : error_set(error, ERR_INTERNAL_ERROR, "%s: signing failed", key->source);
        good = good && raw_from_der((const unsigned char *)out->ptr + before, out->len - before,
                                    algorithm->signature_bytes, raw);
        out->len = before;
    }
    if (!good)
        return error_set(error, ERR_INTERNAL_ERROR, "%s: signing failed", key->source);
    buf_append(out, str_from((const char *)raw, algorithm->signature_bytes));
    return ERR_NONE;
}
