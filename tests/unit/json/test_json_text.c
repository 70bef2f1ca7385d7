/* test_json_text.c - texts and numbers out of values, and texts into JSON. */
#include "common/json/json.h"
#include "tests/support/unit.h"

static struct json_value parse(struct str text)
{
    struct json_value value = {0};
    assert_int_equal(json_check(text, NULL, &value, NULL), ERR_NONE);
    return value;
}

static void test_text(void **state)
{
    static const struct {
        const char *json;
        const char *text;
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"caf\xC3\xA9\"", "caf\xC3\xA9"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC"},
        {"\"a\\uD834\\uDD1Eb\"", "a\xF0\x9D\x84\x9E"
                                 "b"},
        {"\"\\uDBFF\\uDFFF\"", "\xF4\x8F\xBF\xBF"},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"},
        {"\"\\\\u0041\"", "\\u0041"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf scratch = {0};
        struct str text;
        assert_true(json_text(parse(str_from_cstr(cases[i].json)), &scratch, &text));
        assert_str(text, cases[i].text);
        buf_fini(&scratch);
    }
}

static void test_text_without_escapes_needs_no_scratch(void **state)
{
    struct buf scratch = {0};
    struct json_value value = parse(STR("\"plain\""));
    struct str text;
    assert_true(json_text(value, &scratch, &text));
    assert_ptr_equal(text.ptr, value.raw.ptr + 1);
    assert_null(scratch.ptr);
}

static void test_texts_share_a_scratch_that_was_reserved(void **state)
{
    struct json_value first = parse(STR("\"a\\nb\"")), second = parse(STR("\"\\u00e9\\u00e9\""));
    struct buf scratch = {0};
    struct str a, b;
    buf_reserve(&scratch, first.raw.len + second.raw.len);
    const char *before = scratch.ptr;
    assert_true(json_text(first, &scratch, &a));
    assert_true(json_text(second, &scratch, &b));
    assert_ptr_equal(scratch.ptr, before);
    assert_str(a, "a\nb");
    assert_str(b, "\xC3\xA9\xC3\xA9");
    buf_fini(&scratch);
}

static void test_text_refuses_nul_and_what_is_no_string(void **state)
{
    struct buf scratch = {0};
    struct str text = STR("untouched");
    buf_append_lit(&scratch, "kept");
    assert_false(json_text(parse(STR("\"\\u0000\"")), &scratch, &text));
    assert_false(json_text(parse(STR("\"abc\\n\\u0000\"")), &scratch, &text));
    assert_false(json_text(parse(STR("1")), &scratch, &text));
    assert_false(json_text(parse(STR("[\"a\"]")), &scratch, &text));
    assert_false(json_text((struct json_value){0}, &scratch, &text));
    assert_str(text, "untouched");
    assert_str(buf_str(&scratch), "kept");
    buf_fini(&scratch);
}

static void test_u64(void **state)
{
    uint64_t value;
    assert_true(json_u64(parse(STR("0")), &value) && value == 0);
    assert_true(json_u64(parse(STR("9007199254740993")), &value) && value == 9007199254740993);
    assert_true(json_u64(parse(STR("18446744073709551615")), &value) && value == UINT64_MAX);
    static const char *const bad[] = {"18446744073709551616", "-1", "-0", "1.0", "1e2", "\"1\"", "null", "[1]"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        value = 77;
        assert_false(json_u64(parse(str_from_cstr(bad[i])), &value));
        assert_true(value == 77);
    }
    assert_false(json_u64((struct json_value){0}, &value));
}

static void test_i64(void **state)
{
    int64_t value;
    assert_true(json_i64(parse(STR("-1")), &value) && value == -1);
    assert_true(json_i64(parse(STR("-0")), &value) && value == 0);
    assert_true(json_i64(parse(STR("9223372036854775807")), &value) && value == INT64_MAX);
    assert_true(json_i64(parse(STR("-9223372036854775808")), &value) && value == INT64_MIN);
    static const char *const bad[] = {"9223372036854775808", "-9223372036854775809", "-1.0", "-1e1", "\"-1\""};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(json_i64(parse(str_from_cstr(bad[i])), &value));
}

static void test_scale(void **state)
{
    static const struct {
        const char *number;
        unsigned places;
        enum json_scaled scaled;
        uint64_t value;
    } cases[] = {
        {"0", 0, JSON_SCALED_EXACT, 0},
        {"18446744073709551615", 0, JSON_SCALED_EXACT, UINT64_MAX},
        {"1844674407370955161.5e1", 0, JSON_SCALED_EXACT, UINT64_MAX},
        {"18446744073709551.6159", 3, JSON_SCALED_CUT, UINT64_MAX},
        {"9007199254740993e0", 0, JSON_SCALED_EXACT, 9007199254740993},
        {"0.000000000000000000000000000001e31", 0, JSON_SCALED_EXACT, 10},
        {"1e-1", 1, JSON_SCALED_EXACT, 1},
        {"1e-1", 0, JSON_SCALED_CUT, 0},
        {"19.99", 0, JSON_SCALED_CUT, 19},
        {"0e-5", 0, JSON_SCALED_EXACT, 0},
        {"-0.0e5", 0, JSON_SCALED_EXACT, 0},
        {"18446744073709551616", 0, JSON_SCALED_TOO_LARGE, 0},
        {"1e20", 0, JSON_SCALED_TOO_LARGE, 0},
        {"1e9223372036854775807", 0, JSON_SCALED_TOO_LARGE, 0},
        {"1e99999999999999999999999", 3, JSON_SCALED_TOO_LARGE, 0},
        {"1e-99999999999999999999999", 3, JSON_SCALED_CUT, 0},
        {"-1", 0, JSON_SCALED_NEGATIVE, 0},
        {"-0.1", 0, JSON_SCALED_NEGATIVE, 0},
        {"-1e99", 0, JSON_SCALED_NEGATIVE, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t value = 0;
        enum json_scaled scaled = json_scale(parse(str_from_cstr(cases[i].number)), cases[i].places, &value);
        if (scaled != cases[i].scaled || value != cases[i].value)
            fail_msg("%s: %d, %llu", cases[i].number, (int)scaled, (unsigned long long)value);
    }
}

static void assert_appends(struct str text, const char *expected)
{
    struct buf out = {0};
    json_append_string(&out, text);
    assert_string_equal(buf_cstr(&out), expected);
    parse(buf_str(&out));
    buf_fini(&out);
}

static void test_append_string(void **state)
{
    assert_appends(STR(""), "\"\"");
    assert_appends(STR("a \"b\" \\ /"), "\"a \\\"b\\\" \\\\ /\"");
    assert_appends(STR("\b\f\n\r\t\x01\x1F\x7F"), "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\"");
    assert_appends(STR("a\0b"), "\"a\\u0000b\"");
    assert_appends(STR("caf\xC3\xA9 \xF0\x9F\x98\x80"), "\"caf\xC3\xA9 \xF0\x9F\x98\x80\"");
    assert_appends(STR("\xFF"
                       "a\xC3"),
                   "\"\xEF\xBF\xBD"
                   "a\xEF\xBF\xBD\"");
    assert_appends(STR("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

/* Whatever text goes in comes out again. */
static void test_append_then_text(void **state)
{
    struct buf text = {0}, json = {0}, scratch = {0};
    for (uint32_t byte = 1; byte < 0x80; byte++)
        buf_append_char(&text, (char)byte);
    buf_append_lit(&text, "\xC2\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF");
    json_append_string(&json, buf_str(&text));
    struct str back;
    assert_true(json_text(parse(buf_str(&json)), &scratch, &back));
    assert_true(str_eq(back, buf_str(&text)));
    buf_fini(&text);
    buf_fini(&json);
    buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_without_escapes_needs_no_scratch),
        cmocka_unit_test(test_texts_share_a_scratch_that_was_reserved),
        cmocka_unit_test(test_text_refuses_nul_and_what_is_no_string),
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_i64),
        cmocka_unit_test(test_append_string),
        cmocka_unit_test(test_append_then_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
