/* test_http_upstream.c - sessions whose messages go to a backend: the calls, in which order, and what becomes of the
 * answers. A fake stands in the place of the outbound thread. */
#include <stdio.h>
#include <stdlib.h>

#include "common/protocol/ws_frame.h"
#include "server/core/session.h"
#include "server/upstream/http_upstream.h"
#include "server/upstream/idempotency.h"
#include "tests/unit/core/hub_fixture.h"
#include "tests/unit/upstream/fake_outbound.h"

static struct scene {
    struct fixture f;
    struct endpoint endpoint;
    struct http_upstream_options options;
    struct wire wire;
    struct transport_ops transport;
    bool held;
    bool commands; /* text is for the hub */
} s;

static void on_hold(struct session *session, bool hold)
{
    (void)session;
    s.held = hold;
}

static void keep(struct endpoint *endpoint)
{
    (void)endpoint;
}

static int setup(void **state)
{
    static const struct str claims[] = {{"role", 4}};
    (void)state;
    memset(&s, 0, sizeof s);
    fixture_setup(&s.f);
    s.f.settings.outbox_max_bytes = 1000000;
    hub_configure(s.f.hub, &s.f.settings, s.f.rules);
    s.transport = wire_transport;
    s.transport.hold = on_hold;
    s.f.transport = &s.transport;
    fake_outbound.mailbox_owner = s.f.hub;
    s.options = (struct http_upstream_options){.name = STR("ai"),
                                               .claims = claims,
                                               .claim_count = 1,
                                               .waiting_bytes = 100000,
                                               .frame_bytes = 300000,
                                               .timeout_us = 25000000,
                                               .total_timeout_us = 300000000};
    return 0;
}

/* A session at an endpoint with an upstream of these options. */
static void open_with_upstream(void)
{
    s.options.target = fake_target_create();
    endpoint_init(&s.endpoint, s.f.endpoint->dialect, keep);
    s.endpoint.limits = s.f.endpoint->limits;
    s.endpoint.limits.message_rate_per_minute = 0;
    s.endpoint.text = s.endpoint.binary = USE_UPSTREAM;
    if (s.commands)
        s.endpoint.text = USE_COMMANDS;
    s.endpoint.upstream = http_upstream_create(&s.options);
    s.f.other_endpoint = &s.endpoint;
    open_session(&s.f, &s.wire, "{\"sub\":\"ann\",\"role\":\"admin\",\"secret\":\"x\"}");
    hub_flush(s.f.hub);
    s.wire.read = s.wire.bytes.len; /* session_init */
}

static int teardown(void **state)
{
    (void)state;
    if (s.wire.session)
        close_session(&s.f, &s.wire);
    for (size_t i = 0; i < fake_outbound.count; i++)
        fake_end(fake_outbound.calls[i], OUTBOUND_CANCELLED);
    endpoint_unref(&s.endpoint);
    fixture_teardown(&s.f);
    fake_outbound_fini();
    return 0;
}

static void leave(void)
{
    close_session(&s.f, &s.wire);
    s.wire.session = NULL;
}

static void send_binary(const char *bytes)
{
    hub_receive_binary(s.f.hub, s.wire.session, str_from_cstr(bytes));
    hub_flush(s.f.hub);
}

static struct outbound_call *call_at(size_t index)
{
    assert_true(index < fake_outbound.count);
    return fake_outbound.calls[index];
}

static void assert_frame(const char *expected)
{
    hub_flush(s.f.hub);
    assert_string_equal(next_frame(&s.wire, NULL), expected);
}

static void assert_failed(const char *code)
{
    hub_flush(s.f.hub);
    const char *frame = next_frame(&s.wire, NULL);
    assert_non_null(strstr(frame, "\"error\""));
    assert_non_null(strstr(frame, code));
}

static uint64_t counted(enum metric metric)
{
    const struct metrics *all[] = {&s.f.metrics};
    return metrics_value(all, 1, metric, 0);
}

static void test_a_message_becomes_a_request(void **state)
{
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "{\"a\":1}");
    struct outbound_call *call = call_at(0);
    assert_string_equal(buf_cstr(&call->body), "{\"a\":1}");
    assert_string_equal(fake_field(call, "ce-type"), "carillon.message");
    assert_string_equal(fake_field(call, "ce-sessionid"), s.wire.session->uuid);
    assert_string_equal(fake_field(call, "ce-userid"), "ann");
    assert_string_equal(fake_field(call, "ce-sequence"), "1");
    assert_string_equal(fake_field(call, "ce-claims"), "eyJyb2xlIjoiYWRtaW4ifQ");
    assert_string_equal(fake_field(call, "content-type"), "application/json");
    assert_int_equal(strlen(fake_field(call, "traceparent")), 55);
    assert_string_equal(fake_field(call, "webhook-id"), "");
    assert_memory_equal(buf_cstr(&call->id), s.wire.session->uuid, UUID_LEN);
    assert_string_equal(buf_cstr(&call->id) + UUID_LEN, ".1");
    fake_answer(call, 200, "application/json", "{\"b\":2}");
    assert_frame("{\"b\":2}");
    assert_frame("");
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
}

