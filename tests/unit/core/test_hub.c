/* test_hub.c - sessions, channels, commands and the write path of the hub. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/core/hub_fixture.h"

#define SUBSCRIBE(id, channel) "{\"type\":\"subscribe\",\"id\":" id ",\"data\":{\"channel\":\"" channel "\"}}"

static void test_subscribe_and_deliver(void **state)
{
    struct fixture f;
    struct wire a, b;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    open_session(&f, &b, "{\"sub\":\"bob\"}");

    send_text(&f, &a, SUBSCRIBE("1", "public:news"));
    assert_string_equal(buf_cstr(&f.asked), "join public:news\n");
    assert_string_equal(next_frame(&a, NULL), ""); /* the broker has not answered */
    deliver(&f, "public:news", "0", true);         /* nor is anything delivered before it has */
    assert_string_equal(next_frame(&a, NULL), "");

    answer_join(&f, "public:news", "e1", 41);
    assert_string_equal(next_frame(&a, NULL), "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"public:news\",\"data\":{"
                                              "\"epoch\":\"e1\",\"offset\":41,\"recovered\":false}}");
    send_text(&f, &b, SUBSCRIBE("\"x\"", "public:news")); /* joined already: answered at once */
    assert_non_null(strstr(next_frame(&b, NULL), "\"subscribed\",\"id\":\"x\""));

    deliver(&f, "public:news", "12345678901234567890", true);
    const char *event = "{\"type\":\"note\",\"channel\":\"public:news\",\"id\":\"id\",\"timestamp\":"
                        "\"2026-01-15T10:30:00.000Z\",\"data\":12345678901234567890}";
    assert_string_equal(next_frame(&a, NULL), event);
    assert_string_equal(next_frame(&b, NULL), event);
    deliver(&f, "public:other", "1", true);
    assert_string_equal(next_frame(&a, NULL), "");

    /* The last subscriber that leaves starts the linger. When it is over, the broker is told. */
    send_text(&f, &a, "{\"type\":\"unsubscribe\",\"id\":2,\"data\":{\"channel\":\"public:news\"}}");
    assert_string_equal(next_frame(&a, NULL), "{\"type\":\"unsubscribed\",\"id\":2,\"channel\":\"public:news\"}");
    deliver(&f, "public:news", "2", true);
    assert_string_equal(next_frame(&a, NULL), "");
    assert_non_null(strstr(next_frame(&b, NULL), "\"data\":2"));
    close_session(&f, &b);
    buf_clear(&f.asked);
    pass(&f, 900);
    assert_string_equal(buf_cstr(&f.asked), "");
    pass(&f, 200);
    assert_string_equal(buf_cstr(&f.asked), "leave public:news\n");
    assert_null(hub_channels_in_order(f.hub)->root);
    close_session(&f, &a);
    assert_int_equal(hub_sessions(f.hub)->count, 0);
    fixture_teardown(&f);
}

