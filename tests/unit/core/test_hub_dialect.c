/* test_hub_dialect.c - clients of two dialects on one hub. */
#include <stdio.h>

#include "server/dialect/carillon.h"
#include "tests/unit/core/hub_fixture.h"
#include "tests/unit/core/room_dialect.h"

static struct endpoint room_endpoint;

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_setup(&fixture);
    endpoint_init(&room_endpoint, &room_dialect, NULL);
    room_endpoint.limits = fixture.endpoint->limits;
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_teardown(*state);
    return 0;
}

static struct session *open_room_session(struct fixture *f, struct wire *wire)
{
    f->other_endpoint = &room_endpoint;
    struct session *session = open_session(f, wire, "{\"sub\":\"alice\"}");
    f->other_endpoint = NULL;
    return session;
}

static void assert_next(struct wire *wire, const char *expected)
{
    assert_string_equal(next_frame(wire, NULL), expected);
}

static void test_commands_and_replies(void **state)
{
    struct fixture *f = *state;
    struct wire wire;
    open_room_session(f, &wire);
    assert_next(&wire, ""); /* it has no words for session_init */
    send_text(f, &wire, "{\"do\":\"are_you_there\",\"ref\":\"1\"}");
    assert_next(&wire, "{\"ok\":\"here\",\"ref\":\"1\"}");
    send_text(f, &wire, "{\"do\":\"enter\",\"room\":\"public:a\",\"ref\":\"2\"}");
    assert_next(&wire, "");
    answer_join(f, "public:a", "", 0);
    assert_next(&wire, "{\"ok\":\"entered\",\"room\":\"public:a\",\"ref\":\"2\"}");
    send_text(f, &wire, "{\"do\":\"leave\",\"room\":\"public:a\"}");
    assert_next(&wire, "{\"ok\":\"left\",\"room\":\"public:a\"}");
    send_text(f, &wire, "{\"do\":\"enter\",\"room\":\"secret\",\"ref\":\"3\"}");
    assert_next(&wire, "{\"oops\":\"no rule of the server matches this channel; the server's configuration needs one "
                       "(channels)\",\"ref\":\"3\"}");
    close_session(f, &wire);
}

static void test_publish(void **state)
{
    struct fixture *f = *state;
    struct wire wire;
    open_room_session(f, &wire);
    send_text(f, &wire, "{\"do\":\"say\",\"room\":\"log:a\",\"body\":[1],\"ref\":\"4\"}");
    assert_non_null(f->published);
    assert_str(f->published->base.channel, "log:a");
    assert_str(f->published->data, "[1]");
    f->published->base.done(&f->published->base, f->hub);
    f->published = NULL;
    hub_flush(f->hub);
    assert_next(&wire, "{\"ok\":\"said\",\"room\":\"log:a\",\"ref\":\"4\"}");
    close_session(f, &wire);
}

/* A command of one dialect means nothing to the other, and counts as a bad message there. */
static void test_the_other_dialect_is_not_understood(void **state)
{
    struct fixture *f = *state;
    struct wire room, own;
    open_room_session(f, &room);
    open_session(f, &own, "{\"sub\":\"bob\"}");
    send_text(f, &own, "{\"do\":\"are_you_there\"}");
    assert_non_null(strstr(next_frame(&own, NULL), "\"code\":\"invalid_request\""));
    for (int i = 0; i < 3; i++) {
        send_text(f, &room, "{\"type\":\"ping\"}");
        assert_non_null(strstr(next_frame(&room, NULL), "{\"oops\":"));
    }
    char reason[128];
    assert_non_null(strstr(next_frame(&room, NULL), "{\"oops\":"));
    next_close(&room, reason);
    assert_string_equal(reason, "bad_messages");
    close_session(f, &room);
    close_session(f, &own);
}

/* A gap is told to all subscribers of a channel, to each in its own words. */
static void test_gap(void **state)
{
    struct fixture *f = *state;
    struct wire room[2], own[2];
    for (int i = 0; i < 2; i++) {
        open_room_session(f, &room[i]);
        send_text(f, &room[i], "{\"do\":\"enter\",\"room\":\"log:a\"}");
        open_session(f, &own[i], "{\"sub\":\"bob\"}");
        send_text(f, &own[i], "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\"}}");
    }
    answer_join(f, "log:a", "e", 4);
    hub_gap(f->hub, STR("log:a"), GAP_EPOCH_CHANGED, &(struct position){STR("g"), 1, STR("")});
    hub_flush(f->hub);
    for (int i = 0; i < 2; i++) {
        assert_next(&room[i], "{\"ok\":\"entered\",\"room\":\"log:a\"}");
        assert_next(&room[i], "{\"ok\":\"missed\",\"room\":\"log:a\"}");
        assert_non_null(strstr(next_frame(&own[i], NULL), "\"type\":\"subscribed\""));
        assert_next(&own[i], "{\"type\":\"gap\",\"channel\":\"log:a\",\"data\":{\"reason\":\"epoch_changed\","
                             "\"epoch\":\"g\",\"offset\":1}}");
        close_session(f, &room[i]);
        close_session(f, &own[i]);
    }
}

