/* test_http.c - HTTP on the internal listener: bodies, keep-alive, pipelining, answers that come later. */
#include <stdio.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "tests/support/unit.h"
#include "tests/unit/net/net_fixture.h"

static int set_up(void **state)
{
    struct net_fixture *fixture = fixture_create();
    fixture_start(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in: %s", part, text);
}

#define HOST  "Host: h\r\n"
#define CLOSE "Connection: close\r\n"

static void each_request_gets_its_answer(void **state)
{
    static const struct {
        const char *request;
        const char *expected;
    } rows[] = {
        {"GET /a?b=c HTTP/1.1\r\n" HOST CLOSE "\r\n", "\r\n\r\nGET /a?b=c []"},
        {"GET /a HTTP/1.0\r\n\r\n", "Connection: close\r\n"},
        {"POST /a HTTP/1.1\r\n" HOST CLOSE "Content-Length: 5\r\n\r\nhello", "POST /a? [hello]"},
        {"HEAD /a HTTP/1.1\r\n" HOST CLOSE "\r\n", "Content-Length: 12\r\n"},
        {"nonsense\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://x/ HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 "},
        {"GET /a HTTP/2.0\r\n" HOST "\r\n", "HTTP/1.1 505 "},
        {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 100001\r\n\r\n", "HTTP/1.1 413 "},
        {"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501 "},
        {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell", "HTTP/1.1 408 "},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int fd = fixture_connect(*state, true);
        fixture_send(fd, str_from_cstr(rows[i].request));
        char *answer = fixture_read(*state, fd, NULL);
        assert_has(answer, rows[i].expected);
        if (strncmp(rows[i].request, "HEAD", 4) == 0)
            assert_null(strstr(answer, "/a?"));
        free(answer);
        close(fd);
    }
}

static void one_connection_carries_many_requests_in_order(void **state)
{
    int fd = fixture_connect(*state, true);
    fixture_send(fd, STR("GET /1 HTTP/1.1\r\n" HOST "\r\nPOST /2 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab"
                         "GET /3 HTTP/1.1\r\n" HOST "\r\nGET /4 HT"));
    char *answer = fixture_read(*state, fd, "GET /3? []");
    const char *one = strstr(answer, "GET /1? []"), *two = strstr(answer, "POST /2? [ab]");
    assert_true(one && two && one < two);
    free(answer);
    fixture_send(fd, STR("TP/1.1\r\n" HOST CLOSE "\r\n"));
    answer = fixture_read(*state, fd, NULL);
    assert_has(answer, "GET /4? []");
    free(answer);
    close(fd);
}

static void a_large_body_is_asked_for_and_echoed(void **state)
{
    int fd = fixture_connect(*state, true);
    fixture_send(fd, STR("POST /a HTTP/1.1\r\n" HOST CLOSE "Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n"));
    char *answer = fixture_read(*state, fd, "\r\n\r\n");
    assert_string_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    free(answer);
    char *body = xmalloc(100000);
    memset(body, 'x', 100000);
    fixture_send(fd, str_from(body, 100000));
    answer = fixture_read(*state, fd, NULL);
    assert_has(answer, "xxxxxxxxxx]");
    free(answer);
    free(body);
    close(fd);
}

static void an_answer_larger_than_the_kernel_takes_arrives_whole(void **state)
{
    struct net_fixture *fixture = *state;
    fixture->settings->body_timeout_us = 60000000; /* a slow build takes its time */
    int fd = fixture_connect(fixture, true);
    fixture_send(fd, STR("GET /big HTTP/1.1\r\n" HOST "\r\nGET /next HTTP/1.1\r\n" HOST CLOSE "\r\n"));
    char *answer = fixture_read(*state, fd, NULL);
    assert_true(strlen(answer) > 10000000);
    assert_has(answer + 10000000, "GET /next? []");
    free(answer);
    close(fd);
}

static void hold_a_call(struct net_fixture *fixture, int fd)
{
    fixture_send(fd, STR("POST /later?x HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody"
                         "GET /after HTTP/1.1\r\n" HOST CLOSE "\r\n"));
    while (!fixture->held)
        fixture_turn(fixture);
}

static void an_answer_may_come_later(void **state)
{
    struct net_fixture *fixture = *state;
    int fd = fixture_connect(fixture, true);
    hold_a_call(fixture, fd);
    fixture_turn(fixture);
    assert_str(fixture->held->request.body, "body"); /* still there */
    assert_str(fixture->held->request.query, "x");
    buf_append_lit(&fixture->held->response.body, "at last");
    fixture->held->respond(fixture->held);
    char *answer = fixture_read(fixture, fd, NULL);
    assert_true(strstr(answer, "at last") && strstr(answer, "at last") < strstr(answer, "GET /after? []"));
    free(answer);
    close(fd);
}

static void a_call_outlives_its_connection(void **state)
{
    struct net_fixture *fixture = *state;
    int fd = fixture_connect(fixture, true);
    hold_a_call(fixture, fd);
    struct linger now = {.l_onoff = 1}; /* reset */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    for (int i = 0; i < 3; i++)
        fixture_turn(fixture);
    assert_str(fixture->held->request.body, "body");
    fixture->held->respond(fixture->held);
    fixture_turn(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_request_gets_its_answer),
        TEST(one_connection_carries_many_requests_in_order),
        TEST(a_large_body_is_asked_for_and_echoed),
        TEST(an_answer_larger_than_the_kernel_takes_arrives_whole),
        TEST(an_answer_may_come_later),
        TEST(a_call_outlives_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
