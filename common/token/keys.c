/* keys.c - see keys.h. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/token/keys_private.h"

struct token_keys *token_keys_create(void)
{
    struct token_keys *keys = xcalloc(1, sizeof *keys);
    atomic_init(&keys->refs, 1);
    return keys;
}

struct token_keys *token_keys_ref(struct token_keys *keys)
{
    atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
    return keys;
}

/* Drops the keys after the first `count`. */
static void truncate_keys(struct token_keys *keys, size_t count)
{
    while (keys->count > count)
        key_fini(&keys->list[--keys->count]);
}

void token_keys_unref(struct token_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1)
        return;
    truncate_keys(keys, 0);
    free(keys->list);
    free(keys);
}

size_t token_keys_count(const struct token_keys *keys)
{
    return keys->count;
}

/* Room for one more key, not counted yet. */
static struct token_key *begin_key(struct token_keys *keys, const char *source, struct str kid)
{
    keys->list = xrealloc(keys->list, (keys->count + 1) * sizeof *keys->list);
    struct token_key *key = &keys->list[keys->count];
    *key = (struct token_key){.source = xstrdup(source), .kid = kid.len ? str_dup(kid) : NULL};
    return key;
}

/* Counts the key if all went well, else frees it and puts the source in front of what the error says. */
static enum err end_key(struct token_keys *keys, struct token_key *key, unsigned algorithms, enum err err,
                        const struct error *cause, struct error *error)
{
    struct error own;
    if (!err) {
        err = key_restrict(key, algorithms, &own);
        cause = &own;
    }
    if (!err) {
        keys->count++;
        return ERR_NONE;
    }
    error_set(error, ERR_INVALID_REQUEST, "%s: %s", key->source, cause->text);
    key_fini(key);
    return ERR_INVALID_REQUEST;
}

enum err token_keys_add_secret(struct token_keys *keys, const char *source, struct str kid, unsigned algorithms,
                               struct str secret, struct error *error)
{
    struct error cause;
    struct token_key *key = begin_key(keys, source, kid);
    enum err err = key_adopt_secret(key, secret, &cause);
    return end_key(keys, key, algorithms, err, &cause, error);
}

/* Some editors put one before what they save as UTF-8. */
static struct str without_mark(struct str text)
{
    bool marked = str_starts_with(text, STR("\xEF\xBB\xBF"));
    return marked ? str_skip(text, 3) : text;
}

enum err token_keys_add_pem(struct token_keys *keys, const char *source, struct str kid, unsigned algorithms,
                            struct str pem, struct error *error)
{
    struct error cause;
    struct token_key *key = begin_key(keys, source, kid);
    enum err err = key_from_pem(key, without_mark(pem), &cause);
    return end_key(keys, key, algorithms, err, &cause, error);
}

static enum err add_jwk(struct token_keys *keys, const char *source, struct str kid, unsigned algorithms,
                        struct json_value jwk, struct error *error)
{
    struct error cause;
    struct token_key *key = begin_key(keys, source, kid);
    enum err err = key_from_jwk(key, jwk, &cause);
    return end_key(keys, key, algorithms, err, &cause, error);
}

static enum err add_set(struct token_keys *keys, const char *source, struct json_value set, struct error *error)
{
    size_t before = keys->count;
    size_t index = 0;
    struct json_cursor at = json_walk(set);
    struct str name;
    struct json_value jwk;
    for (; json_next(&at, &name, &jwk); index++) {
        char numbered[300];
        if (jwk_is_foreign(jwk))
            continue;
        snprintf(numbered, sizeof numbered, "%.250s: keys[%zu]", source, index);
        if (add_jwk(keys, numbered, STR(""), 0, jwk, error) != ERR_NONE) {
            truncate_keys(keys, before);
            return ERR_INVALID_REQUEST;
        }
    }
    if (keys->count == before)
        return error_set(error, ERR_INVALID_REQUEST, "%s: none of the %zu keys in the set can verify tokens", source,
                         index);
    return ERR_NONE;
}

enum err token_keys_add_jwk(struct token_keys *keys, const char *source, struct str kid, unsigned algorithms,
                            struct str json, struct error *error)
{
    struct json_value top;
    struct error cause;
    if (json_check(without_mark(json), NULL, &top, &cause) != ERR_NONE)
        return error_set(error, ERR_INVALID_REQUEST, "%s: %s", source, cause.text);
    struct json_value set = json_member(top.type == JSON_OBJECT ? top : (struct json_value){0}, STR("keys"));
    if (!set.type)
        return add_jwk(keys, source, kid, algorithms, top, error);
    if (set.type != JSON_ARRAY)
        return error_set(error, ERR_INVALID_REQUEST, "%s: \"keys\" must be an array of keys", source);
    if (kid.len || algorithms)
        return error_set(error, ERR_INVALID_REQUEST,
                         "%s: kid and algorithm belong into the members of a key set; leave them out here", source);
    return add_set(keys, source, set, error);
}

const struct token_key *keys_find_too_short(const struct token_keys *keys, const struct algorithm *algorithm)
{
    const struct token_key *found = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->list[i].algorithms & algorithm->bit)
            return NULL;
        if (keys->list[i].too_short_for & algorithm->bit)
            found = &keys->list[i];
    }
    return found;
}

enum err token_keys_check(const struct token_keys *keys, unsigned algorithms, struct error *error)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct token_key *key = &keys->list[i];
        const struct algorithm *lacking = algorithm_first(key->too_short_for & algorithms);
        struct error cause;
        if (!lacking)
            continue;
        key_say_too_short(key, lacking, &cause);
        return error_set(error, ERR_INVALID_REQUEST,
                         "%s: %s; take a longer secret, or take %s out of the accepted algorithms", key->source,
                         cause.text, lacking->name);
    }
    return ERR_NONE;
}

enum err token_keys_add_file_text(struct token_keys *keys, const char *source, struct str kid, unsigned algorithms,
                                  struct str text, struct error *error)
{
    size_t at = 0;
    text = without_mark(text);
    while (at < text.len &&
           (text.ptr[at] == ' ' || text.ptr[at] == '\t' || text.ptr[at] == '\r' || text.ptr[at] == '\n'))
        at++;
    bool is_json = at < text.len && text.ptr[at] == '{';
    return (is_json ? token_keys_add_jwk : token_keys_add_pem)(keys, source, kid, algorithms, text, error);
}

/* --- two keysets are compared without showing them -------------------------------------------------------------- */

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
