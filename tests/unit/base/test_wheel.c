/* test_wheel.c - timers against a plain array of deadlines: none early, none late by more than a tick, none lost. */
#include "common/base/wheel.h"
#include "tests/support/unit.h"

enum { TIMERS = 500, STEPS = 4000 };

struct probe {
    struct timer timer;
    uint64_t due_us; /* the model: 0 when it should not run */
    bool fired;
};

static struct probe probes[TIMERS];
static uint64_t random_state = 88172645463325252;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void on_fire(struct timer *timer, uint64_t now_us)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
    assert_true(probe->due_us && probe->due_us <= now_us);
    assert_false(timer_is_running(timer));
    probe->fired = true;
    probe->due_us = 0;
}

/* Deadlines from the past to far beyond any level of the wheel but the last. */
static uint64_t random_delay_us(void)
{
    return next_random() % ((uint64_t)1 << (next_random() % 42));
}

static void check_all(const struct wheel *wheel, uint64_t now_us)
{
    size_t running = 0;
    uint64_t next_us = wheel_next_us(wheel);
    assert_true(next_us > now_us);
    for (int i = 0; i < TIMERS; i++) {
        assert_int_equal(timer_is_running(&probes[i].timer), probes[i].due_us != 0);
        running += probes[i].due_us != 0;
        /* Whatever was due a whole tick ago has fired. */
        assert_true(probes[i].due_us == 0 || probes[i].due_us + WHEEL_TICK_US > now_us);
        assert_true(probes[i].due_us == 0 || next_us < probes[i].due_us + WHEEL_TICK_US);
    }
    assert_int_equal(wheel->count, running);
    assert_true(running > 0 || next_us == UINT64_MAX);
}

static void test_against_a_model(void **state)
{
    struct wheel wheel;
    uint64_t now_us = 123456789;
    wheel_init(&wheel, now_us);
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < 20; i++) {
            struct probe *probe = &probes[next_random() % TIMERS];
            if (next_random() % 4 == 0) {
                wheel_stop(&wheel, &probe->timer);
                probe->due_us = 0;
            } else {
                probe->due_us = now_us + random_delay_us();
                wheel_start(&wheel, &probe->timer, probe->due_us, on_fire);
            }
        }
        /* Mostly small steps, now and then a jump of up to some minutes. */
        now_us += next_random() % (step % 50 == 0 ? 300000000 : 50000);
        /* A deadline that is already past fires at the next tick, not in this one. */
        now_us += WHEEL_TICK_US;
        wheel_advance(&wheel, now_us);
        check_all(&wheel, now_us);
    }
    for (int i = 0; i < TIMERS; i++)
        wheel_stop(&wheel, &probes[i].timer);
    assert_int_equal(wheel.count, 0);
}

static void test_precise_to_a_tick_at_the_edges_of_levels(void **state)
{
    static const uint64_t starts[] = {0, 1, 62, 63, 64, 4095, 4096, 262143};
    static const uint64_t delays[] = {1,    2,    62,   63,   64,   65,   127,    128,
                                      4032, 4095, 4096, 4097, 8191, 8192, 262143, 262144};
    for (size_t s = 0; s < COUNT_OF(starts); s++)
        for (size_t d = 0; d < COUNT_OF(delays); d++) {
            struct wheel wheel;
            struct probe probe = {0};
            uint64_t due_tick = starts[s] + delays[d];
            wheel_init(&wheel, starts[s] * WHEEL_TICK_US);
            probe.due_us = due_tick * WHEEL_TICK_US;
            wheel_start(&wheel, &probe.timer, probe.due_us, on_fire);
            wheel_advance(&wheel, probe.due_us - 1);
            assert_false(probe.fired);
            wheel_advance(&wheel, due_tick * WHEEL_TICK_US);
            assert_true(probe.fired);
        }
}

/* Farther than the last level reaches: the timer is placed again on the way and still comes once. */
static void test_very_far(void **state)
{
    struct wheel wheel;
    struct probe probe = {0};
    wheel_init(&wheel, 0);
    probe.due_us = UINT64_MAX / 2;
    wheel_start(&wheel, &probe.timer, probe.due_us, on_fire);
    wheel_advance(&wheel, (uint64_t)86400 * 1000000);
    assert_false(probe.fired);
    assert_int_equal(wheel.count, 1);
    wheel_stop(&wheel, &probe.timer);
    assert_int_equal(wheel.count, 0);
}

static void test_an_idle_wheel_jumps(void **state)
{
    struct wheel wheel;
    struct probe probe = {0};
    wheel_init(&wheel, 0);
    wheel_advance(&wheel, UINT64_MAX / 4); /* would take ages tick by tick */
    uint64_t now_us = UINT64_MAX / 4;
    probe.due_us = now_us + 5 * WHEEL_TICK_US;
    wheel_start(&wheel, &probe.timer, probe.due_us, on_fire);
    wheel_advance(&wheel, now_us + 7 * WHEEL_TICK_US);
    assert_true(probe.fired);
}

static struct wheel shared;
static struct probe other;
static int rounds;

static void restart_self(struct timer *timer, uint64_t now_us)
{
    rounds++;
    wheel_start(&shared, timer, now_us, restart_self);
}

static void stop_other(struct timer *timer, uint64_t now_us)
{
    wheel_stop(&shared, &other.timer);
    other.due_us = 0;
}

static void test_firing_timers_start_and_stop_timers(void **state)
{
    struct timer again = {0}, stopper = {0};
    wheel_init(&shared, 0);
    wheel_start(&shared, &again, WHEEL_TICK_US, restart_self);
    wheel_advance(&shared, WHEEL_TICK_US);
    assert_int_equal(rounds, 1); /* "now" is the next tick: no endless loop */
    wheel_advance(&shared, 2 * WHEEL_TICK_US);
    assert_int_equal(rounds, 2);
    wheel_stop(&shared, &again);

    other = (struct probe){.due_us = 3 * WHEEL_TICK_US};
    wheel_start(&shared, &stopper, 3 * WHEEL_TICK_US, stop_other);
    wheel_start(&shared, &other.timer, other.due_us, on_fire);
    wheel_advance(&shared, 10 * WHEEL_TICK_US);
    assert_false(other.fired);
    assert_int_equal(shared.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_precise_to_a_tick_at_the_edges_of_levels),
        cmocka_unit_test(test_very_far),
        cmocka_unit_test(test_an_idle_wheel_jumps),
        cmocka_unit_test(test_firing_timers_start_and_stop_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