static void test_content_types(void **state)
{
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "{not json");
    send_text(&s.f, &s.wire, "7");
    send_text(&s.f, &s.wire, " [1] ");
    send_binary("\xff");
    assert_string_equal(fake_field(call_at(0), "content-type"), "text/plain; charset=utf-8");
    assert_string_equal(fake_field(call_at(1), "content-type"), "text/plain; charset=utf-8");
    assert_string_equal(fake_field(call_at(2), "content-type"), "application/json");
    assert_string_equal(fake_field(call_at(3), "content-type"), "application/octet-stream");
}

static void test_answers_that_say_nothing(void **state)
{
    (void)state;
    open_with_upstream();
    for (int i = 0; i < 4; i++)
        send_text(&s.f, &s.wire, "x");
    fake_answer(call_at(0), 204, NULL, NULL);
    fake_answer(call_at(1), 202, "application/json", "{\"queued\":true}");
    fake_answer(call_at(2), 200, NULL, NULL);
    fake_answer(call_at(3), 200, "text/plain", NULL);
    assert_frame("");
}

static void test_frames_come_as_the_answer_comes(void **state)
{
    int opcode;
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    fake_head(call_at(0), 200, "application/x-ndjson", NULL, 0);
    fake_body(call_at(0), STR("{\"n\":1}\n{\"n\""));
    assert_frame("{\"n\":1}");
    fake_body(call_at(0), STR(":2}\n{\"n\":3}"));
    assert_frame("{\"n\":2}");
    assert_frame("");
    fake_end(call_at(0), OUTBOUND_OK);
    assert_frame("{\"n\":3}");
    send_text(&s.f, &s.wire, "y");
    fake_answer(call_at(1), 200, "audio/wav", "abc");
    hub_flush(s.f.hub);
    assert_string_equal(next_frame(&s.wire, &opcode), "abc");
    assert_int_equal(opcode, WS_BINARY);
}

static void test_failures_are_answered(void **state)
{
    static const struct {
        int status;
        const char *code;
    } statuses[] = {{400, "invalid_request"}, {401, "unauthorized"}, {403, "forbidden"},      {404, "not_found"},
                    {413, "too_large"},       {429, "rate_limited"}, {500, "internal_error"}, {503, "unavailable"},
                    {302, "internal_error"},  {504, "unavailable"}};
    static const struct {
        enum outbound_result result;
        const char *code;
    } results[] = {{OUTBOUND_TIMEOUT, "unavailable"},    {OUTBOUND_RESET, "internal_error"},
                   {OUTBOUND_TOO_LARGE, "too_large"},    {OUTBOUND_BREAKER_OPEN, "unavailable"},
                   {OUTBOUND_TOO_MANY, "unavailable"},   {OUTBOUND_TLS, "unavailable"},
                   {OUTBOUND_INVALID, "internal_error"}, {OUTBOUND_CANCELLED, "unavailable"}};
    (void)state;
    open_with_upstream();
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        send_text(&s.f, &s.wire, "x");
        fake_answer(call_at(fake_outbound.count - 1), statuses[i].status, "text/plain", "no");
        assert_failed(statuses[i].code);
    }
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        send_text(&s.f, &s.wire, "x");
        fake_end(call_at(fake_outbound.count - 1), results[i].result);
        assert_failed(results[i].code);
    }
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
}

static void test_answers_that_cannot_be_frames(void **state)
{
    (void)state;
    open_with_upstream();
    for (int i = 0; i < 4; i++)
        send_text(&s.f, &s.wire, "x");
    fake_answer(call_at(0), 200, "application/json", "\xff\xfe");
    assert_failed("internal_error");
    fake_answer(call_at(1), 200, "image/png", "png");
    assert_failed("internal_error");
    assert_true(call_at(1)->cancelled);
    fake_answer(call_at(2), 200, NULL, "bytes");
    assert_failed("internal_error");
    char *large = calloc(1, 300001);
    memset(large, 'a', 300001);
    fake_head(call_at(3), 200, "text/plain", NULL, 0);
    fake_body(call_at(3), str_from(large, 300001));
    assert_failed("too_large");
    assert_true(call_at(3)->cancelled);
    free(large);
}

static void test_a_stream_that_breaks_fails_after_its_frames(void **state)
{
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    fake_head(call_at(0), 200, "text/event-stream", NULL, 0);
    fake_body(call_at(0), STR("data: one\n\ndata: tw"));
    fake_end(call_at(0), OUTBOUND_RESET);
    assert_frame("one");
    assert_failed("internal_error");
    assert_int_equal(fake_outbound.count, 1); /* it is not repeated */
}

