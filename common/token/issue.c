/* issue.c - see issue.h. */
#include "common/token/issue.h"

#include <jwt.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "common/token/base64url.h"
#include "common/token/keys_private.h"

static const struct token_key *find_signer(const struct token_keys *keys, unsigned algorithm_bit)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->list[i].can_sign && (!algorithm_bit || (keys->list[i].algorithms & algorithm_bit)))
            return &keys->list[i];
    return NULL;
}

/* libjwt takes private keys as PEM text. The caller wipes out. */
static bool private_pem(const struct token_key *key, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    bool good = bio && PEM_write_bio_PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) == 1;
    long len = good ? BIO_get_mem_data(bio, &text) : 0;
    if (len > 0) {
        buf_reserve(out, (size_t)len + 1);
        buf_append(out, str_from(text, (size_t)len));
    }
    BIO_free(bio);
    ERR_clear_error();
    return len > 0;
}

static enum err sign_with_libjwt(const struct token_key *key, const struct algorithm *algorithm, const char *kid,
                                 const char *payload, struct buf *out, struct error *error)
{
    struct buf pem = {0};
    struct str secret = buf_str(&key->secret);
    jwt_t *jwt = NULL;
    char *token = NULL;
    enum err err = ERR_NONE;
    if (key->kind != KEY_SECRET && private_pem(key, &pem))
        secret = buf_str(&pem);
    if (jwt_new(&jwt) != 0 || jwt_add_grants_json(jwt, payload) != 0)
        err = error_set(error, ERR_INVALID_REQUEST,
                        "libjwt cannot carry this payload (a number beyond 64 bits, or a text with NUL?)");
    else if ((kid && jwt_add_header(jwt, "kid", kid) != 0) ||
             jwt_set_alg(jwt, jwt_str_alg(algorithm->name), (const unsigned char *)secret.ptr, (int)secret.len) != 0 ||
             !(token = jwt_encode_str(jwt)))
        err = error_set(error, ERR_INTERNAL_ERROR, "%s: libjwt cannot sign with %s", key->source, algorithm->name);
    else
        buf_append(out, str_from_cstr(token));
    free(token);
    jwt_free(jwt);
    buf_wipe(&pem);
    ERR_clear_error();
    return err;
}

static enum err sign_directly(const struct token_key *key, const struct algorithm *algorithm, const char *kid,
                              struct str payload, struct buf *out, struct error *error)
{
    struct buf header = {0}, signature = {0}, token = {0};
    buf_appendf(&header, "{\"alg\":\"%s\"", algorithm->name);
    if (kid) {
        buf_append_lit(&header, ",\"kid\":");
        json_append_string(&header, str_from_cstr(kid));
    }
    buf_append_lit(&header, ",\"typ\":\"JWT\"}");
    base64url_append(&token, buf_str(&header));
    buf_append_char(&token, '.');
    base64url_append(&token, payload);
    enum err err = signature_make(key, algorithm, buf_str(&token), &signature, error);
    if (!err) {
        buf_append(out, buf_str(&token));
        buf_append_char(out, '.');
        base64url_append(out, buf_str(&signature));
    }
    buf_fini(&header);
    buf_fini(&signature);
    buf_fini(&token);
    return err;
}

enum err token_issue(const struct token_keys *keys, unsigned algorithm_bit, struct str kid, struct str payload,
                     struct buf *out, struct error *error)
{
    struct json_value value;
    const struct token_key *key = find_signer(keys, algorithm_bit);
    if (!key && !algorithm_bit)
        return error_set(error, ERR_INVALID_REQUEST, "no key can sign: a secret or a private key is needed");
    const struct token_key *short_one = key ? NULL : keys_find_too_short(keys, algorithm_first(algorithm_bit));
    if (short_one)
        return key_say_too_short(short_one, algorithm_first(algorithm_bit), error);
    if (!key)
        return error_set(error, ERR_INVALID_REQUEST, "no key can sign %s: its secret or private key is needed",
                         algorithm_first(algorithm_bit)->name);
    if (json_check(payload, NULL, &value, error) != ERR_NONE)
        return ERR_INVALID_REQUEST;
    if (value.type != JSON_OBJECT)
        return error_set(error, ERR_INVALID_REQUEST, "the payload of a token must be a JSON object");
    const struct algorithm *algorithm = algorithm_first(algorithm_bit ? algorithm_bit : key->algorithms);
    char *named = kid.len ? str_dup(kid) : NULL;
    const char *header_kid = named ? named : key->kid;
    enum err err;
    if (algorithm->pss || algorithm->kind == KEY_ED25519) {
        err = sign_directly(key, algorithm, header_kid, payload, out, error);
    } else {
        char *text = str_dup(value.raw);
        err = sign_with_libjwt(key, algorithm, header_kid, text, out, error);
        free(text);
    }
    free(named);
    return err;
}
