/* base64url.h - RFC 4648 section 5 without padding, as JOSE uses it. Strict: one encoding per byte string, so that two
 * different texts are never the same token. Pure; any thread. */
#ifndef CARILLON_TOKEN_BASE64URL_H
#define CARILLON_TOKEN_BASE64URL_H

#include "common/base/buf.h"

void base64url_append(struct buf *out, struct str bytes);

/* Appends the decoded bytes. False, with *out as it was, for a byte outside the alphabet (also '=' and white space), an
 * impossible length, or unused bits that are not zero. */
bool base64url_decode(struct str text, struct buf *out);

#endif