static void test_on_failure_close(void **state)
{
    char reason[128];
    (void)state;
    s.options.close_on_failure = true;
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    fake_answer(call_at(0), 500, NULL, NULL);
    assert_failed("internal_error");
    assert_failed("server-side error");
    assert_int_equal(next_close(&s.wire, reason), 1011);
}

static void test_no_connection_is_tried_again(void **state)
{
    char id[64];
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    strcpy(id, fake_field(call_at(0), "ce-id"));
    fake_end(call_at(0), OUTBOUND_REFUSED);
    assert_int_equal(fake_outbound.count, 1);
    pass(&s.f, 150);
    assert_int_equal(fake_outbound.count, 2);
    assert_string_equal(fake_field(call_at(1), "ce-id"), id);
    assert_string_equal(buf_cstr(&call_at(1)->body), "x");
    fake_end(call_at(1), OUTBOUND_DNS);
    pass(&s.f, 250);
    fake_end(call_at(2), OUTBOUND_REFUSED);
    assert_failed("unavailable");
    pass(&s.f, 1000);
    assert_int_equal(fake_outbound.count, 3);
    assert_int_equal(counted(METRIC_UPSTREAM_RETRIES), 2);
}

static void test_retry_after(void **state)
{
    const struct str soon[] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}, {"2", 1}};
    const struct str late[] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}, {"60", 2}};
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    fake_head(call_at(0), 503, NULL, soon, 5);
    fake_end(call_at(0), OUTBOUND_OK);
    pass(&s.f, 1500);
    assert_int_equal(fake_outbound.count, 1);
    pass(&s.f, 1000);
    assert_int_equal(fake_outbound.count, 2);
    fake_head(call_at(1), 503, NULL, soon, 5); /* once only */
    fake_end(call_at(1), OUTBOUND_OK);
    assert_failed("unavailable");
    send_text(&s.f, &s.wire, "x");
    fake_head(call_at(2), 503, NULL, late, 5);
    fake_end(call_at(2), OUTBOUND_OK);
    assert_failed("unavailable");
}

static void test_order_and_joining(void **state)
{
    (void)state;
    s.options.in_order = true;
    s.options.join_bytes = 6;
    open_with_upstream();
    send_binary("ab");
    for (int i = 0; i < 4; i++)
        send_binary("cd");
    send_text(&s.f, &s.wire, "text");
    send_text(&s.f, &s.wire, "more");
    send_binary("ef");
    static const struct {
        const char *body, *sequence, *joined;
    } expected[] = {{"ab", "1", ""},   {"cdcdcd", "4", "3"}, {"cd", "5", ""},
                    {"text", "6", ""}, {"more", "7", ""},    {"ef", "8", ""}};
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_int_equal(fake_outbound.count, i + 1);
        assert_string_equal(buf_cstr(&call_at(i)->body), expected[i].body);
        assert_string_equal(fake_field(call_at(i), "ce-sequence"), expected[i].sequence);
        assert_string_equal(fake_field(call_at(i), "ce-joined"), expected[i].joined);
        fake_answer(call_at(i), 204, NULL, NULL);
    }
}

static void test_empty_messages_are_not_joined_without_joining(void **state)
{
    (void)state;
    s.options.in_order = true;
    open_with_upstream();
    for (int i = 0; i < 3; i++)
        send_binary("");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fake_outbound.count, i + 1);
        assert_string_equal(fake_field(call_at(i), "ce-joined"), "");
        fake_answer(call_at(i), 204, NULL, NULL);
    }
}

static void test_a_fast_client_is_not_read(void **state)
{
    char message[4001] = {0};
    (void)state;
    memset(message, 'a', 4000);
    s.options.in_order = true;
    open_with_upstream();
    for (int i = 0; i < 19; i++)
        send_binary(message);
    assert_false(s.held);
    send_binary(message);
    assert_true(s.held);
    for (size_t i = 0; i < 11; i++) {
        assert_true(s.held);
        fake_answer(call_at(i), 204, NULL, NULL);
    }
    assert_false(s.held);
}

static void test_many_calls_of_a_session(void **state)
{
    (void)state;
    open_with_upstream();
    for (int i = 0; i < 40; i++)
        send_text(&s.f, &s.wire, "x");
    assert_int_equal(fake_outbound.count, 32);
    fake_answer(call_at(7), 204, NULL, NULL);
    assert_int_equal(fake_outbound.count, 33);
    assert_int_equal(s.wire.session->upstream->in_flight, 39);
}

static void test_a_slow_client_holds_back_the_backend(void **state)
{
    char part[60001];
    (void)state;
    memset(part, 'a', 60000);
    part[60000] = '\n';
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    fake_head(call_at(0), 200, "application/x-ndjson", NULL, 0);
    s.wire.full = true;
    fake_body(call_at(0), str_from(part, sizeof part));
    assert_int_equal(call_at(0)->more, sizeof part);
    hub_flush(s.f.hub);
    fake_body(call_at(0), str_from(part, sizeof part));
    hub_flush(s.f.hub);
    assert_int_equal(call_at(0)->more, sizeof part);
    pass(&s.f, 100);
    assert_int_equal(call_at(0)->more, sizeof part);
    s.wire.full = false;
    hub_writable(s.f.hub, s.wire.session, 0);
    hub_flush(s.f.hub);
    pass(&s.f, 30);
    assert_int_equal(call_at(0)->more, 2 * sizeof part);
    fake_end(call_at(0), OUTBOUND_OK);
}

