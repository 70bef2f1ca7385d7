/* catchup_rig.h - one channel's catchup, without a broker, a router or a thread. The test calls what comes in. The
 * decisions are written down as text, a word for each call of catchup_ops, and expect() compares them. A model of the
 * history fills the pages.
 *
 *     post:6                      an event; 0: without its offset
 *     gap:epoch_changed:f:2       the reason and the new position
 *     interrupted
 *     read1 after:5               the first read has been asked for, and begins after 5
 *     read1                       it waits for its turn (reads_wait); begin_read() says "after:5" or "unwanted"
 *     found1:3 found2:4 with:4-5  a replay: the first recovery goes on from 3, the second from 4; events 4 and 5
 *     lost1:history_too_short     a replay: the first recovery is lost */
#ifndef CARILLON_TESTS_UNIT_NODE_CATCHUP_RIG_H
#define CARILLON_TESTS_UNIT_NODE_CATCHUP_RIG_H

#include "server/node/catchup/catchup.h"

struct rig {
    struct catchup_set set;
    struct catchup catchup;
    struct buf said; /* what catchup_ops were called with */
    /* The model: the history has the events [first, last] of the epoch. */
    const char *epoch;
    uint64_t first, last;
    const char *past;    /* the first part of its events' ids: another one after Redis has lost events */
    bool knows_before;   /* the broker knows the id of the event before the first one */
    bool reads_wait;     /* a read does not get its turn at once */
    uint64_t number;     /* of the last read */
    uint64_t after;      /* where it begins */
    uint64_t recoveries; /* made so far: their serials */
    uint64_t now_us;
};
extern struct rig rig;

/* A test begins with a channel with history, without a position or at offset 5. At its end nothing is left unsaid.
 */
int catchup_rig_setup(void **state);
int catchup_rig_setup_at_five(void **state);
int catchup_rig_teardown(void **state);

/* All that was said since the last expect. */
void expect(const char *said);

/* An event of the model's epoch, or of another one. The model has it, too. */
void event(uint64_t offset);
void event_in(const char *epoch, uint64_t offset);
/* The broker tells the position of the model. position: for a new subscription, or after the broker was away. located:
 * with no connection lost.
 */
void position(void);
void located(void);

/* The read gets its turn. */
void begin_read(void);
/* The page of the last read, as the model is now. give_page takes it. answer: both at once. */
struct history_read *make_page(void);
void give_page(struct history_read *page);
void answer(void);
void fail_read(enum err err);

/* A recovery. epoch "": the last events, as many as offset says. id NULL: none. recover: it is served at once. */
void ask(unsigned worker, const char *epoch, uint64_t offset, const char *id);
void recover(const char *epoch, uint64_t offset, const char *id);

/* Time goes on. */
void tick(uint64_t ms);
void tick_as(uint64_t ms, bool broker_is_up);

#endif
