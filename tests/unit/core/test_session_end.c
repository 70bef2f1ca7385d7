/* test_session_end.c - the end of a session is decided while others are walked, and carried out when the turn ends. */
#include <stdio.h>

#include "tests/unit/core/hub_fixture.h"

#define SUBSCRIBE(channel) "{\"type\":\"subscribe\",\"data\":{\"channel\":\"" channel "\"}}"

enum { SESSIONS = 9 };

static struct scene {
    struct fixture f;
    struct wire wires[SESSIONS];
} s;

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    fixture_setup(&s.f);
    s.f.endpoint->ping_interval_us = 0; /* the first one is at a random time */
    for (int i = 0; i < SESSIONS; i++)
        open_session(&s.f, &s.wires[i], "{\"sub\":\"alice\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < SESSIONS; i++)
        if (s.wires[i].session)
            close_session(&s.f, &s.wires[i]);
    fixture_teardown(&s.f);
    return 0;
}

static void subscribe_all(const char *text, const char *channel)
{
    for (int i = 0; i < SESSIONS; i++) {
        send_text(&s.f, &s.wires[i], text);
        if (i == 0)
            answer_join(&s.f, channel, "", 0);
        assert_non_null(strstr(next_frame(&s.wires[i], NULL), "\"subscribed\""));
    }
}

static void drain(struct wire *wire)
{
    wire->full = false;
    hub_writable(s.f.hub, wire->session, 0);
    hub_flush(s.f.hub);
}

static void expect_data(struct wire *wire, int from, int to)
{
    for (int i = from; i <= to; i++) {
        char part[24];
        snprintf(part, sizeof part, "\"data\":%d}", i);
        assert_non_null(strstr(next_frame(wire, NULL), part));
    }
}

static void deliver_number(int number, bool flush)
{
    char data[12];
    snprintf(data, sizeof data, "%d", number);
    deliver(&s.f, "public:a", data, flush);
}

/* Fills the outboxes of those that are slow, then delivers two events in one turn. */
static void check_slow(const bool slow[SESSIONS])
{
    const int last = 1 + (int)s.f.settings.outbox_max_messages;
    size_t good = 0;
    char reason[128];
    subscribe_all(SUBSCRIBE("public:a"), "public:a");
    for (int i = 0; i < SESSIONS; i++) {
        s.wires[i].full = slow[i];
        good += !slow[i];
    }
    for (int number = 1; number <= last; number++) /* the first one is given to the kernel */
        deliver_number(number, true);
    assert_int_equal(hub_sessions(s.f.hub)->open_count, SESSIONS);
    deliver_number(last + 1, false);
    assert_int_equal(hub_sessions(s.f.hub)->open_count, good);
    deliver_number(last + 2, true);
    assert_int_equal(channel_subscribers(hub_channel(s.f.hub, STR("public:a"))), good);
    for (int i = 0; i < SESSIONS; i++) {
        if (!slow[i]) {
            expect_data(&s.wires[i], 1, last + 2);
        } else {
            assert_int_equal(s.wires[i].session->subscription_count, 0);
            drain(&s.wires[i]);
            expect_data(&s.wires[i], 1, 1);
            assert_int_equal(next_close(&s.wires[i], reason), 1013);
            assert_string_equal(reason, "slow_consumer");
            assert_int_equal(s.wires[i].finished, 1);
        }
        assert_string_equal(next_frame(&s.wires[i], NULL), "");
    }
    deliver_number(0, true);
    for (int i = 0; i < SESSIONS; i++)
        assert_int_equal(next_frame(&s.wires[i], NULL)[0] == '\0', slow[i]);
}

static void test_some_end_in_a_delivery(void **state)
{
    static const bool slow[SESSIONS] = {true, false, true, true, false, false, true, false, true};
    (void)state;
    check_slow(slow);
}

static void test_all_end_in_a_delivery(void **state)
{
    static const bool slow[SESSIONS] = {true, true, true, true, true, true, true, true, true};
    (void)state;
    check_slow(slow);
}

/* Joined and refused: the walk is the same for those that end in it. */
static void test_all_end_when_their_channel_is_refused(void **state)
{
    char reason[128];
    (void)state;
    for (int i = 0; i < SESSIONS; i++)
        hub_receive(s.f.hub, s.wires[i].session, STR(SUBSCRIBE("public:a")));
    for (int i = 0; i < SESSIONS; i += 2)
        session_end(s.wires[i].session, REASON_GOING_AWAY);
    hub_joined(s.f.hub, STR("public:a"), s.f.last_join.id, ERR_UNAVAILABLE, STR("no"), NULL);
    assert_null(hub_channel(s.f.hub, STR("public:a")));
    hub_flush(s.f.hub);
    for (int i = 0; i < SESSIONS; i++) {
        if (i % 2 == 0)
            assert_int_equal(next_close(&s.wires[i], reason), 1001);
        else
            assert_non_null(strstr(next_frame(&s.wires[i], NULL), "\"error\""));
        assert_string_equal(next_frame(&s.wires[i], NULL), "");
    }
}

#define SINCE_3 "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"since\":{\"epoch\":\"e\",\"offset\":3}}}"

static void begin_recovery(struct wire *wire)
{
    send_text(&s.f, wire, SINCE_3);
    answer_join(&s.f, "log:a", "e", 9);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 3, 4, 9);
    assert_non_null(strstr(next_frame(wire, NULL), "\"recovered\":true"));
}

