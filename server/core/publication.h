/* publication.h - the request to publish an event, and the policies of a channel: its history and its presence. */
#ifndef CARILLON_CORE_PUBLICATION_H
#define CARILLON_CORE_PUBLICATION_H

#include "common/base/random.h"
#include "common/protocol/event.h"
#include "server/core/request.h"

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

struct publication {
    struct request base;
    /* The question. The texts lie in bytes. */
    struct str type;
    struct str data;
    struct str event_id; /* idempotency key; empty: none */
    struct history_policy history;
    uint64_t user;        /* the publishing client's user, hashed: two users may have the same; 0: a backend */
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

#endif
