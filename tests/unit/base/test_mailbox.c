/* test_mailbox.c - mail between threads arrives once, in each poster's order. The turn's hooks run after it. */
#include <semaphore.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/mailbox.h"
#include "tests/support/unit.h"

enum { POSTERS = 3, MAILS = 20000 };

struct letter {
    struct mail mail;
    int poster;
    int number;
};

struct owner {
    uv_loop_t loop;
    struct turn turn;
    struct mailbox mailbox;
    struct turn_hook hook;
    int next[POSTERS];
    int delivered;
    int expected; /* the loop stops when so many have come, or so many alarms have rung for the last time */
    int delivered_when_hook_ran;
    int hook_runs;
    bool in_order;
};

static void post(struct mailbox *mailbox, int poster, int number, void (*deliver)(struct mail *, void *))
{
    struct letter *letter = xcalloc(1, sizeof *letter);
    *letter = (struct letter){.mail.deliver = deliver, .poster = poster, .number = number};
    mailbox_post(mailbox, &letter->mail);
}

static void deliver(struct mail *mail, void *mail_owner)
{
    struct owner *owner = mail_owner;
    struct letter *letter = CONTAINER_OF(mail, struct letter, mail);
    owner->in_order &= letter->number == owner->next[letter->poster]++;
    if (++owner->delivered == owner->expected)
        uv_stop(&owner->loop);
    free(letter);
}

static void on_hook(struct turn_hook *hook)
{
    struct owner *owner = CONTAINER_OF(hook, struct owner, hook);
    owner->hook_runs++;
    owner->delivered_when_hook_ran = owner->delivered;
}

static void open_owner(struct owner *owner)
{
    *owner = (struct owner){.in_order = true, .hook.run = on_hook};
    assert_int_equal(uv_loop_init(&owner->loop), 0);
    turn_init(&owner->turn, &owner->loop);
    mailbox_init(&owner->mailbox, &owner->turn, owner);
    turn_add_hook(&owner->turn, &owner->hook);
}

static void close_owner(struct owner *owner)
{
    turn_remove_hook(&owner->turn, &owner->hook);
    mailbox_close(&owner->mailbox);
    turn_close(&owner->turn);
    uv_run(&owner->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&owner->loop), 0);
}

struct poster {
    pthread_t thread;
    struct mailbox *to;
    int number;
};

static void *post_all(void *argument)
{
    struct poster *poster = argument;
    for (int i = 0; i < MAILS; i++)
        post(poster->to, poster->number, i, deliver);
    return NULL;
}

static void test_from_other_threads(void **state)
{
    struct owner owner;
    struct poster posters[POSTERS];
    open_owner(&owner);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.to = &owner.mailbox, .number = i};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    /* The loop sleeps until mail wakes it: a lost wake-up hangs here and fails by the test's time limit. */
    owner.expected = POSTERS * MAILS;
    uv_run(&owner.loop, UV_RUN_DEFAULT);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    assert_true(owner.in_order);
    assert_int_equal(owner.delivered, POSTERS * MAILS);
    assert_int_equal(owner.delivered_when_hook_ran, owner.delivered);
    close_owner(&owner);
}

/* Two loops in two threads throw one letter to and fro. Both are bound before either posts. */
static pthread_barrier_t both_bound;

struct player {
    struct owner owner;
    struct player *peer;
};

static void bounce(struct mail *mail, void *mail_owner)
{
    struct owner *owner = mail_owner;
    struct player *player = CONTAINER_OF(owner, struct player, owner);
    struct letter *letter = CONTAINER_OF(mail, struct letter, mail);
    owner->delivered++;
    int left = letter->number--;
    if (left > 0)
        mailbox_post(&player->peer->owner.mailbox, mail);
    else
        free(letter);
    if (left <= 1) /* the last letter for this player */
        uv_stop(&owner->loop);
}

