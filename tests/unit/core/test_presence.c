/* test_presence.c - a hub tells who comes and goes. The command `presence` asks who is there. */
#include <stdio.h>

#include "tests/unit/core/hub_fixture.h"

#define SUBSCRIBE(channel) "{\"type\":\"subscribe\",\"data\":{\"channel\":\"" channel "\"}}"
#define PRESENCE(more)     "{\"type\":\"presence\",\"id\":1,\"data\":{\"channel\":\"crowd:a\"" more "}}"

static struct fixture f;
static struct wire a, b;

static int setup(void **state)
{
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"ann\",\"info\":{\"n\": 1.0}}");
    open_session(&f, &b, "{\"sub\":\"b\\\"b\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_teardown(&f);
    return 0;
}

static void expect_asked(const char *text)
{
    assert_str(buf_str(&f.asked), text);
    buf_clear(&f.asked);
}

static void test_comes_and_goes(void **state)
{
    (void)state;
    send_text(&f, &a, SUBSCRIBE("crowd:a"));
    expect_asked("join crowd:a\n"); /* it would not hear of itself yet */
    answer_join(&f, "crowd:a", "", 0);
    expect_asked("enter crowd:a ann{\"user\":\"ann\",\"info\":{\"n\": 1.0}}\n");
    send_text(&f, &b, SUBSCRIBE("crowd:a"));
    expect_asked("enter crowd:a b\"b{\"user\":\"b\\\"b\"}\n");
    send_text(&f, &a, SUBSCRIBE("crowd:a")); /* again: no news */
    send_text(&f, &a, SUBSCRIBE("public:a"));
    expect_asked("join public:a\n");
    send_text(&f, &a, "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"crowd:a\"}}");
    expect_asked("exit crowd:a ann\n");
    close_session(&f, &b);
    expect_asked("exit crowd:a b\"b\n");
    close_session(&f, &a);
    expect_asked("");
}

/* As when a reload changes the channel's history. */
static void test_a_channel_that_is_joined_again(void **state)
{
    (void)state;
    send_text(&f, &a, SUBSCRIBE("crowd:a"));
    answer_join(&f, "crowd:a", "", 0);
    expect_asked("join crowd:a\nenter crowd:a ann{\"user\":\"ann\",\"info\":{\"n\": 1.0}}\n");
    answer_join(&f, "crowd:a", "e", 1);
    expect_asked("");
    close_session(&f, &a);
    close_session(&f, &b);
}

static void test_a_channel_that_is_refused(void **state)
{
    (void)state;
    send_text(&f, &a, SUBSCRIBE("crowd:a"));
    buf_clear(&f.asked);
    hub_joined(f.hub, STR("crowd:a"), f.last_join.id, ERR_UNAVAILABLE, STR("no"), NULL);
    expect_asked("");
    close_session(&f, &a);
    close_session(&f, &b);
    expect_asked("");
}

static void test_asks(void **state)
{
    (void)state;
    send_text(&f, &a, PRESENCE(",\"limit\":7,\"after\":\"al\\u0069\""));
    struct presence_read *read = f.presence;
    assert_non_null(read);
    f.presence = NULL;
    assert_int_equal(read->limit, 7);
    assert_str(read->after, "ali");
    read->users = 2;
    read->connections = 3;
    presence_read_add(read, STR("{\"user\":\"x\"}"));
    presence_read_add(read, STR("{\"user\":\"y\"}"));
    buf_append_lit(&read->next, "y\"");
    read->base.done(&read->base, f.hub);
    hub_flush(f.hub);
    assert_string_equal(
        next_frame(&a, NULL),
        "{\"type\":\"presence\",\"id\":1,\"channel\":\"crowd:a\",\"data\":{\"users\":2,\"connections\":3,"
        "\"members\":[{\"user\":\"x\"},{\"user\":\"y\"}],\"next\":\"y\\\"\"}}");
    send_text(&f, &a, PRESENCE(""));
    read = f.presence;
    f.presence = NULL;
    assert_int_equal(read->limit, PRESENCE_PAGE_DEFAULT);
    request_fail(&read->base, ERR_UNAVAILABLE, "not now");
    read->base.done(&read->base, f.hub);
    hub_flush(f.hub);
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"unavailable\",\"message\":\"not now\""));
    close_session(&f, &a);
    close_session(&f, &b);
}

