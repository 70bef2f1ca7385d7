/* webhook.h - signatures of requests to backends, by the rules of Standard Webhooks: the headers webhook-id,
 * webhook-timestamp and webhook-signature. A signature is HMAC-SHA256 of "id.timestamp.body". While one secret replaces
 * another, requests carry a signature by each. Secrets are immutable once made, and used by all threads. */
#ifndef CARILLON_UPSTREAM_WEBHOOK_H
#define CARILLON_UPSTREAM_WEBHOOK_H

#include "common/base/buf.h"
#include "common/base/error.h"

enum { WEBHOOK_SECRETS_MAX = 2, WEBHOOK_SECRET_MIN = 16, WEBHOOK_SECRET_MAX = 1024 };

struct webhook_secrets;

/* Makes secrets of their texts, the present one first, at most two. A text is whsec_ and base64, or else the bytes of
 * the secret. ERR_INVALID_REQUEST says what is wrong, and never shows a secret. */
enum err webhook_secrets_create(const struct str *texts, size_t count, struct webhook_secrets **out,
                                struct error *error);
/* May be NULL. */
void webhook_secrets_destroy(struct webhook_secrets *secrets);

/* Appends the three headers, as lines with CR LF. id has no control characters. */
void webhook_write(struct buf *out, const struct webhook_secrets *secrets, struct str id, uint64_t timestamp_s,
                   struct str body);

/* Appends HMAC-SHA256 of the text by each secret: prefix and lower-case hexadecimal digits, with commas between
 * them. */
void webhook_append_hex(struct buf *out, const struct webhook_secrets *secrets, struct str prefix, struct str text);

#endif
