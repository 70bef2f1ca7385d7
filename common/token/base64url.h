/* base64url.h - RFC 4648 section 5 without padding, as JOSE uses it. Strict: one encoding per byte string, so that two
 * different texts are never the same token. Pure, for any thread. */
#ifndef CARILLON_TOKEN_BASE64URL_H
#define CARILLON_TOKEN_BASE64URL_H

#include "common/base/buf.h"

void base64url_append(struct buf *out, struct str bytes);

/* Room that base64url_decode needs beyond the length of the text, at most. */
enum { BASE64URL_SPARE = 3 };

/* Appends the decoded bytes. The text may lie in *out only if there is room for text.len + BASE64URL_SPARE bytes. False
 * leaves *out as it was: a byte is outside the alphabet (as '=' and white space are), the length is impossible, or
 * unused bits are not zero. */
bool base64url_decode(struct str text, struct buf *out);

#endif
