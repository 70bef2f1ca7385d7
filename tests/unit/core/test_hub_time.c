/* test_hub_time.c - sessions as time passes: pings, expiring tokens, refresh, draining. */
#include "common/protocol/ws_frame.h"
#include "tests/unit/core/hub_fixture.h"

static void test_ping_and_pong(void **state)
{
    struct fixture f;
    struct wire a;
    int opcode = 0;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    for (int round = 0; round < 5; round++) {
        uint64_t waited = 0;
        while (a.read == a.bytes.len && waited <= 25100) {
            pass(&f, 100);
            waited += 100;
        }
        next_frame(&a, &opcode);
        assert_int_equal(opcode, WS_PING);
        if (round > 0)
            assert_in_range(waited, 24800, 25100);
        hub_pong(f.hub, a.session);
    }
    pass(&f, 10100); /* the pong was heard */
    uint64_t silent = 0;
    while (a.session->state == SESSION_OPEN && silent < 60000) {
        pass(&f, 100);
        silent += 100;
    }
    assert_in_range(silent, 24700, 25300); /* the rest of the interval, then the pong timeout */
    assert_int_equal(a.session->closing_reason, REASON_PONG_TIMEOUT);
    pass(&f, 100);
    assert_true(a.abrupt);
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* How long until the session is pinged. The test fails if no ping comes. */
static uint64_t wait_for_ping(struct fixture *f, struct wire *wire)
{
    int opcode = 0;
    uint64_t waited = 0;
    for (; wire->read == wire->bytes.len && waited < 60000; waited += 10)
        pass(f, 10);
    next_frame(wire, &opcode);
    assert_int_equal(opcode, WS_PING);
    return waited;
}

/* The interval holds although the pong timeout is longer. */
static void test_pings_more_often_than_the_pong_timeout(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 1000000;
    f.endpoint->pong_timeout_us = 5000000;
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    wait_for_ping(&f, &a);
    for (int round = 0; round < 5; round++) {
        hub_pong(f.hub, a.session);
        assert_in_range(wait_for_ping(&f, &a), 980, 1100);
    }
    pass(&f, 3000);
    assert_int_equal(a.read, a.bytes.len); /* no second ping before the pong */
    hub_pong(f.hub, a.session);
    assert_in_range(wait_for_ping(&f, &a), 0, 20);
    hub_pong(f.hub, a.session);
    assert_in_range(wait_for_ping(&f, &a), 980, 1100);
    for (int step = 0; step < 490; step++)
        pass(&f, 10);
    assert_int_equal(a.session->state, SESSION_OPEN);
    pass(&f, 200);
    assert_int_equal(a.session->closing_reason, REASON_PONG_TIMEOUT);
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void test_first_ping_is_jittered(void **state)
{
    enum { SESSIONS = 200 };
    struct fixture f;
    static struct wire wires[SESSIONS];
    (void)state;
    fixture_setup(&f);
    for (int i = 0; i < SESSIONS; i++)
        open_session(&f, &wires[i], "{\"sub\":\"alice\"}");
    pass(&f, 12500);
    int pinged = 0;
    for (int i = 0; i < SESSIONS; i++)
        pinged += wires[i].read != wires[i].bytes.len;
    assert_in_range(pinged, 60, 140);
    for (int i = 0; i < SESSIONS; i++)
        close_session(&f, &wires[i]);
    fixture_teardown(&f);
}

/* One millisecond passes. Returns how many sessions were pinged in it. Each of them answers. */
static unsigned pinged_in_step(struct fixture *f, struct wire *wires, int sessions)
{
    unsigned pings = 0;
    pass(f, 1);
    for (int i = 0; i < sessions; i++) {
        if (wires[i].read == wires[i].bytes.len)
            continue;
        next_frame(&wires[i], NULL);
        assert_in_range(f->now_us % 100000, 0, 4000);
        hub_pong(f->hub, wires[i].session);
        pings++;
    }
    return pings;
}

/* Those of a tenth of a second leave together, also after the first round. */
static void test_pings_go_in_step(void **state)
{
    enum { SESSIONS = 50, BETWEEN = 7, ROUNDS = 60000 };
    struct fixture f;
    static struct wire wires[SESSIONS];
    (void)state;
    fixture_setup(&f);
    unsigned pings = 0;
    for (int open = 0; open < SESSIONS;) {
        open_session(&f, &wires[open++], "{\"sub\":\"alice\"}");
        for (int ms = 0; ms < BETWEEN; ms++)
            pings += pinged_in_step(&f, wires, open);
    }
    for (int ms = 0; ms < ROUNDS; ms++)
        pings += pinged_in_step(&f, wires, SESSIONS);
    assert_in_range(pings, 2 * SESSIONS, 3 * SESSIONS);
    for (int i = 0; i < SESSIONS; i++)
        close_session(&f, &wires[i]);
    fixture_teardown(&f);
}

static void test_token_expires(void **state)
{
    struct fixture f;
    struct wire a;
    char reason[128];
    (void)state;
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 0;
    open_session(&f, &a, "{\"sub\":\"alice\",\"exp\":1768473100}"); /* 100 s from the fixture's time */
    pass(&f, 69900);
    assert_string_equal(next_frame(&a, NULL), "");
    pass(&f, 200);
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"token_expiring\""));
    pass(&f, 29700);
    assert_string_equal(next_frame(&a, NULL), "");
    pass(&f, 300);
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"unauthorized\""));
    assert_int_equal(next_close(&a, reason), 1008);
    assert_string_equal(reason, "token_expired");
    close_session(&f, &a);

    /* One that was taken within the leeway lives until the leeway is over. */
    f.settings.leeway_ms = 5000;
    hub_configure(f.hub, &f.settings, f.rules);
    open_session(&f, &a, "{\"sub\":\"alice\",\"exp\":1768473099}");
    assert_non_null(strstr(next_frame(&a, NULL), "token_expiring"));
    pass(&f, 3500);
    assert_string_equal(next_frame(&a, NULL), "");
    pass(&f, 1000);
    next_frame(&a, NULL);
    next_close(&a, reason);
    assert_string_equal(reason, "token_expired");
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* Also timers that were started under the old settings. */
static void test_open_sessions_follow_other_times(void **state)
{
    struct fixture f;
    struct wire a;
    int opcode;
    char reason[128];
    (void)state;
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 3600000000;
    f.endpoint->pong_timeout_us = 300000000;
    open_session(&f, &a, "{\"sub\":\"alice\",\"exp\":1768473900}"); /* 900 s from now */
    struct endpoint *fresh = fixture_copy_endpoint(&f);
    fresh->ping_interval_us = 1000000;
    fixture_use_endpoint(&f, fresh);
    f.settings.expiry_warning_us = 1000000000;
    hub_configure(f.hub, &f.settings, f.rules);
    hub_flush(f.hub);
    assert_non_null(strstr(next_frame(&a, NULL), "token_expiring"));
    pass(&f, 1200);
    next_frame(&a, &opcode);
    assert_int_equal(opcode, WS_PING);
    fresh = fixture_copy_endpoint(&f);
    fresh->pong_timeout_us = 500000;
    fixture_use_endpoint(&f, fresh);
    pass(&f, 600);
    assert_int_equal(next_close(&a, reason), f.endpoint->close_codes.code[REASON_PONG_TIMEOUT]);
    assert_string_equal(reason, "pong_timeout");
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* Where pings are off, no timer runs for an idle session. */
static void test_pings_are_off(void **state)
{
    struct fixture f;
    struct wire a;
    int opcode = 0;
    (void)state;
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 0;
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    assert_int_equal(hub_wheel(f.hub)->count, 0);
    struct endpoint *fresh = fixture_copy_endpoint(&f);
    fresh->ping_interval_us = 1000000;
    fixture_use_endpoint(&f, fresh);
    pass(&f, 1200);
    next_frame(&a, &opcode);
    assert_int_equal(opcode, WS_PING);
    /* Off again: the ping needs no answer any more. */
    fresh = fixture_copy_endpoint(&f);
    fresh->ping_interval_us = 0;
    fixture_use_endpoint(&f, fresh);
    assert_int_equal(hub_wheel(f.hub)->count, 0);
    pass(&f, 60000);
    assert_int_equal(a.session->state, SESSION_OPEN);
    assert_string_equal(next_frame(&a, NULL), "");
    close_session(&f, &a);
    fixture_teardown(&f);
}

static struct claims *parse(const char *payload)
{
    struct claims *claims = NULL;
    assert_int_equal(claims_parse(str_from_cstr(payload), &claims, NULL), ERR_NONE);
    return claims;
}

static void test_refresh(void **state)
{
    struct fixture f;
    struct wire a;
    const char *refresh = "{\"type\":\"refresh\",\"id\":9,\"data\":{\"token\":\"t\"}}";
    (void)state;
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 0;
    open_session(&f, &a, "{\"sub\":\"alice\",\"exp\":1768473100,\"channels\":[\"room:*\"]}");
    send_text(&f, &a, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"room:1\"}}");
    answer_join(&f, "room:1", "", 0);
    send_text(&f, &a, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"room:2\"}}");
    answer_join(&f, "room:2", "", 0);
    next_frame(&a, NULL);
    next_frame(&a, NULL);

    send_text(&f, &a, refresh); /* refused by verification */
    assert_non_null(strstr(next_frame(&a, NULL), "\"id\":9,\"error\":{\"code\":\"unauthorized\",\"message\":"
                                                 "\"token_expired"));
    f.next_claims = parse("{\"sub\":\"bob\",\"exp\":1768473900}");
    send_text(&f, &a, refresh);
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"conflict\""));

    f.next_claims = parse("{\"sub\":\"alice\",\"exp\":1768473200,\"channels\":[\"room:1\"]}");
    send_text(&f, &a, refresh);
    assert_string_equal(next_frame(&a, NULL), "{\"type\":\"refreshed\",\"id\":9,\"data\":{\"expires_at\":"
                                              "\"2026-01-15T10:33:20.000Z\"}}");
    /* Subscriptions that the new token does not grant end. */
    assert_string_equal(next_frame(&a, NULL), "{\"type\":\"unsubscribed\",\"channel\":\"room:2\"}");
    assert_string_equal(next_frame(&a, NULL), "");
    pass(&f, 169900);
    assert_string_equal(next_frame(&a, NULL), "");
    pass(&f, 200);
    assert_non_null(strstr(next_frame(&a, NULL), "token_expiring"));
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* Tokens that are shorter than the time of the warning: else each warning would bring the next one at once. */
static void test_refresh_with_a_short_token(void **state)
{
    static const char refresh[] = "{\"type\":\"refresh\",\"id\":9,\"data\":{\"token\":\"t\"}}";
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 0;
    open_session(&f, &a, "{\"sub\":\"alice\",\"exp\":1768473020}"); /* 20 s from the fixture's time */
    assert_non_null(strstr(next_frame(&a, NULL), "token_expiring"));
    f.next_claims = parse("{\"sub\":\"alice\",\"exp\":1768473020}");
    send_text(&f, &a, refresh);
    assert_non_null(strstr(next_frame(&a, NULL), "refreshed"));
    pass(&f, 9900);
    assert_string_equal(next_frame(&a, NULL), "");
    pass(&f, 200);
    assert_non_null(strstr(next_frame(&a, NULL), "token_expiring"));
    pass(&f, 9700);
    assert_string_equal(next_frame(&a, NULL), "");
    pass(&f, 300);
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"unauthorized\""));
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void refresh_with(struct fixture *f, struct wire *wire, const char *payload)
{
    f->next_claims = parse(payload);
    send_text(f, wire, "{\"type\":\"refresh\",\"id\":9,\"data\":{\"token\":\"t\"}}");
}

