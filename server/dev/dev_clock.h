/* dev_clock.h - the clock of a server for development, in place of the real one for the whole process. It runs at a
 * rate, or stands still, and can be moved forward at any time: then every timer that becomes due on the way fires at
 * its time, in order.
 *
 * Real time counts for work that no client sees, such as the gathering of joins: it uses the timers of turns
 * (mailbox.h), and goes on while the clock stands still. Real time also counts for Redis, for backends
 * (upstream.timeout) and for TLS handshakes. */
#ifndef CARILLON_DEV_DEV_CLOCK_H
#define CARILLON_DEV_DEV_CLOCK_H

#include <uv.h>

#include "common/base/mailbox.h"

struct connection_set;
struct hub;

/* How the clock begins, and begins again after a reset. */
struct dev_clock_start {
    bool has_wall;
    uint64_t wall_ms; /* since 1970; without has_wall the real time */
    unsigned rate;    /* 1: as fast as real time; 0: frozen */
};

struct dev_clock {
    struct dev_clock_start start;
    struct turn *turn; /* of the server's only loop */
    struct hub *hub;
    struct connection_set *connections; /* their deadlines are of real time */
    uv_idle_t stepping;                 /* while the clock is moved */
    uint64_t turned_us;                 /* when the last turn began, by this clock */
    uint64_t really_turned_us;          /* and by the real one */
    struct turn_hook on_turn;           /* keeps the turn's timers in step */
    uint64_t until_us;                  /* where it is moved to */
    uint64_t from_us;                   /* where the move began */
    uint64_t step_us;                   /* of a long move; 0: it stops at each timer */
    unsigned rate;                      /* at which it runs on then */
    unsigned settling;                  /* turns that are left before it moves on */
    uint64_t patience_us;               /* real time: until when it waits for answers to pings; 0: it does not wait */
    size_t given_up;                    /* pings whose answers it no longer waits for */
    void (*arrived)(void *owner, bool whole);
    void *owner;
};

/* Takes over from the real clock. There is only one thread yet. There is one dev clock in a process. */
void dev_clock_begin(struct dev_clock *clock, const struct dev_clock_start *start);
/* The parts of the server are there. They are borrowed for the loop's life. */
void dev_clock_attach(struct dev_clock *clock, struct turn *turn, struct hub *hub, struct connection_set *connections);
/* Before the loop closes. */
void dev_clock_detach(struct dev_clock *clock);
/* The real clock again, when only one thread is left. */
void dev_clock_end(void);

/* Moves the clock forward by so much, and then lets it run at the rate. arrived is called once, in a later turn, when
 * all timers that have become due on the way have fired, and what they caused has been written. Where a session is
 * pinged on the way, its client has some real time to answer. whole: false after dev_clock_stop. */
void dev_clock_advance(struct dev_clock *clock, uint64_t us, unsigned rate, void (*arrived)(void *owner, bool whole),
                       void *owner);
/* The clock stays where the move has come to, and runs on at the rate. Calls arrived. Without a move nothing happens.
 */
void dev_clock_stop(struct dev_clock *clock);
bool dev_clock_is_moving(const struct dev_clock *clock);

/* Sets the wall clock, also backwards. No timer fires for it. */
void dev_clock_set_wall(struct dev_clock *clock, uint64_t wall_ms);
/* 0: frozen. At most DEV_CLOCK_RATE_MAX. */
void dev_clock_set_rate(struct dev_clock *clock, unsigned rate);
/* The wall clock as it is now, not as the turn has it. */
uint64_t dev_clock_wall_ms(const struct dev_clock *clock);
unsigned dev_clock_rate(const struct dev_clock *clock);
/* As at the start. The monotonic clock, which timers use, goes on from where it is. */
void dev_clock_rewind(struct dev_clock *clock);

enum { DEV_CLOCK_RATE_MAX = 1000 };

#endif
