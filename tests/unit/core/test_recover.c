/* test_recover.c - subscribers who come back. They get the events that they missed, then live ones, with none left
 * out and none twice. If the missed events cannot be had, they are told so. */
#include <stdio.h>
#include <stdlib.h>

#include "common/protocol/ws_frame.h"
#include "tests/unit/core/hub_fixture.h"

#define SINCE(offset)                                                                                                  \
    "{\"type\":\"subscribe\",\"id\":1,\"data\":{\"channel\":\"log:a\",\"since\":{\"epoch\":\"e\",\"offset\":" #offset  \
    "}}}"
#define LAST(count) "{\"type\":\"subscribe\",\"id\":1,\"data\":{\"channel\":\"log:a\",\"last\":" #count "}}"
#define PLAIN       "{\"type\":\"subscribe\",\"id\":2,\"data\":{\"channel\":\"log:a\"}}"

static void expect(struct wire *wire, const char *part)
{
    const char *frame = next_frame(wire, NULL);
    if (!strstr(frame, part))
        fail_msg("expected %s in %s", part, frame);
}

static void expect_events(struct wire *wire, uint64_t first, uint64_t last)
{
    for (uint64_t offset = first; offset <= last; offset++) {
        char part[32];
        snprintf(part, sizeof part, "\"offset\":%llu,", (unsigned long long)offset);
        expect(wire, part);
    }
}

static void expect_nothing(struct wire *wire)
{
    assert_string_equal(next_frame(wire, NULL), "");
}

static struct scene {
    struct fixture f;
    struct wire a, b;
} s;

static void stop_pings(struct fixture *f)
{
    f->endpoint->ping_interval_us = 0; /* the first one is at a random time */
}

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    fixture_setup(&s.f);
    stop_pings(&s.f);
    open_session(&s.f, &s.a, "{\"sub\":\"alice\"}");
    open_session(&s.f, &s.b, "{\"sub\":\"bob\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_session(&s.f, &s.a);
    close_session(&s.f, &s.b);
    fixture_teardown(&s.f);
    return 0;
}

static void test_missed_then_live(void **state)
{
    (void)state;
    send_text(&s.f, &s.b, PLAIN);
    send_text(&s.f, &s.a, SINCE(3));
    answer_join(&s.f, "log:a", "e", 5);
    expect(&s.b, "\"offset\":5,\"recovered\":false");
    expect_nothing(&s.a);
    struct recovery *recovery = take_recovery(&s.f);
    assert_string_equal(recovery->epoch, "e");
    assert_int_equal(recovery->offset, 3);
    deliver_numbered(&s.f, 6); /* comes to it by the replay */
    expect_events(&s.b, 6, 6);
    expect_nothing(&s.a);
    answer_recovery(&s.f, recovery, RECOVERY_FOUND, 3, 6, 6);
    expect(&s.a, "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"log:a\",\"data\":{\"epoch\":\"e\",\"offset\":3,"
                 "\"recovered\":true}}");
    expect_events(&s.a, 4, 6);
    expect_nothing(&s.b);
    deliver_numbered(&s.f, 7);
    expect_events(&s.a, 7, 7);
    expect_events(&s.b, 7, 7);
    assert_true(list_is_empty(&s.f.recoveries));
    send_text(&s.f, &s.a, SINCE(3)); /* once more: it has it all */
    expect(&s.a, "\"offset\":7,\"id\":\"i-7\",\"recovered\":false");
    expect_nothing(&s.a);
}

/* The id goes with the position: from the client to the router, and to clients with every position. */
static void test_ids(void **state)
{
    (void)state;
    send_text(&s.f, &s.a,
              "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"since\":{\"epoch\":\"e\",\"offset\":3,\"id\":"
              "\"i-3\"}}}");
    hub_joined(s.f.hub, STR("log:a"), s.f.last_join.id, ERR_NONE, STR(""), &(struct position){STR("e"), 5, STR("i-5")});
    send_text(&s.f, &s.b, PLAIN);
    expect(&s.b, "\"offset\":5,\"id\":\"i-5\",\"recovered\":false");
    struct recovery *recovery = take_recovery(&s.f);
    assert_string_equal(recovery->id, "i-3");
    deliver_numbered(&s.f, 6);
    send_text(&s.f, &s.b, PLAIN);
    expect_events(&s.b, 6, 6);
    expect(&s.b, "\"offset\":6,\"id\":\"i-6\",\"recovered\":false");
    answer_recovery(&s.f, recovery, RECOVERY_FOUND, 3, 5, 6);
    expect(&s.a, "\"offset\":3,\"id\":\"i-3\",\"recovered\":true");
    expect_events(&s.a, 4, 5);
    recovery = take_recovery(&s.f); /* it is proven, and goes on from another event */
    assert_int_equal(recovery->offset, 5);
    assert_string_equal(recovery->id, "");
    answer_recovery(&s.f, recovery, RECOVERY_FOUND, 5, 6, 6);
    expect_events(&s.a, 6, 6);
}