/* What the hub copies into a place of fixed size it checks itself, whatever a dialect lets pass. */
static void test_an_epoch_of_any_length(void **state)
{
    struct fixture *f = *state;
    struct wire room;
    char text[4200];
    open_room_session(f, &room);
    snprintf(text, sizeof text, "{\"do\":\"enter\",\"room\":\"log:a\",\"since\":\"%04000d\"}", 0);
    send_text(f, &room, text);
    assert_next(&room, "{\"oops\":\"data.since.epoch: expected 1 to 32 bytes, found 4000\"}");
    send_text(f, &room, "{\"do\":\"enter\",\"room\":\"log:a\",\"since\":\"\"}");
    assert_next(&room, "{\"oops\":\"data.since.epoch: expected 1 to 32 bytes, found 0\"}");
    assert_int_equal(room.session->subscription_count, 0);
    snprintf(text, sizeof text, "{\"do\":\"enter\",\"room\":\"log:a\",\"since\":\"%032d\"}", 0);
    send_text(f, &room, text);
    assert_int_equal(room.session->subscription_count, 1);
    close_session(f, &room);
}

/* A dialect may have no words for an event: its sessions get nothing, and the others do. */
static void test_an_event_without_words(void **state)
{
    const struct event event = {.channel = STR("public:a"), .type = STR("unspeakable"), .data = STR("1")};
    struct fixture *f = *state;
    struct wire room[2], own;
    for (int i = 0; i < 2; i++) {
        open_room_session(f, &room[i]);
        send_text(f, &room[i], "{\"do\":\"enter\",\"room\":\"public:a\"}");
    }
    open_session(f, &own, "{\"sub\":\"bob\"}");
    send_text(f, &own, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"public:a\"}}");
    answer_join(f, "public:a", "", 0);
    next_frame(&own, NULL);
    room_events_written = 0;
    unsigned writes = room[0].writes;
    hub_deliver(f->hub, message_from_event(&event, f->now_us));
    hub_flush(f->hub);
    assert_int_equal(room_events_written, 1);
    assert_int_equal(room[0].writes, writes);
    assert_non_null(strstr(next_frame(&own, NULL), "\"unspeakable\""));
    for (int i = 0; i < 2; i++) {
        assert_next(&room[i], "{\"ok\":\"entered\",\"room\":\"public:a\"}");
        assert_next(&room[i], "");
        close_session(f, &room[i]);
    }
    close_session(f, &own);
}

enum { EACH = 3 };

/* Sessions of four formats in one channel: two dialects, each on two transports. */
struct mixture {
    struct wire own[EACH], room[EACH], own_lines[EACH], room_lines[EACH];
};

static void open_mixture(struct fixture *f, struct mixture *all)
{
    for (int i = 0; i < EACH; i++) {
        open_session(f, &all->own[i], "{\"sub\":\"bob\"}");
        open_room_session(f, &all->room[i]);
        f->transport = &line_transport;
        open_session(f, &all->own_lines[i], "{\"sub\":\"bob\"}");
        next_line(&all->own_lines[i]);
        open_room_session(f, &all->room_lines[i]);
        f->transport = NULL;
    }
}

static void close_mixture(struct fixture *f, struct mixture *all)
{
    for (int i = 0; i < EACH; i++) {
        close_session(f, &all->own[i]);
        close_session(f, &all->room[i]);
        close_session(f, &all->own_lines[i]);
        close_session(f, &all->room_lines[i]);
    }
}

static void subscribe_mixture(struct fixture *f, struct mixture *all, const char *own, const char *room)
{
    for (int i = 0; i < EACH; i++) {
        send_text(f, &all->own[i], own);
        send_text(f, &all->own_lines[i], own);
        send_text(f, &all->room[i], room);
        send_text(f, &all->room_lines[i], room);
    }
}

