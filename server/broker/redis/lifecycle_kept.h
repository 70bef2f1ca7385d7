/* lifecycle_kept.h - the lifecycle events that this node has written last, kept to be sent on by HTTP. So the node that
 * sends events on does not read its own ones back from Redis.
 *
 * 1. Events are kept once Redis has them, and only while this node is the reader (struct lifecycle_read).
 * 2. Each batch knows its place in the stream, and the event before it there. Kept events are given out only if they
 *    follow the last event that was sent on. If another node has written in between, or Redis has lost something, they
 *    do not follow, and Redis is read.
 * 3. They take at most LIFECYCLE_KEPT_BYTES. Newer ones are not kept, and are read from Redis.
 *
 * Pure; the broker's thread. */
#ifndef CARILLON_BROKER_REDIS_LIFECYCLE_KEPT_H
#define CARILLON_BROKER_REDIS_LIFECYCLE_KEPT_H

#include "common/base/list.h"
#include "server/core/lifecycle_event.h"

enum { LIFECYCLE_KEPT_BYTES = 4 * 1024 * 1024, LIFECYCLE_PLACE_MAX = 48 };

/* An event in the stream. */
struct lifecycle_place {
    char id[LIFECYCLE_PLACE_MAX]; /* of its entry; "": not known */
    uint64_t number;
};

struct lifecycle_kept {
    struct list_link batches; /* struct kept_batch, oldest first */
    size_t bytes;
    struct lifecycle_place sent; /* the last event that was sent on */
    bool is_unsaved;             /* Redis does not know it yet */
    uint64_t reader_until_us;    /* monotonic: this node is the reader until then */
    struct lifecycle_place last; /* the last event that this node has written */
    bool others_write;           /* there was another one before the batch that came last */
};

void lifecycle_kept_init(struct lifecycle_kept *kept);
/* Forgets all, as in the beginning: this node is not the reader, or Redis does not have what it had. Frees all. */
void lifecycle_kept_forget(struct lifecycle_kept *kept);

/* Whether the node is the reader. If it is the reader no more, all is forgotten but for `sent` that Redis does not
 * know: Redis takes it if no other node has become the reader meanwhile. */
bool lifecycle_kept_is_reader(struct lifecycle_kept *kept, uint64_t now_us);

/* Redis has this batch. before: the event before it in the stream. ids: for each event with JSON the id of its entry,
 * or "-" if it was not told, with spaces between. */
void lifecycle_kept_add(struct lifecycle_kept *kept, const struct lifecycle_write *write, uint64_t before_number,
                        struct str before_id, struct str ids);

/* All events up to that one have been sent on. */
void lifecycle_kept_set_sent(struct lifecycle_kept *kept, const char *id, uint64_t number);

/* Answers the read with the events that follow the last one that was sent. False: there are none here. */
bool lifecycle_kept_take(struct lifecycle_kept *kept, struct lifecycle_read *read);

#endif