static void test_nothing_missed(void **state)
{
    (void)state;
    send_text(&s.f, &s.a, SINCE(5));
    send_text(&s.f, &s.a, SINCE(5)); /* while it waits: both are answered */
    answer_join(&s.f, "log:a", "e", 5);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 5, 5, 5);
    expect(&s.a, "\"offset\":5,\"recovered\":true");
    expect(&s.a, "\"offset\":5,\"recovered\":true");
    deliver_numbered(&s.f, 6);
    expect_events(&s.a, 6, 6);
    expect_nothing(&s.a);
}

/* Recovered events count in the session's rate: 50 events are one message, however they are cut into replays. */
static void test_its_rate_pays(void **state)
{
    (void)state;
    s.f.endpoint->limits.message_rate_per_minute = 60;
    s.f.endpoint->limits.message_burst = 3;
    s.f.settings.outbox_max_messages = 1000;
    s.f.settings.outbox_max_bytes = 1 << 20;
    hub_configure(s.f.hub, &s.f.settings, s.f.rules);
    close_session(&s.f, &s.a);
    open_session(&s.f, &s.a, "{\"sub\":\"alice\"}");
    send_text(&s.f, &s.a, SINCE(0));
    answer_join(&s.f, "log:a", "e", 99);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 0, 30, 99);
    expect(&s.a, "\"recovered\":true");
    expect_events(&s.a, 1, 30);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 30, 99, 99);
    expect_events(&s.a, 31, 99);
    send_text(&s.f, &s.a, "{\"type\":\"ping\",\"id\":1}"); /* the third: subscribe, 99 events, this */
    expect(&s.a, "\"pong\",\"id\":1");
    send_text(&s.f, &s.a, "{\"type\":\"ping\",\"id\":2}");
    expect(&s.a, "rate_limited");
}

static void test_the_last_ones(void **state)
{
    (void)state;
    send_text(&s.f, &s.a, LAST(2));
    answer_join(&s.f, "log:a", "e", 5);
    struct recovery *recovery = take_recovery(&s.f);
    assert_string_equal(recovery->epoch, "");
    assert_int_equal(recovery->last, 2);
    strcpy(recovery->epoch, "e"); /* as the router does */
    recovery->offset = 3;
    answer_recovery(&s.f, recovery, RECOVERY_FOUND, 3, 5, 5);
    expect(&s.a, "\"offset\":3,\"recovered\":false");
    expect_events(&s.a, 4, 5);
    send_text(&s.f, &s.b, LAST(0)); /* none of them: an ordinary subscribe */
    expect(&s.b, "\"offset\":5,\"recovered\":false");
}

static void test_lost(void **state)
{
    (void)state;
    send_text(&s.f, &s.a, SINCE(3));
    answer_join(&s.f, "log:a", "e", 9);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_LOST, 9, 9, 9);
    expect(&s.a, "\"offset\":9,\"id\":\"i-9\",\"recovered\":false");
    deliver_numbered(&s.f, 10);
    expect_events(&s.a, 10, 10);
}

