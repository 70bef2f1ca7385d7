/* issue.h - makes tokens, for `carillon token`, for the dev server and for tests. libjwt signs what it knows (HS, RS,
 * ES), OpenSSL the rest (PS, EdDSA). Any thread. */
#ifndef CARILLON_TOKEN_ISSUE_H
#define CARILLON_TOKEN_ISSUE_H

#include "common/token/algorithm.h"
#include "common/token/keys.h"

/* Appends the compact token of payload, a JSON object, signed with the first key that can sign and has the algorithm
 * (0: the first one the key has). kid goes into the header; if empty, the key's own, if it has one. Through libjwt the
 * members of the payload come out sorted, and fractions as a double prints them. ERR_INVALID_REQUEST: no such key, or a
 * payload that cannot be carried. */
enum err token_issue(const struct token_keys *keys, unsigned algorithm_bit, struct str kid, struct str payload,
                     struct buf *out, struct error *error);

#endif
