/* test_error.c - walks errors.def, and shows how strangers' text looks in an error. */
#include "common/base/error.h"
#include "tests/support/unit.h"

static void test_every_error(void **state)
{
    for (int i = ERR_NONE + 1; i < ERR_COUNT; i++) {
        enum err err = (enum err)i;
        const char *code = err_code(err);
        assert_true(strlen(code) > 0 && strspn(code, "abcdefghijklmnopqrstuvwxyz_") == strlen(code));
        assert_true(strlen(err_text(err)) > 5);
        assert_true(err_http_status(err) >= 400 && err_http_status(err) <= 599);
        int close = err_close_code(err);
        /* RFC 6455, 7.4.1: the codes that an endpoint may send. */
        assert_true((close >= 1001 && close <= 1014 && close != 1004 && close != 1005 && close != 1006) ||
                    (close >= 3000 && close <= 4999));
        for (int other = ERR_NONE; other < i; other++) {
            assert_string_not_equal(code, err_code((enum err)other));
            assert_string_not_equal(err_text(err), err_text((enum err)other));
        }
    }
    assert_string_equal(err_code(ERR_NONE), "none");
    assert_int_equal(err_http_status(ERR_NONE), 200);
    assert_int_equal(err_close_code(ERR_NONE), 1000);
}

static void test_set(void **state)
{
    struct error error;
    assert_int_equal(error_set(&error, ERR_CONFLICT, "%s: %d", "x", 7), ERR_CONFLICT);
    assert_int_equal(error.code, ERR_CONFLICT);
    assert_string_equal(error.text, "x: 7");
    assert_int_equal(error_set(NULL, ERR_CONFLICT, "nobody listens"), ERR_CONFLICT);
    error_set(&error, ERR_CONFLICT, "%2000d", 1);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

static void assert_quoted(struct str text, const char *expected)
{
    char out[ERROR_QUOTE_LEN];
    assert_string_equal(error_quote(text, out), expected);
}

static void test_quote(void **state)
{
    assert_quoted(STR(""), "\"\"");
    assert_quoted(STR("caf\xC3\xA9"), "\"caf\xC3\xA9\"");
    assert_quoted(STR("a\nb\0c\x7F\x1b[31m"), "\"a?b?c??[31m\"");
    assert_quoted(STR("\xC2\x9B"), "\"?\"");
    assert_quoted(STR("\xFF\xC3"), "\"??\"");
    assert_quoted(STR("1234567890123456789012345678901234567890"), "\"1234567890123456789012345678901234567890\"");
    assert_quoted(STR("1234567890123456789012345678901234567890+"), "\"1234567890123456789012345678901234567890...\"");
    /* Not cut inside a character. */
    assert_quoted(STR("12345678901234567890123456789012345678\xE2\x82\xAC"),
                  "\"12345678901234567890123456789012345678...\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_error),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_quote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
