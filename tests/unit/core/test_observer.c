/* test_observer.c - an observer of a hub, beside the hub's own ones: which events it hears, in which order. */
#include "server/core/observer.h"
#include "tests/unit/core/hub_fixture.h"

#define SUBSCRIBE(channel)   "{\"type\":\"subscribe\",\"data\":{\"channel\":\"" channel "\"}}"
#define UNSUBSCRIBE(channel) "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"" channel "\"}}"

static struct fixture f;
static struct wire a, b;

/* A second user of the seam: it keeps what it hears as lines. */
struct listener {
    struct observer observer;
    struct buf heard;
};

static struct listener ear;

static void note(struct observer *observer, const char *event, const struct session *session,
                 const struct channel *channel)
{
    struct listener *listener = CONTAINER_OF(observer, struct listener, observer);
    buf_appendf(&listener->heard, "%s", event);
    if (session)
        buf_appendf(&listener->heard, " %.*s", STR_ARG(session->claims->sub));
    if (channel)
        buf_appendf(&listener->heard, " %.*s", STR_ARG(channel_name(channel)));
    buf_append_char(&listener->heard, '\n');
}

static void note_opened(struct observer *observer, const struct session *session)
{
    note(observer, "opened", session, NULL);
}

static void note_closed(struct observer *observer, const struct session *session, enum reason reason)
{
    assert_int_equal(session->subscription_count, 0);
    note(observer, reason == REASON_NONE ? "closed" : reason_text(reason), session, NULL);
}

static void note_subscribed(struct observer *observer, const struct session *session, const struct channel *channel)
{
    note(observer, "subscribed", session, channel);
}

static void note_unsubscribed(struct observer *observer, const struct session *session, const struct channel *channel)
{
    note(observer, "unsubscribed", session, channel);
}

static void note_occupied(struct observer *observer, const struct channel *channel)
{
    note(observer, "occupied", NULL, channel);
}

static void note_vacated(struct observer *observer, const struct channel *channel)
{
    note(observer, "vacated", NULL, channel);
}

static struct observer silent; /* it listens to nothing */

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    silent = (struct observer){0};
    ear = (struct listener){.observer = {.opened = note_opened,
                                         .closed = note_closed,
                                         .subscribed = note_subscribed,
                                         .unsubscribed = note_unsubscribed,
                                         .occupied = note_occupied,
                                         .vacated = note_vacated}};
    hub_observe(f.hub, &silent);
    hub_observe(f.hub, &ear.observer);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_teardown(&f);
    buf_fini(&ear.heard);
    return 0;
}

static void expect_heard(const char *text)
{
    assert_str(buf_str(&ear.heard), text);
    buf_clear(&ear.heard);
}

static uint64_t count(enum metric metric)
{
    return metrics_value((const struct metrics *const[]){&f.metrics}, 1, metric, 0);
}

static void test_a_session_and_its_channel(void **state)
{
    (void)state;
    open_session(&f, &a, "{\"sub\":\"ann\"}");
    expect_heard("opened ann\n");
    send_text(&f, &a, SUBSCRIBE("public:a"));
    expect_heard("occupied public:a\n");
    answer_join(&f, "public:a", "", 0);
    expect_heard("subscribed ann public:a\n");
    open_session(&f, &b, "{\"sub\":\"ben\"}");
    send_text(&f, &b, SUBSCRIBE("public:a"));
    send_text(&f, &b, SUBSCRIBE("public:a")); /* again: nothing new */
    expect_heard("opened ben\nsubscribed ben public:a\n");
    assert_int_equal(count(METRIC_SESSIONS), 2); /* the hub's own observers hear the same */
    assert_int_equal(count(METRIC_CHANNELS), 1);
    send_text(&f, &a, UNSUBSCRIBE("public:a"));
    close_session(&f, &b);
    close_session(&f, &a);
    expect_heard("unsubscribed ann public:a\nunsubscribed ben public:a\nclosed ben\nclosed ann\n");
    assert_int_equal(count(METRIC_SESSIONS), 0);
    assert_int_equal(count(METRIC_CHANNELS), 1);
    pass(&f, f.settings.linger_us / 1000 + 1000);
    expect_heard("vacated public:a\n");
    assert_int_equal(count(METRIC_CHANNELS), 0);
}

static void test_refused(void **state)
{
    (void)state;
    open_session(&f, &a, "{\"sub\":\"ann\"}");
    send_text(&f, &a, SUBSCRIBE("public:a"));
    hub_joined(f.hub, STR("public:a"), f.last_join.id, ERR_UNAVAILABLE, STR("not now"), NULL);
    expect_heard("opened ann\noccupied public:a\nvacated public:a\n");
    close_session(&f, &a);
    expect_heard("closed ann\n");
}

static void test_unsubscribed_before_the_channel_was_ready(void **state)
{
    (void)state;
    open_session(&f, &a, "{\"sub\":\"ann\"}");
    send_text(&f, &a, SUBSCRIBE("public:a"));
    send_text(&f, &a, UNSUBSCRIBE("public:a"));
    answer_join(&f, "public:a", "", 0);
    close_session(&f, &a);
    expect_heard("opened ann\noccupied public:a\nclosed ann\n");
}

/* The server ends it: the subscription ends with the turn, the session when its connection has gone. */
static void test_ended_for_a_reason(void **state)
{
    (void)state;
    open_session(&f, &a, "{\"sub\":\"ann\"}");
    send_text(&f, &a, SUBSCRIBE("public:a"));
    answer_join(&f, "public:a", "", 0);
    buf_clear(&ear.heard);
    session_end(a.session, REASON_SLOW_CONSUMER);
    session_end(a.session, REASON_GOING_AWAY);
    expect_heard("");
    hub_flush(f.hub);
    expect_heard("unsubscribed ann public:a\n");
    close_session(&f, &a);
    expect_heard("slow_consumer ann\n");
}

/* A reload that changes the channel's history joins it again. */
static void test_joined_again(void **state)
{
    (void)state;
    open_session(&f, &a, "{\"sub\":\"ann\"}");
    send_text(&f, &a, SUBSCRIBE("public:a"));
    answer_join(&f, "public:a", "", 0);
    answer_join(&f, "public:a", "e", 3);
    expect_heard("opened ann\noccupied public:a\nsubscribed ann public:a\n");
    close_session(&f, &a);
}

/* A subscriber that recovers is subscribed once it is told so. */
static void test_recovering(void **state)
{
    (void)state;
    open_session(&f, &a, "{\"sub\":\"ann\"}");
    open_session(&f, &b, "{\"sub\":\"ben\"}");
    send_text(&f, &a, SUBSCRIBE("log:a"));
    answer_join(&f, "log:a", "e", 5);
    buf_clear(&ear.heard);
    send_text(&f, &b,
              "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"since\":{\"epoch\":\"e\",\"offset\":3}}}");
    expect_heard("");
    answer_recovery(&f, take_recovery(&f), RECOVERY_FOUND, 3, 5, 5);
    expect_heard("subscribed ben log:a\n");
    close_session(&f, &b);
    expect_heard("unsubscribed ben log:a\nclosed ben\n");
    close_session(&f, &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_session_and_its_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsubscribed_before_the_channel_was_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ended_for_a_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(test_joined_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recovering, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
