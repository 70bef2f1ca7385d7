/* key.c - the common part of all keys, and PEM: see key.h. */
#include "common/token/key.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

void key_fini(struct token_key *key)
{
    EVP_PKEY_free(key->pkey);
    buf_wipe(&key->secret);
    free(key->source);
    free(key->kid);
    *key = (struct token_key){0};
}

enum err key_restrict(struct token_key *key, unsigned wanted, struct error *error)
{
    unsigned able = key->algorithms;
    const struct algorithm *odd = algorithm_first(wanted & ~able);
    if (odd && key->too_short_for & odd->bit)
        return key_say_too_short(key, odd, error);
    if (odd)
        return error_set(error, ERR_INVALID_REQUEST, "the key is of kind %s and cannot serve %s",
                         key_kind_text(key->kind), odd->name);
    if (wanted) {
        key->algorithms = wanted;
        key->too_short_for = 0; /* nothing is asked of it that it could be too short for */
    }
    return ERR_NONE;
}

enum err key_say_too_short(const struct token_key *key, const struct algorithm *algorithm, struct error *error)
{
    return error_set(error, ERR_INVALID_REQUEST,
                     "the secret has %zu bytes; %s needs at least %zu, as many as its hash (RFC 7518, 3.2)",
                     key->secret.len, algorithm->name, algorithm->signature_bytes);
}

/* HMACs whose hash is no longer than the secret. */
static unsigned algorithms_for(size_t secret_bytes)
{
    unsigned able = 0;
    for (unsigned rest = algorithm_set_of(KEY_SECRET); rest; rest &= rest - 1) {
        const struct algorithm *algorithm = algorithm_first(rest);
        if (algorithm->signature_bytes <= secret_bytes)
            able |= algorithm->bit;
    }
    return able;
}

enum err key_adopt_secret(struct token_key *key, struct str secret, struct error *error)
{
    if (secret.len < TOKEN_SECRET_MIN)
        return error_set(error, ERR_INVALID_REQUEST,
                         "the secret has %zu bytes; at least %d are needed (openssl rand -base64 48 makes one)",
                         secret.len, TOKEN_SECRET_MIN);
    /* Taking a public key's text for a secret would let everyone who has the public key sign. */
    if (str_starts_with(secret, STR("-----BEGIN ")))
        return error_set(error, ERR_INVALID_REQUEST, "the secret is a PEM file; give it as a key file instead");
    buf_reserve(&key->secret, secret.len);
    buf_append(&key->secret, secret);
    key->kind = KEY_SECRET;
    key->algorithms = algorithms_for(secret.len);
    key->too_short_for = algorithm_set_of(KEY_SECRET) & ~key->algorithms;
    key->can_sign = true;
    return ERR_NONE;
}

static bool kind_of(EVP_PKEY *pkey, enum key_kind *out)
{
    char group[32] = "";
    if (EVP_PKEY_is_a(pkey, "RSA"))
        *out = KEY_RSA;
    else if (EVP_PKEY_is_a(pkey, "ED25519"))
        *out = KEY_ED25519;
    else if (!EVP_PKEY_is_a(pkey, "EC") || !EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL))
        return false;
    else if (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0)
        *out = KEY_P256;
    else if (strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0)
        *out = KEY_P384;
    else
        return false;
    return true;
}

/* On the curve, not the point at infinity; sound RSA modulus and exponent. */
static bool is_sound(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool sound = check && EVP_PKEY_public_check(check) == 1;
    EVP_PKEY_CTX_free(check);
    ERR_clear_error();
    return sound;
}

enum err key_adopt(struct token_key *key, EVP_PKEY *pkey, struct error *error)
{
    key->pkey = pkey;
    if (!kind_of(pkey, &key->kind)) {
        ERR_clear_error();
        return error_set(error, ERR_INVALID_REQUEST,
                         "the key is of a kind that is not supported; RSA, EC P-256, EC P-384 and Ed25519 are");
    }
    int bits = EVP_PKEY_get_bits(pkey);
    if (key->kind == KEY_RSA && (bits < TOKEN_RSA_MIN_BITS || bits > TOKEN_RSA_MAX_BITS))
        return error_set(error, ERR_INVALID_REQUEST, "the RSA key has %d bits; %d to %d are accepted", bits,
                         TOKEN_RSA_MIN_BITS, TOKEN_RSA_MAX_BITS);
    if (!is_sound(pkey))
        return error_set(error, ERR_INVALID_REQUEST, "the %s key is not valid (a point off the curve, or bad numbers)",
                         key_kind_text(key->kind));
    key->algorithms = algorithm_set_of(key->kind);
    return ERR_NONE;
}

/* OpenSSL would ask the terminal for a passphrase. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    return -1;
}

/* The label of the first PEM block that may hold a key, such as "PUBLIC KEY"; empty if there is none. */
static struct str first_label(struct str pem)
{
    static const struct str begin = {"-----BEGIN ", 11};
    while (pem.ptr) {
        struct str line = str_split(&pem, '\n');
        if (!str_starts_with(line, begin))
            continue;
        struct str label = str_skip(line, begin.len);
        const char *dash = memchr(label.ptr, '-', label.len);
        label.len = dash ? (size_t)(dash - label.ptr) : label.len;
        if (!str_eq(label, STR("EC PARAMETERS"))) /* openssl ecparam -genkey writes them before the key */
            return label;
    }
    return STR("");
}

static bool ends_with(struct str s, struct str tail)
{
    return s.len >= tail.len && str_eq(str_from(s.ptr + s.len - tail.len, tail.len), tail);
}

static EVP_PKEY *read_certificate(BIO *bio)
{
    X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return pkey;
}

enum err key_from_pem(struct token_key *key, struct str pem, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    struct str label = first_label(pem);
    if (label.len == 0 && pem.len >= 2 && (memcmp(pem.ptr, "\xFF\xFE", 2) == 0 || memcmp(pem.ptr, "\xFE\xFF", 2) == 0))
        return error_set(error, ERR_INVALID_REQUEST, "the text is UTF-16; save it as UTF-8 or ASCII");
    if (label.len == 0)
        return error_set(error, ERR_INVALID_REQUEST,
                         "no PEM block found; a line \"-----BEGIN PUBLIC KEY-----\" is expected");
    if (pem.len > INT32_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "the PEM text is too long");
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    EVP_PKEY *pkey = NULL;
    bool known = true;
    if (str_eq(label, STR("CERTIFICATE")))
        pkey = read_certificate(bio);
    else if (ends_with(label, STR("PUBLIC KEY")))
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    else if (ends_with(label, STR("PRIVATE KEY")))
        pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    else
        known = false;
    BIO_free(bio);
    ERR_clear_error();
    if (!known)
        return error_set(error, ERR_INVALID_REQUEST,
                         "the PEM block is %s; a public key, a private key or a certificate is expected",
                         error_quote(label, quoted));
    if (!pkey)
        return error_set(error, ERR_INVALID_REQUEST,
                         "the PEM block %s cannot be read (damaged, of an unknown kind, or behind a passphrase)",
                         error_quote(label, quoted));
    key->can_sign = ends_with(label, STR("PRIVATE KEY"));
    return key_adopt(key, pkey, error);
}
