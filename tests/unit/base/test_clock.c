/* test_clock.c - times as text. */
#include <stdio.h>
#include <time.h>

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

/* As strftime writes it: each day of four centuries, and the ends of February of all years. */
static void test_calendar(void **state)
{
    (void)state;
    const uint64_t day_ms = 86400000;
    for (uint64_t day = 0; day < 2932897; day += day < 146097 + 365 ? 1 : 13) {
        char out[CLOCK_RFC3339_LEN + 1], expected[40];
        uint64_t ms = day * day_ms + day * 7919 % day_ms;
        time_t seconds = (time_t)(ms / 1000);
        struct tm parts;
        gmtime_r(&seconds, &parts);
        size_t len = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &parts);
        snprintf(expected + len, sizeof expected - len, ".%03uZ", (unsigned)(ms % 1000));
        clock_format(ms, out);
        assert_string_equal(out, expected);
    }
    for (int year = 1970; year <= 9999; year++) {
        char out[CLOCK_RFC3339_LEN + 1], expected[40];
        struct tm parts = {.tm_year = year - 1900, .tm_mon = 2, .tm_mday = 1};
        uint64_t march_ms = (uint64_t)timegm(&parts) * 1000;
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        snprintf(expected, sizeof expected, "%04d-02-%02dT23:59:59.999Z", year, leap ? 29 : 28);
        clock_format(march_ms - 1, out);
        assert_string_equal(out, expected);
        snprintf(expected, sizeof expected, "%04d-03-01T00:00:00.000Z", year);
        clock_format(march_ms, out);
        assert_string_equal(out, expected);
    }
}

static void test_parse(void **state)
{
    static const char *const wrong[] = {"",
                                        "2026-01-15",
                                        "2026-01-15T10:30:00",
                                        "2026-01-15T10:30:00+01:00",
                                        "2026-01-15 10:30:00Z",
                                        "2026-02-29T00:00:00Z",
                                        "2026-13-01T00:00:00Z",
                                        "2026-01-00T00:00:00Z",
                                        "2026-01-15T24:00:00Z",
                                        "2026-01-15T10:60:00Z",
                                        "2026-01-15T10:30:60Z",
                                        "1969-12-31T23:59:59Z",
                                        "2026-01-15T10:30:00.Z",
                                        "2026-01-15T10:30:00.5",
                                        "2026-01-15T10:30:00ZZ",
                                        "2026-01-15T10:30:0xZ",
                                        "+026-01-15T10:30:00Z"};
    uint64_t ms = 7;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(clock_parse(str_from_cstr(wrong[i]), &ms));
    assert_int_equal(ms, 7);
    assert_true(clock_parse(STR("2026-01-15T10:30:00Z"), &ms));
    assert_int_equal(ms, 1768473000000);
    assert_true(clock_parse(STR("2026-01-15T10:30:00.5Z"), &ms));
    assert_int_equal(ms, 1768473000500);
    assert_true(clock_parse(STR("2026-01-15T10:30:00.1239Z"), &ms));
    assert_int_equal(ms, 1768473000123);
    for (uint64_t day = 0; day < 2932897; day += 13) {
        char text[CLOCK_RFC3339_LEN + 1];
        clock_format(day * 86400000 + 1, text);
        assert_true(clock_parse(str_from_cstr(text), &ms));
        assert_int_equal(ms, day * 86400000 + 1);
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
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
