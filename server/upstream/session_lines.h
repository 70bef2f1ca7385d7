/* session_lines.h - the headers that all requests of a session to its backend have. Private to this folder. */
#ifndef CARILLON_UPSTREAM_SESSION_LINES_H
#define CARILLON_UPSTREAM_SESSION_LINES_H

#include "common/base/buf.h"
#include "common/token/claims.h"
#include "server/core/session_origin.h"

/* All borrowed. */
struct session_lines {
    struct str uuid;
    const struct claims *claims;
    const struct str *names; /* of the claims that the backend gets */
    size_t name_count;
    const struct session_origin *origin; /* NULL: none */
    struct str azure_hub;                /* empty: CloudEvents (cloudevents.h), otherwise azure.h */
};

/* Appends the values as a JSON object of strings. */
void write_origin_values(struct buf *out, const struct origin_values *values);
/* Writes lines "name: value" with CR LF in the place of what out has. */
void write_session_lines(struct buf *out, const struct session_lines *lines);

#endif
