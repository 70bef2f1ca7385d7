/* held_call.h - a call that is answered later: when the journal has what it waits for, or when its time is over. That
 * is real time, whatever the clock of the server says. One thread. */
#ifndef CARILLON_DEV_HELD_CALL_H
#define CARILLON_DEV_HELD_CALL_H

#include <uv.h>

#include "common/base/mailbox.h"
#include "common/protocol/http_message.h"
#include "server/dev/journal.h"

/* Of all calls that wait. */
struct held_calls {
    struct list_link all; /* struct held_call */
    struct journal *journal;
    struct mailbox *mailbox; /* of the server's only turn */
    bool ending;             /* expire must answer for good */
};

/* The first member of its owner, which is one allocation. */
struct held_call {
    struct held_calls *set;
    struct list_link link;
    struct http_call *call; /* NULL once it has been answered */
    /* Lines have been added in this turn, or it has just begun. Called outside of whatever has added them. */
    void (*look)(struct held_call *held);
    /* The time is over, or the server ends. The call must be answered by then: held_call_end. */
    void (*expire)(struct held_call *held);
    void (*fini)(struct held_call *held); /* frees what the owner has besides its allocation; may be NULL */
    struct journal_listener listener;
    struct mail mail;
    bool posted;
    bool closed; /* the timer */
    uv_timer_t timer;
    uint64_t began_ms;
};

void held_calls_init(struct held_calls *set, struct journal *journal);

/* The call waits at most so long. call, look, expire and fini are set, and all else is zero. Takes the owner. */
void held_call_begin(struct held_calls *set, struct held_call *held, uint64_t timeout_ms);
/* look is called in the next round of this turn's mail (mailbox.h), or in a later turn. */
void held_call_look_again(struct held_call *held);
/* Starts its time again. */
void held_call_extend(struct held_call *held, uint64_t timeout_ms);
/* For how long it has waited, in milliseconds of real time. */
uint64_t held_call_age_ms(const struct held_call *held);
/* The call has been answered. The owner's memory goes once nothing needs it any more. */
void held_call_end(struct held_call *held);

/* The server ends: expires all. */
void held_calls_expire(struct held_calls *set);

#endif
