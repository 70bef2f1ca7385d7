/* catchup_private.h - what the files of catchup share. catchup.c calls the others.
 *
 *     catchup.c        what comes in: events, positions, recoveries, answers to reads, ticks
 *     recovery.c       subscribers that recover
 *     catchup_work.c   the position, the next event, the memory, and what a page of the history shows
 *     log_window.c     a run of events in memory */
#ifndef CARILLON_NODE_CATCHUP_CATCHUP_PRIVATE_H
#define CARILLON_NODE_CATCHUP_CATCHUP_PRIVATE_H

#include "server/node/catchup/catchup.h"

/* The state of a channel while events are missing or subscribers recover, and for some seconds afterwards. */
struct catchup_work {
    struct catchup *catchup;
    struct list_link link; /* in set->busy */
    struct list_link due;  /* in set->due */
    uint64_t known_last;   /* the broker has events up to here. Above catchup->offset: some are missing */
    bool check_last;       /* the next page must show that the last event posted is still in the history */
    uint64_t oldest_kept;  /* older events of this epoch are gone; 0: not known */
    char before_oldest[POSITION_ID_MAX + 1]; /* id of the event before that one; "": not known */
    struct log_window window;                /* events up to catchup->offset, read or posted lately, for recoveries */
    struct log_window held;                  /* events that came while older ones are missing */
    struct list_link recoveries;             /* struct recovery: those that wait, oldest first */
    struct {
        uint64_t number;           /* of the read that is asked for or under way; 0: none */
        uint64_t after, offset;    /* where it begins, and catchup->offset when it was sent */
        char epoch[EPOCH_MAX + 1]; /* the same of catchup->epoch */
    } read;
    uint64_t retry_us;   /* no read before this time; 0: at once */
    uint64_t failing_us; /* reads have failed since this time; 0: they have not */
    uint64_t used_us;
    /* The lowest offset that a recovery began at, since period_us and in the period before. UINT64_MAX: none. */
    uint64_t asked_from, asked_from_before;
    uint64_t period_us;
};

/* --- catchup_work.c --------------------------------------------------------------------------------------------- */
/* Made when there is none. */
struct catchup_work *catchup_work_of(struct catchup *catchup);
/* Tells nobody: for the first position of a channel. */
void catchup_set_position(struct catchup *catchup, const struct position *position);
/* Goes on from that position, and announces the gap. */
void catchup_jump(struct catchup *catchup, enum gap gap, const struct position *position);
/* The event after catchup->offset. Takes the reference. */
void catchup_post_next(struct catchup *catchup, struct str id, struct message *message);
/* Posts the events that are held, up to the next one that is missing. */
void catchup_post_held(struct catchup *catchup);

/* Keeps an event that comes before older ones, which are missing. */
void catchup_hold(struct catchup *catchup, const struct event *event, uint64_t now_us);
/* The event is not of the channel's epoch: announces the gap. False when nothing more is to be done with the event. */
bool catchup_enter_epoch(struct catchup *catchup, const struct event *event, uint64_t now_us);

/* Posts and keeps the events of the page, or announces the gap that it shows. */
void catchup_take_page(struct catchup *catchup, const struct history_read *page, uint64_t now_us);

/* --- recovery.c ------------------------------------------------------------------------------------------------- */
/* Answers all recoveries that can be answered from the window and the position. After a read: its number and the offset
 * of the broker's last event, as the page told it; else 0 and 0. */
void recovery_serve(struct catchup *catchup, uint64_t read, uint64_t broker_offset);
/* Answers all recoveries that wait: what they ask for is lost. */
void recovery_give_up(struct catchup *catchup, enum gap gap);
/* Where a read for the recoveries should begin. False when none waits. */
bool recovery_needs_read(const struct catchup *catchup, uint64_t *out_after);

#endif
