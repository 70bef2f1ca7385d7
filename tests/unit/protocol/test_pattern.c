/* test_pattern.c - a pattern matches the right names, claim values are literal, and no pattern is slow. */
#include "common/base/clock.h"
#include "common/protocol/channel_name.h"
#include "tests/support/unit.h"

static bool matches(const char *pattern, const char *name)
{
    return pattern_matches(str_from_cstr(pattern), str_from_cstr(name), NULL, NULL);
}

static void test_literals_and_stars(void **state)
{
    static const struct {
        const char *pattern;
        const char *name;
        bool match;
    } cases[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "aa", false},
        {"aa", "a", false},
        {"*", "a:b:c", true},
        {"*", "x", true},
        {"user:*", "user:1", true},
        {"user:*", "user:", true},
        {"user:*", "user", false},
        {"user:*", "users:1", false},
        {"user:*", "user:1:2", true},
        {"*:x", "a:b:x", true},
        {"*:x", "x", false},
        {"*:x", ":x", true},
        {"a*b", "ab", true},
        {"a*b", "axxb", true},
        {"a*b", "axxbx", false},
        {"aba*aba", "aba", false},
        {"aba*aba", "ababa", false},
        {"aba*aba", "abaaba", true},
        {"*a*", "bab", true},
        {"*a*", "bbb", false},
        {"**", "x", true},
        {"a**b", "ab", true},
        {"*ab*cd*", "xabcdx", true},
        {"*ab*cd*", "xacbdx", false},
        {"*ab*cd*", "cdab", false},
        {"*a*b*c", "aabbcc", true},
        {"*a*b*c", "aabbccd", false},
        {"*aab", "aaab", true},
        {"a*a*a", "aa", false},
        {"a*a*a", "aaa", true},
        {"A", "a", false},
        {"a?c", "abc", false},
        {"", "a", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (matches(cases[i].pattern, cases[i].name) != cases[i].match)
            fail_msg("%s on %s", cases[i].pattern, cases[i].name);
}

static void test_values_that_are_not_known(void **state)
{
    static const struct {
        const char *pattern;
        const char *name;
        enum pattern_fit fit;
    } cases[] = {
        {"user:{sub}", "user:7", PATTERN_FITS},
        {"user:{sub}", "user:", PATTERN_APART},
        {"user:{sub}", "user:7:x", PATTERN_FITS_WITH_COLON},
        {"user:{sub}", "user::", PATTERN_FITS_WITH_COLON},
        {"{a}", "x:y", PATTERN_FITS_WITH_COLON},
        {"{a}:{b}", "x:y", PATTERN_FITS},
        {"{a}:{b}", "x:y:z", PATTERN_FITS_WITH_COLON},
        {"{a}:{b}", ":y", PATTERN_APART},
        {"{a}x:y", "axx:y", PATTERN_FITS},
        {"*{a}:z", "b:c:z", PATTERN_FITS},
        {"*{a}:z", "b::z", PATTERN_FITS_WITH_COLON},
        {"{a}{b}", "xy", PATTERN_FITS},
        {"{a}{b}", "x", PATTERN_APART},
        {"{a}*", "x:y:z", PATTERN_FITS},
        {"{a}*", ":x", PATTERN_FITS_WITH_COLON},
        {"*{a}", "x:", PATTERN_FITS_WITH_COLON},
        {"*{a}", "", PATTERN_APART},
        {"*{a}x{b}y", "q:axbyxcy", PATTERN_FITS},
        {"a{b", "a{b", PATTERN_APART},
        {"a*", "a:b", PATTERN_FITS},
        {"a", "a", PATTERN_FITS},
        {"a", "b", PATTERN_APART},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum pattern_fit fit = pattern_fits(str_from_cstr(cases[i].pattern), str_from_cstr(cases[i].name));
        if (fit != cases[i].fit || matches(cases[i].pattern, cases[i].name) != (fit != PATTERN_APART))
            fail_msg("%s on %s", cases[i].pattern, cases[i].name);
    }
}

static void test_literal_bytes(void **state)
{
    static const struct {
        const char *pattern;
        size_t literals;
    } cases[] = {{"", 0}, {"*", 0}, {"{a}", 0}, {"user:{sub}", 5}, {"user:*:x", 7}, {"{a}:{b}*c", 2}, {"a{b", 3}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(pattern_literals(str_from_cstr(cases[i].pattern)), cases[i].literals);
}

/* Claims: "sub" is the text passed in, "none" is not there. */
static bool look_up(void *context, struct str name, struct str *out)
{
    if (!str_eq_cstr(name, "sub"))
        return false;
    *out = str_from_cstr(context);
    return true;
}

static bool matches_for(char *sub, const char *pattern, const char *name)
{
    return pattern_matches(str_from_cstr(pattern), str_from_cstr(name), look_up, sub);
}

static void test_claim_values_are_literal(void **state)
{
    char plain[] = "user-456", star[] = "*", braces[] = "{sub}", colon[] = "a:b", empty[] = "";
    assert_true(matches_for(plain, "user:{sub}", "user:user-456"));
    assert_false(matches_for(plain, "user:{sub}", "user:user-4567"));
    assert_false(matches_for(plain, "user:{sub}", "user:user-45"));
    assert_true(matches_for(plain, "{sub}:{sub}:*", "user-456:user-456:x"));
    assert_false(matches_for(plain, "{sub}:{sub}:*", "user-456:user-457:x"));
    assert_true(matches_for(plain, "*:{sub}:*", "a:user-456:b"));
    assert_false(matches_for(star, "user:{sub}", "user:anyone"));
    assert_true(matches_for(star, "user:{sub}", "user:*"));
    assert_true(matches_for(braces, "user:{sub}", "user:{sub}"));
    assert_false(matches_for(braces, "user:{sub}", "user:x"));
    assert_true(matches_for(colon, "user:{sub}", "user:a:b"));
    assert_false(matches_for(plain, "user:{none}", "user:none"));
    assert_false(matches_for(plain, "{none}*", "anything"));
    assert_false(matches_for(empty, "{sub}*", "anything"));
    assert_false(matches_for(empty, "user:{sub}", "user:"));
}

static void test_claim_value_longer_than_any_name(void **state)
{
    char sub[2000];
    memset(sub, 'x', sizeof sub - 1);
    sub[sizeof sub - 1] = '\0';
    assert_false(matches_for(sub, "{sub}{sub}{sub}", "xxx"));
    assert_false(matches_for(sub, "*{sub}*", "x"));
}

/* The plain recursive definition, exponential but obviously right, for short texts. */
static bool model(const char *pattern, const char *name, bool colon)
{
    if (*pattern == '\0')
        return *name == '\0';
    if (*pattern == '*')
        return model(pattern + 1, name, colon) || (*name && model(pattern, name + 1, colon));
    if (*pattern == '{') /* {a} */
        return *name && (colon || *name != ':') &&
               (model(pattern + 3, name + 1, colon) || model(pattern, name + 1, colon));
    return *name == *pattern && model(pattern + 1, name + 1, colon);
}

static void test_against_the_definition(void **state)
{
    static const char *const pieces[] = {"a", "b", ":", "*", "{a}"};
    uint32_t random = 12345;
    for (int round = 0; round < 200000; round++) {
        char pattern[32] = "", name[8] = "";
        random = random * 1664525 + 1013904223;
        uint32_t bits = random >> 4;
        for (int i = 0; i < 5; i++, bits /= 5)
            strcat(pattern, pieces[bits % 5]);
        random = random * 1664525 + 1013904223;
        bits = random >> 6;
        for (uint32_t i = 0, len = 1 + bits % 7; i < len; i++, bits /= 3)
            name[i] = "ab:"[bits % 3];
        enum pattern_fit fit = pattern_fits(str_from_cstr(pattern), str_from_cstr(name));
        enum pattern_fit right = model(pattern, name, false)  ? PATTERN_FITS
                                 : model(pattern, name, true) ? PATTERN_FITS_WITH_COLON
                                                              : PATTERN_APART;
        if (fit != right || matches(pattern, name) != (right != PATTERN_APART))
            fail_msg("%s on %s: the definition says %d", pattern, name, right);
    }
}

static void test_no_pattern_is_slow(void **state)
{
    char pattern[CHANNEL_NAME_MAX], name[CHANNEL_NAME_MAX];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 'b';
    pattern[sizeof pattern - 1] = 'c';
    uint64_t start_us = clock_now_us();
    for (int i = 0; i < 100; i++) {
        assert_false(pattern_matches(str_from(pattern, sizeof pattern), str_from(name, sizeof name), NULL, NULL));
        memcpy(pattern + 1, "{a}{a}*{a}", 10);
    }
    /* 100 tables of 255 * 255 steps. Backtracking would take longer than the age of the universe. */
    assert_true(clock_now_us() - start_us < 5000000);
}

static void test_check(void **state)
{
    static const char *const good[] = {"a", "*", "user:{sub}", "{a.b_c-D9}:*", "{a}{b}", "a b"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(pattern_check(str_from_cstr(good[i]), NULL), ERR_NONE);
    static const struct {
        const char *pattern;
        const char *error;
    } bad[] = {
        {"", "the channel pattern is empty"},
        {"a{b", "byte 1 of the channel pattern: '{' without '}'"},
        {"a}b", "byte 1 of the channel pattern: '}' without '{'"},
        {"{a}}", "byte 3 of the channel pattern: '}' without '{'"},
        {"ab{}", "byte 2 of the channel pattern: a claim name is letters, digits, '_', '.' and '-'"},
        {"{a b}", "byte 0 of the channel pattern: a claim name is letters, digits, '_', '.' and '-'"},
        {"{{a}}", "byte 0 of the channel pattern: a claim name is letters, digits, '_', '.' and '-'"},
        {"{*}", "byte 0 of the channel pattern: a claim name is letters, digits, '_', '.' and '-'"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct error error = {0};
        assert_int_equal(pattern_check(str_from_cstr(bad[i].pattern), &error), ERR_INVALID_REQUEST);
        assert_string_equal(error.text, bad[i].error);
    }
    char too_long[CHANNEL_NAME_MAX + 1];
    memset(too_long, 'x', sizeof too_long);
    assert_int_equal(pattern_check(str_from(too_long, sizeof too_long), NULL), ERR_INVALID_REQUEST);
    assert_int_equal(pattern_check(str_from(too_long, sizeof too_long - 1), NULL), ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_and_stars),
        cmocka_unit_test(test_values_that_are_not_known),
        cmocka_unit_test(test_literal_bytes),
        cmocka_unit_test(test_claim_values_are_literal),
        cmocka_unit_test(test_claim_value_longer_than_any_name),
        cmocka_unit_test(test_against_the_definition),
        cmocka_unit_test(test_no_pattern_is_slow),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
