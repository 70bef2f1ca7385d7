/* dev_tickets.h - the tickets that POST /dev/v1/tickets of `carillon dev` makes (dev_tokens.h has the route). */
#ifndef CARILLON_CLI_DEV_TICKETS_H
#define CARILLON_CLI_DEV_TICKETS_H

#include "common/protocol/http_message.h"
#include "server/app/server.h"

struct dev;

/* The texts are borrowed. */
struct dev_ticket {
    struct str sub;
    struct str claims;  /* a JSON object, as a token has them */
    struct str purpose; /* without a pointer, as the next one: that of the endpoint */
    struct str resource;
    uint64_t ttl_ms; /* 0: tickets.ttl */
};

/* Issues the ticket, and answers the call with {"ticket","ws_url","expires_in"}, or with an error: 409 where no
 * endpoint takes tickets. In the thread of the server, with a server that is ready. */
void dev_tickets_issue(struct dev *dev, const struct server_addresses *addresses, struct http_call *call,
                       const struct dev_ticket *ticket);

#endif
