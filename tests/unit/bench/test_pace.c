/* test_pace.c - events of an open loop are due on time, whatever became of those before, and the times do not drift. */
#include "bench/load/pace.h"
#include "tests/support/unit.h"

static void test_never(void **state)
{
    struct pace pace;
    pace_begin(&pace, 0, 5000);
    assert_true(pace_due_us(&pace) == UINT64_MAX);
}

static void test_spacing(void **state)
{
    struct pace pace;
    pace_begin(&pace, 4, 1000);
    for (uint64_t i = 0; i < 9; i++) {
        assert_int_equal(pace_due_us(&pace), 1000 + i * 250000);
        pace_take(&pace);
    }
}

/* A rate that does not divide a second, or has several events a microsecond: exact at every full second. */
static void test_no_drift(void **state)
{
    static const uint64_t rates[] = {1, 3, 7, 30000, 999983, 3000000};
    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct pace pace;
        uint64_t before = 0;
        pace_begin(&pace, rates[i], 0);
        for (uint64_t k = 0; k < 3 * rates[i]; k++) {
            assert_true(pace_due_us(&pace) >= before);
            before = pace_due_us(&pace);
            pace_take(&pace);
        }
        assert_int_equal(pace_due_us(&pace), 3000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_spacing),
        cmocka_unit_test(test_no_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
