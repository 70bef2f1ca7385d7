/* claims.c - see claims.h. The object, its copy of the payload and its grants are freed together. */
#include "common/token/claims.h"

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/protocol/channel_name.h"
#include "common/token/jws.h"

enum { SUB_MAX = 255 };

/* A top-level string with escapes, and what it says. */
struct unescaped {
    const char *raw; /* where it begins in the payload */
    struct str text; /* empty: it holds a NUL */
};

/* Claims with the bytes that their texts lie in. */
struct claims_body {
    struct claims claims;
    struct buf texts; /* strings that had escapes; reserved once, so that they do not move */
    struct unescaped *unescaped;
    size_t unescaped_count;
    char payload[];
};

static struct claims_body *body_of(struct claims *claims)
{
    return CONTAINER_OF(claims, struct claims_body, claims);
}

static enum err refuse(struct error *error, const char *claim, const char *what)
{
    return error_set(error, ERR_UNAUTHORIZED, "the claim %s %s", claim, what);
}

/* The text of a string in the payload, of at most max bytes. */
static enum err read_text(struct claims_body *body, struct json_value string, const char *claim, size_t max,
                          struct str *out, struct error *error)
{
    if (!string.type)
        return ERR_NONE;
    if (!json_text(string, &body->texts, out))
        return refuse(error, claim, "holds a NUL");
    if (out->len > max)
        return error_set(error, ERR_UNAUTHORIZED, "the claim %s has %zu bytes; at most %zu are accepted", claim,
                         out->len, max);
    return ERR_NONE;
}

/* NumericDate (RFC 7519, 2): any JSON number of seconds since 1970; what is finer than a millisecond is cut off. */
static enum err read_time(struct json_value number, const char *claim, uint64_t *out_ms, struct error *error)
{
    static const uint64_t end_ms = UINT64_C(253402300800000); /* of the year 9999 */
    uint64_t ms = 0;
    if (!number.type)
        return ERR_NONE;
    enum json_scaled scaled = json_scale(number, 3, &ms); /* a time before 1970 counts as its first moment */
    if (scaled == JSON_SCALED_TOO_LARGE || ms >= end_ms)
        return refuse(error, claim, "is after the year 9999; times are in seconds, not milliseconds");
    *out_ms = ms ? ms : 1; /* 0 stands for "absent", and a token that ended in 1970 must not live for ever */
    return ERR_NONE;
}

static enum err read_limit(struct json_value number, const char *claim, uint64_t *out, struct error *error)
{
    if (number.type && (json_scale(number, 0, out) != JSON_SCALED_EXACT || *out == 0))
        return refuse(error, claim, "must be a whole number from 1");
    return ERR_NONE;
}

static enum err read_allow(struct claims_body *body, struct json_value words, unsigned *out, struct error *error)
{
    struct json_cursor at = json_walk(words);
    struct str key;
    struct json_value word;
    *out = 0;
    while (json_next(&at, &key, &word)) {
        struct str text = STR("");
        if (word.type == JSON_STRING && read_text(body, word, "channels", SIZE_MAX, &text, error))
            return error->code;
        unsigned allow = allow_from_word(text);
        if (!allow)
            return refuse(error, "channels", "may allow only subscribe, publish, presence, history");
        *out |= allow;
    }
    return ERR_NONE;
}

static enum err read_grant(struct claims_body *body, struct json_value item, struct grant *out, struct error *error)
{
    struct json_value match = item, allow = {0};
    struct error cause;
    out->allow = ALLOW_ALL;
    if (item.type == JSON_OBJECT) {
        const struct json_field fields[] = {{"match", JSON_STRING, true, &match}, {"allow", JSON_ARRAY, false, &allow}};
        if (json_bind(item, "", fields, 2, &cause) != ERR_NONE)
            return error_set(error, ERR_UNAUTHORIZED, "the claim channels: %s", cause.text);
    } else if (item.type != JSON_STRING) {
        return refuse(error, "channels", "must hold patterns or {\"match\":..,\"allow\":[..]}");
    }
    enum err err = read_text(body, match, "channels", CHANNEL_NAME_MAX, &out->match, error);
    if (!err && pattern_check(out->match, &cause) != ERR_NONE)
        err = error_set(error, ERR_UNAUTHORIZED, "the claim channels: %s", cause.text);
    if (!err && allow.type)
        err = read_allow(body, allow, &out->allow, error);
    return err;
}

static enum err read_grants(struct claims_body *body, struct json_value channels, struct error *error)
{
    struct claims *claims = &body->claims;
    size_t count = 0;
    struct str key;
    struct json_value item;
    struct json_cursor at = json_walk(channels);
    while (json_next(&at, &key, &item))
        count++;
    if (count == 0)
        return ERR_NONE;
    claims->grants = xcalloc(count, sizeof *claims->grants);
    at = json_walk(channels);
    while (json_next(&at, &key, &item)) {
        enum err err = read_grant(body, item, &claims->grants[claims->grant_count], error);
        if (err)
            return err;
        claims->grant_count++;
    }
    return ERR_NONE;
}

static bool has_escapes(struct json_value string)
{
    return string.type == JSON_STRING && memchr(string.raw.ptr, '\\', string.raw.len);
}

/* Many encoders escape all that is not ASCII, or each '/': what a claim says is the text, however it was written. Done
 * once, since a claim that fills a template is asked for with each command. */
