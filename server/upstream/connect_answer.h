/* connect_answer.h - a backend's answer to carillon.connect: a JSON object, all of whose members are optional.
 *
 *   user         string: the user of the session, in place of the token's
 *   claims       object: members that go over those of the token, and over those of a later token (refresh)
 *   subscribe    array of strings: channels that the session has from the beginning
 *   subprotocol  string: one of those that the client offers
 *   expires_at   number: the end of the session, in seconds since 1970 UTC; a refresh does not put it off
 *   state        any JSON: comes with each later call, as ce-connectionstate
 *
 * In the dialect of azure.h the members are userId, groups and subprotocol.
 * Pure; one thread. */
#ifndef CARILLON_UPSTREAM_CONNECT_ANSWER_H
#define CARILLON_UPSTREAM_CONNECT_ANSWER_H

#include "common/base/buf.h"
#include "common/token/claims.h"

struct connect_answer {
    struct claims *claims;       /* those of the token with the changes; one reference; NULL: they stay as they are */
    struct json_value subscribe; /* an array of strings; absent: none. Borrowed from the text */
    struct str subprotocol;      /* empty: none. Lies in texts */
    struct buf state;            /* base64url; empty: none */
    struct buf texts;
};

/* Reads the text; an empty one says nothing. azure: in that dialect. before: the claims of the token. On failure the
 * error names the member, and *out is empty. */
enum err connect_answer_read(struct str text, bool azure, struct claims *before, struct connect_answer *out,
                             struct error *error);
void connect_answer_fini(struct connect_answer *answer);

#endif