static void test_who_asks_has_gone(void **state)
{
    (void)state;
    send_text(&f, &a, PRESENCE(""));
    close_session(&f, &a);
    f.presence->base.done(&f.presence->base, f.hub);
    f.presence = NULL;
    close_session(&f, &b);
}

static void configure(bool kept, bool events)
{
    const struct rule rule = {
        .match = STR("*"), .allow = ALLOW_ALL, .presence = {.kept = kept, .events = events, .ttl_ms = 1000}};
    struct rules *rules = rules_create(&rule, 1);
    hub_configure(f.hub, &f.settings, rules);
    rules_unref(rules);
}

/* Who has had `subscribed` is counted from the reload on, the others from `subscribed` on. */
static void test_follows_other_rules(void **state)
{
    (void)state;
    configure(false, false);
    send_text(&f, &a, SUBSCRIBE("crowd:a"));
    answer_join(&f, "crowd:a", "", 0);
    send_text(&f, &b, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"last\":1}}");
    expect_asked("join crowd:a\njoin log:a\n");
    configure(true, true);
    assert_non_null(strstr(buf_cstr(&f.asked), "enter crowd:a ann{\"user\":\"ann\",\"info\":{\"n\": 1.0}}\n"));
    assert_null(strstr(buf_cstr(&f.asked), "enter log:a"));
    buf_clear(&f.asked);
    answer_join(&f, "log:a", "e", 1);
    assert_null(strstr(buf_cstr(&f.asked), "enter log:a"));
    answer_recovery(&f, take_recovery(&f), RECOVERY_LOST, 0, 0, 1);
    assert_non_null(strstr(buf_cstr(&f.asked), "enter log:a b\"b{"));
    buf_clear(&f.asked);
    configure(true, false);
    assert_non_null(strstr(buf_cstr(&f.asked), "keep crowd:a\n"));
    assert_non_null(strstr(buf_cstr(&f.asked), "keep log:a\n"));
    buf_clear(&f.asked);
    configure(true, false);
    expect_asked("");
    configure(false, true);
    assert_non_null(strstr(buf_cstr(&f.asked), "exit crowd:a ann\n"));
    assert_non_null(strstr(buf_cstr(&f.asked), "exit log:a b\"b\n"));
    buf_clear(&f.asked);
    close_session(&f, &a);
    close_session(&f, &b);
    expect_asked("");
}

/* A client that does not wait for its answers: so many, and no more until one comes. */
static void test_reads_that_wait_have_a_bound(void **state)
{
    struct presence_read *reads[16];
    (void)state;
    for (int i = 0; i < 16; i++) {
        send_text(&f, &a, PRESENCE(""));
        reads[i] = f.presence;
        assert_non_null(reads[i]);
        f.presence = NULL;
    }
    send_text(&f, &a, PRESENCE(""));
    assert_null(f.presence);
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"rate_limited\",\"message\":\"enough reads"));
    send_text(&f, &a, "{\"type\":\"history\",\"data\":{\"channel\":\"crowd:a\"}}");
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"rate_limited\",\"message\":\"enough reads"));
    reads[0]->base.done(&reads[0]->base, f.hub);
    hub_flush(f.hub);
    assert_non_null(strstr(next_frame(&a, NULL), "\"members\":[]"));
    send_text(&f, &a, PRESENCE(""));
    reads[0] = f.presence;
    f.presence = NULL;
    assert_non_null(reads[0]);
    close_session(&f, &a);
    for (int i = 0; i < 16; i++)
        reads[i]->base.done(&reads[i]->base, f.hub);
    close_session(&f, &b);
}

static void test_long_info_is_left_out(void **state)
{
    static char payload[PRESENCE_INFO_MAX + 100];
    (void)state;
    close_session(&f, &a);
    int len = snprintf(payload, sizeof payload, "{\"sub\":\"ann\",\"info\":\"");
    memset(payload + len, 'x', PRESENCE_INFO_MAX);
    strcpy(payload + len + PRESENCE_INFO_MAX, "\"}");
    open_session(&f, &a, payload);
    send_text(&f, &a, SUBSCRIBE("crowd:a"));
    answer_join(&f, "crowd:a", "", 0);
    expect_asked("join crowd:a\nenter crowd:a ann{\"user\":\"ann\"}\n");
    close_session(&f, &a);
    close_session(&f, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_comes_and_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_channel_that_is_joined_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_channel_that_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_asks_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follows_other_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_that_wait_have_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_info_is_left_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
