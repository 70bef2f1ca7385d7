/* test_sender.c - what a channel's rule says of the client that publishes, and events that do not go to one session. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/core/hub_fixture.h"

#define CHAT(sender) "{\"conversation_id\":\"c\",\"sender_id\":\"" sender "\",\"content\":\"x\"}"
#define PUBLISH(channel, type, data)                                                                                   \
    "{\"type\":\"publish\",\"id\":1,\"data\":{\"channel\":\"" channel "\",\"type\":\"" type "\",\"data\":" data "}}"
#define QUIET(echo)                                                                                                    \
    "{\"type\":\"publish\",\"data\":{\"channel\":\"plain\",\"type\":\"note\",\"data\":1,\"echo\":" echo "}}"
#define SUBSCRIBE(channel) "{\"type\":\"subscribe\",\"data\":{\"channel\":\"" channel "\"}}"

static struct scene {
    struct fixture f;
    struct wire a, b;
    struct session *alice, *bob;
    struct rules *rules;
} s;

static int setup(void **state)
{
    const struct rule rule[] = {
        {.match = STR("whole:*"), .allow = ALLOW_ALL, .publisher = PUBLISHER_SESSION},
        {.match = STR("bare:*"), .allow = ALLOW_ALL, .publisher = PUBLISHER_NONE},
        {.match = STR("true:*"), .allow = ALLOW_ALL, .verify_sender = true},
        {.match = STR("log:*"), .allow = ALLOW_ALL, .history = {.size = 10}},
        {.match = STR("*"), .allow = ALLOW_ALL},
    };
    (void)state;
    memset(&s, 0, sizeof s);
    fixture_setup(&s.f);
    s.f.endpoint->ping_interval_us = 0;
    s.rules = rules_create(rule, COUNT_OF(rule));
    hub_configure(s.f.hub, &s.f.settings, s.rules);
    s.alice = open_session(&s.f, &s.a, "{\"sub\":\"alice\"}");
    s.bob = open_session(&s.f, &s.b, "{\"sub\":\"bob\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_session(&s.f, &s.a);
    close_session(&s.f, &s.b);
    rules_unref(s.rules);
    fixture_teardown(&s.f);
    return 0;
}

/* The command publishes, and is answered. */
static void expect_publisher(const char *command, const char *user, const char *session, const char *exclude)
{
    send_text(&s.f, &s.a, command);
    struct publication *publication = s.f.published;
    assert_non_null(publication);
    s.f.published = NULL;
    assert_true(str_eq_cstr(publication->user, user));
    assert_true(str_eq_cstr(publication->session, session));
    assert_true(str_eq_cstr(publication->exclude, exclude));
    publication->base.done(&publication->base, s.f.hub);
    hub_flush(s.f.hub);
    assert_non_null(strstr(next_frame(&s.a, NULL), "\"type\":\"published\""));
}

static void test_rule_says_how_it_is_named(void **state)
{
    (void)state;
    expect_publisher(PUBLISH("plain", "note", "1"), "alice", "", "");
    expect_publisher(PUBLISH("whole:1", "note", "1"), "", s.alice->uuid, "");
    expect_publisher(PUBLISH("bare:1", "note", "1"), "", "", "");
}

static void test_echo(void **state)
{
    (void)state;
    expect_publisher(QUIET("false"), "alice", "", s.alice->uuid);
    expect_publisher(QUIET("true"), "alice", "", "");
    expect_publisher(QUIET("null"), "alice", "", "");
    send_text(&s.f, &s.a, QUIET("0"));
    assert_null(s.f.published);
    assert_non_null(strstr(next_frame(&s.a, NULL), "data.echo: expected"));
}

static void test_sender_is_verified(void **state)
{
    (void)state;
    expect_publisher(PUBLISH("true:1", "chat_message", CHAT("alice")), "alice", "", "");
    expect_publisher(PUBLISH("true:1", "chat_message", CHAT("\\u0061lice")), "alice", "", "");
    expect_publisher(PUBLISH("true:1", "note", "{\"sender_id\":\"bob\"}"), "alice", "", "");
    expect_publisher(PUBLISH("plain", "chat_message", CHAT("bob")), "alice", "", "");
    static const char *const bad[] = {PUBLISH("true:1", "chat_message", CHAT("bob")),
                                      PUBLISH("true:1", "chat_message", CHAT("")),
                                      PUBLISH("true:1", "chat_message", CHAT("alice2"))};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        send_text(&s.f, &s.a, bad[i]);
        assert_null(s.f.published);
        assert_string_equal(next_frame(&s.a, NULL),
                            "{\"type\":\"error\",\"id\":1,\"error\":{\"code\":\"forbidden\",\"message\":\"data.sender_"
                            "id: on this channel it must be the user of the token, \\\"alice\\\" (the rule's "
                            "\\\"sender\\\" is verified)\",\"channel\":\"true:1\"}}");
        send_text(&s.f, &s.a, "{\"type\":\"ping\"}"); /* else too many bad ones in a row end it */
        next_frame(&s.a, NULL);
    }
}

/* --- events that do not go to one session ------------------------------------------------------------------------ */

static struct message *event_without(const char *channel, uint64_t offset, struct str exclude)
{
    char id[24];
    snprintf(id, sizeof id, "i-%llu", (unsigned long long)offset);
    const struct event event = {.channel = str_from_cstr(channel),
                                .type = STR("note"),
                                .id = offset ? str_from_cstr(id) : STR(""),
                                .epoch = offset ? STR("e") : STR(""),
                                .offset = offset,
                                .timestamp = STR("2026-01-15T10:30:00.000Z"),
                                .exclude = exclude,
                                .data = STR("1")};
    return message_from_event(&event, 1);
}

