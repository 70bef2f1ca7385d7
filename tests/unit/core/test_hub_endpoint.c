/* test_hub_endpoint.c - sessions of two endpoints on one hub: other limits, other pings, other close codes, another
 * dialect. */
#include "common/protocol/ws_frame.h"
#include "tests/unit/core/hub_fixture.h"
#include "tests/unit/core/room_dialect.h"

static struct scene {
    struct fixture f;
    struct endpoint rooms; /* the second endpoint */
    unsigned destroyed;    /* how often it has been */
    struct wire own, room; /* a session of each */
} s;

static void count_destroyed(struct endpoint *endpoint)
{
    assert_ptr_equal(endpoint, &s.rooms);
    s.destroyed++;
}

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    fixture_setup(&s.f);
    endpoint_init(&s.rooms, &room_dialect, count_destroyed);
    s.rooms.limits = (struct endpoint_limits){.channels = 1, .message_rate_per_minute = 60, .message_burst = 4};
    s.rooms.close_codes.code[REASON_TOKEN_REVOKED] = 4001;
    open_session(&s.f, &s.own, "{\"sub\":\"ann\"}");
    s.f.other_endpoint = &s.rooms;
    open_session(&s.f, &s.room, "{\"sub\":\"bob\"}");
    s.f.other_endpoint = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_session(&s.f, &s.own);
    close_session(&s.f, &s.room);
    endpoint_unref(&s.rooms);
    assert_int_equal(s.destroyed, 1);
    fixture_teardown(&s.f);
    return 0;
}

static void assert_next(struct wire *wire, const char *part)
{
    assert_non_null(strstr(next_frame(wire, NULL), part));
}

static void test_limits(void **state)
{
    (void)state;
    send_text(&s.f, &s.room, "{\"do\":\"enter\",\"room\":\"public:a\"}");
    send_text(&s.f, &s.room, "{\"do\":\"enter\",\"room\":\"public:b\"}");
    assert_next(&s.room,
                "{\"oops\":\"this connection has 1 channels, and limits.channels is 1; unsubscribe from one first\"");
    assert_false(hub_subscribe(s.f.hub, s.room.session, STR("public:b")));
    assert_true(hub_subscribe(s.f.hub, s.own.session, STR("public:a")));
    assert_true(hub_subscribe(s.f.hub, s.own.session, STR("public:b")));
    for (int i = 0; i < 3; i++) {
        send_text(&s.f, &s.own, "{\"type\":\"ping\"}");
        send_text(&s.f, &s.room, "{\"do\":\"are_you_there\"}");
    }
    assert_next(&s.room, "here");
    assert_next(&s.room, "here");
    assert_next(&s.room, "{\"oops\":\"too many messages");
    for (int i = 0; i < 10; i++) /* no number of bad messages ends it */
        send_text(&s.f, &s.room, "{}");
    assert_int_equal(s.room.session->state, SESSION_OPEN);
    for (int i = 0; i < 3; i++)
        send_text(&s.f, &s.own, "{}");
    assert_int_equal(s.own.session->closing_reason, REASON_BAD_MESSAGES);
}

static void test_pings(void **state)
{
    (void)state;
    for (int second = 0; second < 60; second++)
        pass(&s.f, 1000);
    assert_int_equal(s.own.session->closing_reason, REASON_PONG_TIMEOUT);
    assert_int_equal(s.room.session->state, SESSION_OPEN);
    assert_string_equal(next_frame(&s.room, NULL), "");
}

static void test_close_codes(void **state)
{
    char reason[128];
    (void)state;
    session_end(s.own.session, REASON_TOKEN_REVOKED);
    session_end(s.room.session, REASON_TOKEN_REVOKED);
    hub_flush(s.f.hub);
    assert_next(&s.own, "\"code\":\"unauthorized\"");
    assert_next(&s.room, "{\"oops\":");
    assert_int_equal(next_close(&s.own, reason), 1008);
    assert_int_equal(next_close(&s.room, reason), 4001);
    assert_string_equal(reason, "token_revoked");
}

/* The sessions of a new endpoint's path follow to it, and those of another do not. */
static void test_reload(void **state)
{
    int opcode;
    struct endpoint *fresh = fixture_copy_endpoint(&s.f);
    (void)state;
    fresh->limits.channels = 0;
    fresh->ping_interval_us = 1000000;
    fixture_use_endpoint(&s.f, fresh);
    assert_false(hub_subscribe(s.f.hub, s.own.session, STR("public:a")));
    assert_true(hub_subscribe(s.f.hub, s.room.session, STR("public:a")));
    pass(&s.f, 1200);
    next_frame(&s.own, &opcode);
    assert_int_equal(opcode, WS_PING);
    assert_string_equal(next_frame(&s.room, NULL), "");
}

/* The dialect stays, whatever the new endpoint of the path speaks. */
static void test_reload_with_another_dialect(void **state)
{
    struct endpoint *fresh = fixture_copy_endpoint(&s.f);
    (void)state;
    fresh->dialect = &room_dialect;
    fixture_use_endpoint(&s.f, fresh);
    send_text(&s.f, &s.own, "{\"type\":\"ping\"}");
    assert_next(&s.own, "\"type\":\"pong\"");
}

/* An endpoint that its maker has given up lives as long as its sessions. */
static void test_session_holds_its_endpoint(void **state)
{
    (void)state;
    endpoint_unref(&s.rooms);
    assert_int_equal(s.destroyed, 0);
    send_text(&s.f, &s.room, "{\"do\":\"are_you_there\"}");
    assert_next(&s.room, "here");
    endpoint_ref(&s.rooms);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_limits),
        TEST(test_pings),
        TEST(test_close_codes),
        TEST(test_reload),
        TEST(test_reload_with_another_dialect),
        TEST(test_session_holds_its_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
