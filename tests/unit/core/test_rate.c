/* test_rate.c - the token bucket. */
#include "server/core/rate.h"
#include "tests/support/unit.h"

static void test_burst_then_rate(void **state)
{
    struct rate rate;
    uint64_t retry_us = 0;
    uint64_t now_us = 5000000;
    (void)state;
    rate_init(&rate, 600, 3); /* ten a second, three at once */
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(&rate, now_us, &retry_us));
    assert_false(rate_take(&rate, now_us, &retry_us));
    assert_int_equal(retry_us, 100000);
    assert_false(rate_take(&rate, now_us + 99999, &retry_us));
    assert_int_equal(retry_us, 1);
    assert_true(rate_take(&rate, now_us + 100000, NULL));
    assert_false(rate_take(&rate, now_us + 100000, NULL));
    /* A long rest gives the burst back, no more. */
    now_us += 3600000000;
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(&rate, now_us, NULL));
    assert_false(rate_take(&rate, now_us, NULL));
}

static void test_long_run(void **state)
{
    struct rate rate;
    uint64_t taken = 0;
    (void)state;
    rate_init(&rate, 6000, 10);
    for (uint64_t now_us = 1000000; now_us < 61000000; now_us += 1000)
        taken += rate_take(&rate, now_us, NULL);
    assert_in_range(taken, 6000, 6010);
}

static void test_no_limit(void **state)
{
    struct rate rate;
    (void)state;
    rate_init(&rate, 0, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(rate_take(&rate, 1, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
