#include "server/upstream/answer_orders.h"
#include "tests/support/unit.h"

static void test_names(void **state)
{
    struct str rest = STR(" a:b ,,c,\t, d"), name;
    static const char *const expected[] = {"a:b", "c", "d"};
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_true(answer_next_name(&rest, &name));
        assert_str(name, expected[i]);
    }
    assert_false(answer_next_name(&rest, &name));
    assert_false(answer_next_name(&rest, &name));
    rest = STR("");
    assert_false(answer_next_name(&rest, &name));
}

static void closes(const char *value, int code, const char *reason)
{
    int found = 0;
    struct str text = STR("");
    assert_int_equal(answer_close(str_from_cstr(value), &found, &text), code != 0);
    assert_int_equal(found, code);
    assert_str(text, reason);
}

static void test_close(void **state)
{
    char long_value[300] = "4001 ", cut[ANSWER_REASON_MAX + 1];
    closes("4001", 4001, "");
    closes(" 4001  logged out ", 4001, "logged out");
    closes("1000 bye", 1000, "bye");
    closes("1014", 1014, "");
    static const char *const bad[] = {"",     " ",    "x",    "999",   "1004", "1005",     "1006",
                                      "1015", "2999", "5000", "4001x", "-1",   "4001 \xff"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        closes(bad[i], 0, "");
    memset(long_value + 5, 'a', 200);
    memset(cut, 'a', ANSWER_REASON_MAX);
    cut[ANSWER_REASON_MAX] = '\0';
    closes(long_value, 4001, cut);
    memcpy(long_value + 5 + ANSWER_REASON_MAX - 1, "\xc3\xbc", 2); /* a character across the end goes as a whole */
    cut[ANSWER_REASON_MAX - 1] = '\0';
    closes(long_value, 4001, cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_close)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
