/* test_http_chunked.c - chunked bodies: good ones are decoded and bad ones refused, in pieces of any size. */
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/protocol/http_chunked.h"
#include "tests/support/unit.h"

enum { BODY_MAX = 20 };

/* Decodes text in pieces of `step` bytes. Each piece has its own allocation. So a sanitizer sees a read or write past
 * it. */
static enum http_chunked_result decode(struct str text, size_t step, struct buf *out, size_t *out_used)
{
    struct http_chunked chunked = {.max_body = BODY_MAX};
    enum http_chunked_result result = HTTP_CHUNKED_NEED_MORE;
    struct error error = {0};
    *out_used = 0;
    while (*out_used < text.len && result == HTTP_CHUNKED_NEED_MORE) {
        size_t len = text.len - *out_used < step ? text.len - *out_used : step, decoded, used;
        char *piece = str_dup(str_from(text.ptr + *out_used, len));
        result = http_chunked_decode(&chunked, piece, len, &decoded, &used, &error);
        assert_true(used == len || result != HTTP_CHUNKED_NEED_MORE);
        buf_append(out, str_from(piece, decoded));
        *out_used += used;
        free(piece);
    }
    assert_int_equal(chunked.body, out->len);
    assert_int_equal(result >= HTTP_CHUNKED_BAD, error.text[0] != '\0');
    return result;
}

static void test_bodies(void **state)
{
    static const struct {
        enum http_chunked_result result;
        const char *text, *body, *rest;
    } cases[] = {
        {HTTP_CHUNKED_DONE, "0\r\n\r\n", "", ""},
        {HTTP_CHUNKED_DONE, "5\r\nhello\r\n0\r\n\r\n", "hello", ""},
        {HTTP_CHUNKED_DONE, "5\r\nhello\r\n000B\r\n, new world\r\n00\r\n\r\nGET /", "hello, new world", "GET /"},
        {HTTP_CHUNKED_DONE, "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
        {HTTP_CHUNKED_DONE, "1;a=b;c=\"d;e\"\r\nx\r\n0 \t; z\r\n\r\n", "x", ""},
        {HTTP_CHUNKED_DONE, "2\r\n\r\n\r\n0\r\nDigest: abc\r\nContent-Length: 7\r\n\r\n\r\n", "\r\n", "\r\n"},
        {HTTP_CHUNKED_NEED_MORE, "5\r\nhel", "hel", ""},
        {HTTP_CHUNKED_NEED_MORE, "5\r\nhello\r\n0\r\n", "hello", ""},
        {HTTP_CHUNKED_NEED_MORE, "0\r\nA: b\r\n\r", "", ""},
        {HTTP_CHUNKED_TOO_LARGE, "15\r\nx", "", "x"},
        {HTTP_CHUNKED_TOO_LARGE, "f\r\n012345678901234\r\n6\r\nx", "012345678901234", "x"},
        {HTTP_CHUNKED_TOO_LARGE, "ffffffffffffffff\r\nx", "", "x"},
        {HTTP_CHUNKED_BAD, "00000000000000001\r\nx", "", "\r\nx"},
        {HTTP_CHUNKED_BAD, "\r\n", "", "\n"},
        {HTTP_CHUNKED_BAD, ";a\r\n", "", "a\r\n"},
        {HTTP_CHUNKED_BAD, "-1\r\n", "", "1\r\n"},
        {HTTP_CHUNKED_BAD, "0x1\r\n", "", "1\r\n"},
        {HTTP_CHUNKED_BAD, " 1\r\n", "", "1\r\n"},
        {HTTP_CHUNKED_BAD, "1 \r\nx", "", "\nx"},
        {HTTP_CHUNKED_BAD, "1 2\r\n", "", "\r\n"},
        {HTTP_CHUNKED_BAD, "1\nx", "", "x"},
        {HTTP_CHUNKED_BAD, "1\rx", "", ""},
        {HTTP_CHUNKED_BAD, "1;a\nx", "", "x"},
        {HTTP_CHUNKED_BAD, "1;a\rb", "", ""},
        {HTTP_CHUNKED_BAD, "1;\x7f", "", ""},
        {HTTP_CHUNKED_BAD, "1\r\nxy", "x", ""},
        {HTTP_CHUNKED_BAD, "1\r\nx\n", "x", ""},
        {HTTP_CHUNKED_BAD, "1\r\nx\r1", "x", ""},
        {HTTP_CHUNKED_BAD, "0\r\n\n", "", ""},
        {HTTP_CHUNKED_BAD, "0\r\n\rx", "", ""},
        {HTTP_CHUNKED_BAD, "0\r\na: b\n", "", ""},
        {HTTP_CHUNKED_BAD, "0\r\na: b\rc", "", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str text = str_from_cstr(cases[i].text);
        for (size_t step = 1; step <= text.len; step++) {
            struct buf body = {0};
            size_t used;
            enum http_chunked_result result = decode(text, step, &body, &used);
            if (result != cases[i].result)
                fail_msg("row %zu by %zu: %d instead of %d", i, step, (int)result, (int)cases[i].result);
            assert_str(buf_str(&body), cases[i].body);
            assert_str(str_from(text.ptr + used, text.len - used), cases[i].rest);
            buf_fini(&body);
        }
    }
}

static void test_a_nul_is_data_but_nothing_else(void **state)
{
    struct buf body = {0};
    size_t used;
    assert_int_equal(decode(STR("1\r\n\0\r\n0\r\n\r\n"), 99, &body, &used), HTTP_CHUNKED_DONE);
    assert_true(str_eq(buf_str(&body), str_from("", 1)));
    buf_clear(&body);
    assert_int_equal(decode(STR("1;\0\r\n"), 99, &body, &used), HTTP_CHUNKED_BAD);
    assert_int_equal(decode(STR("0\r\n\0"), 99, &body, &used), HTTP_CHUNKED_BAD);
    buf_fini(&body);
}

static void append_run(struct buf *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_append_char(text, 'a');
}

/* Extensions of all chunks and trailers count together. */
static void test_what_is_ignored_is_bounded(void **state)
{
    for (int over = 0; over < 2; over++) {
        struct buf text = {0}, body = {0};
        size_t used;
        buf_append_lit(&text, "1;");
        append_run(&text, HTTP_CHUNKED_IGNORED_MAX / 2);
        buf_append_lit(&text, "\r\nx\r\n0\r\n");
        append_run(&text, HTTP_CHUNKED_IGNORED_MAX / 2 + (size_t)over);
        buf_append_lit(&text, "\r\n\r\n");
        assert_int_equal(decode(buf_str(&text), 1000, &body, &used), over ? HTTP_CHUNKED_TOO_LARGE : HTTP_CHUNKED_DONE);
        buf_fini(&text);
        buf_fini(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_a_nul_is_data_but_nothing_else),
        cmocka_unit_test(test_what_is_ignored_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