/* The client's kernel takes what it has of the session, and then as much as one write again. */
static void read_once(void)
{
    hub_writable(s.f.hub, s.wire.session, 0);
    hub_flush(s.f.hub);
    pass(&s.f, 20);
}

/* A line of len bytes that begins with these letters. */
static void fake_line(size_t call, const char *name, size_t len)
{
    struct buf line = {0};
    buf_append(&line, str_from_cstr(name));
    while (line.len < len)
        buf_append_char(&line, '.');
    buf_append_char(&line, '\n');
    fake_body(call_at(call), buf_str(&line));
    buf_fini(&line);
}

static void begin_streams(size_t count)
{
    open_with_upstream();
    for (size_t i = 0; i < count; i++)
        send_text(&s.f, &s.wire, "x");
    for (size_t i = 0; i < count; i++)
        fake_head(call_at(i), 200, "application/x-ndjson", NULL, 0);
    s.wire.full = true;
}

static void assert_line(const char *name)
{
    const char *frame = next_frame(&s.wire, NULL);
    assert_memory_equal(frame, name, strlen(name));
}

/* All come in one turn, and are more than the outbox may have. */
static void test_many_answers_at_once_are_given_as_the_client_reads(void **state)
{
    enum { CALLS = 32, SIZE = 60000 };
    char name[8];
    (void)state;
    begin_streams(CALLS);
    for (size_t i = 0; i < CALLS; i++) {
        snprintf(name, sizeof name, "%zu-", i);
        fake_line(i, name, SIZE);
        fake_end(call_at(i), OUTBOUND_OK);
    }
    hub_flush(s.f.hub);
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    assert_int_equal(s.wire.session->upstream->in_flight, CALLS - 1);
    for (size_t i = 0; i < CALLS; i++) {
        snprintf(name, sizeof name, "%zu-", i);
        assert_line(name);
        read_once();
    }
    assert_string_equal(next_frame(&s.wire, NULL), "");
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
    assert_int_equal(counted(METRIC_SLOW_CONSUMERS), 0);
}

static void test_answers_of_a_slow_client_take_turns(void **state)
{
    static const char *const lines[2][3] = {{"a1", "a2", "a3"}, {"b1", "b2", "b3"}};
    (void)state;
    begin_streams(2);
    for (size_t i = 0; i < 2; i++)
        for (size_t n = 0; n < 3; n++)
            fake_line(i, lines[i][n], 20000);
    hub_flush(s.f.hub);
    assert_int_equal(call_at(0)->more, 20001);
    assert_int_equal(call_at(1)->more, 0);
    assert_line("a1");
    for (size_t n = 0; n < 2; n++) {
        read_once();
        assert_line(lines[0][n + 1]);
        read_once();
        assert_line(lines[1][n]);
    }
    read_once();
    assert_line("b3");
    assert_int_equal(call_at(0)->more, 60003);
    assert_int_equal(call_at(1)->more, 60003);
    fake_end(call_at(0), OUTBOUND_OK);
    fake_end(call_at(1), OUTBOUND_OK);
}

static void test_frames_before_a_failure_come_before_it(void **state)
{
    (void)state;
    begin_streams(1);
    fake_line(0, "1", 20000);
    fake_line(0, "2", 20000);
    fake_end(call_at(0), OUTBOUND_RESET);
    assert_int_equal(s.wire.session->upstream->in_flight, 1);
    s.wire.full = false;
    read_once();
    assert_line("1");
    assert_line("2");
    assert_failed("internal_error");
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
}

static void test_a_client_that_never_reads_does_not_keep_its_answers(void **state)
{
    (void)state;
    begin_streams(2);
    fake_line(0, "1", 20000);
    fake_line(0, "2", 20000);
    fake_line(1, "3", 20000);
    fake_end(call_at(0), OUTBOUND_OK);
    fake_end(call_at(1), OUTBOUND_CANCELLED); /* the node ends */
    assert_int_equal(s.wire.session->upstream->in_flight, 1);
    s.wire.session->heard = true;
    pass(&s.f, 299000);
    assert_int_equal(s.wire.session->upstream->in_flight, 1);
    pass(&s.f, 2000);
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
    assert_int_equal(counted(METRIC_SLOW_CONSUMERS), 0);
}

static void test_a_session_ends_while_answers_wait(void **state)
{
    (void)state;
    begin_streams(3);
    for (size_t i = 0; i < 3; i++)
        fake_line(i, "x", 20000);
    fake_end(call_at(1), OUTBOUND_OK);
    leave();
    pass(&s.f, 1000);
    assert_int_equal(counted(METRIC_UPSTREAM_LATE_ANSWERS), 3);
}

