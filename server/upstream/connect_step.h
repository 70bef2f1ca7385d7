/* connect_step.h - the entry step that asks an endpoint's backend whether a client may open a session: the event
 * carillon.connect. Its body is JSON: session_id, user, claims (those that the upstream lists), endpoint, path, query,
 * headers, subprotocols, address.
 *
 *   204, 200 without a body   the client passes
 *   200 with JSON             it passes, and the session begins as the answer says (connect_answer.h)
 *   401, 403, 429             it is refused: token_invalid, backend_denied, connection_limit
 *   anything else             there is no answer: the client is refused (backend_unavailable), or passes where the
 *                             upstream says so
 *
 * Without an answer a client is never refused with 401: its token is good. */
#ifndef CARILLON_UPSTREAM_CONNECT_STEP_H
#define CARILLON_UPSTREAM_CONNECT_STEP_H

#include "server/net/entry/entry.h"

/* The owner sets the hub before the step is first called; borrowed. */
struct connect_step {
    struct hub *hub;
};

/* Borrows the step. */
struct entry_step connect_step(struct connect_step *step);

#endif
