/* webhook.h - signatures of requests to backends, by the rules of Standard Webhooks: the headers webhook-id,
 * webhook-timestamp and webhook-signature. A signature is HMAC-SHA256 of "id.timestamp.body". While one secret replaces
 * another, requests carry a signature by each. The secrets of a backend are counted, and used by all threads. Another
 * thread may replace them at any time: each signature is by those of its moment. */
#ifndef CARILLON_UPSTREAM_WEBHOOK_H
#define CARILLON_UPSTREAM_WEBHOOK_H

#include "common/base/buf.h"
#include "common/base/error.h"

enum { WEBHOOK_SECRETS_MAX = 2, WEBHOOK_SECRET_MIN = 16, WEBHOOK_SECRET_MAX = 1024 };

struct webhook_secrets;

/* Makes secrets of their texts, the present one first, at most two. Without any, nothing is signed. A text is whsec_
 * and base64, or else the bytes of the secret. One reference. ERR_INVALID_REQUEST says what is wrong, and never shows a
 * secret. */
enum err webhook_secrets_create(const struct str *texts, size_t count, struct webhook_secrets **out,
                                struct error *error);
struct webhook_secrets *webhook_secrets_ref(struct webhook_secrets *secrets);
/* May be NULL. */
void webhook_secrets_unref(struct webhook_secrets *secrets);
/* From now on, secrets signs by what `by` has. */
void webhook_secrets_replace(struct webhook_secrets *secrets, struct webhook_secrets *by);

/* Appends the three headers, as lines with CR LF; nothing without secrets, or if that is NULL. id has no control
 * characters. */
void webhook_write(struct buf *out, struct webhook_secrets *secrets, struct str id, uint64_t timestamp_s,
                   struct str body);

/* Appends the header `name`, as a line with CR LF: HMAC-SHA256 of the text by each secret, as prefix and lower-case
 * hexadecimal digits, with commas between them. Nothing without secrets, or if that is NULL. */
void webhook_write_hex(struct buf *out, struct webhook_secrets *secrets, const char *name, const char *prefix,
                       struct str text);

#endif
