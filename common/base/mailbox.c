/* mailbox.c - see mailbox.h. Other threads push mail on a lock-free stack. The owner takes the whole stack and reverses
 * it, so each poster's order is kept. No mail is popped singly, so the ABA problem cannot occur. */
#include "common/base/mailbox.h"

#include <assert.h>

#include "common/base/clock.h"
#include "common/base/uv_handle.h"

/* After so many rounds the loop gets to its other work before the rest of the mail. */
enum { ROUNDS_PER_TURN = 16 };

/* Delivers what is there. Mail that this posts comes in the next round. So a long walk in parts, whose mail posts
 * itself again and again, leaves room for others. */
static bool drain(struct mailbox *mailbox)
{
    struct mail *taken = atomic_exchange_explicit(&mailbox->posted, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
    while (taken) {
        struct mail *next = taken->next;
        taken->next = oldest;
        oldest = taken;
        taken = next;
    }
    struct mail *local = mailbox->local_first;
    mailbox->local_first = mailbox->local_last = NULL;
    bool any = oldest || local;
    while (oldest) {
        struct mail *next = oldest->next;
        oldest->deliver(oldest, mailbox->owner);
        oldest = next;
    }
    while (local) {
        struct mail *next = local->next;
        local->deliver(local, mailbox->owner);
        local = next;
    }
    return any;
}

static bool drain_all(struct turn *turn)
{
    bool any = false;
    LIST_EACH(link, &turn->mailboxes)
    any |= drain(CONTAINER_OF(link, struct mailbox, link));
    return any;
}

static bool has_mail(const struct turn *turn)
{
    LIST_EACH(link, &turn->mailboxes)
    {
        const struct mailbox *mailbox = CONTAINER_OF(link, struct mailbox, link);
        if (mailbox->local_first || atomic_load(&mailbox->posted))
            return true;
    }
    return false;
}

static void on_turn_end(uv_prepare_t *handle)
{
    struct turn *turn = handle->data;
    int rounds = 0;
    do {
        while (drain_all(turn) && ++rounds < ROUNDS_PER_TURN)
            ;
        LIST_EACH(link, &turn->hooks)
        {
            struct turn_hook *hook = CONTAINER_OF(link, struct turn_hook, link);
            hook->run(hook);
        }
    } while (has_mail(turn) && rounds < ROUNDS_PER_TURN);
    turn->begun = false;
    atomic_store(&turn->sleeps, true);
    if (has_mail(turn)) /* too much for one turn, or its poster has not seen that the loop is about to sleep */
        turn_again(turn);
}

void turn_again(struct turn *turn)
{
    atomic_store(&turn->sleeps, false);
    bell_ring(&turn->bell);
}

/* ---- the time, and timers ---- */

void turn_begin(struct turn *turn)
{
    if (turn->begun)
        return;
    turn->begun = true;
    atomic_store_explicit(&turn->sleeps, false, memory_order_relaxed); /* the end of the turn delivers */
    turn->now_us = clock_now_us();
    turn->timer_us = clock_timer_us(turn->now_us);
    turn->wall_ms = clock_wall_ms();
    LIST_EACH(link, &turn->begin_hooks)
    {
        struct turn_hook *hook = CONTAINER_OF(link, struct turn_hook, link);
        hook->run(hook);
    }
}

uint64_t turn_now_us(struct turn *turn)
{
    turn_begin(turn);
    return turn->now_us;
}

uint64_t turn_wall_ms(struct turn *turn)
{
    turn_begin(turn);
    return turn->wall_ms;
}

static void on_wheel_due(uv_timer_t *handle);

static void await_wheel(struct turn *turn, uint64_t due_us)
{
    uint64_t ahead_us = due_us > turn->timer_us ? due_us - turn->timer_us : 0;
    turn->wheel_due_us = due_us;
    uv_timer_start(&turn->wheel_due, on_wheel_due, (ahead_us + 999) / 1000, 0);
}

static void on_wheel_due(uv_timer_t *handle)
{
    struct turn *turn = handle->data;
    turn->wheel_runs = true;
    turn_begin(turn);
    wheel_advance(&turn->wheel, turn->timer_us);
    turn->wheel_runs = false;
    if (turn->wheel.count > 0)
        await_wheel(turn, wheel_next_us(&turn->wheel));
}

void turn_start_timer(struct turn *turn, struct timer *timer, uint64_t after_us,
                      void (*fire)(struct timer *, uint64_t timer_us))
{
    turn_begin(turn);
    uint64_t due_us = turn->timer_us + after_us;
    if (turn->wheel.count == 0 && !turn->wheel_runs)
        wheel_advance(&turn->wheel, turn->timer_us); /* nothing fires; the empty wheel has stood still */
    wheel_start(&turn->wheel, timer, due_us, fire);
    if (!uv_is_active(UV_HANDLE(&turn->wheel_due)) || due_us < turn->wheel_due_us)
        await_wheel(turn, due_us);
}

void turn_stop_timer(struct turn *turn, struct timer *timer)
{
    wheel_stop(&turn->wheel, timer);
    if (turn->wheel.count == 0)
        uv_timer_stop(&turn->wheel_due);
}

void turn_follow_clock(struct turn *turn)
{
    if (turn->wheel.count > 0)
        await_wheel(turn, turn->wheel_due_us);
}

/* ---- turns ---- */

void turn_init(struct turn *turn, uv_loop_t *loop)
{
    turn->thread = pthread_self();
    list_init(&turn->mailboxes);
    list_init(&turn->hooks);
    list_init(&turn->begin_hooks);
    turn->begun = turn->wheel_runs = false;
    turn->loop = loop;
    atomic_init(&turn->sleeps, true);
    bell_init(&turn->bell, loop);
    wheel_init(&turn->wheel, clock_timer_us(clock_now_us()));
    uv_timer_init(loop, &turn->wheel_due);
    turn->wheel_due.data = turn;
    uv_prepare_init(loop, &turn->end);
    turn->end.data = turn;
    uv_prepare_start(&turn->end, on_turn_end);
}

void turn_bind(struct turn *turn)
{
    turn->thread = pthread_self();
}

void turn_add_hook(struct turn *turn, struct turn_hook *hook)
{
    list_append(&turn->hooks, &hook->link);
}

void turn_add_begin_hook(struct turn *turn, struct turn_hook *hook)
{
    list_append(&turn->begin_hooks, &hook->link);
}

void turn_add_first_hook(struct turn *turn, struct turn_hook *hook)
{
    list_append(turn->begin_hooks.next, &hook->link);
}

void turn_remove_hook(struct turn *turn, struct turn_hook *hook)
{
    (void)turn;
    list_remove(&hook->link);
}

void turn_close(struct turn *turn)
{
    uv_close(UV_HANDLE(&turn->wheel_due), NULL);
    uv_close(UV_HANDLE(&turn->end), NULL);
    bell_close(&turn->bell);
}

void mailbox_init(struct mailbox *mailbox, struct turn *turn, void *owner)
{
    atomic_init(&mailbox->posted, NULL);
    mailbox->local_first = mailbox->local_last = NULL;
    mailbox->is_closed = false;
    mailbox->owner = owner;
    mailbox->turn = turn;
    list_append(&turn->mailboxes, &mailbox->link);
}

static void append_local(struct mailbox *mailbox, struct mail *mail)
{
    mail->next = NULL;
    if (mailbox->local_last)
        mailbox->local_last->next = mail;
    else
        mailbox->local_first = mail;
    mailbox->local_last = mail;
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    assert(!mailbox->is_closed);
    if (pthread_equal(mailbox->turn->thread, pthread_self())) {
        append_local(mailbox, mail);
        return;
    }
    struct mail *top = atomic_load_explicit(&mailbox->posted, memory_order_relaxed);
    do {
        mail->next = top;
    } while (!atomic_compare_exchange_weak(&mailbox->posted, &top, mail));
    struct turn *turn = mailbox->turn;
    if (atomic_load(&turn->sleeps) && atomic_exchange(&turn->sleeps, false))
        bell_ring(&turn->bell);
}

bool mailbox_deliver(struct mailbox *mailbox)
{
    bool any = false;
    while (drain(mailbox))
        any = true;
    return any;
}

void mailbox_close(struct mailbox *mailbox)
{
    mailbox_deliver(mailbox);
    mailbox->is_closed = true;
    list_remove(&mailbox->link);
}
