/* limits_step.h - the entry steps that count the connections of this node: limits_step and user_limit_step. Each takes
 * places into the entry's lease (quota.h), and refuses with connection_limit when a limit is reached. They have no
 * owner. */
#ifndef CARILLON_NET_ENTRY_LIMITS_STEP_H
#define CARILLON_NET_ENTRY_LIMITS_STEP_H

#include "server/net/entry/entry.h"

/* The connections of all clients, of an address and of an endpoint. Takes all of these places, or none. */
extern const struct entry_step limits_step;

/* The connections of a user. Refuses a client that has no claims: no step has taken its ticket. */
extern const struct entry_step user_limit_step;

#endif
