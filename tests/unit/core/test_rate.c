/* test_rate.c - the token bucket. */
#include "server/core/rate.h"
#include "tests/support/unit.h"

static bool take(struct rate *rate, uint64_t per_minute, uint64_t burst, uint64_t now_us)
{
    const struct rate_limit limit = {.per_minute = per_minute, .burst = burst};
    return rate_take(rate, &limit, 1, now_us, NULL);
}

static void test_burst_then_rate(void **state)
{
    const struct rate_limit limit = {.per_minute = 600, .burst = 3}; /* ten a second, three at once */
    struct rate rate = {0};
    uint64_t retry_us = 0;
    uint64_t now_us = 5000000;
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(&rate, &limit, 1, now_us, &retry_us));
    assert_false(rate_take(&rate, &limit, 1, now_us, &retry_us));
    assert_int_equal(retry_us, 100000);
    assert_false(rate_take(&rate, &limit, 1, now_us + 99999, &retry_us));
    assert_int_equal(retry_us, 1);
    assert_true(rate_take(&rate, &limit, 1, now_us + 100000, NULL));
    assert_false(rate_take(&rate, &limit, 1, now_us + 100000, NULL));
    /* A long rest gives the burst back, no more. */
    now_us += 3600000000;
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(&rate, &limit, 1, now_us, NULL));
    assert_false(rate_take(&rate, &limit, 1, now_us, NULL));
}

static void test_long_run(void **state)
{
    struct rate rate = {0};
    uint64_t taken = 0;
    (void)state;
    for (uint64_t now_us = 1000000; now_us < 61000000; now_us += 1000)
        taken += take(&rate, 6000, 10, now_us);
    assert_in_range(taken, 6000, 6010);
}

static void test_no_limit(void **state)
{
    struct rate rate = {0};
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(take(&rate, 0, 0, 1));
}

static void test_other_limits_keep_what_was_used(void **state)
{
    struct rate rate = {0};
    const uint64_t now_us = 5000000;
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_true(take(&rate, 600, 20, now_us));
    for (int i = 0; i < 5; i++)
        assert_true(take(&rate, 6000, 15, now_us)); /* ten of fifteen are used */
    assert_false(take(&rate, 6000, 15, now_us));
    assert_false(take(&rate, 60, 15, now_us));
    assert_false(take(&rate, 60, 15, now_us + 999999));
    assert_true(take(&rate, 60, 15, now_us + 1000000));
    /* A smaller burst is over-drawn until enough time has passed. */
    assert_false(take(&rate, 60, 5, now_us + 1000000 + 10999999));
    assert_true(take(&rate, 60, 5, now_us + 1000000 + 11000000));
}

/* Whatever two limits a client goes to and fro between, it never has more than the larger burst and the larger rate. */
static void test_going_to_and_fro_gains_nothing(void **state)
{
    static const struct rate_limit limits[] = {{600, 100}, {60, 60}, {7, 3}, {6000, 1}, {100000000, 50}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        for (size_t j = 0; j < i; j++) {
            struct rate rate = {0};
            uint64_t taken = 0, most = 0, burst = 0;
            const uint64_t end_us = 1000000;
            for (uint64_t now_us = 0; now_us < end_us; now_us += 500)
                for (int n = 0; n < 20; n++)
                    taken += rate_take(&rate, &limits[n % 2 ? i : j], 1, now_us, NULL);
            burst = limits[i].burst > limits[j].burst ? limits[i].burst : limits[j].burst;
            most = (limits[i].per_minute > limits[j].per_minute ? limits[i].per_minute : limits[j].per_minute) / 60;
            assert_in_range(taken, 1, burst + most + 1);
        }
}

static void test_cost(void **state)
{
    const struct rate_limit limit = {.per_minute = 600, .burst = 10};
    struct rate rate = {0};
    uint64_t retry_us = 0;
    (void)state;
    assert_true(rate_take(&rate, &limit, 4, 0, NULL));
    assert_true(rate_take(&rate, &limit, 4, 0, NULL));
    assert_false(rate_take(&rate, &limit, 4, 0, &retry_us));
    assert_int_equal(retry_us, 200000);
    assert_true(rate_take(&rate, &limit, 2, 0, NULL));
    /* More than a burst: with a full bucket, and paid off. */
    assert_false(rate_take(&rate, &limit, 50, 999999, &retry_us));
    assert_int_equal(retry_us, 1);
    assert_true(rate_take(&rate, &limit, 50, 1000000, NULL));
    assert_false(rate_take(&rate, &limit, 1, 5099999, NULL));
    assert_true(rate_take(&rate, &limit, 1, 5100000, NULL));
}

static void test_charge_and_give_back(void **state)
{
    const struct rate_limit limit = {.per_minute = 600, .burst = 10}, none = {0};
    struct rate rate = {0};
    uint64_t retry_us = 0;
    const uint64_t now_us = 5000000;
    (void)state;
    assert_true(rate_take(&rate, &limit, 10, now_us, NULL));
    rate_give_back(&rate, 2);
    assert_true(rate_take(&rate, &limit, 2, now_us, NULL));
    assert_false(rate_take(&rate, &limit, 1, now_us, NULL));
    rate_charge(&rate, 5, now_us);
    assert_false(rate_take(&rate, &limit, 1, now_us, &retry_us));
    assert_int_equal(retry_us, 600000);
    /* Messages that are given back late make no more than the burst. */
    rate_give_back(&rate, 1000);
    assert_true(rate_take(&rate, &limit, 10, now_us + 60000000, NULL));
    assert_false(rate_take(&rate, &limit, 1, now_us + 60000000, NULL));
    assert_true(rate_take(&rate, &none, 1, now_us + 60000000, NULL));
    rate_charge(&rate, 1000, now_us + 60000000);
    assert_true(rate_take(&rate, &limit, 1, now_us + 60000000, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_other_limits_keep_what_was_used),
        cmocka_unit_test(test_going_to_and_fro_gains_nothing),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_charge_and_give_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
