/* test_settings_digest.c - each difference is told once, by name, whatever comes from outside. */
#include "server/node/settings_digest.h"
#include "tests/support/unit.h"

static void expect(const char *ours, const char *theirs, size_t count, const char *words)
{
    struct buf out = {0};
    assert_int_equal(settings_digest_compare(str_from_cstr(ours), str_from_cstr(theirs), &out), count);
    assert_str(buf_str(&out), words);
    buf_fini(&out);
}

static void test_compare(void **state)
{
    (void)state;
    expect("", "", 0, "");
    expect("a 1\nb 2 3\n", "b 2 3\na 1\n", 0, "");
    expect("a 1\n", "a 2\n", 1, "a is \"1\" here and \"2\" there");
    expect("a 1\n", "", 1, "a is \"1\" here and not set there");
    expect("", "a 1\n", 1, "a is not set here and \"1\" there");
    expect("a \n", "a\n", 1, "a is \"\" here and not set there");
    expect("a 1\nb 1\nc 1\nd 1\ne 1\n", "a 2\nb 1\nc 2\nd 2\ne 2\n", 4,
           "a is \"1\" here and \"2\" there; c is \"1\" here and \"2\" there; d is \"1\" here and \"2\" there; and 1 "
           "more");
}

static void test_what_comes_is_not_trusted(void **state)
{
    char text[1000];
    struct buf out = {0};
    (void)state;
    expect("a 1\n", "a \"x\x1b[31m\xff\n", 1, "a is \"1\" here and \"?x?[31m?\" there");
    memset(text, 'x', sizeof text);
    text[500] = ' ';
    assert_int_equal(settings_digest_compare(STR("a 1\n"), str_from(text, sizeof text), &out), 2);
    assert_true(out.len < 400);
    buf_fini(&out);
}

static void test_a_line_stays_one(void **state)
{
    struct buf digest = {0};
    (void)state;
    settings_digest_add(&digest, STR("name"), STR("two\nlines"));
    assert_str(buf_str(&digest), "name two?lines\n");
    buf_fini(&digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_what_comes_is_not_trusted),
        cmocka_unit_test(test_a_line_stays_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
