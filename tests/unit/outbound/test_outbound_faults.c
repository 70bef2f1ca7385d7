/* test_outbound_faults.c - backends that fail, in each way that has a result of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "tests/unit/outbound/outbound_rig.h"

/* What the backend of a test says to each request. Then it closes, unless it keeps the connection. */
static const char *said;
static atomic_bool keeps;
static atomic_bool resets;

static void say(struct backend *backend, int fd)
{
    struct buf request = {0};
    while (backend_read(backend, fd, &request)) {
        if (!backend_write(fd, said))
            break;
        if (atomic_load(&resets)) {
            const struct linger none = {.l_onoff = 1};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
            usleep(20000); /* what was said has arrived */
            struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
            connect(fd, &unspecified, sizeof unspecified); /* RST */
            break;
        }
        if (!atomic_load(&keeps))
            break;
    }
    buf_fini(&request);
}

/* One call to a backend that says this. */
static void try(const char *answer, bool keep, struct outbound_target_options *options, struct seen *seen)
{
    struct backend backend;
    struct rig rig;
    said = answer;
    atomic_store(&keeps, keep);
    backend_start(&backend, say);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, options);
    *seen = (struct seen){0};
    rig_call(&rig, target, "x", seen);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static void expect_body(const char *answer, int status, const char *body)
{
    struct seen seen;
    try(answer, false, NULL, &seen);
    assert_int_equal(seen.result, OUTBOUND_OK);
    assert_int_equal(seen.status, status);
    assert_string_equal(buf_cstr(&seen.body), body);
    assert_int_equal(seen.heads, 1);
    seen_fini(&seen);
}

