/* request.h - what is asked of the node and its broker, and comes back with an answer. Each kind of request is a struct
 * that begins with a struct request. It is one allocation for the whole round trip, and at any time one thread owns it:
 *
 *     who asks                     router (node/router.h)       broker
 *     fills it, posts it      ->   queues it, if it must   ->   asks, fills the answer
 *     done, request_destroy   <-   request_answer          <-   sink->answered
 *
 * A node that ends gives each request back to its asker in this way (router_close). So only the asker frees a request.
 *
 * A recovery (history.h) is the exception: the router answers many of them by one replay. Here too are the policies of
 * a channel: its history and its presence. */
#ifndef CARILLON_CORE_REQUEST_H
#define CARILLON_CORE_REQUEST_H

#include "common/base/error.h"
#include "common/base/list.h"
#include "common/base/mail.h"
#include "common/base/random.h"
#include "common/protocol/event.h"
#include "server/core/revocations.h"

struct mailbox;
struct session;

enum request_kind {
    REQUEST_PUBLISH,         /* struct publication */
    REQUEST_HISTORY,         /* struct history_read, history.h */
    REQUEST_RECOVERY,        /* struct recovery, history.h */
    REQUEST_REVOKE,          /* struct revoke_request */
    REQUEST_SESSION_SLOT,    /* struct session_slot_request */
    REQUEST_PRESENCE_UPDATE, /* struct presence_update, presence.h */
    REQUEST_PRESENCE_READ,   /* struct presence_read, presence.h */
    REQUEST_TICKET,          /* struct ticket_request, ticket.h */
    REQUEST_SURVEY,          /* struct survey, node/survey.h */
    REQUEST_STREAM_APPEND,   /* struct stream_append */
    REQUEST_LIFECYCLE_WRITE, /* struct lifecycle_write, lifecycle_event.h */
    REQUEST_LIFECYCLE_LOST,  /* struct lifecycle_lost */
    REQUEST_LIFECYCLE_READ,  /* struct lifecycle_read */
};

/* Names one session of this node for as long as it lives. Afterwards it names nothing. */
struct session_id {
    uint32_t worker;
    uint32_t slot;
    uint32_t generation; /* 0: no session */
};

struct request {
    struct mail mail;
    struct list_link link; /* of whoever holds it */
    enum request_kind kind;
    struct str channel;       /* what it is about; empty: none. The text lies in the request */
    uint64_t retry_after_ms;  /* with ERR_UNAVAILABLE: when to try again; 0: not known */
    struct error *error;      /* of the answer. NULL: it was done */
    struct mailbox *reply_to; /* request_answer posts it there */
    void (*done)(struct request *request, void *owner); /* runs there and takes it. owner: that of reply_to */
    void *waiter;                                       /* the asker's own */
    void (*fini)(struct request *request); /* frees what the kind has besides its own allocation; may be NULL */
    /* Of a session of a hub (hub_private.h, session_ask). */
    struct session_id session;
    struct str command_id; /* as the client wrote it; empty: none. The text lies in the request */
    void (*answer)(struct session *session, struct request *request);
};

/* The answer is an error. ERR_UNAVAILABLE: the broker cannot do it now, or it is not known whether it did. */
void request_fail(struct request *request, enum err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* ERR_NONE: it was done. */
enum err request_code(const struct request *request);

/* Posts the request to reply_to, where done runs. Any thread that owns it. */
void request_answer(struct request *request);
/* Takes the request out of its list, and frees it with all that it has. */
void request_destroy(struct request *request);

/* What a channel's rule says of its history. size 0: the channel has no history, and its events no offsets. */
struct history_policy {
    uint64_t size;   /* events */
    uint64_t ttl_ms; /* 0: they do not age */
};

/* What a channel's rule says of its members. */
struct presence_policy {
    bool kept;
    bool events;     /* join and leave are told to the subscribers */
    uint64_t ttl_ms; /* members of a node that died leave within it */
};

/* Publishes an event. */
struct publication {
    struct request base;
    /* The question. The texts lie in bytes. */
    struct str type;
    struct str data;
    struct str event_id;               /* idempotency key; empty: none */
    struct str user, session, exclude; /* as in struct event; empty: none */
    struct history_policy history;
    uint64_t user_hash;   /* of the publishing client's user: two users may have the same; 0: a backend */
    uint64_t accepted_us; /* monotonic, when the node got it */
    /* The answer, filled by the broker. Without an error the event is published, and stored where it must be. */
    char id[UUID_LEN + 1];
    char epoch[EPOCH_MAX + 1]; /* "" on channels without history */
    uint64_t offset;
    bool duplicate;      /* event_id was known: id, epoch and offset are those of the first */
    size_t waiter_index; /* for base.done */
    char bytes[];
};

/* Copies the offer's texts, and the id of the command that publishes (empty: none). Everything else is zero. */
struct publication *publication_create(const struct event_offer *offer, struct str command_id);

static inline struct publication *publication_of(struct request *request)
{
    return CONTAINER_OF(request, struct publication, base);
}

/* Keeps the revocation for all nodes, also for a node that starts later. */
struct revoke_request {
    struct request base;
    struct revocation revocation; /* its text lies in bytes */
    char bytes[];
};

/* Copies the text. The rest of base is zero. */
struct revoke_request *revoke_request_create(const struct revocation *revocation);

/* A session slot is one of the connections that a token allows its user at once, on all nodes (session_limit). */
enum session_slot_action {
    SESSION_SLOT_TAKE, /* if fewer than limit are taken */
    SESSION_SLOT_KEEP, /* for another ttl_ms, also if the broker has lost it */
    SESSION_SLOT_LEAVE,
};

struct session_slot_request {
    struct request base;
    enum session_slot_action action;
    struct str user;
    struct str session; /* its uuid */
    uint64_t limit;     /* TAKE */
    uint64_t ttl_ms;    /* TAKE, KEEP: the slot is free again after it, unless it is kept */
    bool granted;       /* the answer to TAKE */
    char bytes[];
};

/* Copies the texts. Everything else is zero. */
struct session_slot_request *session_slot_request_create(enum session_slot_action action, struct str user,
                                                         struct str session);

/* Appends one entry to a stream of Redis. ERR_UNAVAILABLE: Redis is away or full, or too much waits for it. If the
 * connection was lost before the answer, the entry may be there. A broker without Redis refuses the request. */
struct stream_append {
    struct request base;
    struct str stream; /* its key, as it is; the prefix of Carillon's own keys is not added */
    uint64_t max_len;  /* about so many entries stay; 0: all of them */
    size_t cost;       /* bytes that it takes while it waits */
    size_t text_count; /* names and values, one after the other */
    struct str texts[];
};

/* Copies the texts. Everything else is zero. */
struct stream_append *stream_append_create(struct str stream, uint64_t max_len, size_t text_count,
                                           const struct str *texts);

#endif