static void test_what_the_head_asks_for(void **state)
{
    const struct str first[] = {{"c3RhdGU=", 8}, {"public:a, public:b", 18}, {"", 0}, {"", 0}};
    const struct str second[] = {{"a b", 3}, {"bad name", 8}, {"public:a", 8}, {"4001 bye bye", 12}};
    char reason[128];
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    fake_head(call_at(0), 200, "text/plain", first, 4);
    fake_end(call_at(0), OUTBOUND_OK);
    assert_int_equal(s.wire.session->subscription_count, 2);
    send_text(&s.f, &s.wire, "x");
    assert_string_equal(fake_field(call_at(1), "ce-connectionstate"), "c3RhdGU=");
    fake_head(call_at(1), 200, "text/plain", second, 4);
    assert_int_equal(s.wire.session->subscription_count, 1);
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    fake_body(call_at(1), STR("last words"));
    fake_end(call_at(1), OUTBOUND_OK);
    hub_flush(s.f.hub);
    while (strcmp(next_frame(&s.wire, NULL), "last words") != 0)
        ;
    assert_int_equal(next_close(&s.wire, reason), 4001);
    assert_string_equal(reason, "bye bye");
}

static void test_a_session_that_has_gone(void **state)
{
    (void)state;
    s.options.in_order = true;
    s.options.tells_disconnected = true;
    open_with_upstream();
    send_text(&s.f, &s.wire, "one");
    send_text(&s.f, &s.wire, "two");
    leave();
    assert_int_equal(fake_outbound.count, 1);
    fake_answer(call_at(0), 200, "text/plain", "late");
    assert_int_equal(counted(METRIC_UPSTREAM_LATE_ANSWERS), 1);
    assert_string_equal(buf_cstr(&call_at(1)->body), "two");
    fake_head(call_at(1), 200, "text/event-stream", NULL, 0);
    assert_true(call_at(1)->cancelled);
    assert_int_equal(counted(METRIC_UPSTREAM_LATE_ANSWERS), 2);
    assert_string_equal(fake_field(call_at(2), "ce-type"), "carillon.disconnected");
    assert_string_equal(buf_cstr(&call_at(2)->body), "{\"code\":1006,\"reason\":\"\"}");
    fake_answer(call_at(2), 204, NULL, NULL);
    assert_int_equal(counted(METRIC_UPSTREAM_LATE_ANSWERS), 2);
}

static void test_the_end_of_a_session_ends_its_streams_and_tries(void **state)
{
    (void)state;
    open_with_upstream();
    for (int i = 0; i < 3; i++)
        send_text(&s.f, &s.wire, "x");
    fake_head(call_at(0), 200, "text/event-stream", NULL, 0);
    fake_end(call_at(1), OUTBOUND_REFUSED);
    leave();
    assert_true(call_at(0)->cancelled);
    fake_end(call_at(2), OUTBOUND_REFUSED);
    pass(&s.f, 1000);
    assert_int_equal(fake_outbound.count, 3);
}

static void test_messages_of_an_ended_session_do_not_outlive_a_backend_that_is_away(void **state)
{
    (void)state;
    s.options.in_order = true;
    s.options.tells_disconnected = true;
    open_with_upstream();
    for (int i = 0; i < 5; i++)
        send_text(&s.f, &s.wire, "x");
    leave();
    fake_end(call_at(0), OUTBOUND_TIMEOUT);
    assert_int_equal(fake_outbound.count, 2); /* the end is told all the same */
    assert_string_equal(fake_field(call_at(1), "ce-type"), "carillon.disconnected");
}

static void test_connected_comes_first(void **state)
{
    (void)state;
    s.options.in_order = true;
    s.options.tells_connected = true;
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    assert_int_equal(fake_outbound.count, 1);
    assert_string_equal(fake_field(call_at(0), "ce-type"), "carillon.connected");
    assert_string_equal(fake_field(call_at(0), "content-type"), "");
    fake_answer(call_at(0), 200, "application/json", "{\"hello\":1}");
    assert_frame("{\"hello\":1}");
    assert_string_equal(fake_field(call_at(1), "ce-type"), "carillon.message");
}

static void test_in_order_too_many_calls_are_waited_for(void **state)
{
    (void)state;
    s.options.in_order = true;
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    for (size_t i = 0; i < 5; i++) {
        fake_end(call_at(i), OUTBOUND_TOO_MANY);
        pass(&s.f, 2000);
    }
    assert_int_equal(fake_outbound.count, 6);
    fake_answer(call_at(5), 200, "text/plain", "yes");
    assert_frame("yes");
}

