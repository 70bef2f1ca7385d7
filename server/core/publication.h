/* publication.h - one publish on its way: made in a worker, carried to the broker, answered there, carried back. One
 * allocation for the round trip; at any time one thread owns it. */
#ifndef CARILLON_CORE_PUBLICATION_H
#define CARILLON_CORE_PUBLICATION_H

#include "common/base/error.h"
#include "common/base/mail.h"
#include "common/base/random.h"
#include "common/protocol/command.h"

struct mailbox;

/* Of a channel's rule. size 0: the channel has no history, its events no offsets. */
struct history_policy {
    uint64_t size;   /* events */
    uint64_t ttl_ms; /* 0: they do not age */
};

/* The same: whether the channel's members are kept. */
struct presence_policy {
    bool kept;
    bool events;     /* join and leave are told to the subscribers */
    uint64_t ttl_ms; /* members of a node that died leave within it */
};

/* Names one session of this node for as long as it lives; afterwards it names nothing. */
struct session_id {
    uint32_t worker;
    uint32_t slot;
    uint64_t generation; /* 0: no session */
};

struct publication {
    struct mail mail;
    /* What is asked. The text points into bytes[]. */
    struct str channel;
    struct str type;
    struct str data;
    struct str event_id; /* idempotency key; empty: none */
    struct history_policy history;
    uint64_t user;        /* whose client publishes, hashed: two may be taken for one; 0: a backend */
    uint64_t accepted_us; /* monotonic, when the node got it */
    /* The answer, filled by the broker before it goes back. */
    struct error error;      /* code ERR_NONE: published, and stored where it must be */
    uint64_t retry_after_ms; /* with ERR_UNAVAILABLE: when to try again */
    char id[UUID_LEN + 1];
    char epoch[EPOCH_MAX + 1]; /* "" on channels without history */
    uint64_t offset;
    bool duplicate; /* event_id was known: id, epoch and offset are those of the first */
    /* The way back: where it is posted, and what then runs there. done takes the publication. */
    struct mailbox *reply_to;
    void (*done)(struct publication *publication, void *owner);
    /* Who waits, for done: a session's command, or whatever the maker needs. */
    struct session_id session;
    char command_id[COMMAND_ID_RAW_MAX + 1]; /* as the client wrote it, NUL-terminated */
    void *waiter;
    size_t waiter_index;
    char bytes[];
};

/* Copies the texts; everything else is zero. */
struct publication *publication_create(struct str channel, struct str type, struct str data, struct str event_id);
void publication_destroy(struct publication *publication);

/* Posts it to reply_to, where done runs. Any thread that owns it. */
void publication_answer(struct publication *publication);

#endif
