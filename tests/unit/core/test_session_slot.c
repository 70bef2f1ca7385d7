/* test_session_slot.c - sessions that are limited across nodes: nothing before the broker agrees, nothing lost of what
 * the client said, the slot kept and given back. */
#include "tests/unit/core/hub_fixture.h"

#define LIMITED "{\"sub\":\"alice\",\"session_limit\":2}"

static struct fixture f;
static struct wire a;

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    f.settings.session_slot_ttl_ms = 30000;
    hub_configure(f.hub, &f.settings, f.rules);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_teardown(&f);
    return 0;
}

/* open_session would look for session_init. */
static void open_limited(void)
{
    open_session(&f, &a, LIMITED);
    assert_non_null(f.slot);
    assert_int_equal(a.bytes.len, 0);
}

static void answer(bool granted, enum err code)
{
    struct session_slot_request *slot = f.slot;
    f.slot = NULL;
    slot->granted = granted;
    if (code)
        request_fail(&slot->base, code, "no");
    slot->base.done(&slot->base, f.hub);
    hub_flush(f.hub);
}

static void expect_asked(const char *text)
{
    assert_str(buf_str(&f.asked), text);
    buf_clear(&f.asked);
}

/* They come with the beginning, however late, and before what the client has said. */
static void test_subscriptions_from_the_beginning_wait_too(void **state)
{
    const struct str channels[] = {STR("news"), STR("chat")};
    (void)state;
    f.subscriptions = channels;
    f.subscription_count = 2;
    open_limited();
    send_text(&f, &a, "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"news\"}}");
    assert_int_equal(a.session->subscription_count, 0);
    answer(true, ERR_NONE);
    assert_non_null(strstr(next_frame(&a, NULL), "session_init"));
    assert_non_null(strstr(next_frame(&a, NULL), "unsubscribed before the channel was ready"));
    assert_non_null(strstr(next_frame(&a, NULL), "\"type\":\"unsubscribed\""));
    assert_int_equal(a.session->subscription_count, 1);
    assert_str(channel_name(a.session->subscriptions[0].channel), "chat");
    close_session(&f, &a);
    open_limited(); /* and go with a session that never begins */
    answer(false, ERR_NONE);
    assert_int_equal(a.session->subscription_count, 0);
    close_session(&f, &a);
}

/* `reconnect` never comes before session_init. */
static void test_is_refused_by_a_drain(void **state)
{
    char reason[128];
    (void)state;
    open_limited();
    send_text(&f, &a, "{\"type\":\"ping\",\"id\":1}");
    hub_drain(f.hub, 1000000);
    hub_flush(f.hub);
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"unavailable\""));
    assert_int_equal(next_close(&a, reason), f.endpoint->close_codes.code[REASON_DRAINING]);
    assert_string_equal(reason, "draining");
    answer(true, ERR_NONE); /* too late */
    assert_string_equal(next_frame(&a, NULL), "");
    expect_asked("take alice\n");
    close_session(&f, &a);
    expect_asked("leave alice\n");
}

static void test_renewals_follow_another_ttl(void **state)
{
    (void)state;
    f.settings.session_slot_ttl_ms = 3600000;
    hub_configure(f.hub, &f.settings, f.rules);
    open_limited();
    answer(true, ERR_NONE);
    assert_non_null(strstr(next_frame(&a, NULL), "session_init"));
    pass(&f, 60000);
    f.settings.session_slot_ttl_ms = 30000;
    hub_configure(f.hub, &f.settings, f.rules);
    pass(&f, 10100);
    expect_asked("take alice\nkeep alice\n");
    close_session(&f, &a);
}

static void test_begins_when_granted(void **state)
{
    (void)state;
    open_limited();
    assert_int_equal(f.slot->limit, 2);
    assert_int_equal(f.slot->ttl_ms, 30000);
    send_text(&f, &a, "{\"type\":\"ping\",\"id\":1}");
    send_text(&f, &a, "{\"type\":\"subscribe\",\"id\":2,\"data\":{\"channel\":\"public:x\"}}");
    assert_false(hub_subscribe(f.hub, a.session, STR("public:y")));
    assert_int_equal(a.bytes.len, 0);
    expect_asked("take alice\n");
    answer(true, ERR_NONE);
    assert_non_null(strstr(next_frame(&a, NULL), "session_init"));
    assert_non_null(strstr(next_frame(&a, NULL), "\"pong\",\"id\":1"));
    expect_asked("join public:x\n");
    close_session(&f, &a);
    expect_asked("leave alice\n");
}

static void test_refused(void **state)
{
    char reason[128];
    (void)state;
    open_limited();
    send_text(&f, &a, "{\"type\":\"subscribe\",\"id\":2,\"data\":{\"channel\":\"public:x\"}}");
    answer(false, ERR_NONE);
    assert_non_null(strstr(next_frame(&a, NULL), "rate_limited"));
    assert_int_equal(next_close(&a, reason), 1013);
    assert_string_equal(reason, "connection_limit");
    close_session(&f, &a);
    expect_asked("take alice\nleave alice\n"); /* the channel was never asked for */
}

static void test_without_the_broker_it_begins(void **state)
{
    (void)state;
    open_limited();
    answer(false, ERR_UNAVAILABLE);
    assert_non_null(strstr(next_frame(&a, NULL), "session_init"));
    pass(&f, 10010);
    expect_asked("take alice\nkeep alice\n");
    close_session(&f, &a);
}

static void test_is_kept_while_it_lives(void **state)
{
    (void)state;
    open_limited();
    answer(true, ERR_NONE);
    for (int i = 0; i < 3; i++)
        pass(&f, 10010);
    expect_asked("take alice\nkeep alice\nkeep alice\nkeep alice\n");
    close_session(&f, &a);
    expect_asked("leave alice\n");
    pass(&f, 60000);
    expect_asked("");
}

static void test_gone_before_the_answer(void **state)
{
    (void)state;
    open_limited();
    close_session(&f, &a);
    expect_asked("take alice\nleave alice\n");
    answer(true, ERR_NONE); /* finds nobody */
    expect_asked("");
}

static void test_too_much_before_the_answer(void **state)
{
    static char big[40000];
    (void)state;
    open_limited();
    memset(big, ' ', sizeof big - 1);
    send_text(&f, &a, big);
    assert_int_equal(a.session->state, SESSION_OPEN);
    send_text(&f, &a, big);
    assert_int_equal(a.session->state, SESSION_CLOSING);
    answer(true, ERR_NONE);
    close_session(&f, &a);
}

static void test_others_cost_nothing(void **state)
{
    (void)state;
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    close_session(&f, &a);
    f.settings.session_slot_ttl_ms = 0; /* without other nodes */
    hub_configure(f.hub, &f.settings, f.rules);
    open_session(&f, &a, LIMITED);
    close_session(&f, &a);
    expect_asked("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_subscriptions_from_the_beginning_wait_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_is_refused_by_a_drain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_renewals_follow_another_ttl, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begins_when_granted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_the_broker_it_begins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_is_kept_while_it_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone_before_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_much_before_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_cost_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