static void test_each_subscribe_is_answered(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    send_text(&f, &a, SUBSCRIBE("1", "public:a"));
    send_text(&f, &a, SUBSCRIBE("2", "public:a"));
    answer_join(&f, "public:a", "", 0);
    assert_string_equal(next_frame(&a, NULL),
                        "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"public:a\",\"data\":{\"recovered\":false}}");
    assert_non_null(strstr(next_frame(&a, NULL), "\"subscribed\",\"id\":2"));
    send_text(&f, &a, SUBSCRIBE("3", "public:a"));
    assert_non_null(strstr(next_frame(&a, NULL), "\"subscribed\",\"id\":3"));
    deliver(&f, "public:a", "1", true);
    assert_non_null(strstr(next_frame(&a, NULL), "\"data\":1"));
    assert_string_equal(next_frame(&a, NULL), ""); /* once, however often it subscribed */

    /* A subscribe that the client takes back before the broker answers. */
    send_text(&f, &a, SUBSCRIBE("4", "public:b"));
    send_text(&f, &a, "{\"type\":\"unsubscribe\",\"id\":5,\"data\":{\"channel\":\"public:b\"}}");
    assert_non_null(strstr(next_frame(&a, NULL), "\"id\":4,\"error\":{\"code\":\"subscription_failed\""));
    assert_non_null(strstr(next_frame(&a, NULL), "\"unsubscribed\",\"id\":5"));
    /* And what the broker refuses. */
    send_text(&f, &a, SUBSCRIBE("6", "public:c"));
    hub_joined(f.hub, STR("public:c"), f.last_join.id, ERR_SUBSCRIPTION_FAILED, STR("not today"), NULL);
    hub_flush(f.hub);
    assert_string_equal(next_frame(&a, NULL),
                        "{\"type\":\"error\",\"id\":6,\"error\":{\"code\":\"subscription_failed\","
                        "\"message\":\"not today\",\"channel\":\"public:c\"}}");
    assert_null(hub_channel(f.hub, STR("public:c")));
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void test_answer_to_an_earlier_join_is_ignored(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    send_text(&f, &a, SUBSCRIBE("1", "public:a"));
    uint64_t first = f.last_join.id;
    send_text(&f, &a, "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"public:a\"}}");
    pass(&f, 1100); /* the linger ends: left */
    send_text(&f, &a, SUBSCRIBE("2", "public:a"));
    assert_int_not_equal(first, f.last_join.id);
    while (*next_frame(&a, NULL))
        ;
    hub_joined(f.hub, STR("public:a"), first, ERR_NONE, STR(""), &(struct position){STR("e"), 3, STR("")});
    hub_flush(f.hub);
    assert_string_equal(next_frame(&a, NULL), "");
    answer_join(&f, "public:a", "e", 7);
    assert_non_null(strstr(next_frame(&a, NULL), "\"offset\":7"));
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void test_access(void **state)
{
    static const struct {
        const char *message;
        const char *answer;
    } cases[] = {
        {SUBSCRIBE("1", "user:bob"), "\"id\":1,\"error\":{\"code\":\"unauthorized\""},
        {SUBSCRIBE("2", "room:secret"), "\"id\":2,\"error\":{\"code\":\"unauthorized\""},
        {SUBSCRIBE("3", "nothing"), "\"id\":3,\"error\":{\"code\":\"unauthorized\""},
        {SUBSCRIBE("4", "has space"), "\"id\":4,\"error\":{\"code\":\"subscription_failed\""},
        {"{\"type\":\"publish\",\"id\":5,\"data\":{\"channel\":\"public:a\",\"type\":\"note\",\"data\":1}}",
         "\"id\":5,\"error\":{\"code\":\"unauthorized\""},
        {"{\"type\":\"publish\",\"id\":6,\"data\":{\"channel\":\"room:1\",\"type\":\"chat_message\",\"data\":{"
         "\"conversation_id\":\"c\",\"sender_id\":3,\"content\":\"\"}}}",
         "sender_id"},
        {"{\"type\":\"history\",\"id\":8,\"data\":{\"channel\":\"room:1\"}}",
         "\"id\":8,\"error\":{\"code\":\"unauthorized\""},
        {"{\"type\":\"history\",\"id\":8,\"data\":{\"channel\":\"log:a\",\"limit\":1001}}",
         "\"id\":8,\"error\":{\"code\":\"invalid_request\",\"message\":\"data.limit: expected 1 to 1000\""},
        {"{\"type\":\"presence\",\"id\":9,\"data\":{\"channel\":\"room:1\"}}",
         "\"id\":9,\"error\":{\"code\":\"unauthorized\""},
        {"{\"type\":\"presence\",\"id\":9,\"data\":{\"channel\":\"log:a\"}}",
         "\"id\":9,\"error\":{\"code\":\"not_found\""},
    };
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\",\"channels\":[\"room:1\"]}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        send_text(&f, &a, cases[i].message);
        const char *answer = next_frame(&a, NULL);
        if (!strstr(answer, cases[i].answer))
            fail_msg("%s\nanswered %s\nnot     %s", cases[i].message, answer, cases[i].answer);
    }
    send_text(&f, &a, SUBSCRIBE("1", "user:alice"));
    send_text(&f, &a, SUBSCRIBE("2", "room:1"));
    assert_string_equal(buf_cstr(&f.asked), "join user:alice\njoin room:1\n");
    send_text(&f, &a, SUBSCRIBE("3", "public:1"));
    send_text(&f, &a, SUBSCRIBE("4", "public:2"));
    assert_non_null(strstr(next_frame(&a, NULL), "this connection has 3 channels, and limits.channels is 3"));
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void test_publish(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    send_text(&f, &a,
              "{\"type\":\"publish\",\"id\":\"p\",\"data\":{\"channel\":\"log:1\",\"type\":\"note\",\"data\":"
              "{\"n\":1e400},\"event_id\":\"k\"}}");
    assert_non_null(f.published);
    assert_true(str_eq_cstr(f.published->base.channel, "log:1"));
    assert_true(str_eq_cstr(f.published->data, "{\"n\":1e400}"));
    assert_true(str_eq_cstr(f.published->event_id, "k"));
    assert_int_equal(f.published->history.size, 10);
    assert_string_equal(next_frame(&a, NULL), ""); /* answered only once the broker has */
    strcpy(f.published->id, "the-id");
    strcpy(f.published->epoch, "e");
    f.published->offset = 5;
    f.published->base.done(&f.published->base, f.hub);
    f.published = NULL;
    hub_flush(f.hub);
    assert_string_equal(next_frame(&a, NULL), "{\"type\":\"published\",\"id\":\"p\",\"channel\":\"log:1\",\"data\":{"
                                              "\"id\":\"the-id\",\"epoch\":\"e\",\"offset\":5}}");
    /* The broker cannot. */
    send_text(&f, &a, "{\"type\":\"publish\",\"id\":2,\"data\":{\"channel\":\"log:1\",\"type\":\"note\",\"data\":1}}");
    request_fail(&f.published->base, ERR_UNAVAILABLE, "the broker is down");
    f.published->base.done(&f.published->base, f.hub);
    f.published = NULL;
    hub_flush(f.hub);
    assert_non_null(strstr(next_frame(&a, NULL), "\"id\":2,\"error\":{\"code\":\"unavailable\""));
    /* Too much. */
    char big[600] = "{\"type\":\"publish\",\"data\":{\"channel\":\"log:1\",\"type\":\"note\",\"data\":\"";
    memset(big + strlen(big), 'x', 300);
    strcat(big, "\"}}");
    send_text(&f, &a, big);
    assert_null(f.published);
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"too_large\""));
    /* The session goes before the answer comes. */
    send_text(&f, &a, "{\"type\":\"publish\",\"data\":{\"channel\":\"log:1\",\"type\":\"note\",\"data\":1}}");
    struct publication *late = f.published;
    f.published = NULL;
    close_session(&f, &a);
    open_session(&f, &a, "{\"sub\":\"bob\"}"); /* takes the same slot */
    late->base.done(&late->base, f.hub);
    hub_flush(f.hub);
    assert_string_equal(next_frame(&a, NULL), "");
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void test_bad_messages(void **state)
{
    struct fixture f;
    struct wire a;
    char reason[128];
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    send_text(&f, &a, "{");
    send_text(&f, &a, "{\"type\":\"dance\",\"id\":3}");
    assert_non_null(strstr(next_frame(&a, NULL), "\"code\":\"invalid_request\""));
    assert_non_null(strstr(next_frame(&a, NULL), "{\"type\":\"error\",\"id\":3,"));
    send_text(&f, &a, "{\"type\":\"ping\"}"); /* a good one in between: counted anew */
    assert_string_equal(next_frame(&a, NULL), "{\"type\":\"pong\",\"timestamp\":\"2026-01-15T10:30:00.000Z\"}");
    for (int i = 0; i < 3; i++) {
        send_text(&f, &a, "nonsense");
        assert_non_null(strstr(next_frame(&a, NULL), "\"type\":\"error\""));
    }
    assert_non_null(strstr(next_frame(&a, NULL), "too many bad messages"));
    assert_int_equal(next_close(&a, reason), 1008);
    assert_string_equal(reason, "bad_messages");
    assert_int_equal(a.finished, 1);
    assert_false(a.abrupt);
    send_text(&f, &a, "{\"type\":\"ping\"}"); /* it is not listened to any more */
    assert_string_equal(next_frame(&a, NULL), "");
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* The history of a channel does not depend on who publishes to it. */
static void test_publish_to_a_channel_of_a_claim(void **state)
{
    struct fixture f;
    struct wire a;
    struct rule rule[] = {
        {.match = STR("inbox:{sub}"), .allow = ALLOW_SUBSCRIBE, .history = {.size = 7}},
        {.match = STR("inbox:*"), .allow = ALLOW_PUBLISH},
    };
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    struct rules *others = rules_create(rule, 2);
    hub_configure(f.hub, &f.settings, others);
    send_text(&f, &a, "{\"type\":\"publish\",\"data\":{\"channel\":\"inbox:bob\",\"type\":\"note\",\"data\":1}}");
    assert_non_null(f.published);
    assert_int_equal(f.published->history.size, 7);
    f.published->base.done(&f.published->base, f.hub);
    f.published = NULL;
    rules_unref(others);
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* Rules that give a channel a history, or take it, are told to the node: for channels that it has joined. */
static void test_channels_follow_the_rules(void **state)
{
    struct fixture f;
    struct wire a;
    struct rule rule[] = {{.match = STR("log:*"), .allow = ALLOW_ALL},
                          {.match = STR("public:*"), .allow = ALLOW_ALL, .history = {.size = 7}}};
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    send_text(&f, &a, SUBSCRIBE("1", "log:a"));
    send_text(&f, &a, SUBSCRIBE("2", "public:a"));
    answer_join(&f, "public:a", "", 0);
    uint64_t joined = f.last_join.id;
    buf_clear(&f.asked);
    struct rules *others = rules_create(rule, 2);
    hub_configure(f.hub, &f.settings, others);
    assert_string_equal(buf_cstr(&f.asked), "join public:a\n");
    assert_int_equal(f.last_join.id, joined);
    assert_int_equal(f.last_join.history.size, 7);
    hub_configure(f.hub, &f.settings, others);
    answer_join(&f, "public:a", "e", 3);
    assert_string_equal(buf_cstr(&f.asked), "join public:a\n");
    /* The other one's answer was still to come: from then on it is told. */
    buf_clear(&f.asked);
    f.last_join.id = joined - 1;
    answer_join(&f, "log:a", "e", 5);
    assert_string_equal(buf_cstr(&f.asked), "join log:a\n");
    assert_int_equal(f.last_join.id, joined - 1);
    assert_int_equal(f.last_join.history.size, 0);
    rules_unref(others);
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* Of very many channels some follow in each tick. A channel that goes meanwhile does no harm. */
static void test_many_channels_follow_the_rules(void **state)
{
    enum { CHANNELS = 2500 };
    struct fixture f;
    struct wire a;
    struct rule rule[] = {{.match = STR("*"), .allow = ALLOW_ALL, .history = {.size = 7}}};
    char text[100], name[32];
    size_t followed = 0, ticks = 0;
    (void)state;
    fixture_setup(&f);
    f.endpoint->limits.channels = CHANNELS;
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof name, "public:%d", i);
        snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"%s\"}}", name);
        send_text(&f, &a, text);
        answer_join(&f, name, "", 0);
    }
    struct rules *others = rules_create(rule, 1);
    buf_clear(&f.asked);
    hub_configure(f.hub, &f.settings, others);
    for (size_t before = SIZE_MAX; followed != before || ticks < 3; ticks++) {
        before = followed;
        for (size_t i = 0; i < f.asked.len; i++)
            followed += f.asked.ptr[i] == '\n';
        buf_clear(&f.asked);
        if (ticks == 0) {
            assert_in_range(followed, 1, CHANNELS / 2);
            send_text(&f, &a, "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"public:0\"}}");
        }
        pass(&f, WHEEL_TICK_US / 1000);
    }
    assert_int_equal(followed, CHANNELS);
    rules_unref(others);
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void test_rate(void **state)
{
    struct fixture f;
    struct wire a;
    char reason[128];
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\",\"rate_limit\":60}");
    f.endpoint->limits.message_rate_per_minute = 600;
    f.endpoint->limits.message_burst = 2;
    f.endpoint->ping_interval_us = 0; /* the first ping comes at a random moment */
    close_session(&f, &a);
    open_session(&f, &a, "{\"sub\":\"alice\",\"rate_limit\":60}");
    send_text(&f, &a, "{\"type\":\"ping\",\"id\":1}");
    send_text(&f, &a, "{\"type\":\"ping\",\"id\":2}");
    send_text(&f, &a, "{\"type\":\"ping\",\"id\":3}");
    next_frame(&a, NULL);
    next_frame(&a, NULL);
    assert_non_null(strstr(next_frame(&a, NULL), "\"id\":3,\"error\":{\"code\":\"rate_limited\""));
    pass(&f, 1000);
    send_text(&f, &a, "{\"type\":\"ping\",\"id\":4}");
    assert_non_null(strstr(next_frame(&a, NULL), "\"pong\",\"id\":4"));
    for (int i = 0; i < 3; i++) {
        send_text(&f, &a, "{\"type\":\"ping\"}");
        assert_non_null(strstr(next_frame(&a, NULL), "rate_limited"));
    }
    next_frame(&a, NULL);
    assert_int_equal(next_close(&a, reason), 1013);
    assert_string_equal(reason, "rate_limited");
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* A refresh gives nothing back, and an open session follows other limits. */
static void test_rate_of_an_open_session(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    f.endpoint->limits.message_rate_per_minute = 600;
    f.endpoint->limits.message_burst = 3;
    f.endpoint->limits.bad_messages = 0;
    f.endpoint->ping_interval_us = 0;
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    for (int i = 0; i < 3; i++) {
        struct error error;
        assert_int_equal(claims_parse(STR("{\"sub\":\"alice\"}"), &f.next_claims, &error), ERR_NONE);
        send_text(&f, &a, "{\"type\":\"refresh\",\"data\":{\"token\":\"t\"}}");
        assert_non_null(strstr(next_frame(&a, NULL), "refreshed"));
    }
    send_text(&f, &a, "{\"type\":\"ping\"}");
    assert_non_null(strstr(next_frame(&a, NULL), "rate_limited"));
    struct endpoint *fresh = fixture_copy_endpoint(&f);
    fresh->limits.message_burst = 4;
    fixture_use_endpoint(&f, fresh);
    send_text(&f, &a, "{\"type\":\"ping\"}");
    assert_non_null(strstr(next_frame(&a, NULL), "pong"));
    fresh = fixture_copy_endpoint(&f);
    fresh->limits.message_rate_per_minute = 0;
    fixture_use_endpoint(&f, fresh);
    for (int i = 0; i < 10; i++) {
        send_text(&f, &a, "{\"type\":\"ping\"}");
        assert_non_null(strstr(next_frame(&a, NULL), "pong"));
    }
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void test_writes_are_joined(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    send_text(&f, &a, SUBSCRIBE("1", "public:a"));
    answer_join(&f, "public:a", "", 0);
    next_frame(&a, NULL);
    unsigned before = a.writes;
    for (int i = 0; i < 10; i++)
        deliver(&f, "public:a", "1", false);
    assert_int_equal(a.writes, before); /* nothing within the turn */
    hub_flush(f.hub);
    assert_int_equal(a.writes, before + 1);
    for (int i = 0; i < 10; i++)
        assert_non_null(strstr(next_frame(&a, NULL), "\"data\":1"));
    /* More than the outbox may hold, in one turn, to one who reads: written meanwhile, not dropped. */
    char data[16];
    for (int i = 0; i < 100; i++) {
        snprintf(data, sizeof data, "%d", i);
        deliver(&f, "public:a", data, false);
    }
    hub_flush(f.hub);
    for (int i = 0; i < 100; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "\"data\":%d}", i);
        assert_non_null(strstr(next_frame(&a, NULL), expected));
    }
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void subscribe_joined(struct fixture *f, struct wire *wire, const char *channel)
{
    assert_true(hub_subscribe(f->hub, wire->session, str_from_cstr(channel)));
    hub_joined(f->hub, str_from_cstr(channel), f->last_join.id, ERR_NONE, STR(""), &(struct position){.offset = 0});
    hub_flush(f->hub);
    assert_non_null(strstr(next_frame(wire, NULL), "\"subscribed\""));
}

/* The joined bytes of one session are used for the next session only if both have the same messages. */
static void test_each_gets_its_own_of_what_is_joined(void **state)
{
    enum { TURNS = 2000, SESSIONS = 6, CHANNELS = 3 };
    static const char *const names[CHANNELS] = {"public:a", "public:b", "public:c"};
    struct fixture f;
    struct wire wires[SESSIONS];
    bool in[SESSIONS][CHANNELS] = {{false}};
    (void)state;
    srand(5);
    fixture_setup(&f);
    for (int i = 0; i < SESSIONS; i++) {
        open_session(&f, &wires[i], "{\"sub\":\"alice\"}");
        for (int c = 0; c < CHANNELS; c++)
            if ((in[i][c] = i < 2 || rand() % 2))
                subscribe_joined(&f, &wires[i], names[c]);
    }
    for (int turn = 0; turn < TURNS; turn++) {
        int sent[20];
        int count = rand() % 14;
        unsigned writes[SESSIONS];
        for (int i = 0; i < SESSIONS; i++)
            writes[i] = wires[i].writes;
        for (int n = 0; n < count; n++) {
            char data[16];
            snprintf(data, sizeof data, "%d", turn * 100 + n);
            sent[n] = rand() % CHANNELS;
            deliver(&f, names[sent[n]], data, false);
        }
        hub_flush(f.hub);
        for (int i = 0; i < SESSIONS; i++) {
            unsigned due = 0;
            for (int n = 0; n < count; n++) {
                char data[32];
                if (!in[i][sent[n]])
                    continue;
                snprintf(data, sizeof data, "\"data\":%d}", turn * 100 + n);
                assert_non_null(strstr(next_frame(&wires[i], NULL), data));
                due = 1;
            }
            assert_string_equal(next_frame(&wires[i], NULL), "");
            assert_int_equal(wires[i].writes - writes[i], due);
            buf_clear(&wires[i].bytes);
            wires[i].read = 0;
        }
    }
    for (int i = 0; i < SESSIONS; i++)
        close_session(&f, &wires[i]);
    fixture_teardown(&f);
}

/* It goes between the delivery and the end of the turn. The other sessions of that turn get the message. */
static void test_gone_before_the_flush(void **state)
{
    struct fixture f;
    struct wire a, b, c;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    open_session(&f, &b, "{\"sub\":\"bob\"}");
    open_session(&f, &c, "{\"sub\":\"carol\"}");
    subscribe_joined(&f, &a, "public:news");
    subscribe_joined(&f, &b, "public:news");
    subscribe_joined(&f, &c, "public:news");
    unsigned before = b.writes;
    deliver(&f, "public:news", "1", false);
    deliver(&f, "public:news", "2", false);
    close_session(&f, &b);
    assert_int_equal(b.writes, before);
    assert_non_null(strstr(next_frame(&a, NULL), "\"data\":1}"));
    assert_non_null(strstr(next_frame(&c, NULL), "\"data\":1}"));
    assert_non_null(strstr(next_frame(&c, NULL), "\"data\":2}"));
    deliver(&f, "public:news", "3", true);
    assert_non_null(strstr(next_frame(&a, NULL), "\"data\":2}"));
    assert_non_null(strstr(next_frame(&a, NULL), "\"data\":3}"));
    close_session(&f, &a);
    close_session(&f, &c);
    fixture_teardown(&f);
}

static void test_slow_consumer(void **state)
{
    struct fixture f;
    struct wire slow, good;
    char reason[128];
    (void)state;
    fixture_setup(&f);
    open_session(&f, &slow, "{\"sub\":\"alice\"}");
    open_session(&f, &good, "{\"sub\":\"bob\"}");
    send_text(&f, &slow, SUBSCRIBE("1", "public:a"));
    answer_join(&f, "public:a", "", 0);
    send_text(&f, &good, SUBSCRIBE("1", "public:a"));
    next_frame(&slow, NULL);
    next_frame(&good, NULL);
    slow.full = true;
    for (int i = 0; i < 40; i++)
        deliver(&f, "public:a", "1", true);
    for (int i = 0; i < 40; i++)
        assert_non_null(strstr(next_frame(&good, NULL), "\"data\":1"));
    assert_int_equal(slow.session->state, SESSION_CLOSING);
    assert_int_equal(slow.session->closing_reason, REASON_SLOW_CONSUMER);
    assert_int_equal(channel_subscribers(hub_channel(f.hub, STR("public:a"))), 1);
    assert_int_equal(slow.finished, 0); /* the close frame waits behind what the kernel has not taken */
    slow.full = false;
    hub_writable(f.hub, slow.session, 0);
    hub_flush(f.hub);
    assert_int_equal(slow.finished, 1);
    assert_non_null(strstr(next_frame(&slow, NULL), "\"data\":1")); /* what had been given to the kernel */
    assert_int_equal(next_close(&slow, reason), 1013);
    assert_string_equal(reason, "slow_consumer");
    close_session(&f, &slow);
    close_session(&f, &good);
    fixture_teardown(&f);
}

static void test_slow_consumer_that_never_reads(void **state)
{
    struct fixture f;
    struct wire slow;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &slow, "{\"sub\":\"alice\"}");
    slow.full = true;
    for (int i = 0; i < 40; i++)
        send_text(&f, &slow, "{\"type\":\"ping\"}");
    assert_int_equal(slow.session->state, SESSION_CLOSING);
    pass(&f, 4900);
    assert_int_equal(slow.finished, 0);
    pass(&f, 200);
    assert_int_equal(slow.finished, 1);
    assert_true(slow.abrupt);
    close_session(&f, &slow);
    fixture_teardown(&f);
}

static uint64_t dropped(struct fixture *f, enum metrics_drop why)
{
    return metrics_value((const struct metrics *const[]){&f->metrics}, 1, METRIC_OUTBOX_DROPPED_MESSAGES, why);
}

static void test_broken_connection(void **state)
{
    struct fixture f;
    struct wire a, b;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    open_session(&f, &b, "{\"sub\":\"bob\"}");
    send_text(&f, &a, SUBSCRIBE("1", "public:a"));
    answer_join(&f, "public:a", "", 0);
    send_text(&f, &b, SUBSCRIBE("1", "public:a"));
    a.broken = true;
    deliver(&f, "public:a", "0", false);
    deliver(&f, "public:a", "1", true);
    assert_int_equal(a.finished, 1);
    assert_true(a.abrupt);
    assert_int_equal(a.session->state, SESSION_CLOSING);
    assert_int_equal(a.session->closing_reason, REASON_NONE);
    /* Until its connection has gone, nothing is written to it or finished again. */
    deliver(&f, "public:a", "2", true);
    deliver(&f, "public:a", "3", true);
    send_text(&f, &a, "{\"type\":\"ping\"}");
    session_end(a.session, REASON_GOING_AWAY);
    pass(&f, 6000);
    assert_int_equal(a.finished, 1);
    assert_int_equal(channel_subscribers(hub_channel(f.hub, STR("public:a"))), 1);
    close_session(&f, &a);
    assert_int_equal(dropped(&f, METRICS_DROP_CLOSED), 2);
    close_session(&f, &b);
    fixture_teardown(&f);
}

static void test_backend_subscriptions(void **state)
{
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    open_session(&f, &a, "{\"sub\":\"alice\"}");
    assert_true(hub_subscribe(f.hub, a.session, STR("secret")));
    assert_false(hub_subscribe(f.hub, a.session, STR("secret")));
    answer_join(&f, "secret", "", 0);
    assert_string_equal(next_frame(&a, NULL),
                        "{\"type\":\"subscribed\",\"channel\":\"secret\",\"data\":{\"recovered\":false}}");
    deliver(&f, "secret", "1", true);
    assert_non_null(strstr(next_frame(&a, NULL), "\"data\":1"));
    assert_true(hub_unsubscribe(f.hub, a.session, STR("secret")));
    assert_false(hub_unsubscribe(f.hub, a.session, STR("secret")));
    hub_flush(f.hub);
    assert_string_equal(next_frame(&a, NULL), "{\"type\":\"unsubscribed\",\"channel\":\"secret\"}");
    close_session(&f, &a);
    fixture_teardown(&f);
}

static void test_subscriptions_from_the_beginning(void **state)
{
    const struct first_channel channels[] = {
        {STR("news"), false}, {STR("chat"), true}, {STR("news"), true}, {STR("one too many"), true}};
    struct fixture f;
    struct wire a;
    (void)state;
    fixture_setup(&f);
    f.endpoint->limits.channels = 2;
    f.channels = channels;
    f.channel_count = 4;
    open_session(&f, &a, "{\"sub\":\"alice\"}"); /* session_init comes first */
    assert_str(buf_str(&f.asked), "join news\njoin chat\n");
    assert_int_equal(a.session->subscription_count, 2);
    assert_false(a.session->subscriptions[0].by_backend);
    assert_true(a.session->subscriptions[1].by_backend);
    answer_join(&f, "chat", "", 0);
    assert_non_null(strstr(next_frame(&a, NULL), "{\"type\":\"subscribed\",\"channel\":\"chat\""));
    close_session(&f, &a);
    fixture_teardown(&f);
}

/* Thousands of random steps against the simplest model: which session has which channel. */
static size_t try_membership(int channels)
{
    enum { SESSIONS = 12, CHANNELS = 1000, STEPS = 20000 };
    size_t most = 0;
    struct fixture f;
    struct wire wires[SESSIONS];
    static bool model[SESSIONS][CHANNELS];
    memset(model, 0, sizeof model);
    fixture_setup(&f);
    f.endpoint->limits.channels = CHANNELS;
    f.settings.linger_us = 0;
    f.endpoint->ping_interval_us = 0; /* nobody answers */
    hub_configure(f.hub, &f.settings, f.rules);
    for (int i = 0; i < SESSIONS; i++)
        open_session(&f, &wires[i], "{\"sub\":\"alice\"}");
    srand(7);
    for (int step = 0; step < STEPS * (channels > 5 ? 3 : 1); step++) {
        int s = rand() % SESSIONS;
        int c = rand() % channels;
        char name[16];
        snprintf(name, sizeof name, "c%d", c);
        switch (rand() % 8) {
        case 0:
        case 1:
        case 2: {
            uint64_t before = f.last_join.id;
            assert_int_equal(hub_subscribe(f.hub, wires[s].session, str_from_cstr(name)), !model[s][c]);
            model[s][c] = true;
            most = most > wires[s].session->subscription_count ? most : wires[s].session->subscription_count;
            if (f.last_join.id != before)
                answer_join(&f, name, "", 0);
            break;
        }
        case 3:
        case 4:
            assert_int_equal(hub_unsubscribe(f.hub, wires[s].session, str_from_cstr(name)), model[s][c]);
            model[s][c] = false;
            break;
        case 5:
            if (rand() % channels > 5)
                break;
            close_session(&f, &wires[s]);
            open_session(&f, &wires[s], "{\"sub\":\"alice\"}");
            memset(model[s], 0, sizeof model[s]);
            break;
        default:
            for (int i = 0; i < SESSIONS; i++) {
                hub_flush(f.hub);
                buf_clear(&wires[i].bytes);
                wires[i].read = 0;
            }
            deliver(&f, name, "1", true);
            for (int i = 0; i < SESSIONS; i++)
                assert_int_equal(*next_frame(&wires[i], NULL) != '\0', model[i][c]);
        }
        if (step % 16 == 0)
            pass(&f, 20);
    }
    for (int i = 0; i < SESSIONS; i++)
        close_session(&f, &wires[i]);
    pass(&f, 20);
    assert_null(hub_channels_in_order(f.hub)->root);
    fixture_teardown(&f);
    return most;
}

static void test_membership_against_a_model(void **state)
{
    (void)state;
    try_membership(5);
    assert_true(try_membership(1000) > 300); /* so many of a session stand in a table */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscribe_and_deliver),
        cmocka_unit_test(test_each_subscribe_is_answered),
        cmocka_unit_test(test_answer_to_an_earlier_join_is_ignored),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_bad_messages),
        cmocka_unit_test(test_publish_to_a_channel_of_a_claim),
        cmocka_unit_test(test_channels_follow_the_rules),
        cmocka_unit_test(test_many_channels_follow_the_rules),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_of_an_open_session),
        cmocka_unit_test(test_writes_are_joined),
        cmocka_unit_test(test_each_gets_its_own_of_what_is_joined),
        cmocka_unit_test(test_gone_before_the_flush),
        cmocka_unit_test(test_slow_consumer),
        cmocka_unit_test(test_slow_consumer_that_never_reads),
        cmocka_unit_test(test_broken_connection),
        cmocka_unit_test(test_backend_subscriptions),
        cmocka_unit_test(test_subscriptions_from_the_beginning),
        cmocka_unit_test(test_membership_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
