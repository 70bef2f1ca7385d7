/* test_histogram.c - percentiles: exact where values are small, within a step where they are large. */
#include "bench/load/histogram.h"
#include "tests/support/unit.h"

static struct histogram histogram;

static int clear(void **state)
{
    (void)state;
    histogram_clear(&histogram);
    return 0;
}

static void test_empty(void **state)
{
    assert_int_equal(histogram_percentile_us(&histogram, 50), 0);
    assert_int_equal(histogram_percentile_us(&histogram, 100), 0);
}

static void test_one_value_is_every_percentile(void **state)
{
    static const uint64_t values[] = {0, 1, 63, 64, 65, 127, 128, 129, 1000, 123456789};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        histogram_clear(&histogram);
        histogram_record(&histogram, values[i]);
        assert_int_equal(histogram_percentile_us(&histogram, 0), values[i]);
        assert_int_equal(histogram_percentile_us(&histogram, 50), values[i]);
        assert_int_equal(histogram_percentile_us(&histogram, 100), values[i]);
        assert_int_equal(histogram.max_us, values[i]);
    }
}

static void test_nearest_rank(void **state)
{
    for (uint64_t value = 1; value <= 100; value++)
        histogram_record(&histogram, value);
    assert_int_equal(histogram_percentile_us(&histogram, 50), 50);
    assert_int_equal(histogram_percentile_us(&histogram, 50.1), 51);
    assert_int_equal(histogram_percentile_us(&histogram, 99), 99);
    assert_int_equal(histogram_percentile_us(&histogram, 99.9), 100);
    assert_int_equal(histogram_percentile_us(&histogram, 100), 100);
}

static void test_one_in_a_thousand(void **state)
{
    for (int i = 0; i < 999; i++)
        histogram_record(&histogram, 10);
    histogram_record(&histogram, 1000000);
    assert_int_equal(histogram_percentile_us(&histogram, 99.9), 10);
    assert_int_equal(histogram_percentile_us(&histogram, 99.95), 1000000);
}

/* Never less than the value, and at most one step of 1/64 more, over the whole range. */
static void test_every_value_is_kept_within_a_step(void **state)
{
    for (uint64_t value = 1; value < (uint64_t)1 << HISTOGRAM_VALUE_BITS; value += value / 50 + 1) {
        histogram_clear(&histogram);
        histogram_record(&histogram, value);
        histogram_record(&histogram, (uint64_t)1 << 50);
        uint64_t told = histogram_percentile_us(&histogram, 50);
        if (told < value || told > value + value / 64)
            fail_msg("%llu is told as %llu", (unsigned long long)value, (unsigned long long)told);
        if (value < 128)
            assert_int_equal(told, value);
    }
}

static void test_past_the_range(void **state)
{
    histogram_record(&histogram, UINT64_MAX);
    histogram_record(&histogram, 1);
    assert_int_equal(histogram.max_us, UINT64_MAX);
    assert_int_equal(histogram_percentile_us(&histogram, 50), 1);
    assert_true(histogram_percentile_us(&histogram, 100) >= ((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1);
}

static void test_walk_of_what_was_recorded(void **state)
{
    size_t step = 0;
    uint64_t us;
    (void)state;
    assert_int_equal(histogram_next(&histogram, &step, &us), 0);
    histogram_record(&histogram, 5);
    histogram_record(&histogram, 1000);
    histogram_record(&histogram, 1000);
    step = 0;
    assert_int_equal(histogram_next(&histogram, &step, &us), 1);
    assert_int_equal(us, 5);
    assert_int_equal(histogram_next(&histogram, &step, &us), 2);
    assert_true(us >= 1000 && us < 1016);
    assert_int_equal(histogram_next(&histogram, &step, &us), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, clear),
        cmocka_unit_test_setup(test_one_value_is_every_percentile, clear),
        cmocka_unit_test_setup(test_nearest_rank, clear),
        cmocka_unit_test_setup(test_one_in_a_thousand, clear),
        cmocka_unit_test_setup(test_every_value_is_kept_within_a_step, clear),
        cmocka_unit_test_setup(test_past_the_range, clear),
        cmocka_unit_test_setup(test_walk_of_what_was_recorded, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
