/* mailbox.h - mail between threads. Any thread posts mail. The owner's thread delivers it, in the order of each poster.
 * Mail carries immutable data, or data that is handed over whole. It never carries a pointer to an object that the
 * poster keeps.
 *
 * The end of a loop turn comes just before the loop waits for input:
 * 1. All mail of the loop's mailboxes is delivered, also mail that delivery posts meanwhile.
 * 2. The turn's hooks run. They flush what the callbacks of the turn have gathered.
 * Mail from the owner's own thread costs no lock, no wake-up and no further turn. Mail from other threads wakes the
 * owner only if it sleeps.
 *
 * A turn also has the time and the timers of its loop. The time is read once in a turn. The timers are on one wheel. */
#ifndef CARILLON_BASE_MAILBOX_H
#define CARILLON_BASE_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "common/base/bell.h"
#include "common/base/list.h"
#include "common/base/mail.h"
#include "common/base/wheel.h"

/* One for each loop. Only the loop's thread uses it, except in mailbox_post. */
struct turn {
    pthread_t thread;
    uv_loop_t *loop;
    struct bell bell;
    atomic_bool sleeps; /* the loop waits for input, or is about to: who posts mail rings, and takes this back */
    uv_prepare_t end;
    struct list_link mailboxes;
    struct list_link hooks;
    struct list_link begin_hooks;
    bool begun; /* the clocks have been read in this turn */
    uint64_t now_us;
    uint64_t timer_us; /* what the wheel goes by (clock_timer_us) */
    uint64_t wall_ms;
    struct wheel wheel;
    uv_timer_t wheel_due; /* runs while timers run, until the wheel has work */
    uint64_t wheel_due_us;
    bool wheel_runs; /* its timers are firing */
};

/* Embedded in its owner. A hook of the turn's end runs once, after the mail, and may post mail. A hook of its beginning
 * runs once, when the time is known. */
struct turn_hook {
    struct list_link link;
    void (*run)(struct turn_hook *hook);
};

struct mailbox {
    _Atomic(struct mail *) posted; /* newest first, from other threads */
    struct mail *local_first;      /* oldest first, from the owner's thread */
    struct mail *local_last;
    bool is_closed;
    void *owner;
    struct turn *turn;
    struct list_link link;
};

/* The turn belongs to the calling thread, until turn_bind says otherwise. */
void turn_init(struct turn *turn, uv_loop_t *loop);
/* Makes the calling thread the loop's thread: for a loop that one thread makes and another runs. Other threads may post
 * to its mailboxes only after this has returned. */
void turn_bind(struct turn *turn);
void turn_add_hook(struct turn *turn, struct turn_hook *hook);
void turn_add_begin_hook(struct turn *turn, struct turn_hook *hook);
/* The same, before all others that are there. */
void turn_add_first_hook(struct turn *turn, struct turn_hook *hook);
/* Removes a hook of either kind. */
void turn_remove_hook(struct turn *turn, struct turn_hook *hook);

/* The turn's own thread: the loop turns once more before it waits for input. */
void turn_again(struct turn *turn);

/* The first call in a turn reads the clocks and runs the hooks of the beginning. Call at each entry from the loop where
 * such hooks must run. */
void turn_begin(struct turn *turn);
/* The clocks as they were when the turn began: monotonic, and since 1970. They begin the turn. */
uint64_t turn_now_us(struct turn *turn);
uint64_t turn_wall_ms(struct turn *turn);

/* Starts the timer, or moves it if it runs. It fires once, after_us from now or up to two ticks of the wheel later, as
 * an entry from the loop. Stop it before its memory goes. timer_us: the time that the timers go by. It is not
 * turn_now_us where a test's clock stands still. */
void turn_start_timer(struct turn *turn, struct timer *timer, uint64_t after_us,
                      void (*fire)(struct timer *, uint64_t timer_us));
/* May be called for a timer that does not run. */
void turn_stop_timer(struct turn *turn, struct timer *timer);

/* The clock was moved, or does not run as real time does (clock_use): the timers of the turn wait as it says now. */
void turn_follow_clock(struct turn *turn);

/* Closes the handles. Close all mailboxes first. The loop must run once more before the turn's memory is freed. */
void turn_close(struct turn *turn);

/* Call in the turn's thread, or before its loop runs. */
void mailbox_init(struct mailbox *mailbox, struct turn *turn, void *owner);

/* Any thread. Takes the mail. The mailbox must not have been closed. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);

/* Owner's thread: delivers the posted mail before the turn ends, also mail that delivery posts. Returns whether there
 * was any. */
bool mailbox_deliver(struct mailbox *mailbox);

/* Owner's thread, after the last post of any thread: delivers the rest and leaves the turn. Mail that is posted
 * afterwards would never be delivered or freed: mailbox_post asserts that there is none. */
void mailbox_close(struct mailbox *mailbox);

#endif
