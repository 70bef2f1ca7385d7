/* test_outbound.c - calls that reach their backend: requests, answers, limits, flow control, cancelling, the end. */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "tests/unit/outbound/outbound_rig.h"

static char last_request[4096];
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;

static void remember(const struct buf *request)
{
    pthread_mutex_lock(&last_lock);
    size_t len = request->len < sizeof last_request - 1 ? request->len : sizeof last_request - 1;
    memcpy(last_request, request->ptr, len);
    last_request[len] = '\0';
    pthread_mutex_unlock(&last_lock);
}

static void answer_each(struct backend *backend, int fd)
{
    struct buf request = {0};
    while (backend_read(backend, fd, &request)) {
        remember(&request);
        if (!backend_write(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nce-connectionstate: abc\r\n"
                               "X-Other: no\r\nX-Two: a\r\nx-two:  b \r\nContent-Length: 5\r\n\r\nhello"))
            break;
    }
    buf_fini(&request);
}

static void a_call_is_answered(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    backend_start(&backend, answer_each);
    rig_open(&rig);
    const struct str fields[] = {STR("CE-ConnectionState"), STR("x-two"), STR("x-missing")};
    struct outbound_target_options options = {.fields = fields, .field_count = 3};
    struct outbound_target *target = rig_target(&rig, &backend, &options);
    struct seen seen = {0};
    rig_call(&rig, target, "the body", &seen);
    assert_int_equal(seen.result, OUTBOUND_OK);
    assert_string_equal(seen.text, "");
    assert_int_equal(seen.status, 200);
    assert_string_equal(seen.type, "application/json");
    assert_string_equal(seen.fields[0], "abc");
    assert_string_equal(seen.fields[1], "a, b");
    assert_string_equal(seen.fields[2], "");
    assert_string_equal(buf_cstr(&seen.body), "hello");
    char expected[512];
    snprintf(expected, sizeof expected,
             "POST /frames?v=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: text/plain\r\nce-id: 1\r\n"
             "Content-Length: 8\r\n\r\nthe body",
             backend.port);
    assert_string_equal(last_request, expected);
    assert_int_equal(outbound_calls(rig.outbound), 0);
    seen_fini(&seen);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static void connections_are_used_again(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    backend_start(&backend, answer_each);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, NULL);
    for (int i = 0; i < 20; i++) {
        struct seen seen = {0};
        rig_call(&rig, target, "x", &seen);
        assert_int_equal(seen.result, OUTBOUND_OK);
        seen_fini(&seen);
    }
    assert_int_equal(backend.connections, 1);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static void methods_bodies_and_paths(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    backend_start(&backend, answer_each);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, NULL);
    static const struct {
        const char *method, *body, *begin, *length;
    } cases[] = {
        {"GET", "", "GET /frames?v=1 HTTP/1.1\r\n", NULL},
        {"PUT", "abc", "PUT /frames?v=1 HTTP/1.1\r\n", "Content-Length: 3\r\n"},
        {"OPTIONS", "", "OPTIONS /frames?v=1 HTTP/1.1\r\n", NULL},
        {"POST", "", "POST /frames?v=1 HTTP/1.1\r\n", "Content-Length: 0\r\n"},
        {"GET", "", "GET /frames?v=1 HTTP/1.1\r\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seen seen = {.acknowledge = true};
        rig_start(&rig, target, cases[i].method, str_from_cstr(cases[i].body), &seen);
        rig_await(&rig, &seen);
        assert_int_equal(seen.result, OUTBOUND_OK);
        assert_memory_equal(last_request, cases[i].begin, strlen(cases[i].begin));
        assert_int_equal(strstr(last_request, "Content-Length") != NULL, cases[i].length != NULL);
        if (cases[i].length)
            assert_non_null(strstr(last_request, cases[i].length));
        assert_null(strstr(last_request, "Expect"));
        assert_null(strstr(last_request, "Accept"));
        seen_fini(&seen);
    }
    /* A path of its own, and the target's again. */
    for (int i = 0; i < 2; i++) {
        struct seen seen = {.acknowledge = true};
        const struct outbound_request request = {.target = target,
                                                 .method = STR("POST"),
                                                 .suffix = i == 0 ? STR("/a/../%2F") : STR(""),
                                                 .reply_to = &rig.mailbox,
                                                 .ops = &rig_ops,
                                                 .owner = &seen};
        struct error error;
        assert_int_equal(outbound_start(rig.outbound, &request, &seen.call, &error), ERR_NONE);
        rig_await(&rig, &seen);
        const char *begin = i == 0 ? "POST /frames/a/../%2F?v=1 HTTP/1.1\r\n" : "POST /frames?v=1 HTTP/1.1\r\n";
        assert_memory_equal(last_request, begin, strlen(begin));
        seen_fini(&seen);
    }
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static void a_large_body_goes_without_expect(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    backend_start(&backend, answer_each);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, NULL);
    size_t len = 3 << 20;
    char *body = xmalloc(len);
    memset(body, 'b', len);
    struct seen seen = {.acknowledge = true};
    rig_start(&rig, target, "POST", str_from(body, len), &seen);
    free(body); /* it has been copied */
    rig_await(&rig, &seen);
    assert_int_equal(seen.result, OUTBOUND_OK);
    assert_null(strstr(last_request, "Expect"));
    assert_non_null(strstr(last_request, "Content-Length: 3145728\r\n"));
    seen_fini(&seen);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

/* Values are checked in words of eight bytes, so each byte must be found in each place. */
static void refused_in_each_place(struct outbound *outbound, struct outbound_request *request)
{
    struct error error;
    struct outbound_call *call = NULL;
    for (int c = 0; c < 256; c++) {
        if (c == '\t' || (c >= ' ' && c <= '~'))
            continue;
        for (size_t place = 0; place < 18; place++) {
            char value[18] = " ~\t~ 0aZ~  \t\"%xyz";
            value[place] = (char)c;
            const struct outbound_field field = {{"a", 1}, {value, sizeof value}};
            request->fields = &field;
            assert_int_equal(outbound_start(outbound, request, &call, &error), ERR_INVALID_REQUEST);
        }
    }
}

static void what_would_break_the_head_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    struct outbound_target_options options = {.url = STR("http://127.0.0.1:1/")};
    struct outbound_target *target = rig_target(&rig, NULL, &options);
    static const struct outbound_field bad[] = {
        {{"a", 1}, {"x\r\nb: y", 7}},   {{"a", 1}, {"x\ny", 3}},
        {{"a", 1}, {"x\0y", 3}},        {{"a", 1}, {"\xc3\xa9", 2}},
        {{"a b", 3}, {"x", 1}},         {{"", 0}, {"x", 1}},
        {{"a:", 2}, {"x", 1}},          {{"a\r\nb", 4}, {"x", 1}},
        {{"Host", 4}, {"x", 1}},        {{"content-length", 14}, {"1", 1}},
        {{"Expect", 6}, {"x", 1}},      {{"Transfer-Encoding", 17}, {"x", 1}},
        {{"Connection", 10}, {"x", 1}}, {{"a", 1}, {"\x7f", 1}},
    };
    struct error error;
    struct outbound_request request = {
        .target = target, .method = STR("POST"), .reply_to = &rig.mailbox, .ops = &rig_ops, .field_count = 1};
    struct outbound_call *call = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        request.fields = &bad[i];
        assert_int_equal(outbound_start(rig.outbound, &request, &call, &error), ERR_INVALID_REQUEST);
    }
    refused_in_each_place(rig.outbound, &request);
    request.field_count = 0;
    static const struct str methods[] = {{"", 0}, {"HEAD", 4}, {"CONNECT", 7}, {"GET /", 5}, {"A\r\nB", 4}};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        request.method = methods[i];
        assert_int_equal(outbound_start(rig.outbound, &request, &call, &error), ERR_INVALID_REQUEST);
    }
    request.method = STR("POST");
    static const struct str suffixes[] = {{"/a b", 4}, {"/a\r", 3}, {"/?a", 3}, {"/#", 2}, {"/\xff", 2}, {"/\0", 2}};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        request.suffix = suffixes[i];
        assert_int_equal(outbound_start(rig.outbound, &request, &call, &error), ERR_INVALID_REQUEST);
    }
    assert_null(call);
    assert_int_equal(outbound_calls(rig.outbound), 0);
    outbound_target_unref(target);
    rig_close(&rig);
}

