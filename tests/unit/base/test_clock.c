/* test_clock.c - times as text. */
#include "common/base/clock.h"
#include "tests/support/unit.h"

static void test_format(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {999, "1970-01-01T00:00:00.999Z"},
        {951782400001, "2000-02-29T00:00:00.001Z"},
        {1768473000000, "2026-01-15T10:30:00.000Z"},
        {4107542400010, "2100-03-01T00:00:00.010Z"}, /* 2100 is no leap year */
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[CLOCK_RFC3339_LEN + 1];
        clock_format(cases[i].ms, out);
        assert_string_equal(out, cases[i].text);
    }
}

static void test_clocks_run(void **state)
{
    uint64_t first_us = clock_now_us();
    assert_true(clock_now_us() >= first_us);
    assert_true(clock_wall_ms() > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