static void deliver_without(const char *channel, uint64_t offset, const char *exclude)
{
    hub_deliver(s.f.hub, event_without(channel, offset, str_from_cstr(exclude)));
    hub_flush(s.f.hub);
}

static void expect_events(struct wire *wire, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const char *frame = next_frame(wire, NULL);
        assert_non_null(strstr(frame, "\"type\":\"note\""));
        assert_null(strstr(frame, "exclude"));
    }
    assert_string_equal(next_frame(wire, NULL), "");
}

static void test_delivery_leaves_it_out(void **state)
{
    struct wire c;
    (void)state;
    open_session(&s.f, &c, "{\"sub\":\"alice\"}"); /* another session of the same user gets it */
    send_text(&s.f, &s.a, SUBSCRIBE("plain"));
    answer_join(&s.f, "plain", "", 0);
    send_text(&s.f, &s.b, SUBSCRIBE("plain"));
    send_text(&s.f, &c, SUBSCRIBE("plain"));
    struct wire *const all[] = {&s.a, &s.b, &c};
    for (size_t i = 0; i < 3; i++)
        next_frame(all[i], NULL);
    for (size_t out = 0; out < 3; out++) { /* the first, one in the middle, the last of the list */
        deliver_without("plain", 0, all[out]->session->uuid);
        for (size_t i = 0; i < 3; i++)
            expect_events(all[i], i == out ? 0 : 1);
    }
    deliver_without("plain", 0, "0198c0dd-0000-7000-8000-000000000000"); /* of another node, or gone */
    deliver_without("plain", 0, "");
    for (size_t i = 0; i < 3; i++)
        expect_events(all[i], 2);
    send_text(&s.f, &s.b, "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"plain\"}}");
    next_frame(&s.b, NULL);
    deliver_without("plain", 0, s.bob->uuid); /* not a subscriber */
    expect_events(&s.a, 1);
    expect_events(&c, 1);
    close_session(&s.f, &c);
}

/* The position goes on past the event, so nothing looks lost. */
static void test_recovery_leaves_it_out(void **state)
{
    (void)state;
    send_text(&s.f, &s.a,
              "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"since\":{\"epoch\":\"e\",\"offset\":3}}}");
    answer_join(&s.f, "log:a", "e", 5);
    struct recovery *recovery = take_recovery(&s.f);
    struct replay *replay = calloc(1, sizeof *replay + 2 * sizeof(struct message *));
    list_init(&replay->recoveries);
    strcpy(replay->epoch, "e");
    replay->channel = STR("log:a");
    replay->offset = 5;
    replay->first = 4;
    replay->count = 2;
    replay->messages[0] = event_without("log:a", 4, STR(""));
    replay->messages[1] = event_without("log:a", 5, str_from_cstr(s.alice->uuid));
    recovery->outcome = RECOVERY_FOUND;
    list_append(&replay->recoveries, &recovery->base.link);
    hub_replay(s.f.hub, replay);
    hub_flush(s.f.hub);
    assert_non_null(strstr(next_frame(&s.a, NULL), "\"recovered\":true"));
    assert_non_null(strstr(next_frame(&s.a, NULL), "\"offset\":4,"));
    assert_string_equal(next_frame(&s.a, NULL), "");
    assert_true(list_is_empty(&s.f.recoveries)); /* it is live */
    deliver_without("log:a", 6, s.alice->uuid);
    deliver_without("log:a", 7, "");
    assert_non_null(strstr(next_frame(&s.a, NULL), "\"offset\":7,"));
    send_text(&s.f, &s.b, SUBSCRIBE("log:a"));
    assert_non_null(strstr(next_frame(&s.b, NULL), "\"offset\":7,\"id\":\"i-7\""));
}

/* An event in no history reaches recovering subscribers too, but not the excluded one. */
static void test_recovering_subscriber_is_left_out(void **state)
{
    (void)state;
    s.f.settings.outbox_max_messages = 2;
    hub_configure(s.f.hub, &s.f.settings, s.rules);
    struct wire *const both[] = {&s.a, &s.b};
    for (size_t i = 0; i < 2; i++)
        send_text(&s.f, both[i],
                  "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"since\":{\"epoch\":\"e\",\"offset\":3}}}");
    answer_join(&s.f, "log:a", "e", 9);
    for (size_t i = 0; i < 2; i++) {
        answer_recovery(&s.f, take_recovery(&s.f), RECOVERY_FOUND, 3, 4, 9);
        while (*next_frame(both[i], NULL))
            ;
    }
    deliver_without("log:a", 0, s.alice->uuid);
    assert_string_equal(next_frame(&s.a, NULL), "");
    expect_events(&s.b, 1);
}

/* It is part of the message, whichever way that goes. */
static void test_message_keeps_it(void **state)
{
    struct buf scratch = {0};
    struct event event;
    (void)state;
    struct message *message = event_without("log:a", 4, str_from_cstr(s.alice->uuid));
    struct message *copy = message_copy(message);
    assert_true(str_eq_cstr(message_exclude(copy), s.alice->uuid));
    assert_true(str_eq_cstr(message_epoch(copy), "e"));
    message_event(copy, &scratch, &event);
    assert_true(str_eq_cstr(event.exclude, s.alice->uuid));
    message_unref(message);
    message_unref(copy);
    buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rule_says_how_it_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_echo, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sender_is_verified, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delivery_leaves_it_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recovery_leaves_it_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recovering_subscriber_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_message_keeps_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
