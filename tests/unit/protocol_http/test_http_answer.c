/* test_http_answer.c - heads of HTTP responses. */
#include "common/protocol/http_answer.h"
#include "tests/support/unit.h"

static enum http_head_result parse(const char *text, struct http_answer *answer)
{
    size_t scanned = 0;
    return http_answer_parse(str_from_cstr(text), 200, &scanned, answer, NULL);
}

static void test_good(void **state)
{
    struct http_answer answer;
    struct str value;
    assert_int_equal(parse("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\nbody", &answer), HTTP_HEAD_DONE);
    assert_int_equal(answer.status, 429);
    assert_int_equal(answer.minor, 1);
    assert_int_equal(answer.length, strlen("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n"));
    assert_true(str_eq(answer.reason, STR("Too Many Requests")));
    assert_true(http_fields_find(&answer.fields, STR("retry-after"), &value));
    assert_true(str_eq(value, STR("7")));
    assert_int_equal(parse("HTTP/1.0 200 \r\n\r\n", &answer), HTTP_HEAD_DONE);
    assert_int_equal(answer.fields.count, 0);
    assert_int_equal(answer.reason.len, 0);
    assert_int_equal(parse("HTTP/1.1 200\r\n\r\n", &answer), HTTP_HEAD_DONE);
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 099 \r\n\r\n",
        "HTTP/1.1 600 \r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "ICY 200 OK abcd\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : 1\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n\r\n",
    };
    struct http_answer answer;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (parse(cases[i], &answer) != HTTP_HEAD_BAD)
            fail_msg("not refused: %s", cases[i]);
}

static void test_every_truncation_needs_more(void **state)
{
    struct str whole = STR("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
    struct http_answer answer;
    size_t scanned = 0;
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(http_answer_parse(str_from(whole.ptr, len), 200, &scanned, &answer, NULL),
                         HTTP_HEAD_NEED_MORE);
    assert_int_equal(http_answer_parse(whole, 200, &scanned, &answer, NULL), HTTP_HEAD_DONE);
    scanned = 0;
    assert_int_equal(http_answer_parse(whole, 20, &scanned, &answer, NULL), HTTP_HEAD_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_every_truncation_needs_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
