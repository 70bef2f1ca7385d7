/* jws.h - the outer form of a signed token (RFC 7515 section 7.1, compact): three base64url parts and a header. Nothing
 * here is verified: callers must check the signature before they believe a word. Pure, for any thread. */
#ifndef CARILLON_TOKEN_JWS_H
#define CARILLON_TOKEN_JWS_H

#include "common/base/error.h"
#include "common/json/json.h"
#include "common/token/algorithm.h"

/* Zero it before use. Slices point into bytes, or into the token where the comment says so. */
struct jws {
    struct buf bytes;          /* the decoded parts, one after the other */
    struct str header;         /* JSON text, not checked yet */
    struct str payload;        /* not checked at all */
    struct str signature;      /* may be empty here */
    struct str encoded_header; /* in the token */
    struct str signed_text;    /* in the token: header and payload, encoded */
};

struct jws_header {
    const struct algorithm *algorithm;
    struct str kid;   /* empty if absent */
    struct buf owned; /* holds kid when it was written with escapes */
};

/* Cuts and decodes the token. The error names the wrong part. Call jws_fini in any case. */
enum err jws_split(struct str token, struct jws *out, struct error *error);
void jws_fini(struct jws *jws);

/* Reads the header strictly: alg known, typ absent or "JWT" or "at+jwt", no crit, no member twice. If libjwt knows the
 * algorithm, it must read the same alg and kid. Zero *out before; call jws_header_fini in any case. */
enum err jws_read_header(const struct jws *jws, struct jws_header *out, struct error *error);
void jws_header_fini(struct jws_header *header);

/* No member of an object in a token may come twice, also not with escapes. Otherwise two readers could see two
 * different tokens (RFC 7515 and RFC 7519, section 4). object has passed json_check. ERR_INVALID_REQUEST names the
 * member. */
enum err jws_members_are_unique(struct json_value object, struct error *error);

#endif