/* The second part of what was missed holds one event too much for the kernel and the outbox. */
static void test_the_end_in_a_replay(void **state)
{
    struct wire *wire = &s.wires[0];
    char reason[128];
    (void)state;
    begin_recovery(wire);
    size_t event_bytes = wire->bytes.len - wire->read;
    assert_non_null(strstr(next_frame(wire, NULL), "\"offset\":4"));
    wire->full = true;
    send_text(&s.f, wire, "{\"type\":\"ping\"}");
    s.f.settings.outbox_max_bytes = event_bytes + wire->session->unsent_bytes - 1;
    hub_configure(s.f.hub, &s.f.settings, s.f.rules);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 4, 9, 9);
    assert_int_equal(wire->session->closing_reason, REASON_SLOW_CONSUMER);
    deliver_numbered(&s.f, 10);
    pass(&s.f, 1000);
    assert_true(list_is_empty(&s.f.recoveries));
    drain(wire);
    assert_non_null(strstr(next_frame(wire, NULL), "\"pong\""));
    assert_int_equal(next_close(wire, reason), 1013);
    assert_string_equal(next_frame(wire, NULL), "");
    assert_int_equal(wire->session->subscription_count, 0);
}

/* The end comes first and the replay later in the same turn, also one that says that all is lost. */
static void test_a_replay_after_the_end(void **state)
{
    static const enum recovery_outcome outcomes[] = {RECOVERY_FOUND, RECOVERY_LOST};
    char reason[128];
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct wire *wire = &s.wires[i];
        begin_recovery(wire);
        assert_non_null(strstr(next_frame(wire, NULL), "\"offset\":4"));
        session_end(wire->session, REASON_GOING_AWAY);
        answer_recovery(&s.f, take_recovery(&s.f), outcomes[i], 4, 9, 9);
        assert_int_equal(next_close(wire, reason), 1001);
        assert_string_equal(next_frame(wire, NULL), "");
        pass(&s.f, 1100); /* nobody is left: the channel goes */
        assert_null(hub_channel(s.f.hub, STR("log:a")));
    }
}

static void test_the_first_reason_stays(void **state)
{
    struct wire *wire = &s.wires[0];
    char reason[128];
    (void)state;
    session_end(wire->session, REASON_TOKEN_REVOKED);
    session_end(wire->session, REASON_DISCONNECTED);
    session_end_with(wire->session, 4000, STR("late"));
    hub_receive(s.f.hub, wire->session, STR("{\"type\":\"ping\"}"));
    assert_int_equal(wire->session->closing_reason, REASON_TOKEN_REVOKED);
    assert_int_equal(wire->finished, 0);
    hub_flush(s.f.hub);
    session_end(wire->session, REASON_DISCONNECTED);
    assert_int_equal(wire->session->closing_reason, REASON_TOKEN_REVOKED);
    assert_non_null(strstr(next_frame(wire, NULL), "\"error\""));
    assert_int_equal(next_close(wire, reason), reason_close_code(REASON_TOKEN_REVOKED));
    assert_string_equal(next_frame(wire, NULL), "");
    assert_int_equal(wire->finished, 1);
}

/* A full outbox does not make another reason of it, and what waits in it still comes first. */
static void test_the_reason_stays_with_a_full_outbox(void **state)
{
    struct wire *wire = &s.wires[0];
    char reason[128];
    (void)state;
    wire->full = true;
    do
        send_text(&s.f, wire, "{\"type\":\"ping\"}");
    while (wire->session->outbox.count < s.f.settings.outbox_max_messages);
    session_end(wire->session, REASON_DISCONNECTED);
    hub_flush(s.f.hub);
    drain(wire);
    for (size_t i = 0; i <= s.f.settings.outbox_max_messages; i++)
        assert_non_null(strstr(next_frame(wire, NULL), "\"pong\""));
    assert_non_null(strstr(next_frame(wire, NULL), "disconnected"));
    assert_int_equal(next_close(wire, reason), reason_close_code(REASON_DISCONNECTED));
}

/* The connection goes before the turn is over. */
static void test_gone_in_the_turn_of_the_end(void **state)
{
    struct wire *wire = &s.wires[0];
    (void)state;
    subscribe_all(SUBSCRIBE("public:a"), "public:a");
    session_end(wire->session, REASON_DISCONNECTED);
    hub_gone(s.f.hub, wire->session);
    hub_gone(s.f.hub, wire->session);
    hub_flush(s.f.hub);
    wire->session = NULL;
    assert_int_equal(wire->finished, 0);
    assert_int_equal(channel_subscribers(hub_channel(s.f.hub, STR("public:a"))), SESSIONS - 1);
    assert_int_equal(hub_sessions(s.f.hub)->open_count, SESSIONS - 1);
    assert_int_equal(hub_sessions(s.f.hub)->count, SESSIONS - 1);
    buf_fini(&wire->bytes);
}

/* Who ends before its channel is joined has never been there. */
static void test_nobody_enters_after_the_end(void **state)
{
    (void)state;
    send_text(&s.f, &s.wires[0], SUBSCRIBE("crowd:a"));
    session_end(s.wires[0].session, REASON_DISCONNECTED);
    assert_false(hub_unsubscribe(s.f.hub, s.wires[0].session, STR("crowd:a")));
    answer_join(&s.f, "crowd:a", "", 0);
    assert_string_equal(buf_str(&s.f.asked).ptr, "join crowd:a\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_some_end_in_a_delivery),
        TEST(test_all_end_in_a_delivery),
        TEST(test_all_end_when_their_channel_is_refused),
        TEST(test_the_end_in_a_replay),
        TEST(test_a_replay_after_the_end),
        TEST(test_the_first_reason_stays),
        TEST(test_the_reason_stays_with_a_full_outbox),
        TEST(test_gone_in_the_turn_of_the_end),
        TEST(test_nobody_enters_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
