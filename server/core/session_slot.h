/* session_slot.h - a session slot: one of the sessions that a token allows its user at once on all nodes (the claim
 * session_limit). It is taken at the broker before the session exists, and handed to hub_open. It is kept while the
 * session lives, and given back at the session's end.
 *
 * Without the broker a slot is granted all the same, because this node's own count has admitted the client. The broker
 * is told when it is back. One thread, the hub's. */
#ifndef CARILLON_CORE_SESSION_SLOT_H
#define CARILLON_CORE_SESSION_SLOT_H

#include <stdbool.h>

#include "common/token/claims.h"

struct hub;
struct session_slot;

/* False: the token has no session_limit, or there are no other nodes. */
bool session_slot_is_needed(const struct hub *hub, const struct claims *claims);

/* Asks the broker for a slot of the claims' user, for the session that will have this uuid. A reference to the claims
 * is taken. `answered` is called once, in a later call from the broker. */
struct session_slot *session_slot_take(struct hub *hub, struct str uuid, struct claims *claims,
                                       void (*answered)(void *waiter, bool granted), void *waiter);

/* `answered` will not be called. The slot is kept, whatever the answer is. */
void session_slot_stop_waiting(struct session_slot *slot);

/* Gives the slot back, whether it has been granted or not, and frees it. `answered` will not be called. */
void session_slot_leave(struct session_slot *slot);

#endif
