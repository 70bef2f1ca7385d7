/* test_breaker.c - the circuit breaker, by a clock of the test. */

#include "server/outbound/breaker.h"
#include "tests/support/unit.h"

static void consecutive_failures_open_it(void **state)
{
    (void)state;
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker, 3, 1000);
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_IS_DOWN, 10), BREAKER_SAME);
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_IS_DOWN, 10), BREAKER_SAME);
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_ANSWERS, 10), BREAKER_SAME); /* counting begins again */
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_IS_DOWN, 10), BREAKER_SAME);
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_IS_DOWN, 10), BREAKER_SAME);
    assert_true(breaker_allows(&breaker, 10, &probe));
    assert_false(probe);
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_IS_DOWN, 10), BREAKER_OPENED);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_false(breaker_allows(&breaker, 10, &probe));
    assert_false(breaker_allows(&breaker, 1009, &probe));
}

static void one_probe_decides(void **state)
{
    (void)state;
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker, 1, 1000);
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_IS_DOWN, 0), BREAKER_OPENED);
    assert_true(breaker_allows(&breaker, 1000, &probe));
    assert_true(probe);
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
    bool other;
    assert_false(breaker_allows(&breaker, 1000, &other));
    assert_int_equal(breaker_tell(&breaker, true, BREAKER_IS_DOWN, 1500), BREAKER_SAME); /* open again, from now on */
    assert_false(breaker_allows(&breaker, 2499, &other));
    assert_true(breaker_allows(&breaker, 2500, &probe));
    assert_int_equal(breaker_tell(&breaker, probe, BREAKER_ANSWERS, 2500), BREAKER_HAS_CLOSED);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_true(breaker_allows(&breaker, 2501, &probe));
    assert_false(probe);
}

static void late_results_change_nothing(void **state)
{
    (void)state;
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker, 1, 1000);
    breaker_tell(&breaker, false, BREAKER_IS_DOWN, 0);
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_IS_DOWN, 900),
                     BREAKER_SAME); /* does not begin the time again */
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_ANSWERS, 10), BREAKER_SAME);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_true(breaker_allows(&breaker, 1000, &probe));
    assert_int_equal(breaker_tell(&breaker, false, BREAKER_IS_DOWN, 1001), BREAKER_SAME);
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
}

static void a_probe_that_is_given_up_lets_the_next_one_go(void **state)
{
    (void)state;
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker, 1, 1000);
    breaker_tell(&breaker, false, BREAKER_IS_DOWN, 0);
    assert_true(breaker_allows(&breaker, 1000, &probe));
    assert_int_equal(breaker_tell(&breaker, probe, BREAKER_UNKNOWN, 1000), BREAKER_SAME);
    assert_true(breaker_allows(&breaker, 1000, &probe));
    assert_true(probe);
}

static void it_can_be_switched_off(void **state)
{
    (void)state;
    struct breaker breaker;
    bool probe;
    breaker_init(&breaker, UINT32_MAX, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(breaker_tell(&breaker, false, BREAKER_IS_DOWN, 0), BREAKER_SAME);
    assert_true(breaker_allows(&breaker, 0, &probe));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(consecutive_failures_open_it), cmocka_unit_test(one_probe_decides),
        cmocka_unit_test(late_results_change_nothing),  cmocka_unit_test(a_probe_that_is_given_up_lets_the_next_one_go),
        cmocka_unit_test(it_can_be_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