static void test_refreshed_claims(void **state)
{
    (void)state;
    open_with_upstream();
    struct claims *claims = NULL;
    assert_int_equal(claims_parse(STR("{\"sub\":\"ann\",\"role\":\"guest\"}"), &claims, NULL), ERR_NONE);
    claims_unref(s.wire.session->claims);
    s.wire.session->claims = claims;
    send_text(&s.f, &s.wire, "x");
    assert_string_equal(fake_field(call_at(0), "ce-claims"), "eyJyb2xlIjoiZ3Vlc3QifQ");
}

static void ask_for(const char *channel)
{
    char command[200];
    snprintf(command, sizeof command, "{\"type\":\"subscribe\",\"id\":7,\"data\":{\"channel\":\"%s\"}}", channel);
    send_text(&s.f, &s.wire, command);
}

static void open_with_questions(void)
{
    s.options.asks_subscribe = true;
    s.commands = true;
    open_with_upstream();
}

static void test_the_backend_is_asked_for_a_channel(void **state)
{
    (void)state;
    open_with_questions();
    ask_for("public:a");
    assert_int_equal(s.wire.session->subscription_count, 0);
    assert_string_equal(fake_field(call_at(0), "ce-type"), "carillon.subscribe");
    assert_string_equal(buf_cstr(&call_at(0)->body), "{\"channel\":\"public:a\"}");
    fake_answer(call_at(0), 204, NULL, NULL);
    assert_int_equal(s.wire.session->subscription_count, 1);
    ask_for("public:a"); /* it has it already */
    assert_int_equal(fake_outbound.count, 1);
    ask_for("public:b");
    ask_for("public:b"); /* both are asked, and the second answer finds the channel there */
    assert_true(strcmp(buf_cstr(&call_at(1)->id), buf_cstr(&call_at(2)->id)) != 0);
    fake_answer(call_at(1), 200, "application/json", "{}");
    fake_answer(call_at(2), 204, NULL, NULL);
    assert_int_equal(s.wire.session->subscription_count, 2);
    ask_for("secret"); /* no rule allows it: nobody is asked */
    assert_failed("\"channel\":\"secret\"");
    assert_int_equal(fake_outbound.count, 3);
}

static void test_the_backend_refuses_a_channel(void **state)
{
    (void)state;
    open_with_questions();
    ask_for("public:a");
    fake_answer(call_at(0), 403, NULL, NULL);
    assert_failed("\"code\":\"forbidden\",\"message\":\"the backend does not allow this channel\"");
    ask_for("public:a");
    fake_answer(call_at(1), 404, NULL, NULL);
    assert_failed("\"code\":\"forbidden\",\"message\":\"the backend does not allow this channel\"");
    ask_for("public:a");
    fake_answer(call_at(2), 500, NULL, NULL);
    assert_failed("\"code\":\"unavailable\",\"message\":\"the backend has not said whether this channel is allowed\"");
    assert_int_equal(s.wire.session->subscription_count, 0);
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
    assert_int_equal(s.wire.session->upstream->questions, 0);
}

static void test_without_an_answer_a_channel_may_be_allowed(void **state)
{
    (void)state;
    s.options.accepts_subscribe = true;
    open_with_questions();
    ask_for("public:a");
    fake_end(call_at(0), OUTBOUND_TIMEOUT);
    assert_int_equal(s.wire.session->subscription_count, 1);
    ask_for("public:b");
    fake_answer(call_at(1), 403, NULL, NULL); /* this is an answer */
    assert_int_equal(s.wire.session->subscription_count, 1);
}

static void test_questions_are_bounded_and_end_with_the_session(void **state)
{
    (void)state;
    open_with_questions();
    for (int i = 0; i < 17; i++)
        ask_for("public:a");
    assert_int_equal(fake_outbound.count, 16);
    assert_failed("rate_limited");
    leave();
    for (size_t i = 0; i < 16; i++)
        assert_true(call_at(i)->cancelled);
}

static void open_with_keys(void)
{
    s.options.idempotency = idempotency_create(60000000, 10000);
    open_with_upstream();
    const struct correlation_options options = {.id = STR("/id"), .idempotency_key = STR("/key")};
    assert_int_equal(correlation_create(&options, &s.endpoint.correlation, NULL), ERR_NONE);
}

static void test_a_key_that_is_known(void **state)
{
    (void)state;
    open_with_keys();
    send_text(&s.f, &s.wire, "{\"id\":\"1\",\"key\":\"k\"}");
    fake_answer(call_at(0), 200, "application/x-ndjson", "{\"r\":7,\"id\":\"1\"}\nplain\n");
    assert_frame("{\"r\":7,\"id\":\"1\"}");
    assert_frame("plain");
    send_text(&s.f, &s.wire, "{\"id\":22,\"key\":\"k\"}");
    assert_frame("{\"r\":7,\"id\":22}");
    assert_frame("plain");
    send_text(&s.f, &s.wire, "{\"id\":3,\"key\":\"other\"}");
    send_text(&s.f, &s.wire, "{\"id\":3}");
    assert_int_equal(fake_outbound.count, 3);
    fake_answer(call_at(1), 204, NULL, NULL);
    fake_answer(call_at(2), 204, NULL, NULL);
    pass(&s.f, 61000);
    send_text(&s.f, &s.wire, "{\"id\":4,\"key\":\"k\"}");
    assert_int_equal(fake_outbound.count, 4); /* too old */
    assert_int_equal(counted(METRIC_UPSTREAM_ANSWERED_AGAIN), 1);
}

