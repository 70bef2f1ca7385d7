/* claims.h - the claims of a verified token: plain values, no signatures. References are counted without locks, so all
 * references of one struct claims stay in one thread. */
#ifndef CARILLON_TOKEN_CLAIMS_H
#define CARILLON_TOKEN_CLAIMS_H

#include "common/base/error.h"
#include "common/base/str.h"
#include "common/json/json.h"

/* One entry of the "channels" claim: a pattern (channel_name.h) and what it allows (enum allow; a bare pattern: all).
 */
struct grant {
    struct str match;
    unsigned allow;
};

struct claims_changes;

/* Made by claims_parse and claims_change. All texts point into the object's own memory. */
struct claims {
    unsigned refs;
    struct str sub;
    struct str jti;   /* empty if absent */
    struct str iss;   /* empty if absent */
    struct str scope; /* space-separated; empty if absent */
    uint64_t exp_ms;  /* since 1970 UTC; 0 if absent */
    uint64_t nbf_ms;
    uint64_t iat_ms;
    struct grant *grants;
    size_t grant_count;
    uint64_t session_limit;         /* connections of this subject at once; 0 if absent */
    uint64_t rate_limit;            /* client messages a minute; 0 if absent */
    struct json_value payload;      /* the whole payload, for {claim} templates and backends */
    struct claims_changes *changes; /* owned; NULL: these are the claims of a token as it is */
};

/* What a backend has put over the claims of a token. */
struct claims_changes {
    struct claims *token; /* as it is; one reference */
    uint64_t ends_ms;     /* the exp among the changes, since 1970 UTC: no later exp counts; 0 if absent */
    struct str text;      /* a JSON object: the changed members */
};

/* Reads a payload (JSON text, RFC 7519 section 4). ERR_UNAUTHORIZED, with the member's name, unless
 * - sub is a non-empty string of at most 255 bytes of UTF-8;
 * - times are NumericDates (RFC 7519, 2), in any form of a JSON number;
 * - channels is an array of patterns or {"match":..,"allow":[..]};
 * - no member comes twice.
 *
 * *out has one reference. */
enum err claims_parse(struct str payload, struct claims **out, struct error *error);

/* The claims of a token with other members over them. changes is an object of JSON that has been checked; its exp, too,
 * goes over that of the token. Takes a reference to the token's claims, which have no changes yet. Fails as
 * claims_parse. *out has one reference. */
enum err claims_change(struct claims *token, struct json_value changes, struct claims **out, struct error *error);

/* *claims are those of a newer token, for who has had `before` until now. Puts the changes of `before`, if it has any,
 * over them again: *claims is then another object, and the reference goes along. Of both exp the earlier one is exp_ms.
 * On failure (as claims_parse) *claims stays. */
enum err claims_change_again(const struct claims *before, struct claims **claims, struct error *error);

/* As the token has them, without changes. */
const struct claims *claims_of_token(const struct claims *claims);
/* When what a backend has put over the token ends it (claims_changes.ends_ms); 0: it has not said so. */
uint64_t claims_end_by_backend(const struct claims *claims);

struct claims *claims_ref(struct claims *claims);
/* The bytes of memory that the claims of a token take. */
size_t claims_bytes(const struct claims *claims);
void claims_unref(struct claims *claims);

/* The text of a claim, for {name} in patterns: of a top-level string claim without its escapes, or the digits of an
 * integer claim. False if there is no such claim, or if it holds a NUL. Borrowed from the claims. */
bool claims_text(const struct claims *claims, struct str name, struct str *out);

/* Is the word in the space-separated scope? */
bool claims_has_scope(const struct claims *claims, struct str scope);

#endif