static void answers_of_every_form(void **state)
{
    (void)state;
    expect_body(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n",
        200, "abcdefg");
    expect_body("HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end");
    expect_body("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", 404, "none");
    expect_body("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
    expect_body("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno", 302, "no");
    expect_body("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok");
    expect_body("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw", 200, "raw");
    expect_body("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 999, "");
}

static void expect_failure(const char *answer, enum outbound_result result)
{
    struct seen seen;
    struct outbound_target_options options = {.answer_max_bytes = 1000};
    try(answer, false, &options, &seen);
    if (seen.result != result)
        fprintf(stderr, "%s: %s: %s\n", answer, outbound_result_text(seen.result), seen.text);
    assert_int_equal(seen.result, result);
    assert_string_not_equal(seen.text, "");
    seen_fini(&seen);
}

static void answers_that_are_none(void **state)
{
    (void)state;
    expect_failure("", OUTBOUND_RESET);
    expect_failure("HTTP/1.1 200 OK\r\nContent-Le", OUTBOUND_RESET);
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", OUTBOUND_RESET);
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", OUTBOUND_RESET);
    expect_failure("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", OUTBOUND_RESET);
    expect_failure("SSH-2.0-OpenSSH_9.2\r\n", OUTBOUND_INVALID);
    expect_failure("HTTP/7.3 200 OK\r\n\r\n", OUTBOUND_INVALID);
    expect_failure("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n", OUTBOUND_INVALID);
    expect_failure("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", OUTBOUND_TOO_LARGE);
}

static void answers_that_are_too_large(void **state)
{
    (void)state;
    struct buf answer = {0};
    buf_append_lit(&answer, "HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 1001; i++)
        buf_append_char(&answer, 'a');
    expect_failure(buf_cstr(&answer), OUTBOUND_TOO_LARGE);
    buf_clear(&answer);
    buf_append_lit(&answer, "HTTP/1.1 200 OK\r\n"); /* many lines */
    for (int i = 0; i < 3000; i++)
        buf_append_lit(&answer, "X-Field: 0123456789abcdef\r\n");
    buf_append_lit(&answer, "\r\n");
    expect_failure(buf_cstr(&answer), OUTBOUND_TOO_LARGE);
    buf_clear(&answer);
    buf_append_lit(&answer, "HTTP/1.1 200 OK\r\nX: "); /* one line */
    for (int i = 0; i < 200000; i++)
        buf_append_char(&answer, 'a');
    buf_append_lit(&answer, "\r\n\r\n");
    expect_failure(buf_cstr(&answer), OUTBOUND_TOO_LARGE);
    buf_fini(&answer);
}

static void a_reset_in_the_middle(void **state)
{
    (void)state;
    struct seen seen;
    atomic_store(&resets, true);
    try("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false, NULL, &seen);
    atomic_store(&resets, false);
    assert_int_equal(seen.result, OUTBOUND_RESET);
    assert_int_equal(seen.status, 200);
    assert_string_equal(buf_cstr(&seen.body), "abc"); /* what came was passed on */
    seen_fini(&seen);
}

static void nobody_listens(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        enum outbound_result result;
    } cases[] = {
        {"http://127.0.0.1:1/", OUTBOUND_REFUSED},
        {"http://nowhere.invalid/", OUTBOUND_DNS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        rig_open(&rig);
        struct outbound_target_options options = {.url = str_from_cstr(cases[i].url)};
        struct outbound_target *target = rig_target(&rig, NULL, &options);
        struct seen seen = {0};
        rig_call(&rig, target, "x", &seen);
        assert_int_equal(seen.result, cases[i].result);
        assert_int_equal(seen.heads, 0);
        outbound_target_unref(target);
        rig_close(&rig);
    }
}

/* A listener whose queue is full does not answer to SYN. */
static void nobody_accepts(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct outbound_target_options options = {.url = STR("http://192.0.2.1:9/"), .connect_timeout_ms = 100};
    struct outbound_target *target = rig_target(&rig, NULL, &options);
    struct seen seen = {0};
    rig_call(&rig, target, "x", &seen);
    assert_int_equal(seen.result, OUTBOUND_REFUSED); /* at once where there is no route, else after 100 ms */
    outbound_target_unref(target);
    rig_close(&rig);
}

static void each_timeout_is_told(void **state)
{
    (void)state;
    struct seen seen;
    struct outbound_target_options options = {.part_timeout_ms = 60};
    try("", true, &options, &seen);
    assert_int_equal(seen.result, OUTBOUND_TIMEOUT);
    assert_string_equal(seen.text, "no answer came within 60 ms");
    try("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true, &options, &seen);
    assert_int_equal(seen.result, OUTBOUND_TIMEOUT);
    assert_string_equal(seen.text, "no further part of the answer came within 60 ms");
    assert_string_equal(buf_cstr(&seen.body), "abc");
    seen_fini(&seen);
    options = (struct outbound_target_options){.timeout_ms = 60};
    try("", true, &options, &seen);
    assert_int_equal(seen.result, OUTBOUND_TIMEOUT);
    assert_string_equal(seen.text, "the call was not complete within 60 ms");
}

static void trickle(struct backend *backend, int fd)
{
    struct buf request = {0};
    if (backend_read(backend, fd, &request) && backend_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"))
        for (int i = 0; i < 10 && backend_write(fd, "z"); i++)
            usleep(30000);
    buf_fini(&request);
}

static void a_slow_answer_is_none_that_hangs(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    backend_start(&backend, trickle);
    rig_open(&rig);
    struct outbound_target_options options = {.part_timeout_ms = 200}; /* 300 ms for all */
    struct outbound_target *target = rig_target(&rig, &backend, &options);
    struct seen seen = {0};
    rig_call(&rig, target, "x", &seen);
    assert_int_equal(seen.result, OUTBOUND_OK);
    assert_int_equal(seen.body.len, 10);
    assert_true(seen.parts > 5); /* each came when it was there */
    seen_fini(&seen);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static uint64_t breaker_state(const struct rig *rig)
{
    const struct metrics *all[] = {&rig->metrics};
    return metrics_value(all, 1, METRIC_UPSTREAM_BREAKER, metrics_upstream(STR("test")));
}

static void the_breaker_opens_and_closes(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    said = "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n";
    atomic_store(&keeps, true);
    backend_start(&backend, say);
    rig_open(&rig);
    struct outbound_target_options options = {.breaker_failures = 3, .breaker_open_ms = 100};
    struct outbound_target *target = rig_target(&rig, &backend, &options);
    for (int i = 0; i < 5; i++) {
        struct seen seen = {0};
        rig_call(&rig, target, "x", &seen);
        assert_int_equal(seen.result, i < 3 ? OUTBOUND_OK : OUTBOUND_BREAKER_OPEN);
        assert_int_equal(seen.status, i < 3 ? 503 : 0);
    }
    assert_int_equal(breaker_state(&rig), 1);
    assert_int_equal(backend.requests, 3);
    said = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    usleep(120000);
    for (int i = 0; i < 3; i++) {
        struct seen seen = {0};
        rig_call(&rig, target, "x", &seen);
        assert_int_equal(seen.result, OUTBOUND_OK);
        assert_int_equal(seen.status, 200);
    }
    assert_int_equal(breaker_state(&rig), 0);
    assert_int_equal(backend.requests, 6);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static bool has_head(void *seen)
{
    return ((struct seen *)seen)->heads > 0;
}

/* The answer to the one call that tries goes on for long. */
static void the_head_of_an_answer_closes_the_breaker(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    struct seen failed = {0}, probe = {0}, other = {0};
    said = "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n";
    atomic_store(&keeps, true);
    backend_start(&backend, say);
    rig_open(&rig);
    struct outbound_target_options options = {.breaker_failures = 1, .breaker_open_ms = 50};
    struct outbound_target *target = rig_target(&rig, &backend, &options);
    rig_call(&rig, target, "x", &failed);
    assert_int_equal(breaker_state(&rig), 1);
    usleep(60000);
    said = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe first part";
    rig_start(&rig, target, "POST", STR("x"), &probe);
    rig_until(&rig, has_head, &probe);
    said = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    rig_call(&rig, target, "x", &other);
    assert_int_equal(other.result, OUTBOUND_OK);
    assert_int_equal(breaker_state(&rig), 0);
    assert_false(probe.ended);
    outbound_cancel(probe.call);
    seen_fini(&probe);
    seen_fini(&other);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

/* The caller has not taken the answer. The backend is well. */
static void a_slow_caller_does_not_open_the_breaker(void **state)
{
    (void)state;
    enum { BODY = 200000 };
    struct seen seen = {0};
    char *answer = xmalloc(BODY + 100);
    int head = snprintf(answer, 100, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);
    memset(answer + head, 'x', BODY);
    answer[head + BODY] = '\0';
    struct outbound_target_options options = {.breaker_failures = 1, .timeout_ms = 300};
    struct backend backend;
    struct rig rig;
    said = answer;
    atomic_store(&keeps, true);
    backend_start(&backend, say);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, &options);
    rig_start(&rig, target, "POST", STR("x"), &seen);
    rig_await(&rig, &seen);
    assert_int_equal(seen.result, OUTBOUND_TIMEOUT);
    assert_int_equal(breaker_state(&rig), 0);
    seen_fini(&seen);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
    free(answer);
}

static void a_backend_that_comes_back_is_found(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    said = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    atomic_store(&keeps, true);
    backend_start(&backend, say);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, NULL);
    struct seen first = {0}, second = {0}, third = {0};
    rig_call(&rig, target, "x", &first);
    backend_stop(&backend); /* the connection that was kept is closed */
    rig_call(&rig, target, "x", &second);
    assert_int_equal(second.result, OUTBOUND_REFUSED);
    unsigned port = backend.port;
    backend_start_at(&backend, say, port);
    rig_call(&rig, target, "x", &third);
    assert_int_equal(third.result, OUTBOUND_OK);
    seen_fini(&first);
    seen_fini(&third);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static void answer_once(struct backend *backend, int fd)
{
    struct buf request = {0};
    if (backend_read(backend, fd, &request) && backend_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        backend_read(backend, fd, &request); /* and it ends without an answer */
    buf_fini(&request);
}

/* Each call but the first is sent on a connection that ends, and then again on a new one. */
static void calls_outlive_their_connections(void **state)
{
    (void)state;
    enum { CALLS = 30 };
    struct backend backend;
    struct rig rig;
    backend_start(&backend, answer_once);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, NULL);
    for (int i = 0; i < CALLS; i++) {
        struct seen seen = {0};
        rig_call(&rig, target, "x", &seen);
        assert_int_equal(seen.result, OUTBOUND_OK);
        seen_fini(&seen);
    }
    assert_int_equal(backend.connections, CALLS);
    assert_int_equal(backend.requests, 2 * CALLS - 1);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static void each_end_is_counted(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    said = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";
    atomic_store(&keeps, true);
    backend_start(&backend, say);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, NULL);
    struct seen seen = {0}, none = {0};
    rig_call(&rig, target, "x", &seen);
    struct outbound_target_options options = {.url = STR("http://127.0.0.1:1/")};
    struct outbound_target *nobody = rig_target(&rig, NULL, &options);
    rig_call(&rig, nobody, "x", &none);
    outbound_target_unref(nobody);
    outbound_target_unref(target);
    const struct metrics *all[] = {&rig.metrics};
    unsigned label = metrics_upstream(STR("test"));
    assert_int_equal(
        metrics_value(all, 1, METRIC_UPSTREAM_REQUESTS, label * METRICS_OUTCOME_COUNT + METRICS_STATUS_4XX), 1);
    assert_int_equal(
        metrics_value(all, 1, METRIC_UPSTREAM_REQUESTS, label * METRICS_OUTCOME_COUNT + METRICS_OUTCOME_REFUSED), 1);
    assert_int_equal(metrics_value(all, 1, METRIC_UPSTREAM_IN_FLIGHT, label), 0);
    struct buf text = {0};
    metrics_write(&text, all, 1, "1");
    assert_non_null(
        strstr(buf_cstr(&text), "carillon_upstream_requests_total{upstream=\"test\",outcome=\"refused\"} 1\n"));
    assert_non_null(strstr(buf_cstr(&text), "carillon_upstream_request_duration_seconds_count{upstream=\"test\"} 2\n"));
    buf_fini(&text);
    rig_close(&rig);
    backend_stop(&backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_every_form),
        cmocka_unit_test(answers_that_are_none),
        cmocka_unit_test(answers_that_are_too_large),
        cmocka_unit_test(a_reset_in_the_middle),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(nobody_accepts),
        cmocka_unit_test(each_timeout_is_told),
        cmocka_unit_test(a_slow_answer_is_none_that_hangs),
        cmocka_unit_test(the_breaker_opens_and_closes),
        cmocka_unit_test(the_head_of_an_answer_closes_the_breaker),
        cmocka_unit_test(a_slow_caller_does_not_open_the_breaker),
        cmocka_unit_test(a_backend_that_comes_back_is_found),
        cmocka_unit_test(calls_outlive_their_connections),
        cmocka_unit_test(each_end_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
