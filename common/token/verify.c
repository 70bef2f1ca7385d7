/* verify.c - see verify.h. */
#include "common/token/verify.h"

#include "common/base/clock.h"
#include "common/token/jws.h"
#include "common/token/keys_private.h"

enum { CANDIDATES_MAX = 4 };

struct token_policy token_policy_default(void)
{
    return (struct token_policy){
        .algorithms = ALGORITHM_ALL, .leeway_ms = 30 * 1000, .require_exp = true, .max_bytes = 8 * 1024};
}

static bool has_kid(const struct token_key *key, struct str kid)
{
    return key->kid && str_eq_cstr(kid, key->kid);
}

/* Keys of the wanted kid (empty: of none) and algorithm; or, with any_kid, of the algorithm alone. */
static size_t find_candidates(const struct token_keys *keys, const struct algorithm *algorithm, struct str kid,
                              bool any_kid, const struct token_key *out[CANDIDATES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < keys->count && count < CANDIDATES_MAX; i++) {
        const struct token_key *key = &keys->list[i];
        bool wanted = any_kid || (kid.len ? has_kid(key, kid) : !key->kid);
        if (wanted && (key->algorithms & algorithm->bit))
            out[count++] = key;
    }
    return count;
}

static bool is_kid_known(const struct token_keys *keys, struct str kid)
{
    for (size_t i = 0; i < keys->count; i++)
        if (has_kid(&keys->list[i], kid))
            return true;
    return false;
}

static enum err say_no_key(const struct token_keys *keys, const struct algorithm *algorithm, struct error *error)
{
    const struct token_key *short_one = keys_find_too_short(keys, algorithm);
    struct error cause;
    if (!short_one)
        return error_set(error, ERR_UNAUTHORIZED, "no key for the token's alg %s is configured", algorithm->name);
    key_say_too_short(short_one, algorithm, &cause);
    return error_set(error, ERR_UNAUTHORIZED, "%s: %s", short_one->source, cause.text);
}

static enum err check_signature(const struct token_keys *keys, const struct jws *jws, const struct jws_header *header,
                                struct error *error)
{
    const struct token_key *candidates[CANDIDATES_MAX];
    char quoted[ERROR_QUOTE_LEN];
    /* A known kid that cannot serve the algorithm is final: no other key is looked for. */
    bool by_kid = header->kid.len > 0 && is_kid_known(keys, header->kid);
    struct str kid = by_kid ? header->kid : STR("");
    size_t count = find_candidates(keys, header->algorithm, kid, header->kid.len == 0, candidates);
    if (count == 0 && by_kid)
        return error_set(error, ERR_UNAUTHORIZED, "the key with kid %s does not serve the token's alg %s",
                         error_quote(header->kid, quoted), header->algorithm->name);
    if (count == 0 && header->kid.len > 0)
        return error_set(error, ERR_UNAUTHORIZED, "no key with kid %s, nor one for %s without a kid, is configured",
                         error_quote(header->kid, quoted), header->algorithm->name);
    if (count == 0)
        return say_no_key(keys, header->algorithm, error);
    for (size_t i = 0; i < count; i++)
        if (signature_verify(candidates[i], header->algorithm, jws->signed_text, jws->signature))
            return ERR_NONE;
    return error_set(error, ERR_UNAUTHORIZED, "the %s signature (%zu bytes) is not by %s%s%s", header->algorithm->name,
                     jws->signature.len, count > 1 ? "any of the keys, first of them " : "the key ",
                     candidates[0]->source, count == CANDIDATES_MAX ? " (at most 4 are tried: set a kid)" : "");
}

