/* test_http.c - HTTP on the internal listener: bodies, keep-alive, pipelining, answers that come later. */
#include <stdio.h>
#include <sys/socket.h>
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

#define HOST    "Host: h\r\n"
#define CLOSE   "Connection: close\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

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
        {"GET http://x/a?b HTTP/1.1\r\n" HOST CLOSE "\r\n", "GET /a?b []"},
        {"GET ftp://x/ HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 "},
        {"\r\n\r\nGET /a HTTP/1.1\r\n" HOST CLOSE "\r\n", "GET /a? []"},
        {"GET /a HTTP/2.0\r\n" HOST "\r\n", "HTTP/1.1 505 "},
        {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 100001\r\n\r\n", "HTTP/1.1 413 "},
        {"POST /a HTTP/1.1\r\n" HOST CLOSE CHUNKED "\r\n0\r\n\r\n", "POST /a? []"},
        {"POST /a HTTP/1.1\r\n" HOST CLOSE CHUNKED "\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: t\r\n\r\n",
         "POST /a? [abcde]"},
        {"POST /a HTTP/1.1\r\n" HOST CHUNKED "\r\n1\r\nx\r\n0\r\n\r\nGET /b HTTP/1.1\r\n" HOST CLOSE "\r\n",
         "GET /b? []"},
        {"POST /a HTTP/1.1\r\n" HOST CHUNKED "\r\nx\r\n", "HTTP/1.1 400 "},
        {"POST /a HTTP/1.1\r\n" HOST CHUNKED "\r\n186a1\r\n", "HTTP/1.1 413 "},
        {"POST /a HTTP/1.1\r\n" HOST CHUNKED "\r\n5\r\nhell", "HTTP/1.1 408 "},
        {"POST /a HTTP/1.1\r\n" HOST CHUNKED "Content-Length: 5\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
        {"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501 "},
        {"POST /refused HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\nx", "HTTP/1.1 401 "},
        {"POST /refused HTTP/1.1\r\n" HOST CHUNKED "Expect: 100-continue\r\n\r\n", "HTTP/1.1 401 "},
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

/* In a chunk of its own each, a byte a turn, with what the next request begins with. */
static void a_chunked_body_comes_in_any_pieces(void **state)
{
    struct str sent =
        STR("POST /a HTTP/1.1\r\n" HOST CHUNKED "\r\n3\r\nabc\r\n0a;e=f\r\n0123456789\r\n0\r\nT: t\r\n\r\n"
            "GET /b HTTP/1.1\r\n" HOST CLOSE "\r\n");
    struct net_fixture *fixture = *state;
    fixture->settings->body_timeout_us = 60000000;
    int fd = fixture_connect(fixture, true);
    for (size_t i = 0; i < sent.len; i++) {
        fixture_send(fd, str_from(sent.ptr + i, 1));
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    char *answer = fixture_read(fixture, fd, NULL);
    assert_has(answer, "POST /a? [abc0123456789]");
    assert_has(answer, "GET /b? []");
    free(answer);
    close(fd);
}

static void http_1_0_is_told_that_it_may_go_on(void **state)
{
    int fd = fixture_connect(*state, true);
    for (int i = 0; i < 2; i++) {
        fixture_send(fd, STR("GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
        char *answer = fixture_read(*state, fd, "GET /a? []");
        assert_has(answer, "Connection: keep-alive\r\n");
        free(answer);
    }
    close(fd);
}

/* Each of these waits for a body that never comes. Their bytes count until they are gone. */
static void bodies_are_bounded_together(void **state)
{
    struct net_fixture *fixture = *state;
    fixture->settings->body_timeout_us = 60000000;
#define BY_LENGTH "POST /a HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n"
#define IN_CHUNKS "POST /a HTTP/1.1\r\n" HOST CHUNKED "\r\n2000\r\n"
    int holding[2], fd;
    char body[0x2000];
    memset(body, 'x', sizeof body);
    for (int i = 0; i < 2; i++) {
        holding[i] = fixture_connect(fixture, true);
        fixture_send(holding[i], STR(BY_LENGTH));
        while (quota_count(fixture->quota, QUOTA_BODIES, STR("")) != 100000u * (unsigned)(i + 1))
            fixture_turn(fixture);
    }
    for (int i = 0; i < 2; i++) {
        fd = fixture_connect(fixture, true);
        fixture_send(fd, i ? STR(IN_CHUNKS) : STR(BY_LENGTH));
        if (i)
            fixture_send(fd, str_from(body, sizeof body));
        char *answer = fixture_read(fixture, fd, NULL);
        assert_has(answer, "HTTP/1.1 503 ");
        assert_has(answer, "Retry-After: 7\r\n");
        free(answer);
        close(fd);
    }
    fd = fixture_connect(fixture, true); /* what is no larger than a head may be counts as one */
    fixture_send(fd, STR("POST /a HTTP/1.1\r\n" HOST CLOSE "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
    free(fixture_read(fixture, fd, " 100 Continue\r\n\r\n"));
    fixture_send(fd, STR("x"));
    free(fixture_read(fixture, fd, "POST /a? [x]"));
    close(fd);
    close(holding[0]);
    while (quota_count(fixture->quota, QUOTA_BODIES, STR("")) != 100000)
        fixture_turn(fixture);
    fd = fixture_connect(fixture, true);
    fixture_send(fd, STR(IN_CHUNKS));
    fixture_send(fd, str_from(body, sizeof body));
    while (quota_count(fixture->quota, QUOTA_BODIES, STR("")) != 165536)
        fixture_turn(fixture);
    fixture_send(fd, STR("\r\n0\r\n\r\n"));
    free(fixture_read(fixture, fd, "xxx]"));
    assert_int_equal(quota_count(fixture->quota, QUOTA_BODIES, STR("")), 100000);
    close(fd);
    close(holding[1]);
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

/* Also when the client says that nothing follows it. */
static void a_request_during_a_large_answer_is_not_lost(void **state)
{
    struct net_fixture *fixture = *state;
    fixture->settings->body_timeout_us = fixture->settings->keepalive_timeout_us = 60000000;
    int fd = fixture_connect(fixture, true);
    fixture_send(fd, STR("GET /big HTTP/1.1\r\n" HOST "\r\n"));
    free(fixture_read(fixture, fd, "GET /big?"));
    fixture_send(fd, STR("GET /next HTTP/1.1\r\n" HOST CLOSE "\r\n"));
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 3; i++)
        fixture_turn(fixture);
    char *answer = fixture_read(fixture, fd, NULL);
    assert_has(answer + strlen(answer) - 20, "GET /next? []");
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
        TEST(a_chunked_body_comes_in_any_pieces),
        TEST(http_1_0_is_told_that_it_may_go_on),
        TEST(bodies_are_bounded_together),
        TEST(an_answer_larger_than_the_kernel_takes_arrives_whole),
        TEST(a_request_during_a_large_answer_is_not_lost),
        TEST(an_answer_may_come_later),
        TEST(a_call_outlives_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
