/* revocations.h - tokens that no longer count although they are well signed and have not expired. A revocation names
 * one token by its jti, or all tokens of a user that were issued before a time. A node has one table, which its workers
 * share. Any thread may use it. It has a lock inside, which an empty table does not take. Time comes in with each call.
 */
#ifndef CARILLON_CORE_REVOCATIONS_H
#define CARILLON_CORE_REVOCATIONS_H

#include "common/token/claims.h"

enum revocation_kind { REVOCATION_JTI, REVOCATION_USER };

/* Longest jti or user. A token with a longer one is not valid. */
enum { REVOCATION_VALUE_MAX = 255 };

struct revocation {
    enum revocation_kind kind;
    struct str value;          /* the jti, or the user (sub) */
    uint64_t issued_before_ms; /* covers tokens with an iat before it or without iat; 0: all */
    uint64_t until_ms;         /* wall clock: the last token it covers has expired, and it is forgotten */
};

struct revocations;

struct revocations *revocations_create(void);
void revocations_destroy(struct revocations *revocations);

/* Adds the revocation and copies its value. One that is known for the same value is widened to the later
 * issued_before_ms and until_ms. The result counts as kept by the broker if the given one is as wide. */
void revocations_add(struct revocations *revocations, const struct revocation *revocation, uint64_t now_ms);

/* How many there are. A revocation that is over counts until it is forgotten. */
size_t revocations_count(const struct revocations *revocations);

/* True if a token with these claims is revoked. Of claims with changes, those of the token count as well. */
bool revocations_cover(struct revocations *revocations, const struct claims *claims, uint64_t now_ms);

/* Calls tell for each. It must not call back into here. For a server for development: nobody can add one meanwhile. */
void revocations_each(struct revocations *revocations, void (*tell)(void *owner, const struct revocation *revocation),
                      void *owner);
/* Forgets all of them. */
void revocations_clear(struct revocations *revocations);

/* The broker may have lost them. From now on a revocation counts as kept when it is added again. */
void revocations_doubt(struct revocations *revocations);

/* A round looks once at each revocation that is there when the round begins. */
void revocations_begin_round(struct revocations *revocations);
/* Looks at the next ones of the round, at most count. It forgets those that are over, and calls doubted for those that
 * do not count as kept. doubted must not call back into here. False when the round is over. No token can be verified
 * meanwhile, so give a small count, and call again later. */
bool revocations_look(struct revocations *revocations, size_t count, uint64_t now_ms,
                      void (*doubted)(void *owner, const struct revocation *revocation), void *owner);

#endif
