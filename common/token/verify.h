/* verify.h - is this token good, here and now? The answer is a pure function of token, keys, policy and time; any
 * thread. Errors are precise, for `carillon token inspect` and for logs at debug level. They never hold the token. A
 * client gets only the reason. */
#ifndef CARILLON_TOKEN_VERIFY_H
#define CARILLON_TOKEN_VERIFY_H

#include "common/protocol/reason.h"
#include "common/token/algorithm.h"
#include "common/token/claims.h"
#include "common/token/keys.h"

/* The demands of this server on tokens. The lists are borrowed. */
struct token_policy {
    unsigned algorithms;       /* set of enum algorithm_bit: what may be used at all */
    const struct str *issuers; /* iss must be one of them; count 0: any, or none */
    size_t issuer_count;
    const struct str *audiences; /* aud must name one of them; count 0: not looked at */
    size_t audience_count;
    uint64_t leeway_ms; /* for clocks that differ */
    bool require_exp;
    size_t max_bytes; /* of the token */
};

/* All algorithms, any issuer and audience, 30 s, exp required, 8 KiB. */
struct token_policy token_policy_default(void);

/* REASON_NONE and one reference in *out, or TOKEN_INVALID, TOKEN_EXPIRED or TOKEN_NOT_YET_VALID. In this order: length,
 * form, header, algorithm in the policy, key by kid and algorithm, signature, and only then the claims.
 *
 * A kid chooses the keys of that kid. If there are none, the keys without a kid are tried, since they contradict
 * nothing. Without a kid all keys of the algorithm are candidates. At most 4 are tried. */
enum reason token_verify(const struct token_keys *keys, const struct token_policy *policy, struct str token,
                         uint64_t now_ms, struct claims **out, struct error *error);

/* The two halves of token_verify, for the cache. token_open depends on the keys, and its answer never changes for a
 * token. token_check_claims depends on policy and time. */
enum reason token_open(const struct token_keys *keys, const struct token_policy *policy, struct str token,
                       struct claims **out, const struct algorithm **out_algorithm, struct error *error);
enum reason token_check_claims(const struct token_policy *policy, const struct claims *claims, uint64_t now_ms,
                               struct error *error);

#endif