static void *play(void *argument)
{
    struct player *player = argument;
    turn_bind(&player->owner.turn);
    pthread_barrier_wait(&both_bound);
    uv_run(&player->owner.loop, UV_RUN_DEFAULT);
    return NULL;
}

static void test_between_two_loops(void **state)
{
    struct player players[2] = {0};
    pthread_t threads[2];
    pthread_barrier_init(&both_bound, NULL, 2);
    for (int i = 0; i < 2; i++) {
        open_owner(&players[i].owner);
        players[i].peer = &players[1 - i];
    }
    post(&players[0].owner.mailbox, 0, 2000, bounce);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, play, &players[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(players[0].owner.delivered + players[1].owner.delivered, 2001);
    for (int i = 0; i < 2; i++) {
        turn_bind(&players[i].owner.turn);
        close_owner(&players[i].owner);
    }
    pthread_barrier_destroy(&both_bound);
}

/* --- no wake-up is lost --- */

/* Two threads post at about the same moment, and then wait until both letters have come. So nothing but their own
 * wake-ups brings the loop out of its sleep. In some rounds other input has just begun a turn, which is about to end.
 */
enum { ROUNDS = 3000, WAIT_S = 20, OTHER_MAILBOXES = 1000 };

struct sleeper {
    struct owner owner;
    struct mailbox others[OTHER_MAILBOXES];
    struct bell other_input;
    pthread_barrier_t together;
    atomic_int late;
};

struct waker {
    pthread_t thread;
    struct sleeper *sleeper;
    struct letter letter;
    sem_t came;
    unsigned number;
};

static void on_other_input(uv_poll_t *poll, int status, int events)
{
    struct sleeper *sleeper = CONTAINER_OF(poll, struct sleeper, other_input.poll);
    eventfd_t rings;
    (void)status;
    (void)events;
    (void)eventfd_read(sleeper->other_input.fd, &rings);
    turn_begin(&sleeper->owner.turn);
}

static void answer_waker(struct mail *mail, void *owner)
{
    (void)owner;
    sem_post(&CONTAINER_OF(mail, struct waker, letter.mail)->came);
}

static void spin(unsigned times)
{
    for (volatile unsigned i = 0; i < times; i++)
        ;
}

static void *wake_again_and_again(void *argument)
{
    struct waker *waker = argument;
    struct sleeper *sleeper = waker->sleeper;
    unsigned random = waker->number * 2654435761u + 1;
    for (int i = 0; i < ROUNDS && !atomic_load(&sleeper->late); i++) {
        struct timespec until;
        random = random * 1664525u + 1013904223u;
        if (random & 0x100)
            bell_ring(&sleeper->other_input);
        spin(random >> 18);
        mailbox_post(&sleeper->owner.mailbox, &waker->letter.mail);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += WAIT_S;
        if (sem_timedwait(&waker->came, &until) != 0)
            atomic_store(&sleeper->late, 1);
        pthread_barrier_wait(&sleeper->together);
    }
    return NULL;
}

static void stop_loop(struct mail *mail, void *owner)
{
    (void)mail;
    uv_stop(&((struct owner *)owner)->loop);
}

static void *sleep_in_loop(void *argument)
{
    struct sleeper *sleeper = argument;
    turn_bind(&sleeper->owner.turn);
    pthread_barrier_wait(&both_bound);
    uv_run(&sleeper->owner.loop, UV_RUN_DEFAULT);
    return NULL;
}

static void test_no_wake_up_is_lost(void **state)
{
    static struct sleeper sleeper;
    struct waker wakers[2];
    struct mail last = {.deliver = stop_loop};
    pthread_t thread;
    open_owner(&sleeper.owner);
    for (int i = 0; i < OTHER_MAILBOXES; i++)
        mailbox_init(&sleeper.others[i], &sleeper.owner.turn, &sleeper.owner);
    bell_init(&sleeper.other_input, &sleeper.owner.loop);
    uv_poll_start(&sleeper.other_input.poll, UV_READABLE, on_other_input);
    pthread_barrier_init(&both_bound, NULL, 2);
    pthread_barrier_init(&sleeper.together, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, sleep_in_loop, &sleeper), 0);
    pthread_barrier_wait(&both_bound);
    for (unsigned i = 0; i < 2; i++) {
        wakers[i] = (struct waker){.sleeper = &sleeper, .letter.mail.deliver = answer_waker, .number = i};
        sem_init(&wakers[i].came, 0, 0);
        assert_int_equal(pthread_create(&wakers[i].thread, NULL, wake_again_and_again, &wakers[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(wakers[i].thread, NULL);
    assert_int_equal(sleeper.late, 0);
    mailbox_post(&sleeper.owner.mailbox, &last);
    pthread_join(thread, NULL);
    turn_bind(&sleeper.owner.turn);
    for (int i = 0; i < OTHER_MAILBOXES; i++)
        mailbox_close(&sleeper.others[i]);
    bell_close(&sleeper.other_input);
    close_owner(&sleeper.owner);
    for (unsigned i = 0; i < 2; i++)
        sem_destroy(&wakers[i].came);
    pthread_barrier_destroy(&sleeper.together);
    pthread_barrier_destroy(&both_bound);
}

static void post_one_more(struct mail *mail, void *mail_owner)
{
    struct owner *owner = mail_owner;
    struct letter *letter = CONTAINER_OF(mail, struct letter, mail);
    post(&owner->mailbox, 0, letter->number, deliver);
    free(letter);
}

static void test_from_the_owners_thread(void **state)
{
    struct owner owner;
    open_owner(&owner);
    for (int i = 0; i < 10; i++)
        post(&owner.mailbox, 0, i, post_one_more);
    /* One turn delivers all mail without waiting, also mail that is posted by a delivery. Then the hook runs. */
    uv_run(&owner.loop, UV_RUN_NOWAIT);
    assert_int_equal(owner.delivered, 10);
    assert_true(owner.in_order);
    assert_int_equal(owner.hook_runs, 1);
    assert_int_equal(owner.delivered_when_hook_ran, 10);
    close_owner(&owner);
}

static void post_from_hook(struct turn_hook *hook)
{
    struct owner *owner = CONTAINER_OF(hook, struct owner, hook);
    if (owner->hook_runs++ == 0)
        post(&owner->mailbox, 0, 0, deliver);
}

static void test_a_hook_may_post(void **state)
{
    struct owner owner;
    open_owner(&owner);
    owner.hook.run = post_from_hook;
    uv_run(&owner.loop, UV_RUN_NOWAIT);
    assert_int_equal(owner.delivered, 1);
    assert_int_equal(owner.hook_runs, 2); /* what that mail has gathered is flushed in the same turn */
    close_owner(&owner);
}

static void test_close_delivers_the_rest(void **state)
{
    struct owner owner;
    open_owner(&owner);
    post(&owner.mailbox, 0, 0, deliver);
    post(&owner.mailbox, 0, 1, deliver);
    close_owner(&owner);
    assert_int_equal(owner.delivered, 2);
    assert_true(owner.in_order);
}

/* --- the time, and timers --- */

struct alarm {
    struct timer timer;
    struct owner *owner;
    uint64_t due_us;
    int left; /* times that it starts itself again */
    int fired;
};

static void on_alarm(struct timer *timer, uint64_t now_us)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    struct turn *turn = &alarm->owner->turn;
    assert_true(now_us >= alarm->due_us);
    assert_int_equal(turn_now_us(turn), now_us);
    alarm->fired++;
    if (alarm->left-- > 0) {
        alarm->due_us = now_us + 3000;
        turn_start_timer(turn, timer, 3000, on_alarm);
    } else if (--alarm->owner->expected == 0) {
        uv_stop(&alarm->owner->loop);
    }
}

static void start(struct alarm *alarm, struct owner *owner, uint64_t after_us)
{
    alarm->owner = owner;
    alarm->due_us = turn_now_us(&owner->turn) + after_us;
    turn_start_timer(&owner->turn, &alarm->timer, after_us, on_alarm);
}

static void test_timers_fire_in_their_time(void **state)
{
    struct owner owner;
    struct alarm late = {0}, early = {.left = 2}, never = {0};
    open_owner(&owner);
    start(&late, &owner, 90000);
    start(&early, &owner, 15000);
    start(&never, &owner, 5000);
    turn_stop_timer(&owner.turn, &never.timer);
    owner.expected = 2;
    uv_run(&owner.loop, UV_RUN_DEFAULT);
    assert_int_equal(late.fired, 1);
    assert_int_equal(early.fired, 3);
    assert_int_equal(never.fired, 0);
    close_owner(&owner);
}

static uint64_t fake_now_us;

static uint64_t now_us(void)
{
    return fake_now_us;
}

static uint64_t wall_ms(void)
{
    return 1768473000000;
}

/* However late the only timer fires, it may start itself again. */
static void test_a_late_timer_starts_again(void **state)
{
    static const struct clock fake = {.now_us = now_us, .wall_ms = wall_ms};
    enum { TICKS = 2 * WHEEL_SLOTS };
    fake_now_us = 1000000;
    clock_use(&fake);
    for (uint64_t late = 0; late < TICKS; late++) {
        struct owner owner;
        struct alarm alarm = {.left = 1};
        open_owner(&owner);
        owner.expected = 1;
        start(&alarm, &owner, 1000);
        fake_now_us += 10000 + late * WHEEL_TICK_US;
        while (alarm.fired == 0)
            uv_run(&owner.loop, UV_RUN_ONCE);
        fake_now_us += 100000;
        uv_run(&owner.loop, UV_RUN_DEFAULT);
        assert_int_equal(alarm.fired, 2);
        close_owner(&owner);
    }
    clock_use(NULL);
}

/* A timer that has been stopped does not keep the loop, and an empty wheel that has stood still is not late. */
static void test_a_stopped_timer_leaves_nothing(void **state)
{
    struct owner owner;
    struct alarm alarm = {0}, again = {0};
    open_owner(&owner);
    start(&alarm, &owner, 60 * 1000 * 1000);
    turn_stop_timer(&owner.turn, &alarm.timer);
    turn_stop_timer(&owner.turn, &alarm.timer);
    assert_false(uv_is_active((uv_handle_t *)&owner.turn.wheel_due));
    uv_sleep(30);
    uv_run(&owner.loop, UV_RUN_NOWAIT);
    owner.expected = 1;
    start(&again, &owner, 1000);
    uv_run(&owner.loop, UV_RUN_DEFAULT);
    assert_int_equal(again.fired, 1);
    close_owner(&owner);
}

static void test_a_turn_has_one_time(void **state)
{
    struct owner owner;
    open_owner(&owner);
    uint64_t now_us = turn_now_us(&owner.turn), wall_ms = turn_wall_ms(&owner.turn);
    uv_sleep(5);
    assert_int_equal(turn_now_us(&owner.turn), now_us);
    assert_int_equal(turn_wall_ms(&owner.turn), wall_ms);
    uv_run(&owner.loop, UV_RUN_NOWAIT);
    assert_true(turn_now_us(&owner.turn) >= now_us + 5000);
    assert_true(turn_wall_ms(&owner.turn) >= wall_ms + 4);
    close_owner(&owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_other_threads),
        cmocka_unit_test(test_between_two_loops),
        cmocka_unit_test(test_no_wake_up_is_lost),
        cmocka_unit_test(test_from_the_owners_thread),
        cmocka_unit_test(test_a_hook_may_post),
        cmocka_unit_test(test_close_delivers_the_rest),
        cmocka_unit_test(test_timers_fire_in_their_time),
        cmocka_unit_test(test_a_late_timer_starts_again),
        cmocka_unit_test(test_a_stopped_timer_leaves_nothing),
        cmocka_unit_test(test_a_turn_has_one_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
