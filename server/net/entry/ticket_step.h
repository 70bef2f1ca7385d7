/* ticket_step.h - the entry step that exchanges a ticket for the claims that it was issued with
 * (server/core/session_ticket.h). Clients that come with a token pass at once. */
#ifndef CARILLON_NET_ENTRY_TICKET_STEP_H
#define CARILLON_NET_ENTRY_TICKET_STEP_H

#include "server/net/entry/entry.h"

struct hub;

/* The ticket must be of the purpose and resource that the endpoint asks for. While the broker is away, nobody enters by
 * a ticket, and none is lost. The hub is borrowed. */
struct entry_step ticket_step(struct hub *hub);

#endif
