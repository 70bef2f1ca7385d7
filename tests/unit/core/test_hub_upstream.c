/* test_hub_upstream.c - what becomes of a client's messages by its endpoint, and an upstream behind it. */
#include "common/protocol/ws_frame.h"
#include "tests/unit/core/fake_upstream.h"
#include "tests/unit/core/hub_fixture.h"

static struct scene {
    struct fixture f;
    struct fake_upstream fake;
    struct wire wire;
    unsigned holds, releases; /* what the transport was told */
    bool no_pings;
} s;

static void on_hold(struct session *session, bool hold)
{
    (void)session;
    s.holds += hold;
    s.releases += !hold;
}

/* Opens the session at an endpoint with these uses; all messages to the upstream, if there is one. */
static void begin(enum message_use text, enum message_use binary)
{
    static struct transport_ops transport;
    struct endpoint *endpoint = fixture_copy_endpoint(&s.f);
    transport = wire_transport;
    transport.hold = on_hold;
    endpoint->text = text;
    endpoint->binary = binary;
    if (text == USE_UPSTREAM || binary == USE_UPSTREAM)
        endpoint->upstream = upstream_ref(&s.fake.base);
    if (s.no_pings)
        endpoint->ping_interval_us = 0;
    fixture_use_endpoint(&s.f, endpoint);
    s.f.transport = &transport;
    open_session(&s.f, &s.wire, "{\"sub\":\"ann\"}");
    s.f.transport = NULL;
    next_frame(&s.wire, NULL); /* session_init */
}

static void send_binary(const char *bytes)
{
    hub_receive_binary(s.f.hub, s.wire.session, str_from_cstr(bytes));
    hub_flush(s.f.hub);
}

/* The first ping comes at a time of its own. */
static void assert_next(int opcode, const char *text)
{
    int found = 0;
    const char *frame = next_frame(&s.wire, &found);
    while (found == WS_PING && opcode != WS_PING)
        frame = next_frame(&s.wire, &found);
    assert_string_equal(frame, text);
    assert_int_equal(found, opcode);
}

static void assert_log(const char *text)
{
    assert_string_equal(buf_cstr(&s.fake.log), text);
}

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    fixture_setup(&s.f);
    fake_upstream_init(&s.fake);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (s.wire.session)
        close_session(&s.f, &s.wire);
    fixture_teardown(&s.f);
    upstream_unref(&s.fake.base);
    fake_upstream_fini(&s.fake);
    return 0;
}

static void test_echo(void **state)
{
    (void)state;
    begin(USE_ECHO, USE_ECHO);
    send_text(&s.f, &s.wire, "{\"type\":\"ping\"}");
    assert_next(WS_TEXT, "{\"type\":\"ping\"}");
    send_text(&s.f, &s.wire, "");
    assert_next(WS_TEXT, "");
    send_binary("\x01\xff\x02");
    assert_next(WS_BINARY, "\x01\xff\x02");
}

static void test_ignore(void **state)
{
    (void)state;
    begin(USE_IGNORE, USE_IGNORE);
    send_text(&s.f, &s.wire, "x");
    send_binary("y");
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    assert_string_equal(next_frame(&s.wire, NULL), "");
}

static void test_reject(void **state)
{
    char reason[128];
    (void)state;
    begin(USE_REJECT, USE_COMMANDS);
    send_binary("{\"type\":\"ping\"}");
    assert_non_null(strstr(next_frame(&s.wire, NULL), "\"pong\""));
    send_binary("{\"type\":\"ping\xff\"}");
    assert_non_null(strstr(next_frame(&s.wire, NULL), "invalid_request"));
    send_text(&s.f, &s.wire, "{\"type\":\"ping\"}");
    next_frame(&s.wire, NULL); /* the error */
    assert_int_equal(next_close(&s.wire, reason), 1003);
    assert_string_equal(reason, "data_kind");
}

static void test_answer_at_once(void **state)
{
    (void)state;
    begin(USE_UPSTREAM, USE_UPSTREAM);
    send_text(&s.f, &s.wire, "hello");
    assert_next(WS_TEXT, "hello");
    send_binary("audio");
    assert_next(WS_BINARY, "audio");
    close_session(&s.f, &s.wire);
    s.wire.session = NULL;
    assert_log("open\ntake 1 text hello\ntake 2 binary audio\nend 1006 \n");
}

/* Text to the upstream, binary elsewhere: only what goes there is counted. */
static void test_one_kind(void **state)
{
    (void)state;
    begin(USE_UPSTREAM, USE_IGNORE);
    send_binary("no");
    send_text(&s.f, &s.wire, "yes");
    assert_log("open\ntake 1 text yes\n");
}

static void test_late_answer(void **state)
{
    (void)state;
    begin(USE_UPSTREAM, USE_REJECT);
    s.fake.answer = FAKE_LATER;
    send_text(&s.f, &s.wire, "wait");
    assert_string_equal(next_frame(&s.wire, NULL), "");
    assert_int_equal(s.wire.session->upstream->in_flight, 1);
    fake_answer_all(&s.fake);
    hub_flush(s.f.hub);
    assert_next(WS_TEXT, "wait");
}

static void test_session_ends_meanwhile(void **state)
{
    char reason[128];
    (void)state;
    begin(USE_UPSTREAM, USE_REJECT);
    s.fake.answer = FAKE_LATER;
    send_text(&s.f, &s.wire, "wait");
    session_end(s.wire.session, REASON_DISCONNECTED);
    assert_false(hub_send(s.f.hub, s.wire.session, false, STR("too late")));
    hub_flush(s.f.hub);
    assert_log("open\ntake 1 text wait\nend 1008 disconnected\n");
    next_frame(&s.wire, NULL); /* the error */
    assert_int_equal(next_close(&s.wire, reason), 1008);
    close_session(&s.f, &s.wire);
    s.wire.session = NULL;
    fake_answer_all(&s.fake); /* to nobody */
    assert_log("open\ntake 1 text wait\nend 1008 disconnected\n");
}

