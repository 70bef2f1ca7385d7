/* made_keys.c - see made_keys.h. */
#include "tests/unit/token/made_keys.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/token/base64url.h"
#include "common/token/keys_private.h"

/* Not assert: it must also hold in release builds. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static void take_bio(BIO *bio, struct buf *out)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    buf_append(out, str_from(text, (size_t)len));
    buf_cstr(out);
    BIO_free(bio);
}

static void append_number(struct buf *out, EVP_PKEY *pkey, const char *member, const char *param, int width)
{
    BIGNUM *number = NULL;
    unsigned char bytes[1024];
    must(EVP_PKEY_get_bn_param(pkey, param, &number) == 1);
    int len = BN_bn2binpad(number, bytes, width ? width : BN_num_bytes(number));
    must(len > 0);
    buf_appendf(out, ",\"%s\":\"", member);
    base64url_append(out, str_from((char *)bytes, (size_t)len));
    buf_append_char(out, '"');
    BN_free(number);
}

static void append_jwk(struct buf *out, EVP_PKEY *pkey)
{
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        buf_append_lit(out, "{\"kty\":\"RSA\"");
        append_number(out, pkey, "n", OSSL_PKEY_PARAM_RSA_N, 0);
        append_number(out, pkey, "e", OSSL_PKEY_PARAM_RSA_E, 0);
    } else if (EVP_PKEY_is_a(pkey, "EC")) {
        int bits = EVP_PKEY_get_bits(pkey);
        buf_appendf(out, "{\"kty\":\"EC\",\"crv\":\"P-%d\"", bits);
        append_number(out, pkey, "x", OSSL_PKEY_PARAM_EC_PUB_X, (bits + 7) / 8);
        append_number(out, pkey, "y", OSSL_PKEY_PARAM_EC_PUB_Y, (bits + 7) / 8);
    } else {
        unsigned char bytes[32];
        size_t len = sizeof bytes;
        EVP_PKEY_get_raw_public_key(pkey, bytes, &len);
        buf_append_lit(out, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
        base64url_append(out, str_from((char *)bytes, len));
        buf_append_char(out, '"');
    }
    buf_append_char(out, '}');
    buf_cstr(out);
}

static void write_forms(struct made_key *out, EVP_PKEY *pkey)
{
    must(pkey);
    *out = (struct made_key){0};
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    take_bio(bio, &out->private_pem);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, pkey);
    take_bio(bio, &out->public_pem);
    X509 *certificate = X509_new();
    X509_set_pubkey(certificate, pkey);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    must(X509_sign(certificate, pkey, EVP_PKEY_is_a(pkey, "ED25519") ? NULL : EVP_sha256()) > 0);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    take_bio(bio, &out->certificate_pem);
    X509_free(certificate);
    append_jwk(&out->jwk, pkey);
    EVP_PKEY_free(pkey);
}

void made_rsa(struct made_key *out, unsigned bits)
{
    write_forms(out, EVP_RSA_gen(bits));
}

void made_ec(struct made_key *out, const char *curve)
{
    write_forms(out, EVP_EC_gen(curve));
}

void made_ed25519(struct made_key *out)
{
    write_forms(out, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
}

void made_key_fini(struct made_key *key)
{
    buf_fini(&key->private_pem);
    buf_fini(&key->public_pem);
    buf_fini(&key->certificate_pem);
    buf_fini(&key->jwk);
}

struct token_keys *keys_of(const char *text, const char *kid, unsigned algorithms)
{
    struct error error = {0};
    struct token_keys *keys = token_keys_create();
    enum err err =
        token_keys_add_file_text(keys, "key.pem", str_from_cstr(kid), algorithms, str_from_cstr(text), &error);
    if (err) {
        fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return keys;
}

struct token_keys *keys_of_secret(const char *secret, const char *kid)
{
    struct token_keys *keys = token_keys_create();
    must(token_keys_add_secret(keys, "secret", str_from_cstr(kid), 0, str_from_cstr(secret), NULL) == ERR_NONE);
    return keys;
}

const char *raw_token(struct buf *out, const struct token_keys *keys, const char *algorithm, const char *header,
                      const char *payload)
{
    struct buf signature = {0};
    buf_clear(out);
    base64url_append(out, str_from_cstr(header));
    buf_append_char(out, '.');
    base64url_append(out, str_from_cstr(payload));
    must(signature_make(&keys->list[0], algorithm_by_name(str_from_cstr(algorithm)), buf_str(out), &signature, NULL) ==
         ERR_NONE);
    buf_append_char(out, '.');
    base64url_append(out, buf_str(&signature));
    buf_fini(&signature);
    return buf_cstr(out);
}