static void skip_answers(struct mixture *all)
{
    for (int i = 0; i < EACH; i++) {
        assert_non_null(strstr(next_frame(&all->own[i], NULL), "subscribed"));
        assert_non_null(strstr(next_line(&all->own_lines[i]), "subscribed"));
        assert_non_null(strstr(next_frame(&all->room[i], NULL), "entered"));
        assert_non_null(strstr(next_line(&all->room_lines[i]), "entered"));
    }
}

static void assert_events(struct mixture *all, const char *own, const char *room)
{
    for (int i = 0; i < EACH; i++) {
        assert_next(&all->own[i], own);
        assert_next(&all->room[i], room);
        assert_string_equal(next_line(&all->own_lines[i]), own);
        assert_string_equal(next_line(&all->room_lines[i]), room);
    }
}

/* Each session gets an event in its own dialect and framing. The event is encoded once for each pair. */
static void test_events(void **state)
{
    struct fixture *f = *state;
    struct mixture all;
    open_mixture(f, &all);
    subscribe_mixture(f, &all, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\"}}",
                      "{\"do\":\"enter\",\"room\":\"log:a\"}");
    answer_join(f, "log:a", "e", 4);
    skip_answers(&all);
    room_events_written = 0;
    deliver_numbered(f, 5);
    assert_int_equal(room_events_written, 2);
    assert_events(
        &all, "{\"type\":\"note\",\"channel\":\"log:a\",\"id\":\"i-5\",\"offset\":5,\"timestamp\":\"t\",\"data\":5}",
        "{\"room\":\"log:a\",\"body\":5,\"nr\":\"e/5/i-5\"}");
    deliver(f, "log:a", "\"live\"", true);
    assert_int_equal(room_events_written, 4);
    assert_events(&all,
                  "{\"type\":\"note\",\"channel\":\"log:a\",\"id\":\"id\",\"timestamp\":\"2026-01-15T10:30:00.000Z\","
                  "\"data\":\"live\"}",
                  "{\"room\":\"log:a\",\"body\":\"live\"}");
    close_mixture(f, &all);
}

/* Encodings wait in outboxes when the hub has let their event go. Without a session of a dialect nothing is encoded. */
static void test_an_encoding_outlives_its_event(void **state)
{
    struct fixture *f = *state;
    struct wire room[2];
    for (int i = 0; i < 2; i++) {
        open_room_session(f, &room[i]);
        send_text(f, &room[i], "{\"do\":\"enter\",\"room\":\"public:a\"}");
    }
    answer_join(f, "public:a", "", 0);
    for (int i = 0; i < 2; i++)
        assert_next(&room[i], "{\"ok\":\"entered\",\"room\":\"public:a\"}");
    room_events_written = 0;
    deliver(f, "public:a", "1", false);
    deliver(f, "public:a", "2", false);
    assert_int_equal(room_events_written, 2);
    close_session(f, &room[0]);
    hub_flush(f->hub);
    assert_next(&room[1], "{\"room\":\"public:a\",\"body\":1}");
    assert_next(&room[1], "{\"room\":\"public:a\",\"body\":2}");
    close_session(f, &room[1]);
    deliver(f, "public:a", "3", true);
    assert_int_equal(room_events_written, 2);
}

/* Missed events too are told in the session's own dialect. */
static void test_recovery(void **state)
{
    struct fixture *f = *state;
    struct wire room;
    open_room_session(f, &room);
    send_text(f, &room, "{\"do\":\"enter\",\"room\":\"log:a\",\"last\":2}");
    answer_join(f, "log:a", "e", 5);
    struct recovery *recovery = take_recovery(f);
    assert_int_equal(recovery->last, 2);
    strcpy(recovery->epoch, "e");
    recovery->offset = 3;
    answer_recovery(f, recovery, RECOVERY_FOUND, 3, 5, 5);
    assert_next(&room, "{\"ok\":\"entered\",\"room\":\"log:a\"}");
    assert_next(&room, "{\"room\":\"log:a\",\"body\":4,\"nr\":\"e/4/i-4\"}");
    assert_next(&room, "{\"room\":\"log:a\",\"body\":5,\"nr\":\"e/5/i-5\"}");
    assert_next(&room, "");
    close_session(f, &room);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_commands_and_replies),
        TEST(test_publish),
        TEST(test_the_other_dialect_is_not_understood),
        TEST(test_gap),
        TEST(test_an_epoch_of_any_length),
        TEST(test_an_event_without_words),
        TEST(test_events),
        TEST(test_an_encoding_outlives_its_event),
        TEST(test_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
