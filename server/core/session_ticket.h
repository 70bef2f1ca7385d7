/* session_ticket.h - the ticket that a session begins with, while it has it. It is used at the broker before the
 * session exists, and handed to hub_open. A ticket that resumes is kept while the session lives. After a lost
 * connection it may be used again, and the next session gets what this one has missed on its first channels.
 *
 * What has the client had? The bytes that the kernel has taken may never have arrived. A pong is the proof: the client
 * has everything that was sent before the ping. So is its answer to the close frame. A ticket remembers the position
 * of the last proof, so its next client misses nothing, and may get the newest events twice.
 *
 * A broker that is away is told when it is back. One thread, the hub's. */
#ifndef CARILLON_CORE_SESSION_TICKET_H
#define CARILLON_CORE_SESSION_TICKET_H

#include "server/core/ticket.h"

struct hub;
struct session_ticket;

/* What the client has, and what the endpoint asks for. Borrowed. */
struct ticket_question {
    struct str ticket;
    struct str purpose;
    struct str resource;
    bool any_purpose;  /* purpose does not count */
    bool any_resource; /* the same */
};

/* Uses the ticket at the broker. `answered` is called once, in a later call from the broker. err: ERR_UNAVAILABLE when
 * the broker could not be asked, so it is not known whether the ticket is used. Else outcome says it. */
struct session_ticket *session_ticket_use(struct hub *hub, const struct ticket_question *question,
                                          void (*answered)(void *waiter, enum err err, enum ticket_outcome outcome),
                                          void *waiter);

/* `answered` will not be called. */
void session_ticket_stop_waiting(struct session_ticket *ticket);

/* Of a ticket that is had (TICKET_DONE): the claims as they were when it was issued, as JSON. */
struct str session_ticket_claims(const struct session_ticket *ticket);

/* The client gets no session: gives the ticket back, whether it was had or not. `answered` will not be called. */
void session_ticket_leave(struct session_ticket *ticket);

#endif