static void unescape(struct claims_body *body)
{
    struct json_cursor at = json_walk(body->claims.payload);
    struct str key;
    struct json_value value;
    size_t cap = 0;
    while (json_next(&at, &key, &value)) {
        if (!has_escapes(value))
            continue;
        if (body->unescaped_count == cap) {
            cap = cap ? 2 * cap : 4;
            body->unescaped = xrealloc(body->unescaped, cap * sizeof *body->unescaped);
        }
        struct unescaped *one = &body->unescaped[body->unescaped_count++];
        *one = (struct unescaped){.raw = value.raw.ptr};
        if (!json_text(value, &body->texts, &one->text))
            one->text = STR("");
    }
}

static enum err read_claims(struct claims_body *body, struct error *error)
{
    struct claims *claims = &body->claims;
    struct json_value sub = {0}, jti = {0}, iss = {0}, scope = {0}, exp = {0}, nbf = {0}, iat = {0}, channels = {0},
                      session_limit = {0}, rate_limit = {0}, aud = {0};
    const struct json_field fields[] = {
        {"sub", JSON_STRING, true, &sub},
        {"jti", JSON_STRING, false, &jti},
        {"iss", JSON_STRING, false, &iss},
        {"aud", JSON_STRING | JSON_ARRAY, false, &aud},
        {"scope", JSON_STRING, false, &scope},
        {"exp", JSON_NUMBER, false, &exp},
        {"nbf", JSON_NUMBER, false, &nbf},
        {"iat", JSON_NUMBER, false, &iat},
        {"channels", JSON_ARRAY, false, &channels},
        {"session_limit", JSON_NUMBER, false, &session_limit},
        {"rate_limit", JSON_NUMBER, false, &rate_limit},
    };
    struct error cause;
    if (json_bind(claims->payload, "", fields, sizeof fields / sizeof fields[0], &cause) != ERR_NONE ||
        jws_members_are_unique(claims->payload, &cause) != ERR_NONE)
        return error_set(error, ERR_UNAUTHORIZED, "the token's claims: %s", cause.text);
    enum err err = read_text(body, sub, "sub", SUB_MAX, &claims->sub, error);
    if (!err && claims->sub.len == 0)
        err = refuse(error, "sub", "is empty");
    if (!err)
        err = read_text(body, jti, "jti", SUB_MAX, &claims->jti, error);
    if (!err)
        err = read_text(body, iss, "iss", SIZE_MAX, &claims->iss, error);
    if (!err)
        err = read_text(body, scope, "scope", SIZE_MAX, &claims->scope, error);
    if (!err)
        err = read_time(exp, "exp", &claims->exp_ms, error);
    if (!err)
        err = read_time(nbf, "nbf", &claims->nbf_ms, error);
    if (!err)
        err = read_time(iat, "iat", &claims->iat_ms, error);
    if (!err)
        err = read_limit(session_limit, "session_limit", &claims->session_limit, error);
    if (!err)
        err = read_limit(rate_limit, "rate_limit", &claims->rate_limit, error);
    return err ? err : read_grants(body, channels, error);
}

enum err claims_parse(struct str payload, struct claims **out, struct error *error)
{
    struct error cause;
    struct claims_body *body = xmalloc(sizeof *body + payload.len);
    *body = (struct claims_body){.claims = {.refs = 1}};
    if (payload.len)
        memcpy(body->payload, payload.ptr, payload.len);
    enum err err = ERR_NONE;
    if (json_check(str_from(body->payload, payload.len), NULL, &body->claims.payload, &cause) != ERR_NONE)
        err = error_set(error, ERR_UNAUTHORIZED, "the token's claims: %s", cause.text);
    if (!err && memchr(payload.ptr, '\\', payload.len))
        buf_reserve(&body->texts, 2 * payload.len); /* the claims read below are unescaped a second time */
    if (!err)
        err = read_claims(body, error);
    if (!err && body->texts.cap)
        unescape(body);
    if (err)
        claims_unref(&body->claims);
    else
        *out = &body->claims;
    return err;
}

size_t claims_bytes(const struct claims *claims)
{
    const struct claims_body *body = (const void *)claims; /* its first member */
    return sizeof *body + claims->payload.raw.len + body->texts.cap + body->unescaped_count * sizeof *body->unescaped +
           claims->grant_count * sizeof *claims->grants;
}

struct claims *claims_ref(struct claims *claims)
{
    claims->refs++;
    return claims;
}

void claims_unref(struct claims *claims)
{
    if (!claims || --claims->refs > 0)
        return;
    struct claims_body *body = body_of(claims);
    if (claims->changes)
        claims_unref(claims->changes->token);
    free(claims->changes);
    buf_fini(&body->texts);
    free(body->unescaped);
    free(claims->grants);
    free(body);
}

static bool unescaped_text(const struct claims *claims, struct json_value string, struct str *out)
{
    const struct claims_body *body = (const void *)claims; /* its first member */
    for (size_t i = 0; i < body->unescaped_count; i++)
        if (body->unescaped[i].raw == string.raw.ptr && body->unescaped[i].text.len > 0) {
            *out = body->unescaped[i].text;
            return true;
        }
    return false;
}

bool claims_text(const struct claims *claims, struct str name, struct str *out)
{
    int64_t below;
    uint64_t above;
    struct json_value value = json_member(claims->payload, name);
    if (value.type == JSON_NUMBER && (json_i64(value, &below) || json_u64(value, &above))) {
        *out = value.raw;
        return true;
    }
    if (value.type != JSON_STRING)
        return false;
    if (has_escapes(value))
        return unescaped_text(claims, value, out);
    *out = str_from(value.raw.ptr + 1, value.raw.len - 2);
    return true;
}

bool claims_has_scope(const struct claims *claims, struct str scope)
{
    struct str rest = claims->scope;
    while (scope.len > 0 && rest.ptr && rest.len > 0)
        if (str_eq(str_split(&rest, ' '), scope))
            return true;
    return false;
}
