/* memory_tickets.h - the tickets of a single node, and the tokens that have opened their one connection. Those whose
 * time is over are forgotten little by little, as others come. One thread. */
#ifndef CARILLON_BROKER_MEMORY_MEMORY_TICKETS_H
#define CARILLON_BROKER_MEMORY_MEMORY_TICKETS_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "server/core/ticket.h"

struct memory_tickets {
    struct map by_key;        /* struct memory_ticket */
    struct list_link in_turn; /* the same: the first one is looked at next */
    uint64_t swept_us;        /* when all of them were looked at, as there was no room */
};

void memory_tickets_init(struct memory_tickets *tickets);
void memory_tickets_fini(struct memory_tickets *tickets);

/* Fills the answer. */
void memory_tickets_carry_out(struct memory_tickets *tickets, struct ticket_request *request, uint64_t now_us);

#endif
