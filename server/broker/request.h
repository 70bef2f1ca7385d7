/* request.h - what a node asks of its broker besides events: that a token be revoked. Each kind of request is a struct
 * that begins with a struct broker_request; it is one allocation for the round trip, and at any time one thread owns
 * it. */
#ifndef CARILLON_BROKER_REQUEST_H
#define CARILLON_BROKER_REQUEST_H

#include "common/base/error.h"
#include "common/base/mailbox.h"
#include "server/core/revocations.h"

enum broker_request_kind {
    REQUEST_REVOKE, /* struct revoke_request */
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

#endif