/* The outbox takes 16 messages: a recovering subscriber gets 8, and the next ones when those are out. */
static void test_pages(void **state)
{
    (void)state;
    send_text(&s.f, &s.a, SINCE(0));
    answer_join(&s.f, "log:a", "e", 20);
    s.a.full = true;
    deliver(&s.f, "log:a", "\"not numbered\"", true);
    send_text(&s.f, &s.a, "{\"type\":\"ping\"}"); /* fills the kernel */
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 0, 12, 20);
    pass(&s.f, 1000);
    assert_true(list_is_empty(&s.f.recoveries)); /* no room yet */
    send_text(&s.f, &s.a, PLAIN);
    s.a.full = false;
    hub_writable(s.f.hub, s.a.session, 0);
    hub_flush(s.f.hub);
    pass(&s.f, 100);
    expect(&s.a, "pong");
    expect(&s.a, "\"offset\":0,\"recovered\":true");
    expect_events(&s.a, 1, 7);
    expect(&s.a, "\"id\":2,\"channel\":\"log:a\",\"data\":{\"epoch\":\"e\",\"offset\":7");
    struct recovery *recovery = take_recovery(&s.f);
    assert_int_equal(recovery->offset, 7);
    assert_string_equal(recovery->epoch, "e");
    answer_recovery(&s.f, recovery, RECOVERY_FOUND, 7, 14, 20);
    expect_events(&s.a, 8, 14);
    recovery = take_recovery(&s.f); /* there was room: at once */
    assert_int_equal(recovery->offset, 14);
    answer_recovery(&s.f, recovery, RECOVERY_FOUND, 14, 20, 20);
    expect_events(&s.a, 15, 20);
    deliver_numbered(&s.f, 21);
    expect_events(&s.a, 21, 21);
}

static void test_lost_between_pages(void **state)
{
    (void)state;
    send_text(&s.f, &s.a, SINCE(0));
    answer_join(&s.f, "log:a", "e", 20);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 0, 4, 20);
    struct recovery *recovery = take_recovery(&s.f);
    recovery->gap = GAP_HISTORY_TOO_SHORT;
    answer_recovery(&s.f, recovery, RECOVERY_LOST, 20, 20, 20);
    expect(&s.a, "\"recovered\":true");
    expect_events(&s.a, 1, 4);
    expect(&s.a, "{\"type\":\"gap\",\"channel\":\"log:a\",\"data\":{\"reason\":\"history_too_short\",\"epoch\":\"e\","
                 "\"offset\":20,\"id\":\"i-20\"}}");
    deliver_numbered(&s.f, 21);
    expect_events(&s.a, 21, 21);
}

static void test_leaving_before_the_answer(void **state)
{
    (void)state;
    send_text(&s.f, &s.a, SINCE(3));
    answer_join(&s.f, "log:a", "e", 5);
    struct recovery *first = take_recovery(&s.f);
    send_text(&s.f, &s.a, "{\"type\":\"unsubscribe\",\"id\":3,\"data\":{\"channel\":\"log:a\"}}");
    expect(&s.a, "subscription_failed");
    expect(&s.a, "unsubscribed");
    send_text(&s.f, &s.a, SINCE(4));
    answer_recovery(&s.f, first, RECOVERY_FOUND, 3, 5, 5);
    expect_nothing(&s.a);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 4, 5, 5);
    expect(&s.a, "\"offset\":4,\"recovered\":true");
    expect_events(&s.a, 5, 5);
    expect_nothing(&s.a);
}

static void test_channel_that_is_refused(void **state)
{
    (void)state;
    send_text(&s.f, &s.a, SINCE(3));
    send_text(&s.f, &s.b, PLAIN);
    hub_joined(s.f.hub, STR("log:a"), s.f.last_join.id, ERR_SUBSCRIPTION_FAILED, STR("not today"), NULL);
    hub_flush(s.f.hub);
    expect(&s.a, "not today");
    expect(&s.b, "not today");
    assert_int_equal(s.a.session->subscription_count, 0);
    assert_null(hub_channels_in_order(s.f.hub)->root);
}

/* When its rule has another history, a channel is joined again. That may be refused too. */
static void test_a_joined_channel_that_is_refused(void **state)
{
    (void)state;
    send_text(&s.f, &s.b, PLAIN);
    send_text(&s.f, &s.a, SINCE(3));
    answer_join(&s.f, "log:a", "e", 9);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 3, 4, 9);
    expect(&s.b, "\"subscribed\"");
    expect(&s.a, "\"recovered\":true");
    expect_events(&s.a, 4, 4);
    hub_joined(s.f.hub, STR("log:a"), s.f.last_join.id, ERR_UNAVAILABLE, STR("no more"), NULL);
    hub_flush(s.f.hub);
    expect(&s.b, "{\"type\":\"unsubscribed\",\"channel\":\"log:a\"}");
    expect(&s.a, "{\"type\":\"unsubscribed\",\"channel\":\"log:a\"}");
    expect_nothing(&s.a);
    expect_nothing(&s.b);
    assert_int_equal(s.a.session->subscription_count, 0);
    assert_null(hub_channels_in_order(s.f.hub)->root);
}

