/* explain_private.h - for explain.c, which answers, and the files with its parts. */
#ifndef CARILLON_APP_EXPLAIN_PRIVATE_H
#define CARILLON_APP_EXPLAIN_PRIVATE_H

#include "server/app/explain.h"

/* One answer that is being written. All borrowed. */
struct explanation {
    const struct configuration *configuration;
    const struct options *options;
    const struct option_sources *sources;
    const struct question *question;
    struct buf *out;
};

/* "carillon.jsonc:14: channels[0]" */
void append_entry(struct explanation *answer, const char *list, size_t index);
/* Texts of clients and tokens, made printable. */
void append_quoted(struct buf *out, struct str text);

/* Says which rule decides about the channel, and a line for each of the actions, a set of enum allow. Returns whether
 * one of them is allowed. */
bool explain_channel(struct explanation *answer, struct str channel, const struct claims *claims, unsigned actions);

/* claims: NULL if the token is refused. */
bool explain_endpoint(struct explanation *answer, const struct claims *claims);

#endif
