/* mailbox.h - how threads talk. Any thread posts mail; the owner's thread delivers it, in the order each poster
 * posted. Mail carries what is immutable or handed over whole, never a pointer to something the poster keeps.
 *
 * A loop turn ends (just before the loop waits for input) by delivering all mail of the loop's mailboxes, also what
 * delivery posts meanwhile, and then running the turn's hooks: what many callbacks of one turn have gathered is
 * flushed there at once. What is posted from the owner's own thread costs no lock, no wake-up, no extra turn. */
#ifndef CARILLON_BASE_MAILBOX_H
#define CARILLON_BASE_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "common/base/list.h"
#include "common/base/mail.h"

/* One per loop. Used only by the loop's thread, except where mailbox_post says otherwise. */
struct turn {
    pthread_t thread;
    uv_async_t wake;
    uv_prepare_t end;
    struct list_link mailboxes;
    struct list_link hooks;
    struct list_link begin_hooks;
    bool begun; /* the clocks have been read in this turn */
    uint64_t now_us;
    uint64_t wall_ms;
};

/* Embedded in its owner. Of a turn's end: run once, after the mail; may post mail. Of its beginning: run once, when the
 * time is known. */
struct turn_hook {
    struct list_link link;
    void (*run)(struct turn_hook *hook);
};

struct mailbox {
    _Atomic(struct mail *) posted; /* newest first, from other threads */
    struct mail *local_first;      /* oldest first, from the owner's thread */
    struct mail *local_last;
    void *owner;
    struct turn *turn;
    struct list_link link;
};

/* The turn belongs to the calling thread, until turn_bind says otherwise. */
void turn_init(struct turn *turn, uv_loop_t *loop);
/* The calling thread is the loop's from now on: for a loop made by one thread and run by another. Nobody else may post
 * to its mailboxes before this has returned. */
void turn_bind(struct turn *turn);
void turn_add_hook(struct turn *turn, struct turn_hook *hook);
void turn_add_begin_hook(struct turn *turn, struct turn_hook *hook);
/* Of either kind. */
void turn_remove_hook(struct turn *turn, struct turn_hook *hook);

/* Call at each entry from the loop. The first call in a turn reads the clocks and runs the hooks of the beginning. */
void turn_begin(struct turn *turn);
/* The clocks as they were when the turn began: monotonic, and since 1970. */
uint64_t turn_now_us(const struct turn *turn);
uint64_t turn_wall_ms(const struct turn *turn);

/* Closes the handles; the loop must run once more before the turn's memory goes. All mailboxes are closed before. */
void turn_close(struct turn *turn);

/* Call in the turn's thread, or before its loop runs. */
void mailbox_init(struct mailbox *mailbox, struct turn *turn, void *owner);

/* Any thread. Takes the mail. The mailbox must not have been closed. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);

/* Owner's thread: delivers what has been posted, also by the delivery, before the turn ends. */
void mailbox_deliver(struct mailbox *mailbox);

/* Owner's thread, once no other thread posts any more: delivers the rest and leaves the turn. */
void mailbox_close(struct mailbox *mailbox);

#endif
