/* test_json_check.c - the validator accepts what RFC 8259 is and nothing else, within its limits. */
#include "common/base/alloc.h"
#include "common/json/json.h"
#include "tests/support/unit.h"

/* With its length, so that a text may hold a NUL. */
#define T(literal)                                                                                                     \
    {                                                                                                                  \
        ("" literal), sizeof(literal) - 1                                                                              \
    }

static bool accepts(struct str text)
{
    struct json_value value;
    /* A copy of exactly this length, so that a sanitizer sees any byte read behind it. */
    char *copy = xmalloc(text.len);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    bool fine = json_check(str_from(copy, text.len), NULL, &value, NULL) == ERR_NONE;
    free(copy);
    return fine;
}

static void test_accepts(void **state)
{
    static const struct str good[] = {
        T("null"),
        T("true"),
        T("false"),
        T(" \t\r\n1 \t\r\n"),
        T("\"\""),
        T("[]"),
        T("{}"),
        T("[ ]"),
        T("{ }"),
        T("0"),
        T("-0"),
        T("10"),
        T("-12.5"),
        T("1.0"),
        T("0.0"),
        T("1e5"),
        T("1E5"),
        T("1e+5"),
        T("1e-05"),
        T("0e0"),
        T("123456789012345678901234567890"),
        T("1e99999"),
        T("-0.1E+10"),
        T("9007199254740993"),
        T("[1]"),
        T("[1,2]"),
        T("[1 , 2 ]"),
        T("[[],[[]],{}]"),
        T("[null,true,false,\"\",0,{},[]]"),
        T("{\"a\":1}"),
        T("{ \"a\" : 1 , \"b\" : [ ] }"),
        T("{\"\":0}"),
        T("{\"a\":{\"b\":{\"c\":[]}}}"),
        T("{\"a\":1,\"a\":2}"), /* twice is grammar; json_bind refuses it where it matters */
        T("{\"a\\u0000b\":0}"),
        T("\"\\u0000\""),
        T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        T("\"\\u00e9\\u00E9\""),
        T("\"\\uD834\\uDD1E\""),
        T("\"\\uDBFF\\uDFFF\""),
        T("\"\\uD7FF\\uE000\\uFFFF\""),
        T("\"\\\\u12\""),
        T("\"\x7F\""),
        T("\"\xC2\x80\""),
        T("\"\xDF\xBF\""),
        T("\"\xE0\xA0\x80\""),
        T("\"\xED\x9F\xBF\""),
        T("\"\xEE\x80\x80\""),
        T("\"\xEF\xBF\xBF\""),
        T("\"\xF0\x90\x80\x80\""),
        T("\"\xF4\x8F\xBF\xBF\""),
        T("\"\xE2\x80\xA8 line separator\""),
        T("\"longer than eight bytes, all of them plain\""),
        T("\"1234567\""),
        T("\"12345678\""),
        T("\"123456789\""),
        T("\"12345\\n78\""),
        T("\"123456\xC3\xA9\""),
    };
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!accepts(good[i]))
            fail_msg("refused: %.*s", STR_ARG(good[i]));
}