static uint64_t count(enum metric metric)
{
    return metrics_value((const struct metrics *const[]){&s.f.metrics}, 1, metric, 0);
}

static void test_gap_is_told_to_live_subscribers(void **state)
{
    (void)state;
    send_text(&s.f, &s.b, PLAIN);
    send_text(&s.f, &s.a, SINCE(3));
    answer_join(&s.f, "log:a", "e", 5);
    expect(&s.b, "subscribed");
    hub_gap(s.f.hub, STR("log:a"), GAP_EPOCH_CHANGED, &(struct position){STR("f"), 2, STR("f-2")});
    hub_gap(s.f.hub, STR("other"), GAP_EPOCH_CHANGED, &(struct position){STR("f"), 2, STR("")});
    hub_flush(s.f.hub);
    expect(&s.b, "{\"type\":\"gap\",\"channel\":\"log:a\",\"data\":{\"reason\":\"epoch_changed\",\"epoch\":\"f\","
                 "\"offset\":2,\"id\":\"f-2\"}}");
    expect_nothing(&s.b);
    expect_nothing(&s.a);
    send_text(&s.f, &s.b, PLAIN);
    expect(&s.b, "\"epoch\":\"f\",\"offset\":2,\"id\":\"f-2\"");
}

/* Events without an offset are in no history: who is still getting what it missed has them at once. */
static void test_what_is_in_no_history(void **state)
{
    (void)state;
    send_text(&s.f, &s.a, SINCE(3));
    answer_join(&s.f, "log:a", "e", 5);
    deliver(&s.f, "log:a", "\"before\"", true);
    expect_nothing(&s.a);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 3, 4, 5);
    expect(&s.a, "\"offset\":3,\"recovered\":true");
    expect_events(&s.a, 4, 4);
    uint64_t bytes = count(METRIC_DELIVERY_BYTES);
    assert_int_equal(count(METRIC_DELIVERIES), 1);
    assert_int_equal(count(METRIC_DELIVERY_LATENCY), 0); /* "before" has reached nobody */
    deliver(&s.f, "log:a", "\"between\"", true);
    expect(&s.a, "\"between\"");
    assert_int_equal(count(METRIC_DELIVERIES), 2);
    assert_int_equal(count(METRIC_DELIVERY_LATENCY), 1);
    assert_true(count(METRIC_DELIVERY_BYTES) > bytes);
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 4, 5, 5);
    expect_events(&s.a, 5, 5);
    deliver(&s.f, "log:a", "\"after\"", true);
    expect(&s.a, "\"after\"");
    expect_nothing(&s.a);
    send_text(&s.f, &s.a, "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"log:a\"}}");
    deliver(&s.f, "log:a", "\"to nobody\"", true);
    assert_int_equal(count(METRIC_DELIVERIES), 4);
    assert_int_equal(count(METRIC_DELIVERY_LATENCY), 2);
}

/* Joins and leaves may have been lost though no numbered event was. */
static void test_an_interruption(void **state)
{
    static const struct position nowhere = {.offset = 0};
    struct rule rule = {
        .match = STR("log:*"), .allow = ALLOW_ALL, .history = {.size = 10}, .presence = {true, true, 1000}};
    (void)state;
    send_text(&s.f, &s.b, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"public:a\"}}");
    answer_join(&s.f, "public:a", "e", 5);
    expect(&s.b, "subscribed");
    hub_interrupted(s.f.hub, STR("public:a"));
    hub_interrupted(s.f.hub, STR("log:a"));
    hub_flush(s.f.hub);
    expect_nothing(&s.b);
    rules_unref(s.f.rules);
    s.f.rules = rules_create(&rule, 1);
    hub_configure(s.f.hub, &s.f.settings, s.f.rules);
    send_text(&s.f, &s.b, PLAIN);
    send_text(&s.f, &s.a, SINCE(3));
    answer_join(&s.f, "log:a", "e", 5);
    expect(&s.b, "subscribed");
    answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 3, 4, 5);
    expect(&s.a, "\"offset\":3,\"recovered\":true");
    expect_events(&s.a, 4, 4);
    hub_interrupted(s.f.hub, STR("log:a"));
    hub_flush(s.f.hub);
    expect(&s.b, "\"reason\":\"connection_lost\",\"epoch\":\"e\",\"offset\":5");
    expect(&s.a, "\"reason\":\"connection_lost\",\"epoch\":\"e\",\"offset\":4");
    hub_interrupted(s.f.hub, STR("another"));
    hub_gap(s.f.hub, STR("another"), GAP_CONNECTION_LOST, &nowhere);
    hub_flush(s.f.hub);
    expect_nothing(&s.a);
    expect_nothing(&s.b);
}

