/* idempotency.h - answers of a backend by the idempotency key of the message, so that a message that a client sends
 * again is not carried out again. A key is one user's.
 *
 *   the first message with a key   goes to the backend; its frames are kept
 *   another one meanwhile          waits for the frames of the first one
 *   another one afterwards         gets the frames at once, until they are too old or have to make room
 *
 * Failures are not kept: those who wait get the failure, and the next message goes to the backend. Shared by all
 * threads of the node; a lock is held for as long as it takes to copy an answer. */
#ifndef CARILLON_UPSTREAM_IDEMPOTENCY_H
#define CARILLON_UPSTREAM_IDEMPOTENCY_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "common/base/mailbox.h"
#include "server/core/request.h"

struct idempotency;
struct idempotency_entry;

/* One reference. Answers older than max_age_us are not given. All kept ones together have max_bytes, and so have the
 * frames of all answers under way: one that would go over it is not kept. */
struct idempotency *idempotency_create(uint64_t max_age_us, size_t max_bytes);
struct idempotency *idempotency_ref(struct idempotency *store);
/* NULL is fine. */
void idempotency_unref(struct idempotency *store);

enum idempotency_outcome {
    IDEMPOTENCY_ANSWERED, /* frames has the answer */
    IDEMPOTENCY_FAILED,   /* err and text say how */
    IDEMPOTENCY_NO_ANSWER /* the first message is not carried out to its end, or its answer is too large to keep: the
                             waiting one goes to the backend itself */
};

/* A message that waits for the answer to another one. It is posted to reply_to, whose owner's thread frees it by
 * idempotency_waiter_free. */
struct idempotency_waiter {
    struct mail mail; /* deliver is set by who waits */
    struct list_link link;
    struct mailbox *reply_to;
    struct session_id session;
    uint64_t sequence;
    enum idempotency_outcome outcome;
    enum err err;
    const char *text; /* static */
    struct buf frames;
};
void idempotency_waiter_free(struct idempotency_waiter *waiter);

enum idempotency_begun {
    IDEMPOTENCY_FIRST, /* *out_entry: the caller ends it */
    IDEMPOTENCY_JOINS, /* the waiter has been taken */
    IDEMPOTENCY_KNOWN, /* out_frames has the answer */
};
enum idempotency_begun idempotency_begin(struct idempotency *store, struct str user, struct str key, uint64_t now_us,
                                         struct idempotency_waiter *waiter, struct idempotency_entry **out_entry,
                                         struct buf *out_frames);
/* The message of that session does not wait any more. Its mail may be under way all the same. */
void idempotency_leave(struct idempotency *store, struct str user, struct str key, struct session_id session,
                       uint64_t sequence);

/* Keeps a frame of the answer. */
void idempotency_add(struct idempotency *store, struct idempotency_entry *entry, bool binary, struct str frame);
/* The first message is over; err and text are of IDEMPOTENCY_FAILED. */
void idempotency_end(struct idempotency *store, struct idempotency_entry *entry, enum idempotency_outcome outcome,
                     enum err err, const char *text);

/* Takes the first frame off *frames. False: there is none. */
bool idempotency_next_frame(struct str *frames, bool *out_binary, struct str *out_frame);

#endif
