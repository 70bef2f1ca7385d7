#include "common/base/percent.h"
#include "tests/support/unit.h"

static void test_hex_digits_are_those_of_strchr(void **state)
{
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    for (int c = -128; c < 128; c++) {
        const char *at = c > 0 ? strchr(lower, c) : NULL, *upper_at = c > 0 ? strchr(upper, c) : NULL;
        int expected = at ? (int)(at - lower) : upper_at ? (int)(upper_at - upper) : -1;
        assert_int_equal(hex_digit((char)c), expected);
    }
}

static void decodes(const char *text, const char *expected)
{
    struct buf out = {0};
    bool decoded = percent_decode(str_from_cstr(text), &out);
    assert_int_equal(decoded, expected != NULL);
    if (expected)
        assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void test_decode(void **state)
{
    decodes("", "");
    decodes("a+b", "a+b");
    decodes("%41%7a%2F%2f", "Az//");
    decodes("%25%", NULL);
    decodes("100%25", "100%");
    decodes("%e2%82%AC", "\xe2\x82\xac");
    decodes("%ff", "\xff");
    decodes("%4", NULL);
    decodes("%", NULL);
    decodes("%4g", NULL);
    decodes("%g4", NULL);
    decodes("%%41", NULL);
    decodes("%00", NULL);
    decodes("a%0", NULL);
}

static void test_an_escape_does_not_read_past_the_text(void **state)
{
    assert_int_equal(percent_unescape(str_from("%41", 3)), 'A');
    assert_int_equal(percent_unescape(str_from("%41", 2)), -1);
    assert_int_equal(percent_unescape(str_from("%41", 1)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex_digits_are_those_of_strchr),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_an_escape_does_not_read_past_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