static void test_upstream_ends_the_session(void **state)
{
    char reason[128];
    (void)state;
    begin(USE_UPSTREAM, USE_REJECT);
    s.fake.answer = FAKE_END;
    send_text(&s.f, &s.wire, "bye");
    assert_int_equal(next_close(&s.wire, reason), 4001);
    assert_log("open\ntake 1 text bye\nend 4001 \n");
}

static void test_failure(void **state)
{
    (void)state;
    begin(USE_UPSTREAM, USE_REJECT);
    s.fake.answer = FAKE_REFUSE;
    send_text(&s.f, &s.wire, "hello");
    assert_non_null(strstr(next_frame(&s.wire, NULL), "the upstream is away"));
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
}

/* A held session gets its pings, and is not ended for the pongs that nobody reads. */
static void test_hold(void **state)
{
    (void)state;
    begin(USE_UPSTREAM, USE_REJECT);
    s.fake.answer = FAKE_HOLD;
    send_text(&s.f, &s.wire, "much");
    hub_hold_input(s.f.hub, s.wire.session, true);
    assert_int_equal(s.holds, 1);
    for (int second = 0; second < 120; second++)
        pass(&s.f, 1000);
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    int pings = 0, opcode;
    while (*next_frame(&s.wire, &opcode))
        pings += opcode == WS_PING;
    assert_true(pings >= 4);
    hub_hold_input(s.f.hub, s.wire.session, false);
    assert_int_equal(s.releases, 1);
    for (int second = 0; second < 120; second++)
        pass(&s.f, 1000);
    assert_int_equal(s.wire.session->closing_reason, REASON_PONG_TIMEOUT);
}

/* The answer to the close frame is read. */
static void test_end_of_a_held_session(void **state)
{
    (void)state;
    begin(USE_UPSTREAM, USE_REJECT);
    hub_hold_input(s.f.hub, s.wire.session, true);
    session_end(s.wire.session, REASON_GOING_AWAY);
    hub_hold_input(s.f.hub, s.wire.session, true);
    hub_flush(s.f.hub);
    assert_int_equal(s.releases, 1);
    hub_hold_input(s.f.hub, s.wire.session, true);
    assert_int_equal(s.holds, 1);
}

/* Draining waits for what is in flight, until its window is over. */
static void test_drain(void **state)
{
    (void)state;
    s.no_pings = true;
    begin(USE_UPSTREAM, USE_REJECT);
    s.fake.answer = FAKE_LATER;
    send_text(&s.f, &s.wire, "wait");
    hub_drain(s.f.hub, 10000000);
    for (int step = 0; step < 98; step++)
        pass(&s.f, 100);
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    fake_answer_all(&s.fake);
    for (int step = 0; step < 3; step++)
        pass(&s.f, 100);
    assert_int_equal(s.wire.session->closing_reason, REASON_GOING_AWAY);
    while (!strstr(next_frame(&s.wire, NULL), "\"reconnect\"")) /* a ping may come first */
        assert_true(s.wire.read < s.wire.bytes.len);
    assert_next(WS_TEXT, "wait");
}

static void test_drain_window_ends(void **state)
{
    (void)state;
    s.no_pings = true;
    begin(USE_UPSTREAM, USE_REJECT);
    s.fake.answer = FAKE_LATER;
    send_text(&s.f, &s.wire, "wait");
    hub_drain(s.f.hub, 1000000);
    pass(&s.f, 999);
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    pass(&s.f, 101); /* the wheel is not finer */
    assert_int_equal(s.wire.session->closing_reason, REASON_GOING_AWAY);
}

/* Messages that the rate does not count are free. */
static void test_rate_counts(void **state)
{
    (void)state;
    begin(USE_ECHO, USE_ECHO);
    struct endpoint *endpoint = fixture_copy_endpoint(&s.f);
    endpoint->limits.message_rate_per_minute = 60;
    endpoint->limits.message_burst = 2;
    endpoint->limits.bad_messages = 0;
    endpoint->rate_counts = RATE_BINARY;
    fixture_use_endpoint(&s.f, endpoint);
    for (int i = 0; i < 5; i++) {
        send_text(&s.f, &s.wire, "t");
        assert_next(WS_TEXT, "t");
    }
    send_binary("b");
    send_binary("b");
    assert_next(WS_BINARY, "b");
    assert_next(WS_BINARY, "b");
    send_binary("b");
    assert_non_null(strstr(next_frame(&s.wire, NULL), "too many messages; wait 1001 ms"));
}

/* A reload changes what new sessions begin with. */
static void test_reload(void **state)
{
    (void)state;
    begin(USE_UPSTREAM, USE_REJECT);
    fixture_use_endpoint(&s.f, fixture_copy_endpoint(&s.f));
    assert_null(s.wire.session->endpoint->upstream);
    send_text(&s.f, &s.wire, "hello");
    assert_next(WS_TEXT, "hello");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_echo),
        TEST(test_ignore),
        TEST(test_reject),
        TEST(test_answer_at_once),
        TEST(test_one_kind),
        TEST(test_late_answer),
        TEST(test_session_ends_meanwhile),
        TEST(test_upstream_ends_the_session),
        TEST(test_failure),
        TEST(test_hold),
        TEST(test_end_of_a_held_session),
        TEST(test_drain),
        TEST(test_drain_window_ends),
        TEST(test_rate_counts),
        TEST(test_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
