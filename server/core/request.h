/* request.h - what a node asks of its broker besides events: that a token be revoked, that a session may
 * be one of its user's. Each kind of request is a struct
 * that begins with a struct broker_request; it is one allocation for the round trip, and at any time one thread owns
 * it. */
#ifndef CARILLON_CORE_REQUEST_H
#define CARILLON_CORE_REQUEST_H

#include "common/base/error.h"
#include "common/base/mail.h"
#include "server/core/publication.h"
#include "server/core/revocations.h"

struct mailbox;

enum broker_request_kind {
    REQUEST_REVOKE,          /* struct revoke_request */
    REQUEST_SESSION_SLOT,    /* struct session_slot_request */
    REQUEST_PRESENCE_UPDATE, /* struct presence_update, presence.h */
    REQUEST_PRESENCE_READ,   /* struct presence_read, presence.h */
};

struct broker_request {
    struct mail mail;
    enum broker_request_kind kind;
    struct error error; /* of the answer. ERR_UNAVAILABLE: the broker cannot now, or nobody knows if it did */
    /* The way back: where it is posted, and what then runs there. done takes the request. */
    struct mailbox *reply_to;
    void (*done)(struct broker_request *request, void *owner);
    void *waiter; /* for done */
};

/* Posts it to reply_to, where done runs. Any thread that owns it. */
void broker_request_answer(struct broker_request *request);

/* Keeps the revocation, so that every node knows it, also one that starts later. */
struct revoke_request {
    struct broker_request base;
    struct revocation revocation; /* its text lies in bytes */
    char bytes[];
};

/* Copies the text; everything else of base is zero. Freed by free(). */
struct revoke_request *revoke_request_create(const struct revocation *revocation);

/* A session slot is one of the connections that a token allows its user at once, on all nodes (session_limit). */
enum session_slot_action {
    SESSION_SLOT_TAKE, /* if fewer than limit are taken */
    SESSION_SLOT_KEEP, /* for another ttl_ms; also one that the broker has lost */
    SESSION_SLOT_LEAVE,
};

struct session_slot_request {
    struct broker_request base;
    enum session_slot_action action;
    struct str user;
    struct str session; /* its uuid */
    uint64_t limit;     /* TAKE */
    uint64_t ttl_ms;    /* TAKE, KEEP: counts no longer than this without being kept */
    bool granted;       /* the answer to TAKE */
    struct session_id session_id;
    char bytes[];
};

/* Copies the texts; everything else is zero. Freed by free(). */
struct session_slot_request *session_slot_request_create(enum session_slot_action action, struct str user,
                                                         struct str session);

#endif