static void test_a_reload_gives_and_takes_the_correlation(void **state)
{
    static struct endpoint with, without;
    const struct correlation_options options = {.id = STR("/id"), .idempotency_key = STR("/key")};
    (void)state;
    s.options.idempotency = idempotency_create(60000000, 10000);
    open_with_upstream();
    endpoint_init(&with, s.f.endpoint->dialect, keep);
    endpoint_init(&without, s.f.endpoint->dialect, keep);
    with.limits = without.limits = s.endpoint.limits;
    assert_int_equal(correlation_create(&options, &with.correlation, NULL), ERR_NONE);
    hub_use_endpoint(s.f.hub, s.wire.session, &with);
    send_text(&s.f, &s.wire, "{\"id\":1,\"key\":\"k\"}");
    fake_answer(call_at(0), 200, "application/json", "{\"id\":1}");
    assert_frame("{\"id\":1}");
    send_text(&s.f, &s.wire, "{\"id\":2,\"key\":\"k\"}");
    assert_frame("{\"id\":2}");
    send_text(&s.f, &s.wire, "{\"id\":3,\"key\":\"other\"}");
    send_text(&s.f, &s.wire, "{\"id\":4,\"key\":\"other\"}");
    hub_use_endpoint(s.f.hub, s.wire.session, &without);
    fake_answer(call_at(1), 200, "application/json", "{\"id\":3}");
    mailbox_deliver(&s.f.replies);
    assert_frame("{\"id\":3}");
    assert_frame("{\"id\":3}"); /* nothing says where the id is */
    leave();
    hub_flush(s.f.hub);
    endpoint_unref(&with);
    endpoint_unref(&without);
}

/* The answer to an older message came after that to a newer one. */
static void test_the_age_of_an_answer_counts_from_its_message(void **state)
{
    (void)state;
    open_with_keys();
    send_text(&s.f, &s.wire, "{\"id\":1,\"key\":\"slow\"}");
    pass(&s.f, 20000);
    send_text(&s.f, &s.wire, "{\"id\":2,\"key\":\"quick\"}");
    fake_answer(call_at(1), 204, NULL, NULL);
    fake_answer(call_at(0), 204, NULL, NULL);
    pass(&s.f, 41000);
    send_text(&s.f, &s.wire, "{\"id\":3,\"key\":\"quick\"}");
    assert_int_equal(fake_outbound.count, 2);
    send_text(&s.f, &s.wire, "{\"id\":4,\"key\":\"slow\"}");
    assert_int_equal(fake_outbound.count, 3); /* too old */
}

static void test_messages_with_one_key_join(void **state)
{
    (void)state;
    open_with_keys();
    for (int i = 1; i <= 3; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"id\":%d,\"key\":\"k\"}", i);
        send_text(&s.f, &s.wire, text);
    }
    assert_int_equal(fake_outbound.count, 1);
    assert_int_equal(s.wire.session->upstream->in_flight, 3);
    fake_answer(call_at(0), 200, "application/json", "{\"id\":1}");
    mailbox_deliver(&s.f.replies);
    assert_frame("{\"id\":1}");
    assert_frame("{\"id\":2}");
    assert_frame("{\"id\":3}");
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
}

static void test_failures_are_not_kept(void **state)
{
    (void)state;
    open_with_keys();
    send_text(&s.f, &s.wire, "{\"id\":1,\"key\":\"k\"}");
    send_text(&s.f, &s.wire, "{\"id\":2,\"key\":\"k\"}");
    fake_answer(call_at(0), 500, NULL, NULL);
    mailbox_deliver(&s.f.replies);
    assert_failed("\"id\":1");
    assert_failed("\"id\":2");
    send_text(&s.f, &s.wire, "{\"id\":3,\"key\":\"k\"}");
    assert_int_equal(fake_outbound.count, 2);
    fake_head(call_at(1), 200, "text/plain", NULL, 0);
    send_text(&s.f, &s.wire, "{\"id\":4,\"key\":\"k\"}");
    for (int i = 0; i < 3; i++) /* in all more than is kept */
        fake_body(call_at(1), STR("0123456789012345678901234567890123456789012345678901234567890123456789"));
    fake_end(call_at(1), OUTBOUND_OK);
    mailbox_deliver(&s.f.replies);
    assert_int_equal(fake_outbound.count, 2); /* what fits is kept */
    leave();                                  /* nobody is left to wait */
}

