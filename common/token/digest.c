/* digest.c - compares two keysets without showing them: token_keys_digest of keys.h. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/token/keys_private.h"

/* Of the public half, so that a private key and its certificate are the same key. */
static void digest_key(const struct token_key *key, unsigned char out[EVP_MAX_MD_SIZE])
{
    unsigned char *public = NULL;
    int len = key->pkey ? i2d_PUBKEY(key->pkey, &public) : 0;
    memset(out, 0, EVP_MAX_MD_SIZE);
    if (public)
        EVP_Digest(public, (size_t)len, out, NULL, EVP_sha256(), NULL);
    else
        EVP_Digest(key->secret.ptr, key->secret.len, out, NULL, EVP_sha256(), NULL);
    OPENSSL_free(public);
}

unsigned token_keys_digest(const struct token_keys *keys)
{
    unsigned char all[EVP_MAX_MD_SIZE] = {0}, one[EVP_MAX_MD_SIZE];
    for (size_t i = 0; i < keys->count; i++) {
        digest_key(&keys->list[i], one);
        for (size_t k = 0; k < sizeof all; k++)
            all[k] = (unsigned char)(all[k] + one[k]); /* in whatever order */
    }
    EVP_Digest(all, sizeof all, one, NULL, EVP_sha256(), NULL);
    unsigned digest = (unsigned)one[0] << 8 | one[1];
    OPENSSL_cleanse(all, sizeof all);
    OPENSSL_cleanse(one, sizeof one);
    return digest;
}
