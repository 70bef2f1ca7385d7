/* test_json_pointer.c - the examples of RFC 6901, 5, and what clients' frames may do to a pointer. */
#include <stdlib.h>

#include "common/json/json_pointer.h"
#include "tests/support/unit.h"

static const char rfc[] = "{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"e^f\": 3, \"g|h\": 4,"
                          "\"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7, \"m~n\": 8, \"dup\":1, \"d\\u0075p\":2,"
                          "\"deep\":{\"er\":[[],[{\"x\":null}]]}, \"~1\": 9}";

static struct json_value find(const char *pointer_text, const char *document_text)
{
    struct json_pointer *pointer;
    struct json_value document;
    assert_int_equal(json_pointer_create(str_from_cstr(pointer_text), &pointer, NULL), ERR_NONE);
    assert_int_equal(json_check(str_from_cstr(document_text), NULL, &document, NULL), ERR_NONE);
    struct json_value found = json_pointer_find(pointer, document);
    free(pointer);
    return found;
}

static void test_found(void **state)
{
    static const struct {
        const char *pointer, *value;
    } rows[] = {
        {"", rfc},
        {"/foo", "[\"bar\", \"baz\"]"},
        {"/foo/0", "\"bar\""},
        {"/foo/1", "\"baz\""},
        {"/", "0"},
        {"/a~1b", "1"},
        {"/c%d", "2"},
        {"/e^f", "3"},
        {"/g|h", "4"},
        {"/i\\j", "5"},
        {"/k\"l", "6"},
        {"/ ", "7"},
        {"/m~0n", "8"},
        {"/dup", "1"},
        {"/deep/er/1/0/x", "null"},
        {"/~01", "9"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json_value value = find(rows[i].pointer, rfc);
        if (!str_eq(value.raw, str_from_cstr(rows[i].value)))
            fail_msg("%s: %.*s", rows[i].pointer, STR_ARG(value.raw));
    }
}

static void test_absent(void **state)
{
    static const char *const rows[] = {
        "/bar", "/foo/2", "/foo/-", "/foo/01", "/foo/", "/foo/+1", "/foo/0/x", "//", "/deep/er/18446744073709551616",
        "/a/b"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (find(rows[i], rfc).type)
            fail_msg("%s is there", rows[i]);
    assert_int_equal(find("/x", "17").type, 0);
    assert_int_equal(find("", "17").type, JSON_NUMBER);
}

static void test_bad_pointers(void **state)
{
    static const char *const rows[] = {"foo", "#/foo", "/a~", "/a~2", "/~/", "/\xff"};
    struct json_pointer *pointer;
    struct error error;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(json_pointer_create(str_from_cstr(rows[i]), &pointer, &error), ERR_INVALID_REQUEST);
        assert_null(pointer);
        assert_non_null(strstr(error.text, "JSON pointer"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_bad_pointers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