/* The events that each session must have seen, while sessions come and go at random, with live events, pages and slow
 * kernels. */
static void test_against_a_model(void **state)
{
    enum { SESSIONS = 8, STEPS = 30000 };
    struct fixture f;
    struct wire wires[SESSIONS];
    uint64_t has[SESSIONS] = {0}; /* the last offset that this client has */
    bool subscribed[SESSIONS] = {false};
    uint64_t offset = 0;
    (void)state;
    fixture_setup(&f);
    stop_pings(&f);
    for (int i = 0; i < SESSIONS; i++)
        open_session(&f, &wires[i], "{\"sub\":\"alice\"}");
    srand(11);
    for (int step = 0; step < STEPS; step++) {
        int who = rand() % SESSIONS;
        uint64_t join_id = f.last_join.id;
        char text[160];
        switch (rand() % 8) {
        case 0:
            snprintf(
                text, sizeof text,
                "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"since\":{\"epoch\":\"e\",\"offset\":%llu}}}",
                (unsigned long long)has[who]);
            if (subscribed[who] || wires[who].full) /* what is still to come to it would come twice */
                break;
            send_text(&f, &wires[who], text);
            subscribed[who] = true;
            if (f.last_join.id != join_id)
                answer_join(&f, "log:a", "e", offset);
            break;
        case 1:
            if (rand() % 4 == 0) {
                close_session(&f, &wires[who]);
                open_session(&f, &wires[who], "{\"sub\":\"alice\"}");
            } else {
                send_text(&f, &wires[who], "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"log:a\"}}");
            }
            subscribed[who] = false;
            break;
        case 2:
        case 3:
            offset++;
            deliver_numbered(&f, offset);
            break;
        case 4:
        case 5:
            if (!list_is_empty(&f.recoveries)) {
                struct recovery *recovery = take_recovery(&f);
                uint64_t end = recovery->offset + (uint64_t)rand() % 30;
                end = end > offset ? offset : end;
                if (end > recovery->offset || end == offset)
                    answer_recovery(&f, recovery, RECOVERY_FOUND, recovery->offset, end, offset);
                else
                    list_append(&f.recoveries, &recovery->base.link);
            }
            break;
        case 6:
            wires[who].full = !wires[who].full;
            if (!wires[who].full)
                hub_writable(f.hub, wires[who].session, 0);
            hub_flush(f.hub);
            break;
        default: pass(&f, 20);
        }
        for (int i = 0; i < SESSIONS; i++) {
            const char *frame;
            int opcode = 0;
            while (*(frame = next_frame(&wires[i], &opcode))) {
                const char *at = strstr(frame, "\"type\":\"note\"") ? strstr(frame, "\"offset\":") : NULL;
                if (at)
                    assert_int_equal(strtoull(at + 9, NULL, 10), ++has[i]);
                else if (strstr(frame, "\"subscribed\""))
                    assert_non_null(strstr(frame, "\"recovered\":true"));
                if (opcode == WS_CLOSE)
                    subscribed[i] = false;
            }
        }
        for (int i = 0; i < SESSIONS; i++)
            if (wires[i].session->state != SESSION_OPEN) {
                close_session(&f, &wires[i]);
                open_session(&f, &wires[i], "{\"sub\":\"alice\"}");
                subscribed[i] = false;
            }
    }
    for (int i = 0; i < SESSIONS; i++)
        close_session(&f, &wires[i]);
    pass(&f, 2000);
    assert_null(hub_channels_in_order(f.hub)->root);
    assert_true(offset > 1000);
    fixture_teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_missed_then_live, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_missed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_its_rate_pays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_last_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_between_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leaving_before_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_channel_that_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_joined_channel_that_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gap_is_told_to_live_subscribers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_in_no_history, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_interruption, setup, teardown),
        cmocka_unit_test(test_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