enum reason token_open(const struct token_keys *keys, const struct token_policy *policy, struct str token,
                       struct claims **out, const struct algorithm **out_algorithm, struct error *error)
{
    struct jws jws = {0};
    struct jws_header header = {0};
    enum err err;
    if (token.len > policy->max_bytes) {
        error_set(error, ERR_UNAUTHORIZED, "the token has %zu bytes; at most %zu are accepted", token.len,
                  policy->max_bytes);
        return REASON_TOKEN_INVALID;
    }
    err = jws_split(token, &jws, error);
    if (!err)
        err = jws_read_header(&jws, &header, error);
    if (!err && !(policy->algorithms & header.algorithm->bit))
        err = error_set(error, ERR_UNAUTHORIZED, "the token's alg %s is not among the allowed algorithms",
                        header.algorithm->name);
    if (!err)
        err = check_signature(keys, &jws, &header, error);
    if (!err)
        err = claims_parse(jws.payload, out, error);
    if (!err)
        *out_algorithm = header.algorithm;
    jws_header_fini(&header);
    jws_fini(&jws);
    return err ? REASON_TOKEN_INVALID : REASON_NONE;
}

static bool is_one_of(struct str text, const struct str *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(text, list[i]))
            return true;
    return false;
}

static bool names_audience(const struct token_policy *policy, struct json_value string)
{
    struct buf scratch = {0};
    struct str text;
    bool found = json_text(string, &scratch, &text) && is_one_of(text, policy->audiences, policy->audience_count);
    buf_fini(&scratch);
    return found;
}

/* RFC 7519, 4.1.3: a string or an array of strings. */
static bool is_for_us(const struct token_policy *policy, const struct claims *claims)
{
    struct json_value aud = json_member(claims->payload, STR("aud"));
    if (aud.type != JSON_ARRAY)
        return names_audience(policy, aud);
    struct json_cursor at = json_walk(aud);
    struct str key;
    struct json_value item;
    while (json_next(&at, &key, &item))
        if (names_audience(policy, item))
            return true;
    return false;
}

static enum reason refuse(enum reason reason, const char *what, uint64_t at_ms, uint64_t now_ms, struct error *error)
{
    char at[CLOCK_RFC3339_LEN + 1], now[CLOCK_RFC3339_LEN + 1];
    clock_format(at_ms, at);
    clock_format(now_ms, now);
    error_set(error, ERR_UNAUTHORIZED, "%s %s, and now it is %s", what, at, now);
    return reason;
}

enum reason token_check_claims(const struct token_policy *policy, const struct claims *claims, uint64_t now_ms,
                               struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    if (policy->issuer_count > 0 && !is_one_of(claims->iss, policy->issuers, policy->issuer_count)) {
        error_set(error, ERR_UNAUTHORIZED, "the token's issuer (iss) is %s, which is not among the accepted ones",
                  claims->iss.len ? error_quote(claims->iss, quoted) : "missing");
        return REASON_TOKEN_INVALID;
    }
    if (policy->audience_count > 0 && !is_for_us(policy, claims)) {
        error_set(error, ERR_UNAUTHORIZED, "the token's aud does not name this server's audience");
        return REASON_TOKEN_INVALID;
    }
    if (policy->require_exp && !claims->exp_ms) {
        error_set(error, ERR_UNAUTHORIZED, "the token has no exp, and an expiry is required");
        return REASON_TOKEN_INVALID;
    }
    /* Not sums of two unknowns: claims_parse bounds all times to the year 9999. */
    if (claims->exp_ms && now_ms >= claims->exp_ms + policy->leeway_ms)
        return refuse(REASON_TOKEN_EXPIRED, "the token expired at", claims->exp_ms, now_ms, error);
    if (claims->nbf_ms > now_ms + policy->leeway_ms)
        return refuse(REASON_TOKEN_NOT_YET_VALID, "the token is valid only from (nbf)", claims->nbf_ms, now_ms, error);
    if (claims->iat_ms > now_ms + policy->leeway_ms)
        return refuse(REASON_TOKEN_NOT_YET_VALID, "the token was issued in the future (iat), at", claims->iat_ms,
                      now_ms, error);
    return REASON_NONE;
}

enum reason token_verify(const struct token_keys *keys, const struct token_policy *policy, struct str token,
                         uint64_t now_ms, struct claims **out, struct error *error)
{
    struct claims *claims = NULL;
    const struct algorithm *algorithm;
    enum reason reason = token_open(keys, policy, token, &claims, &algorithm, error);
    if (!reason)
        reason = token_check_claims(policy, claims, now_ms, error);
    if (reason)
        claims_unref(claims);
    else
        *out = claims;
    return reason;
}
