/* test_hub_transport.c - sessions on a second transport, which is one-way and frames by lines, beside WebSockets. */
#include "tests/unit/core/hub_fixture.h"

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_setup(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_teardown(*state);
    return 0;
}

static struct session *open_line_session(struct fixture *f, struct wire *wire)
{
    f->transport = &line_transport;
    struct session *session = open_session(f, wire, "{\"sub\":\"alice\"}");
    f->transport = NULL;
    assert_non_null(strstr(next_line(wire), "{\"type\":\"session_init\""));
    return session;
}

/* It is subscribed on its behalf, and its commands would come another way. */
static void test_replies(void **state)
{
    struct fixture *f = *state;
    struct wire wire;
    struct session *session = open_line_session(f, &wire);
    assert_true(hub_subscribe(f->hub, session, STR("public:a")));
    answer_join(f, "public:a", "", 0);
    assert_string_equal(next_line(&wire),
                        "{\"type\":\"subscribed\",\"channel\":\"public:a\",\"data\":{\"recovered\":false}}");
    hub_receive(f->hub, session, STR("{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"public:a\"}}"));
    hub_flush(f->hub);
    assert_string_equal(next_line(&wire), "{\"type\":\"unsubscribed\",\"channel\":\"public:a\"}");
    close_session(f, &wire);
}

/* Signs of life go out, and the silence of the client says nothing. */
static void test_no_pong_is_awaited(void **state)
{
    struct fixture *f = *state;
    struct wire line, own;
    struct session *session = open_line_session(f, &line);
    struct session *other = open_session(f, &own, "{\"sub\":\"bob\"}");
    unsigned pings = 0;
    for (int second = 0; second < 120; second++) {
        pass(f, 1000);
        for (const char *text; *(text = next_line(&line)); pings++)
            assert_string_equal(text, ":");
    }
    assert_true(pings >= 4 && pings <= 5);
    assert_int_equal(session->state, SESSION_OPEN);
    assert_int_equal(other->state, SESSION_CLOSING);
    assert_int_equal(other->closing_reason, REASON_PONG_TIMEOUT);
    close_session(f, &line);
    close_session(f, &own);
}

static void test_end(void **state)
{
    struct fixture *f = *state;
    struct wire wire;
    session_end(open_line_session(f, &wire), REASON_TOKEN_REVOKED);
    hub_flush(f->hub);
    assert_non_null(strstr(next_line(&wire), "{\"type\":\"error\""));
    assert_string_equal(next_line(&wire), "bye 1008 token_revoked");
    assert_string_equal(next_line(&wire), "");
    assert_int_equal(wire.finished, 1);
    assert_false(wire.abrupt);
    close_session(f, &wire);
}

/* A client that cannot be asked for a sign of life is not ended for its silence. */
static void test_a_framing_of_messages_only(void **state)
{
    struct fixture *f = *state;
    struct wire wire;
    f->transport = &plain_transport;
    struct session *session = open_session(f, &wire, "{\"sub\":\"alice\"}");
    assert_non_null(strstr(next_line(&wire), "\"ping_interval_s\":0,"));
    for (int second = 0; second < 120; second++)
        pass(f, 1000);
    assert_int_equal(session->state, SESSION_OPEN);
    struct endpoint *fresh = fixture_copy_endpoint(f);
    fresh->ping_interval_us = 1000000;
    fixture_use_endpoint(f, fresh);
    for (int second = 0; second < 120; second++)
        pass(f, 1000);
    assert_int_equal(session->state, SESSION_OPEN);
    hub_ping(f->hub, session, STR("are you there"));
    send_text(f, &wire, "{\"type\":\"ping\"}");
    assert_non_null(strstr(next_line(&wire), "\"pong\""));
    session_end(session, REASON_GOING_AWAY);
    hub_flush(f->hub);
    assert_string_equal(next_line(&wire), "");
    assert_int_equal(wire.finished, 1);
    close_session(f, &wire);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_replies),
        TEST(test_no_pong_is_awaited),
        TEST(test_end),
        TEST(test_a_framing_of_messages_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
