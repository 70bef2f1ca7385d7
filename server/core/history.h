/* history.h - the requests for past events: a page of a channel's history, and the recovery of a subscriber that has
 * missed events. */
#ifndef CARILLON_CORE_HISTORY_H
#define CARILLON_CORE_HISTORY_H

#include "common/base/buf.h"
#include "common/protocol/gap.h"
#include "server/core/message.h"
#include "server/core/request.h"

/* --- a page ---------------------------------------------------------------------------------------------------- */

/* The place of one event of a page in history_read.text. */
struct history_event {
    uint64_t offset;
    size_t begin;
    size_t len;
    size_t exclude; /* where the id of its excluded session begins in history_read.excluded, plus one; 0: none */
};

struct history_read {
    struct request base;
    /* What is asked: events above after, oldest first. Backwards: the newest events below before (0: up to the end). A
     * page has at most limit events and about max_bytes, but at least one event. */
    bool backwards;
    uint64_t after;
    uint64_t before;
    uint32_t limit;
    size_t max_bytes;
    char asked_epoch[EPOCH_MAX + 1]; /* of the position that the page is asked from; "": any */
    uint64_t number;                 /* of a read for catchup */
    /* The answer, filled by the broker, shows one moment. Events are in the order of their offsets, without holes. Each
     * is as its subscribers get it (event_encode). Commas join them. The first is above after + 1 if older events are
     * no longer kept. */
    char epoch[EPOCH_MAX + 1];           /* "": the channel has no history */
    uint64_t offset;                     /* of the channel's last event, whether or not it is kept; 0: none yet */
    char id[POSITION_ID_MAX + 1];        /* of that event; "": not known */
    char before_id[POSITION_ID_MAX + 1]; /* of the event before the first of the page; "": not known */
    struct buf text;
    struct buf excluded; /* ids of sessions, UUID_LEN bytes each */
    struct history_event *events;
    size_t count;
    size_t cap;
    bool more; /* there are further events in that direction */
    char bytes[];
};

/* The default and the largest number of events that a page asks for, and its bound in bytes. */
enum { HISTORY_LIMIT_DEFAULT = 50, HISTORY_LIMIT_MAX = 1000, HISTORY_PAGE_BYTES = 256 * 1024 };

/* Copies the texts. command_id: of the command that asks; empty: none. Everything else is zero. */
struct history_read *history_read_create(struct str channel, struct str command_id);
/* The epoch of the position that the page is asked from; at most EPOCH_MAX bytes. */
void history_read_expect(struct history_read *read, struct str epoch);
/* Call when it is answered. It fails with ERR_CONFLICT when the channel's epoch is another one than expected. */
void history_read_check(struct history_read *read);
/* For the broker: adds an event to the answer, oldest first. Backwards: newest first, and history_read_reverse at the
 * end. json: the event as event_encode has written it. exclude: as in struct event. */
void history_read_add(struct history_read *read, const struct event *event);
void history_read_add_json(struct history_read *read, uint64_t offset, struct str exclude, struct str json);
void history_read_reverse(struct history_read *read);
static inline struct str history_read_json(const struct history_read *read, size_t index)
{
    return str_from(read->text.ptr + read->events[index].begin, read->events[index].len);
}
static inline struct str history_read_exclude(const struct history_read *read, size_t index)
{
    size_t place = read->events[index].exclude;
    return place ? str_from(read->excluded.ptr + place - 1, UUID_LEN) : STR("");
}
static inline struct history_read *history_read_of(struct request *request)
{
    return CONTAINER_OF(request, struct history_read, base);
}

/* --- a recovery -------------------------------------------------------------------------------------------------- */

enum recovery_outcome {
    RECOVERY_FOUND, /* the replay has the next messages; the subscriber is live at the replay's position */
    RECOVERY_LOST,  /* the events cannot be had (gap says why); the subscriber is live at the replay's position */
};

/* A subscriber (base.session) asks for the events after a position, or for the last events. The hub makes the recovery,
 * and gets it back as part of a replay. It has no base.done. */
struct recovery {
    struct request base;
    uint64_t read;             /* of catchup: number of the first read that is sent after the recovery came */
    uint64_t serial;           /* tells the subscription from others that the session has or had */
    char epoch[EPOCH_MAX + 1]; /* after (epoch, offset); "": the last events, as many as last says */
    uint64_t offset;
    char id[POSITION_ID_MAX + 1]; /* the event at offset must be this one; "": any */
    bool id_confirmed;            /* of catchup: the event at offset has this id */
    uint64_t last;
    /* The answer. */
    enum recovery_outcome outcome;
    enum gap gap;
    char bytes[];
};

struct recovery *recovery_create(struct str channel);

static inline struct recovery *recovery_of(struct request *request)
{
    return CONTAINER_OF(request, struct recovery, base);
}

/* The recovery that is in a list. */
static inline struct recovery *recovery_in(struct list_link *link)
{
    return CONTAINER_OF(link, struct recovery, base.link);
}

/* To one worker: the recoveries of one channel that have an outcome, and the events for them. The replay's place in the
 * worker's mail is its position. All events up to offset were posted before it, and all later ones come after it. The
 * messages begin with the offset first and have no holes. They have the events that follow the offset of each recovery
 * that is found, up to the last message. */
struct replay {
    struct mail mail;
    struct list_link recoveries; /* with their outcomes; offset: the missed events begin after it */
    char epoch[EPOCH_MAX + 1];   /* "": the channel has no history */
    uint64_t offset;
    char id[POSITION_ID_MAX + 1]; /* of the event at offset; "": not known */
    uint64_t first;
    size_t count;
    struct str channel; /* points behind the messages */
    struct message *messages[];
};

/* Frees the replay with all that it still has. */
void replay_destroy(struct replay *replay);

#endif