static void test_refuses(void **state)
{
    static const struct str bad[] = {
        T(""),
        T(" "),
        T("\n\n"),
        T("nul"),
        T("nulll"),
        T("True"),
        T("TRUE"),
        T("t"),
        T("fals"),
        T("nullnull"),
        T("1 2"),
        T("1,"),
        T(","),
        T(":"),
        T("]"),
        T("}"),
        T("[1]]"),
        T("{}}"),
        T("[]x"),
        T("\xEF\xBB\xBF[]"),
        T("01"),
        T("-01"),
        T("00"),
        T("-"),
        T("+1"),
        T(".5"),
        T("1."),
        T("1.e5"),
        T("-.5"),
        T("1e"),
        T("1e+"),
        T("1E-"),
        T("1e1.5"),
        T("0x10"),
        T("1_000"),
        T("NaN"),
        T("Infinity"),
        T("-Infinity"),
        T("1a"),
        T("--1"),
        T("1-"),
        T("\xD9\xA1"),
        T("["),
        T("[1"),
        T("[1,"),
        T("[1,]"),
        T("[,1]"),
        T("[,]"),
        T("[1,,2]"),
        T("[1 2]"),
        T("[1;2]"),
        T("[1}"),
        T("{]"),
        T("{"),
        T("{\"a\""),
        T("{\"a\":"),
        T("{\"a\":1"),
        T("{\"a\":1,"),
        T("{\"a\":1,}"),
        T("{,}"),
        T("{,\"a\":1}"),
        T("{\"a\"}"),
        T("{\"a\",1}"),
        T("{\"a\" 1}"),
        T("{\"a\"::1}"),
        T("{a:1}"),
        T("{'a':1}"),
        T("{1:1}"),
        T("{null:1}"),
        T("{\"a\":1 \"b\":2}"),
        T("{\"a\":1]"),
        T("[\"a\":1]"),
        T("{[]:1}"),
        T("{\"a\":}"),
        T("{\"a\":,\"b\":1}"),
        T("\""),
        T("\"a"),
        T("\"\\"),
        T("\"\\\""),
        T("'a'"),
        T("a"),
        T("\"a\"b"),
        T("\"\\x41\""),
        T("\"\\a\""),
        T("\"\\ \""),
        T("\"\\u\""),
        T("\"\\u1\""),
        T("\"\\u12\""),
        T("\"\\u123\""),
        T("\"\\u123g\""),
        T("\"\\u 123\""),
        T("\"\\U0041\""),
        T("\"\\u-123\""),
        T("\"\\uD800\""),
        T("\"\\uDBFF\""),
        T("\"\\uDC00\""),
        T("\"\\uDFFF\""),
        T("\"\\uD800x\""),
        T("\"\\uD800\\n\""),
        T("\"\\uD800\\u0041\""),
        T("\"\\uD800\\uD800\""),
        T("\"\\uD800\\uDBFF\""),
        T("\"\\uDC00\\uDC00\""),
        T("\"\\uDC00\\uD800\""),
        T("\"\\uD800\\uDC0\""),
        T("\"\n\""),
        T("\"\t\""),
        T("\"\r\""),
        T("\"\x01\""),
        T("\"\x1F\""),
        T("\"\0\""),
        T("\"1234567\x1F\""),
        T("\0"),
        T("[\0]"),
        T("1\0"),
        T("[1]\0"),
        T("\"a\"\0"),
        T("\f1"),
        T("\v1"),
        T("1\f"),
        T("\xC2\xA0"
          "1"),
        T("\xE2\x80\x83[]"),
        T("// c\n1"),
        T("/* c */1"),
        T("1//"),
        T("[1]#"),
        T("\"\x80\""),
        T("\"\xBF\""),
        T("\"\xC0\x80\""),
        T("\"\xC1\xBF\""),
        T("\"\xC2\""),
        T("\"\xC2\x7F\""),
        T("\"\xC2\xC0\""),
        T("\"\xE0\x80\x80\""),
        T("\"\xE0\x9F\xBF\""),
        T("\"\xED\xA0\x80\""),
        T("\"\xED\xBF\xBF\""),
        T("\"\xE2\x82\""),
        T("\"\xE2\x28\xA1\""),
        T("\"\xF0\x80\x80\x80\""),
        T("\"\xF0\x8F\xBF\xBF\""),
        T("\"\xF4\x90\x80\x80\""),
        T("\"\xF5\x80\x80\x80\""),
        T("\"\xF0\x90\x80\""),
        T("\"\xFE\""),
        T("\"\xFF\""),
        T("\"plain text \xFF and more\""),
        T("{\"\xFF\":1}"),
        T("{\"\\uD800\":1}"),
        T("\xC3\xA9"),
        T("[\xC3\xA9]"),
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (accepts(bad[i]))
            fail_msg("accepted: %.*s", STR_ARG(bad[i]));
}

static void test_every_truncation_is_refused(void **state)
{
    static const struct str whole[] = {
        T("{\"type\":\"publish\",\"id\":\"a\\u00e9\\ud834\\udd1e\",\"data\":{\"channel\":\"caf\xC3\xA9\",\"n\":[-1.5e+"
          "10,true]}}"),
        T("[[[[{\"a\":[null,false,{\"b\":\"\xF0\x9F\x98\x80\"}]}]]]]"),
        T("\"a string of some length \\\\ \\\" \xE2\x82\xAC\""),
    };
    for (size_t i = 0; i < COUNT_OF(whole); i++) {
        assert_true(accepts(whole[i]));
        for (size_t len = 0; len < whole[i].len; len++)
            if (accepts(str_from(whole[i].ptr, len)))
                fail_msg("accepted: %.*s", (int)len, whole[i].ptr);
    }
}

/* Any byte put in place of any other either leaves valid JSON in valid UTF-8, or is refused: never is ill-formed text
 * accepted. */
static void test_no_single_byte_lets_ill_formed_text_in(void **state)
{
    const struct str whole = T("{\"a\":\"caf\xC3\xA9 \\u00e9\",\"b\":[1.5e1,true,null]}");
    char text[64];
    memcpy(text, whole.ptr, whole.len);
    for (size_t at = 0; at < whole.len; at++) {
        for (int byte = 0; byte < 256; byte++) {
            text[at] = (char)byte;
            struct str changed = str_from(text, whole.len);
            if (accepts(changed))
                assert_true(str_is_utf8(changed) && !memchr(text, 0, whole.len));
        }
        text[at] = whole.ptr[at];
    }
}

static struct str nested(struct buf *buf, size_t depth, bool objects)
{
    buf_clear(buf);
    for (size_t i = 0; i < depth; i++)
        buf_append(buf, objects && i % 2 ? STR("{\"a\":") : STR("["));
    buf_append_lit(buf, "1");
    for (size_t i = depth; i-- > 0;)
        buf_append(buf, objects && i % 2 ? STR("}") : STR("]"));
    return buf_str(buf);
}

static void test_depth_limit(void **state)
{
    static const struct {
        unsigned limit;
        size_t holds;
    } cases[] = {{0, 32}, {1, 1}, {2, 2}, {64, 64}, {65, 65}, {1024, 1024}, {5000, JSON_DEPTH_MAX}};
    struct buf buf = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_limits limits = {.depth = cases[i].limit};
        struct json_value value;
        struct error error;
        for (int objects = 0; objects < 2; objects++) {
            assert_int_equal(json_check(nested(&buf, cases[i].holds, objects), &limits, &value, &error), ERR_NONE);
            assert_int_equal(json_check(nested(&buf, cases[i].holds + 1, objects), &limits, &value, &error),
                             ERR_INVALID_REQUEST);
            assert_non_null(strstr(error.text, "deep"));
        }
    }
    buf_fini(&buf);
}

