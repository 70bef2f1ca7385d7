/* explain.h - what the configuration says to one client, and which entry says it. The answers are those of the
 * functions that the server itself uses (admission.h, access.h), so they cannot differ. What only a running server
 * knows is left out: revocations, limits, used tokens, tickets and the answers of backends. */
#ifndef CARILLON_APP_EXPLAIN_H
#define CARILLON_APP_EXPLAIN_H

#include "server/app/configure.h"

/* Texts are borrowed. */
struct question {
    struct str token;   /* never appears in an answer */
    struct str channel; /* empty: not asked */
    struct str target;  /* path and query of an upgrade; empty: not asked */
    struct str origin;  /* of the web page; empty: no browser */
    uint64_t now_ms;
};

/* The configuration has been made of the options. Appends lines of text. Returns whether everything that is asked would
 * be allowed: the token, the upgrade, and any action on the channel. */
bool explain(const struct configuration *configuration, const struct options *options,
             const struct option_sources *sources, const struct question *question, struct buf *out);

#endif