/* What a backend has decided stays, whatever the client brings: user, claims, rights, the end. */
static void test_refresh_keeps_what_a_backend_decided(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 0;
    f.next_changes = "{\"sub\":\"zoe\",\"exp\":1768473100,\"channels\":[\"room:1\"]}";
    open_session(&f, &a, "{\"sub\":\"ada\",\"exp\":1768473500,\"channels\":[\"room:*\"]}");
    send_text(&f, &a, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"room:1\"}}");
    answer_join(&f, "room:1", "", 0);
    next_frame(&a, NULL);
    refresh_with(&f, &a, "{\"sub\":\"zoe\",\"exp\":1768473900}");
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"conflict\""));
    for (int i = 0; i < 2; i++) {
        refresh_with(&f, &a, "{\"sub\":\"ada\",\"exp\":1768473900,\"channels\":[\"room:2\"]}");
        assert_string_equal(next_frame(&a, NULL), "{\"type\":\"refreshed\",\"id\":9,\"data\":{\"expires_at\":"
                                                  "\"2026-01-15T10:31:40.000Z\"}}");
        assert_string_equal(next_frame(&a, NULL), ""); /* room:1 stays */
        assert_str(a.session->claims->sub, "zoe");
        send_text(&f, &a, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"room:2\"}}");
        assert_non_null(strstr(next_frame(&a, NULL), "needs a grant"));
    }
    pass(&f, 70100);
    assert_non_null(strstr(next_frame(&a, NULL), "the backend ends this session soon"));
    for (int i = 0; i < 3; i++) { /* a client that refreshes at each warning gets one of this end */
        refresh_with(&f, &a, "{\"sub\":\"ada\",\"exp\":1768473900}");
        assert_non_null(strstr(next_frame(&a, NULL), "refreshed"));
        pass(&f, 9000);
        assert_string_equal(next_frame(&a, NULL), "");
    }
    pass(&f, 3000);
    assert_int_equal(a.session->closing_reason, REASON_TOKEN_EXPIRED);
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* A token that ends before the backend's end does counts, until a later one comes. */
static void test_the_earlier_end_counts(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 0;
    f.next_changes = "{\"exp\":1768473100}";
    open_session(&f, &a, "{\"sub\":\"ada\"}");
    refresh_with(&f, &a, "{\"sub\":\"ada\",\"exp\":1768473050}");
    assert_non_null(strstr(next_frame(&a, NULL), "10:30:50.000Z"));
    pass(&f, 20100);
    assert_non_null(strstr(next_frame(&a, NULL), "the token expires soon"));
    pass(&f, 20000);
    refresh_with(&f, &a, "{\"sub\":\"ada\",\"exp\":1768473900}");
    assert_non_null(strstr(next_frame(&a, NULL), "10:31:40.000Z"));
    pass(&f, 29800);
    assert_string_equal(next_frame(&a, NULL), "");
    pass(&f, 200);
    assert_non_null(strstr(next_frame(&a, NULL), "the backend ends this session soon"));
    pass(&f, 30100);
    assert_int_equal(a.session->closing_reason, REASON_TOKEN_EXPIRED);
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* The answer to a refresh can close a slow consumer. The closing connection must still be bounded. */
static void test_refresh_of_a_slow_consumer(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    a.full = true;
    while (a.session->outbox.count < f.settings.outbox_max_messages)
        send_text(&f, &a, "{\"type\":\"ping\"}");
    assert_int_equal(a.session->state, SESSION_OPEN);
    f.next_claims = parse("{\"sub\":\"alice\"}");
    send_text(&f, &a, "{\"type\":\"refresh\",\"data\":{\"token\":\"t\"}}");
    assert_int_equal(a.session->closing_reason, REASON_SLOW_CONSUMER);
    assert_int_equal(a.finished, 0);
    pass(&f, 5100);
    assert_int_equal(a.finished, 1);
    assert_true(a.abrupt);
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void test_drain(void **state)
{
    enum { SESSIONS = 50 };
    struct fixture f;
    static struct wire wires[SESSIONS];
    char reason[128];
    (void)state;
    fixture_setup(&f);
    f.endpoint->ping_interval_us = 0;
    for (int i = 0; i < SESSIONS; i++)
        open_session(&f, &wires[i], "{\"sub\":\"alice\"}");
    hub_drain(f.hub, 10000000);
    hub_flush(f.hub);
    for (int i = 0; i < SESSIONS; i++)
        assert_non_null(strstr(next_frame(&wires[i], NULL), "{\"type\":\"reconnect\",\"data\":{\"reason\":\"draining\","
                                                            "\"after_ms\":"));
    pass(&f, 5000);
    int gone = 0;
    for (int i = 0; i < SESSIONS; i++)
        gone += wires[i].finished != 0;
    assert_in_range(gone, 10, 40);
    pass(&f, 5100);
    for (int i = 0; i < SESSIONS; i++) {
        assert_int_equal(next_close(&wires[i], reason), 1001);
        assert_string_equal(reason, "going_away");
        close_session(&f, &wires[i]);
    }
    fixture_teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ping_and_pong),
        cmocka_unit_test(test_pings_more_often_than_the_pong_timeout),
        cmocka_unit_test(test_first_ping_is_jittered),
        cmocka_unit_test(test_pings_go_in_step),
        cmocka_unit_test(test_token_expires),
        cmocka_unit_test(test_open_sessions_follow_other_times),
        cmocka_unit_test(test_pings_are_off),
        cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_refresh_with_a_short_token),
        cmocka_unit_test(test_refresh_keeps_what_a_backend_decided),
        cmocka_unit_test(test_the_earlier_end_counts),
        cmocka_unit_test(test_refresh_of_a_slow_consumer),
        cmocka_unit_test(test_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