static void test_value_limit(void **state)
{
    struct json_limits limits = {.values = 4};
    struct json_value value;
    struct error error;
    assert_int_equal(json_check(STR("[1,2,3]"), &limits, &value, &error), ERR_NONE);
    assert_int_equal(json_check(STR("{\"a\":1,\"b\":[2]}"), &limits, &value, &error), ERR_NONE);
    assert_int_equal(json_check(STR("[1,2,3,4]"), &limits, &value, &error), ERR_INVALID_REQUEST);
    assert_string_equal(error.text, "byte 7: more than 4 values");

    struct buf buf = {0};
    buf_append_lit(&buf, "[1");
    for (int i = 0; i < 99998; i++)
        buf_append_lit(&buf, ",1");
    buf_append_lit(&buf, "]");
    assert_int_equal(json_check(buf_str(&buf), NULL, &value, &error), ERR_NONE);
    buf.len--;
    buf_append_lit(&buf, ",1]");
    assert_int_equal(json_check(buf_str(&buf), NULL, &value, &error), ERR_INVALID_REQUEST);
    buf_fini(&buf);
}

static void test_gives_kind_and_bytes_without_space_around(void **state)
{
    static const struct {
        const char *text;
        enum json_type type;
        const char *raw;
    } cases[] = {
        {" null ", JSON_NULL, "null"},       {"\ttrue\n", JSON_BOOL, "true"},       {"false", JSON_BOOL, "false"},
        {" -1.5e3 ", JSON_NUMBER, "-1.5e3"}, {" \"a b\" ", JSON_STRING, "\"a b\""}, {" [ 1 ] ", JSON_ARRAY, "[ 1 ]"},
        {" { } ", JSON_OBJECT, "{ }"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_value value;
        assert_int_equal(json_check(str_from_cstr(cases[i].text), NULL, &value, NULL), ERR_NONE);
        assert_int_equal(value.type, cases[i].type);
        assert_str(value.raw, cases[i].raw);
    }
}

static void test_error_says_where_and_what(void **state)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"", "byte 0: expected a value, found the end of the text"},
        {"{\"a\":1;", "byte 6: expected ',' or '}', found ';'"},
        {"[1 2]", "byte 3: expected ',' or ']', found '2'"},
        {"[1,]", "byte 3: expected a value, found ']'"},
        {"{\"a\":1,}", "byte 7: expected a member name, found '}'"},
        {"{1:2}", "byte 1: expected a member name or '}', found '1'"},
        {"{\"a\" 1}", "byte 5: expected ':', found '1'"},
        {"\"abc", "byte 4: expected '\"' at the end of the string, found the end of the text"},
        {"\"ab\ncd\"", "byte 3: control character 0x0A in a string must be escaped"},
        {"\"a\\x\"", "byte 2: not a valid escape"},
        {"\"\\uD800\"", "byte 1: not a valid escape"},
        {"\"a\xFF\"", "byte 2: not valid UTF-8"},
        {"01", "byte 1: expected the end of the text, found '1'"},
        {"1.", "byte 2: expected a digit, found the end of the text"},
        {"trux", "byte 3: expected true, found 'x'"},
        {"\x01", "byte 0: expected a value, found byte 0x01"},
        {"[\xC3\xA9]", "byte 1: expected a value, found byte 0xC3"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_value value;
        struct error error;
        assert_int_equal(json_check(str_from_cstr(cases[i].text), NULL, &value, &error), ERR_INVALID_REQUEST);
        assert_int_equal(error.code, ERR_INVALID_REQUEST);
        assert_string_equal(error.text, cases[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_no_single_byte_lets_ill_formed_text_in),
        cmocka_unit_test(test_depth_limit),
        cmocka_unit_test(test_value_limit),
        cmocka_unit_test(test_gives_kind_and_bytes_without_space_around),
        cmocka_unit_test(test_error_says_where_and_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
