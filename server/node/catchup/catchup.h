/* catchup.h - the events of one channel on one node. Each event with an offset is posted once, in order, or a gap is
 * announced in its place. A subscriber that recovers gets what it missed.
 *
 * This is a pure state machine. An event, a position, a page of the history, a recovery or a tick comes in by a call.
 * The decisions go out by struct catchup_ops, within that call. There is no mail, no log, no clock and no broker here.
 * Single thread. An example, in which event 7 was lost on its way:
 *
 *     router                         catchup
 *     catchup_event(6)           ->  post(6)
 *     catchup_event(8)           ->  8 is held; read(number 1)
 *     catchup_begin_read(1)      ->  "after 6"             the router sends the read to the broker
 *     catchup_page(7, 8)         ->  post(7), post(8)
 *
 * Words. Epoch: one history of a channel. Position: an epoch and the offset and id of an event in it. Page: a run of
 * events read from the history. Recovery: the request of one subscriber for all events after a position. */
#ifndef CARILLON_NODE_CATCHUP_CATCHUP_H
#define CARILLON_NODE_CATCHUP_CATCHUP_H

#include "server/core/history.h"
#include "server/node/catchup/log_window.h"

/* A page that is read for catchup, and one that goes to a worker, has at most so many events and about so many bytes.
 */
enum { CATCHUP_PAGE_EVENTS = 256, CATCHUP_PAGE_BYTES = 512 * 1024 };

struct catchup;

/* The owner, as catchup sees it. None of these calls back into catchup, except that read may call catchup_begin_read.
 */
struct catchup_ops {
    /* An event for all subscribers of the channel. Takes the reference. */
    void (*post)(void *owner, struct catchup *catchup, struct message *message);
    /* The channel goes on from another position, which catchup has already. The subscribers may have missed events. */
    void (*gap)(void *owner, struct catchup *catchup, enum gap gap);
    /* The broker was away, and the history still follows the last event posted. Joins and leaves may be lost. */
    void (*interrupted)(void *owner, struct catchup *catchup);
    /* Recoveries with their outcome. The owner takes all of them out of the list. catchup_message has count events from
     * offset first on, which are for those with RECOVERY_FOUND. */
    void (*replay)(void *owner, struct catchup *catchup, struct list_link *recoveries, uint64_t first, size_t count);
    /* A page is wanted. The owner calls catchup_begin_read when it can send the read. A channel has one at a time. */
    void (*read)(void *owner, struct catchup *catchup, uint64_t number);
};

/* Shared by all channels of a node. */
struct catchup_set {
    const struct catchup_ops *ops;
    void *owner;
    struct log_budget budget; /* of the events that are kept in memory; the owner sets bytes_max */
    struct list_link busy;    /* struct catchup_work */
    struct list_link due;     /* of them, those with recoveries that wait for catchup_serve_due */
    uint64_t now_us;          /* of the last tick */
    uint64_t last_read;       /* number of the last read asked for */
};

enum catchup_phase {
    CATCHUP_NEW,      /* the broker has not answered the subscription */
    CATCHUP_LOCATING, /* the rule was given a history; the broker has not said where the channel is */
    CATCHUP_READY,
};

/* One channel. Embedded in the owner's struct. Outside catchup only read, never written. */
struct catchup {
    struct catchup_set *set;
    struct catchup_work *work; /* NULL: no event is missing, and nobody has recovered lately */
    uint64_t offset;           /* of the last event posted, or of the last gap */
    enum catchup_phase phase;
    bool has_history;          /* of the channel's rule. Without, there is no position, and events go without offset */
    char epoch[EPOCH_MAX + 1]; /* "": no position: no history, or the broker could not begin one */
    char id[POSITION_ID_MAX + 1]; /* of the event at offset; "": not known */
};

void catchup_set_init(struct catchup_set *set, const struct catchup_ops *ops, void *owner);
void catchup_init(struct catchup *catchup, struct catchup_set *set, bool has_history);
/* Frees what it holds, with the recoveries that wait. */
void catchup_fini(struct catchup *catchup);

/* Where the channel is, as its subscribers know it. Borrowed. */
struct position catchup_now(const struct catchup *catchup);
/* An event that is kept in memory, borrowed; NULL if it is not. */
const struct message *catchup_message(const struct catchup *catchup, uint64_t offset);

/* --- what comes in ---------------------------------------------------------------------------------------------- */

/* The broker has answered the subscription; or, later, it was away and tells where the channel is now. Afterwards the
 * owner answers the joins that wait, and then calls catchup_advance. */
void catchup_position(struct catchup *catchup, const struct position *position);
/* The broker tells the position, and no connection was lost. False when it is of no use. As for catchup_position, the
 * owner then answers joins and calls catchup_advance. */
bool catchup_located(struct catchup *catchup, const struct position *position);
/* The channel's rule has another history now, or none. The owner has asked the broker for the position. */
void catchup_follow_rule(struct catchup *catchup, bool has_history);
/* An event with an offset. It is ignored before the first position. now_us is the time that its message gets. Borrows
 * the event. */
void catchup_event(struct catchup *catchup, const struct event *event, uint64_t now_us);

/* Takes the recovery. It is served by the next catchup_serve_due, so that all of one turn share reads and replays. */
void catchup_recover(struct catchup *catchup, struct recovery *recovery);
void catchup_serve_due(struct catchup_set *set);
/* The worker has left the channel: its recoveries are dropped. */
void catchup_drop_recoveries(struct catchup *catchup, unsigned worker);

/* The read of that number can be sent. False when it is not wanted any more. Else the page is to begin after
 * *out_after, and its answer goes to catchup_page. */
bool catchup_begin_read(struct catchup *catchup, uint64_t number, uint64_t *out_after);
/* The answer to a read, also when it failed. Borrows it. An answer that is not awaited is ignored. */
void catchup_page(struct catchup *catchup, const struct history_read *page, uint64_t now_us);

/* Does what can be done now: posts events that were held, serves recoveries, asks for a page. */
void catchup_advance(struct catchup *catchup);
/* About ten times a second: reads that failed are tried again, and what nobody has asked for lately is freed. */
void catchup_tick(struct catchup_set *set, uint64_t now_us, bool broker_is_up);

#endif
