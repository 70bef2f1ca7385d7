/* webhook.c - see webhook.h. */
#include "server/upstream/webhook.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/base/alloc.h"

enum { DIGEST_BYTES = 32, DIGEST_BASE64 = 44 };

/* The context of each secret is keyed once. A signature works on a copy of it. Counted, and immutable once made. */
struct keys {
    atomic_uint refs;
    EVP_MAC_CTX *keyed[WEBHOOK_SECRETS_MAX];
    size_t count;
};

struct webhook_secrets {
    atomic_uint refs;
    pthread_mutex_t lock; /* of keys; held for a few instructions, once for each request */
    struct keys *keys;    /* one reference */
};

static void keys_unref(struct keys *keys)
{
    if (atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < keys->count; i++)
        EVP_MAC_CTX_free(keys->keyed[i]);
    free(keys);
}

/* One reference, to those of the moment. */
static struct keys *present_keys(struct webhook_secrets *secrets)
{
    pthread_mutex_lock(&secrets->lock);
    struct keys *keys = secrets->keys;
    atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&secrets->lock);
    return keys;
}

static EVP_MAC_CTX *key_context(struct str key)
{
    static char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                     OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    if (context && !EVP_MAC_init(context, (const unsigned char *)key.ptr, key.len, parameters)) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    return context;
}

/* Standard base64 (RFC 4648, 4), padded or not. Returns the number of bytes, -1 if it is malformed. */
static int decode_base64(struct str text, unsigned char *out)
{
    char padded[WEBHOOK_SECRET_MAX + 4];
    while (text.len && text.ptr[text.len - 1] == '=')
        text.len--;
    if (text.len == 0 || text.len > WEBHOOK_SECRET_MAX || text.len % 4 == 1)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/'))
            return -1;
    }
    size_t missing = (4 - text.len % 4) % 4;
    memcpy(padded, text.ptr, text.len);
    memset(padded + text.len, '=', missing);
    int len = EVP_DecodeBlock(out, (const unsigned char *)padded, (int)(text.len + missing));
    OPENSSL_cleanse(padded, sizeof padded);
    return len < 0 ? -1 : len - (int)missing;
}

static enum err add_secret(struct keys *keys, struct str text, struct error *error)
{
    const struct str prefix = STR("whsec_");
    unsigned char decoded[WEBHOOK_SECRET_MAX];
    struct str key = text;
    if (str_starts_with(text, prefix)) {
        int len = decode_base64(str_skip(text, prefix.len), decoded);
        if (len < 0)
            return error_set(error, ERR_INVALID_REQUEST, "a secret that begins with whsec_ must go on in base64");
        key = str_from((const char *)decoded, (size_t)len);
    }
    if (key.len < WEBHOOK_SECRET_MIN || key.len > WEBHOOK_SECRET_MAX) {
        OPENSSL_cleanse(decoded, sizeof decoded);
        return error_set(error, ERR_INVALID_REQUEST, "a secret must have %d to %d bytes, and this one has %zu",
                         WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX, key.len);
    }
    EVP_MAC_CTX *context = key_context(key);
    OPENSSL_cleanse(decoded, sizeof decoded);
    if (!context)
        return error_set(error, ERR_INTERNAL_ERROR, "OpenSSL has no HMAC-SHA256");
    keys->keyed[keys->count++] = context;
    return ERR_NONE;
}

enum err webhook_secrets_create(const struct str *texts, size_t count, struct webhook_secrets **out,
                                struct error *error)
{
    if (count > WEBHOOK_SECRETS_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "expected at most %d secrets, found %zu", WEBHOOK_SECRETS_MAX,
                         count);
    struct keys *keys = xcalloc(1, sizeof *keys);
    atomic_init(&keys->refs, 1);
    for (size_t i = 0; i < count; i++) {
        enum err err = add_secret(keys, texts[i], error);
        if (err) {
            keys_unref(keys);
            return err;
        }
    }
    struct webhook_secrets *secrets = xcalloc(1, sizeof *secrets);
    atomic_init(&secrets->refs, 1);
    pthread_mutex_init(&secrets->lock, NULL);
    secrets->keys = keys;
    *out = secrets;
    return ERR_NONE;
}

struct webhook_secrets *webhook_secrets_ref(struct webhook_secrets *secrets)
{
    atomic_fetch_add_explicit(&secrets->refs, 1, memory_order_relaxed);
    return secrets;
}

void webhook_secrets_unref(struct webhook_secrets *secrets)
{
    if (!secrets || atomic_fetch_sub_explicit(&secrets->refs, 1, memory_order_acq_rel) != 1)
        return;
    keys_unref(secrets->keys);
    pthread_mutex_destroy(&secrets->lock);
    free(secrets);
}

void webhook_secrets_replace(struct webhook_secrets *secrets, struct webhook_secrets *by)
{
    struct keys *fresh = present_keys(by);
    pthread_mutex_lock(&secrets->lock);
    struct keys *old = secrets->keys;
    secrets->keys = fresh;
    pthread_mutex_unlock(&secrets->lock);
    keys_unref(old);
}

/* HMAC of both texts, one after the other. Without memory OpenSSL fails, and the process ends as it does elsewhere. */
static void sign(const EVP_MAC_CTX *keyed, struct str head, struct str body, unsigned char out[DIGEST_BYTES])
{
    size_t len = 0;
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(keyed);
    if (!context || !EVP_MAC_update(context, (const unsigned char *)head.ptr, head.len) ||
        !EVP_MAC_update(context, (const unsigned char *)body.ptr, body.len) ||
        !EVP_MAC_final(context, out, &len, DIGEST_BYTES) || len != DIGEST_BYTES)
        abort();
    EVP_MAC_CTX_free(context);
}

void webhook_write(struct buf *out, struct webhook_secrets *secrets, struct str id, uint64_t timestamp_s,
                   struct str body)
{
    unsigned char digest[DIGEST_BYTES], text[DIGEST_BASE64 + 1];
    if (!secrets)
        return;
    struct keys *keys = present_keys(secrets);
    struct buf head = {0};
    buf_append(&head, id);
    buf_appendf(&head, ".%llu.", (unsigned long long)timestamp_s);
    if (keys->count)
        buf_appendf(out, "webhook-id: %.*s\r\nwebhook-timestamp: %llu\r\nwebhook-signature:", STR_ARG(id),
                    (unsigned long long)timestamp_s);
    for (size_t i = 0; i < keys->count; i++) {
        sign(keys->keyed[i], buf_str(&head), body, digest);
        EVP_EncodeBlock(text, digest, DIGEST_BYTES);
        buf_appendf(out, " v1,%s", (const char *)text);
    }
    if (keys->count)
        buf_append_lit(out, "\r\n");
    buf_fini(&head);
    keys_unref(keys);
}

void webhook_write_hex(struct buf *out, struct webhook_secrets *secrets, const char *name, const char *prefix,
                       struct str text)
{
    unsigned char digest[DIGEST_BYTES];
    if (!secrets)
        return;
    struct keys *keys = present_keys(secrets);
    for (size_t i = 0; i < keys->count; i++) {
        sign(keys->keyed[i], text, STR(""), digest);
        if (i)
            buf_appendf(out, ",%s", prefix);
        else
            buf_appendf(out, "%s: %s", name, prefix);
        for (size_t j = 0; j < DIGEST_BYTES; j++)
            buf_appendf(out, "%02x", digest[j]);
    }
    if (keys->count)
        buf_append_lit(out, "\r\n");
    keys_unref(keys);
}
