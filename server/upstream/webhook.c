/* webhook.c - see webhook.h. */
#include "server/upstream/webhook.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "common/base/alloc.h"

enum { DIGEST_BYTES = 32, DIGEST_BASE64 = 44 };

/* The context of each secret is keyed once. A signature works on a copy of it. */
struct webhook_secrets {
    EVP_MAC_CTX *keyed[WEBHOOK_SECRETS_MAX];
    size_t count;
};

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

static enum err add_secret(struct webhook_secrets *secrets, struct str text, struct error *error)
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
    secrets->keyed[secrets->count++] = context;
    return ERR_NONE;
}

enum err webhook_secrets_create(const struct str *texts, size_t count, struct webhook_secrets **out,
                                struct error *error)
{
    struct webhook_secrets *secrets = xcalloc(1, sizeof *secrets);
    enum err err = ERR_NONE;
    if (count == 0 || count > WEBHOOK_SECRETS_MAX)
        err = error_set(error, ERR_INVALID_REQUEST, "expected 1 to %d secrets, found %zu", WEBHOOK_SECRETS_MAX, count);
    for (size_t i = 0; err == ERR_NONE && i < count; i++)
        err = add_secret(secrets, texts[i], error);
    if (err == ERR_NONE)
        *out = secrets;
    else
        webhook_secrets_destroy(secrets);
    return err;
}

void webhook_secrets_destroy(struct webhook_secrets *secrets)
{
    for (size_t i = 0; secrets && i < secrets->count; i++)
        EVP_MAC_CTX_free(secrets->keyed[i]);
    free(secrets);
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

void webhook_write(struct buf *out, const struct webhook_secrets *secrets, struct str id, uint64_t timestamp_s,
                   struct str body)
{
    unsigned char digest[DIGEST_BYTES], text[DIGEST_BASE64 + 1];
    struct buf head = {0};
    buf_append(&head, id);
    buf_appendf(&head, ".%llu.", (unsigned long long)timestamp_s);
    buf_appendf(out, "webhook-id: %.*s\r\nwebhook-timestamp: %llu\r\nwebhook-signature:", STR_ARG(id),
                (unsigned long long)timestamp_s);
    for (size_t i = 0; i < secrets->count; i++) {
        sign(secrets->keyed[i], buf_str(&head), body, digest);
        EVP_EncodeBlock(text, digest, DIGEST_BYTES);
        buf_appendf(out, " v1,%s", (const char *)text);
    }
    buf_append_lit(out, "\r\n");
    buf_fini(&head);
}

void webhook_append_hex(struct buf *out, const struct webhook_secrets *secrets, struct str prefix, struct str text)
{
    unsigned char digest[DIGEST_BYTES];
    for (size_t i = 0; i < secrets->count; i++) {
        sign(secrets->keyed[i], text, STR(""), digest);
        if (i)
            buf_append_char(out, ',');
        buf_append(out, prefix);
        for (size_t j = 0; j < DIGEST_BYTES; j++)
            buf_appendf(out, "%02x", digest[j]);
    }
}
