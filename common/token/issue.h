/* issue.h - makes tokens, for `carillon token`, for the dev server and for tests. libjwt signs with HS, RS and ES,
 * OpenSSL with PS and EdDSA. Any thread. */
#ifndef CARILLON_TOKEN_ISSUE_H
#define CARILLON_TOKEN_ISSUE_H

#include "common/token/algorithm.h"
#include "common/token/keys.h"

/* Appends the compact token of payload, a JSON object. It is signed with the first key that can sign and has the
 * algorithm (0: the key's first algorithm). kid goes into the header; if kid is empty, the key's own kid, if it has
 * one. libjwt sorts the members of the payload, and writes fractions as a double prints them. ERR_INVALID_REQUEST:
 * there is no such key, or the token cannot carry the payload. */
enum err token_issue(const struct token_keys *keys, unsigned algorithm_bit, struct str kid, struct str payload,
                     struct buf *out, struct error *error);

#endif
