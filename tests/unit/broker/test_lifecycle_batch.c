/* test_lifecycle_batch.c - see lifecycle_batch.h. */
#include <stdio.h>

#include "server/broker/redis/lifecycle_batch.h"
#include "tests/support/unit.h"

static void add(struct lifecycle_write *write, enum lifecycle_type type, enum lifecycle_action action, const char *key,
                uint64_t sequence, const char *json)
{
    struct str about = action == LIFECYCLE_OPEN ? STR("\"a\":1") : action == LIFECYCLE_OCCUPY ? STR("\"c\"") : STR("");
    struct lifecycle_event *event =
        lifecycle_event_create(type, action, str_from_cstr(key), str_from_cstr(json), about);
    event->sequence = sequence;
    event->opened_ms = 1700000000000;
    write->events[write->count++] = event;
}

/* Compares the arguments, each with a '|' after it. */
static void assert_arguments(struct lifecycle_write *write, const char *expected)
{
    struct str arguments[LIFECYCLE_BATCH_ARGS_MAX];
    struct buf texts = {0}, joined = {0};
    size_t count = lifecycle_batch_arguments(write, &texts, arguments);
    for (size_t i = 0; i < count; i++) {
        buf_append(&joined, arguments[i]);
        buf_append_char(&joined, '|');
    }
    assert_string_equal(buf_cstr(&joined), expected);
    buf_fini(&joined);
    buf_fini(&texts);
    request_destroy(&write->base);
}

static void sums_up_what_is_said_of_a_session(void **state)
{
    struct lifecycle_write *write = lifecycle_write_create(STR("events"));
    (void)state;
    add(write, LIFECYCLE_SESSION_OPENED, LIFECYCLE_OPEN, "new", 1, "{1}");
    add(write, LIFECYCLE_SUBSCRIPTION_ADDED, LIFECYCLE_STEP, "old", 7, "{2}");
    add(write, LIFECYCLE_SUBSCRIPTION_ADDED, LIFECYCLE_STEP, "new", 2, "{3}");
    add(write, LIFECYCLE_SESSION_CLOSED, LIFECYCLE_CLOSE, "gone", 4, "{4}");
    add(write, LIFECYCLE_SESSION_OPENED, LIFECYCLE_OPEN, "short", 1, "{5}");
    add(write, LIFECYCLE_SESSION_CLOSED, LIFECYCLE_CLOSE, "short", 2, "{6}");
    assert_arguments(write, "2|2|2|s:gone|s:short|s:old|7|s:new|2 1700000000000 \"a\":1|"
                            "session.opened|{1}|subscription.added|{2}|subscription.added|{3}|session.closed|{4}|"
                            "session.opened|{5}|session.closed|{6}|");
}

/* It cannot happen, as a session does not come back. The last event counts. */
static void a_session_that_opens_after_its_end_is_open(void **state)
{
    struct lifecycle_write *write = lifecycle_write_create(STR("events"));
    (void)state;
    add(write, LIFECYCLE_SESSION_CLOSED, LIFECYCLE_CLOSE, "s", 3, "{1}");
    add(write, LIFECYCLE_SESSION_OPENED, LIFECYCLE_OPEN, "s", 4, "{2}");
    assert_arguments(write, "0|0|2|s:s|4 1700000000000 \"a\":1|session.closed|{1}|session.opened|{2}|");
}

static void keeps_what_channels_need(void **state)
{
    struct lifecycle_write *write = lifecycle_write_create(STR("events"));
    (void)state;
    add(write, LIFECYCLE_CHANNEL_OCCUPIED, LIFECYCLE_OCCUPY, "c", 0, "");
    add(write, LIFECYCLE_CHANNEL_VACATED, LIFECYCLE_VACATE, "d", 0, "{1}");
    add(write, LIFECYCLE_SESSION_OPENED, LIFECYCLE_OPEN, "s", 0, ""); /* the type is not told */
    add(write, LIFECYCLE_TOKEN_REVOKED, LIFECYCLE_TELL, "t", 0, "{2}");
    assert_arguments(write, "0|0|2|s:s|0 1700000000000 \"a\":1|"
                            "channel.occupied||c|\"c\"|channel.vacated|{1}|d|token.revoked|{2}|");
}

/* Keys that differ at their beginnings only are in one bucket. */
static void tells_sessions_apart_in_a_full_batch(void **state)
{
    struct lifecycle_write *write = lifecycle_write_create(STR("events"));
    struct str arguments[LIFECYCLE_BATCH_ARGS_MAX];
    struct buf texts = {0};
    char key[40];
    (void)state;
    for (int i = 0; i < LIFECYCLE_BATCH_MAX; i++) {
        snprintf(key, sizeof key, "%03d-the same end", i);
        add(write, LIFECYCLE_SESSION_OPENED, LIFECYCLE_OPEN, key, 1, "{}");
    }
    assert_int_equal(lifecycle_batch_arguments(write, &texts, arguments), LIFECYCLE_BATCH_ARGS_MAX);
    for (int i = 0; i < LIFECYCLE_BATCH_MAX; i++) {
        snprintf(key, sizeof key, "s:%03d-the same end", i);
        assert_str(arguments[3 + 2 * i], key);
    }
    buf_fini(&texts);
    request_destroy(&write->base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_up_what_is_said_of_a_session),
        cmocka_unit_test(a_session_that_opens_after_its_end_is_open),
        cmocka_unit_test(keeps_what_channels_need),
        cmocka_unit_test(tells_sessions_apart_in_a_full_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