static void bad_targets_are_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    static const struct str urls[] = {{"", 0},
                                      {"127.0.0.1:80", 12},
                                      {"ftp://a/", 8},
                                      {"http://", 7},
                                      {"file:///etc/passwd", 18},
                                      {"http://u:p@a/", 13},
                                      {"http://a/#b", 11},
                                      {"http://a:99999/", 15},
                                      {"http://a b/", 11}};
    struct outbound_target *target = NULL;
    struct error error;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        const struct outbound_target_options options = {.name = STR("x"), .url = urls[i]};
        assert_int_equal(outbound_target_create(rig.outbound, &options, &target, &error), ERR_INVALID_REQUEST);
    }
    const struct outbound_target_options options = {
        .name = STR("x"), .url = STR("https://a/"), .ca_file = STR("/no/such/file")};
    assert_int_equal(outbound_target_create(rig.outbound, &options, &target, &error), ERR_INVALID_REQUEST);
    assert_string_equal(error.text, "the CA file /no/such/file cannot be read");
    assert_null(target);
    rig_close(&rig);
}

/* --- flow control ---------------------------------------------------------------------------------------------- */

enum { LARGE = 1 << 20 };

static void answer_large(struct backend *backend, int fd)
{
    struct buf request = {0};
    char *bytes = xcalloc(1, LARGE + 1);
    memset(bytes, 'y', LARGE);
    while (backend_read(backend, fd, &request))
        if (!backend_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n") || !backend_write(fd, bytes))
            break;
    free(bytes);
    buf_fini(&request);
}

static bool has_window(void *arg)
{
    return ((struct seen *)arg)->body.len >= OUTBOUND_WINDOW;
}

static void a_slow_caller_rests_the_transfer(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    backend_start(&backend, answer_large);
    rig_open(&rig);
    struct outbound_target_options options = {.part_timeout_ms = 100};
    struct outbound_target *target = rig_target(&rig, &backend, &options);
    struct seen seen = {0};
    rig_start(&rig, target, "POST", STR("x"), &seen);
    size_t acked = 0;
    while (!seen.ended && acked < LARGE / 2) {
        rig_until(&rig, has_window, &seen);
        for (int i = 0; i < 30; i++) { /* longer than part_timeout in the first round: it rests too */
            uv_run(&rig.loop, UV_RUN_NOWAIT);
            usleep(acked == 0 ? 10000 : 100);
        }
        assert_in_range(seen.body.len, OUTBOUND_WINDOW, OUTBOUND_WINDOW + 16384);
        assert_false(seen.ended);
        acked += seen.body.len;
        size_t len = seen.body.len;
        buf_clear(&seen.body);
        outbound_more(seen.call, len);
    }
    seen.acknowledge = true;
    rig_await(&rig, &seen);
    assert_int_equal(seen.result, OUTBOUND_OK);
    assert_int_equal(acked + seen.body.len, LARGE);
    seen_fini(&seen);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

/* --- cancelling, and the end ----------------------------------------------------------------------------------- */

static void hang(struct backend *backend, int fd)
{
    struct buf request = {0};
    while (backend_read(backend, fd, &request))
        ;
    buf_fini(&request);
}

static bool has_no_calls(void *arg)
{
    return outbound_calls(arg) == 0;
}

static bool has_request(void *arg)
{
    return atomic_load(&((struct backend *)arg)->requests) > 0;
}

static void a_cancelled_call_says_nothing_more(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    backend_start(&backend, answer_large);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, NULL);
    for (int at = 0; at <= 2; at++) { /* at once; in head; in body */
        struct seen seen = {.cancel_at = at};
        rig_start(&rig, target, "POST", STR("x"), &seen);
        if (at == 0)
            outbound_cancel(seen.call);
        rig_until(&rig, has_no_calls, rig.outbound);
        for (int i = 0; i < 5; i++)
            uv_run(&rig.loop, UV_RUN_NOWAIT);
        assert_false(seen.ended);
        assert_int_equal(seen.heads, at > 0);
        assert_int_equal(seen.parts, at > 1);
        seen_fini(&seen);
    }
    struct seen seen = {0}; /* the target still serves */
    rig_call(&rig, target, "x", &seen);
    assert_int_equal(seen.result, OUTBOUND_OK);
    seen_fini(&seen);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static void cancelling_races_with_the_end(void **state)
{
    (void)state;
    enum { CALLS = 500 };
    struct backend backend;
    struct rig rig;
    backend_start(&backend, answer_each);
    rig_open(&rig);
    struct outbound_target_options options = {.in_flight = 16};
    struct outbound_target *target = rig_target(&rig, &backend, &options);
    static struct seen seen[CALLS];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < CALLS; i++)
        rig_start(&rig, target, "POST", STR("x"), &seen[i]);
    for (int i = 0; i < CALLS; i++) {
        uv_run(&rig.loop, UV_RUN_NOWAIT);
        if (i % 16 == 0)
            usleep(300);
        if (seen[i].call && i % 3 == 0) {
            outbound_cancel(seen[i].call);
            seen[i].call = NULL;
        }
    }
    for (int i = 0; i < CALLS; i++) {
        if (seen[i].call)
            rig_await(&rig, &seen[i]);
        assert_true(!seen[i].ended || seen[i].result == OUTBOUND_OK);
        assert_true(seen[i].ended || i % 3 == 0);
        seen_fini(&seen[i]);
    }
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

/* As the owner of a call does that has others waiting for the end of this one. */
static void a_call_after_the_end_of_the_server_ends_too(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    backend_start(&backend, hang);
    rig_open(&rig);
    struct outbound_target *targets[] = {rig_target(&rig, &backend, NULL), rig_target(&rig, &backend, NULL)};
    struct seen seen[3] = {{0}};
    rig_start(&rig, targets[0], "POST", STR("x"), &seen[0]);
    rig_until(&rig, has_request, &backend);
    outbound_stop(rig.outbound);
    rig_start(&rig, targets[0], "POST", STR("x"), &seen[1]);
    outbound_target_unref(targets[0]);
    rig_start(&rig, targets[1], "POST", STR("x"), &seen[2]); /* a target that the thread has not known */
    outbound_target_unref(targets[1]);
    outbound_cancel(seen[2].call);
    assert_int_equal(outbound_calls(rig.outbound), 0);
    rig_close(&rig);
    for (int i = 0; i < 2; i++) {
        assert_true(seen[i].ended);
        assert_int_equal(seen[i].result, OUTBOUND_CANCELLED);
        seen_fini(&seen[i]);
    }
    assert_false(seen[2].ended);
    seen_fini(&seen[2]);
    backend_stop(&backend);
}

static void the_end_of_the_server_ends_all_calls(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    backend_start(&backend, hang);
    rig_open(&rig);
    struct outbound_target_options options = {.in_flight = 2};
    struct outbound_target *target = rig_target(&rig, &backend, &options);
    struct seen seen[4] = {{0}};
    for (int i = 0; i < 4; i++)
        rig_start(&rig, target, "POST", STR("x"), &seen[i]);
    rig_until(&rig, has_request, &backend);
    outbound_target_unref(target);
    assert_int_equal(outbound_calls(rig.outbound), 4);
    rig_close(&rig);
    for (int i = 0; i < 4; i++) {
        assert_true(seen[i].ended);
        assert_int_equal(seen[i].result, OUTBOUND_CANCELLED);
    }
    backend_stop(&backend);
}

/* --- limits ---------------------------------------------------------------------------------------------------- */

static atomic_bool is_released;

static void answer_when_released(struct backend *backend, int fd)
{
    struct buf request = {0};
    while (backend_read(backend, fd, &request)) {
        while (!atomic_load(&is_released) && !atomic_load(&backend->stopping))
            usleep(500);
        if (!backend_write(fd, "HTTP/1.1 204 No Content\r\n\r\n"))
            break;
    }
    buf_fini(&request);
}

static void calls_wait_up_to_a_limit(void **state)
{
    (void)state;
    enum { CALLS = 8 };
    struct backend backend;
    struct rig rig;
    atomic_store(&is_released, false);
    backend_start(&backend, answer_when_released);
    rig_open(&rig);
    struct outbound_target_options options = {.in_flight = 2, .waiting = 4};
    struct outbound_target *target = rig_target(&rig, &backend, &options);
    struct seen seen[CALLS] = {{0}};
    for (int i = 0; i < CALLS; i++)
        rig_start(&rig, target, "POST", STR("x"), &seen[i]);
    for (int i = 6; i < CALLS; i++) {
        rig_await(&rig, &seen[i]);
        assert_int_equal(seen[i].result, OUTBOUND_TOO_MANY);
    }
    assert_in_range(backend.connections, 0, 2);
    atomic_store(&is_released, true);
    for (int i = 0; i < 6; i++) {
        rig_await(&rig, &seen[i]);
        assert_int_equal(seen[i].result, OUTBOUND_OK);
        assert_int_equal(seen[i].status, 204);
        assert_int_equal(seen[i].parts, 0);
    }
    assert_int_equal(backend.connections, 2);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
}

static void the_environment_names_no_proxy(void **state)
{
    (void)state;
    struct backend backend;
    struct rig rig;
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    backend_start(&backend, answer_each);
    rig_open(&rig);
    struct outbound_target *target = rig_target(&rig, &backend, NULL);
    struct seen seen = {0};
    rig_call(&rig, target, "x", &seen);
    assert_int_equal(seen.result, OUTBOUND_OK);
    seen_fini(&seen);
    outbound_target_unref(target);
    rig_close(&rig);
    backend_stop(&backend);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_answered),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(methods_bodies_and_paths),
        cmocka_unit_test(a_large_body_goes_without_expect),
        cmocka_unit_test(what_would_break_the_head_is_refused),
        cmocka_unit_test(bad_targets_are_refused),
        cmocka_unit_test(a_slow_caller_rests_the_transfer),
        cmocka_unit_test(a_cancelled_call_says_nothing_more),
        cmocka_unit_test(cancelling_races_with_the_end),
        cmocka_unit_test(the_end_of_the_server_ends_all_calls),
        cmocka_unit_test(a_call_after_the_end_of_the_server_ends_too),
        cmocka_unit_test(calls_wait_up_to_a_limit),
        cmocka_unit_test(the_environment_names_no_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