static void test_an_answer_that_is_too_large_to_keep(void **state)
{
    char large[3000];
    (void)state;
    memset(large, 'a', sizeof large);
    open_with_keys();
    send_text(&s.f, &s.wire, "{\"id\":1,\"key\":\"k\"}");
    send_text(&s.f, &s.wire, "{\"id\":2,\"key\":\"k\"}");
    fake_head(call_at(0), 200, "text/plain", NULL, 0);
    fake_body(call_at(0), str_from(large, sizeof large));
    fake_end(call_at(0), OUTBOUND_OK);
    mailbox_deliver(&s.f.replies);
    assert_int_equal(fake_outbound.count, 2); /* the other one asks itself */
    fake_answer(call_at(1), 204, NULL, NULL);
}

/* Each of them is small enough, and all together are not. */
static void test_answers_under_way_are_bounded(void **state)
{
    enum { ANSWERS = 8 };
    char part[2000];
    (void)state;
    memset(part, 'a', sizeof part);
    part[sizeof part - 1] = '\n';
    open_with_keys();
    for (int i = 0; i < 2 * ANSWERS; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"id\":%d,\"key\":\"%d\"}", i, i % ANSWERS);
        send_text(&s.f, &s.wire, text);
    }
    assert_int_equal(fake_outbound.count, ANSWERS);
    for (size_t i = 0; i < ANSWERS; i++) {
        fake_head(call_at(i), 200, "application/x-ndjson", NULL, 0);
        fake_body(call_at(i), str_from(part, sizeof part));
    }
    for (size_t i = 0; i < ANSWERS; i++)
        fake_end(call_at(i), OUTBOUND_OK);
    mailbox_deliver(&s.f.replies);
    assert_true(fake_outbound.count > ANSWERS); /* who waits for one that is not kept asks the backend */
    for (size_t i = ANSWERS; i < fake_outbound.count; i++)
        fake_answer(call_at(i), 204, NULL, NULL);
}

static void test_who_waits_for_another_message_may_go(void **state)
{
    (void)state;
    open_with_keys();
    send_text(&s.f, &s.wire, "{\"id\":1,\"key\":\"k\"}");
    send_text(&s.f, &s.wire, "{\"id\":2,\"key\":\"k\"}");
    leave();
    fake_answer(call_at(0), 200, "text/plain", "x");
    mailbox_deliver(&s.f.replies);
    assert_int_equal(fake_outbound.count, 1);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCENE(test_a_message_becomes_a_request),
        WITH_SCENE(test_content_types),
        WITH_SCENE(test_answers_that_say_nothing),
        WITH_SCENE(test_frames_come_as_the_answer_comes),
        WITH_SCENE(test_failures_are_answered),
        WITH_SCENE(test_answers_that_cannot_be_frames),
        WITH_SCENE(test_a_stream_that_breaks_fails_after_its_frames),
        WITH_SCENE(test_on_failure_close),
        WITH_SCENE(test_no_connection_is_tried_again),
        WITH_SCENE(test_retry_after),
        WITH_SCENE(test_order_and_joining),
        WITH_SCENE(test_empty_messages_are_not_joined_without_joining),
        WITH_SCENE(test_a_fast_client_is_not_read),
        WITH_SCENE(test_many_calls_of_a_session),
        WITH_SCENE(test_a_slow_client_holds_back_the_backend),
        WITH_SCENE(test_many_answers_at_once_are_given_as_the_client_reads),
        WITH_SCENE(test_answers_of_a_slow_client_take_turns),
        WITH_SCENE(test_frames_before_a_failure_come_before_it),
        WITH_SCENE(test_a_client_that_never_reads_does_not_keep_its_answers),
        WITH_SCENE(test_a_session_ends_while_answers_wait),
        WITH_SCENE(test_what_the_head_asks_for),
        WITH_SCENE(test_a_session_that_has_gone),
        WITH_SCENE(test_the_end_of_a_session_ends_its_streams_and_tries),
        WITH_SCENE(test_messages_of_an_ended_session_do_not_outlive_a_backend_that_is_away),
        WITH_SCENE(test_connected_comes_first),
        WITH_SCENE(test_in_order_too_many_calls_are_waited_for),
        WITH_SCENE(test_refreshed_claims),
        WITH_SCENE(test_the_backend_is_asked_for_a_channel),
        WITH_SCENE(test_the_backend_refuses_a_channel),
        WITH_SCENE(test_without_an_answer_a_channel_may_be_allowed),
        WITH_SCENE(test_a_key_that_is_known),
        WITH_SCENE(test_a_reload_gives_and_takes_the_correlation),
        WITH_SCENE(test_the_age_of_an_answer_counts_from_its_message),
        WITH_SCENE(test_messages_with_one_key_join),
        WITH_SCENE(test_failures_are_not_kept),
        WITH_SCENE(test_an_answer_that_is_too_large_to_keep),
        WITH_SCENE(test_answers_under_way_are_bounded),
        WITH_SCENE(test_who_waits_for_another_message_may_go),
        WITH_SCENE(test_questions_are_bounded_and_end_with_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
