/* ticket.h - the request for what the broker keeps of tickets and of tokens that open one connection only
 * (docs/protocol.md, "Tickets"). The broker never has a ticket itself: its key is the ticket's SHA-256.
 *
 * A ticket lives like this, and each arrow is one step of the broker:
 *
 *     issue -> waiting --use--> held --keep--> held ... --end--> used
 *                 ^               |
 *                 +--free, lost---+   also when nobody has kept it for lease_ms: its node has died
 *
 * A ticket for one use is used from `use` on; `free` takes that back, for a client that has got no session. */
#ifndef CARILLON_CORE_TICKET_H
#define CARILLON_CORE_TICKET_H

#include "server/core/request.h"

enum ticket_action {
    TICKET_ISSUE,
    TICKET_USE,
    TICKET_KEEP,  /* the session lives: for another lease_ms. A broker that has lost the ticket gets it again */
    TICKET_FREE,  /* the client has got no session: the ticket is as it was before the use */
    TICKET_LOST,  /* the session has lost its connection: the ticket waits for resume_ms */
    TICKET_END,   /* the session has ended for good: the ticket is used */
    TICKET_SPEND, /* of a token: it is used from now on, and known for ttl_ms */
};

enum ticket_outcome {
    TICKET_DONE,
    TICKET_UNKNOWN, /* never issued, or its time is over */
    TICKET_WRONG,   /* issued for another purpose or resource; it stays as it was */
    TICKET_USED,    /* also the answer to TICKET_KEEP when another session has the ticket */
    TICKET_HELD,    /* by another session */
    TICKET_WANTED,  /* done; TICKET_KEEP: another client has asked for the ticket meanwhile */
};

enum {
    TICKET_BYTES = 16,            /* random, of a ticket */
    TICKET_LEN = 22,              /* the same as text */
    TICKET_KEY_LEN = 43,          /* of a key as text */
    TICKET_HOLDER_LEN = 22,       /* of a holder's name */
    TICKET_TEXT_MAX = 255,        /* of a purpose, of a resource */
    TICKET_POSITIONS_MAX = 16384, /* bytes */
};

/* What a ticket is for. The texts are borrowed. */
struct ticket_facts {
    struct str purpose;
    struct str resource;
    struct str claims; /* JSON, as a token has them */
    bool resumes;      /* the ticket may be used again after a lost connection */
};

struct ticket_request {
    struct request base;
    enum ticket_action action;
    struct str key;
    struct ticket_facts facts; /* ISSUE, KEEP; USE: purpose and resource that the ticket must have been issued for */
    bool any_purpose;          /* USE: facts.purpose does not count */
    bool any_resource;         /* the same */
    struct str holder;         /* all but ISSUE and SPEND: a name that no other use has */
    struct str positions;      /* KEEP, LOST: kept for the next use; the asker makes and reads them */
    uint64_t ttl_ms;           /* ISSUE, SPEND */
    uint64_t max;              /* ISSUE, SPEND: ERR_UNAVAILABLE if this node's broker has so many already */
    uint64_t lease_ms;         /* USE, KEEP */
    uint64_t resume_ms;        /* USE, KEEP, LOST */
    /* The answer, if there is no error. */
    enum ticket_outcome outcome;
    char *kept; /* USE, done: what facts and positions point into from now on; owned */
    char bytes[];
};

/* Copies the texts. The numbers are the caller's to set; everything else is zero. */
struct ticket_request *ticket_request_create(enum ticket_action action, struct str key,
                                             const struct ticket_facts *facts, struct str holder, struct str positions);
static inline struct ticket_request *ticket_request_of(struct request *request)
{
    return CONTAINER_OF(request, struct ticket_request, base);
}

/* For a broker that answers TICKET_USE: facts and positions are copies of these from now on. */
void ticket_request_tell(struct ticket_request *request, const struct ticket_facts *facts, struct str positions);

/* A new ticket, or a new name of a holder: 128 random bits in the alphabet of URLs, and a NUL. */
void ticket_make(char out[TICKET_LEN + 1]);
/* The key of a ticket, or of a token: its SHA-256 in the alphabet of URLs, and a NUL. */
void ticket_key(struct str text, char out[TICKET_KEY_LEN + 1]);

#endif
