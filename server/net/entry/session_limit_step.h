/* session_limit_step.h - the entry step for tokens with a session_limit: how many sessions the user may have at once on
 * all nodes (server/core/session_slot.h). Other clients pass at once. */
#ifndef CARILLON_NET_ENTRY_SESSION_LIMIT_STEP_H
#define CARILLON_NET_ENTRY_SESSION_LIMIT_STEP_H

#include "server/net/entry/entry.h"

struct hub;

/* Takes a session slot into the entry. A client passes late when the broker does not answer in time. The hub is
 * borrowed. */
struct entry_step session_limit_step(struct hub *hub);

#endif
