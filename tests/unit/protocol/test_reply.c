/* test_reply.c - each frame of the server, byte for byte. */
#include "common/json/json.h"
#include "common/protocol/reply.h"
#include "tests/support/unit.h"

/* 2026-01-15T10:30:00.000Z */
static const uint64_t then_ms = 1768473000000;

static void assert_is(struct buf *out, const char *expected)
{
    struct json_value value;
    assert_str(buf_str(out), expected);
    assert_int_equal(json_check(buf_str(out), NULL, &value, NULL), ERR_NONE);
    buf_fini(out);
}

static void test_session_init(void **state)
{
    struct buf out = {0};
    struct session_init init = {
        .session_id = STR("0197-x"),
        .wall_ms = then_ms,
        .user = STR("user-\"456\""),
        .expires_ms = then_ms + 3600999,
        .ping_interval_s = 25,
        .message_bytes = 65536,
        .channels = 128,
    };
    reply_session_init(&out, &init);
    assert_is(&out, "{\"type\":\"session_init\",\"session_id\":\"0197-x\",\"timestamp\":\"2026-01-15T10:30:00.000Z\","
                    "\"data\":{\"user\":\"user-\\\"456\\\"\",\"expires_at\":\"2026-01-15T11:30:00.999Z\","
                    "\"ping_interval_s\":25,\"limits\":{\"message_bytes\":65536,\"channels\":128}}}");
    init.expires_ms = 0;
    reply_session_init(&out, &init);
    assert_is(&out, "{\"type\":\"session_init\",\"session_id\":\"0197-x\",\"timestamp\":\"2026-01-15T10:30:00.000Z\","
                    "\"data\":{\"user\":\"user-\\\"456\\\"\",\"expires_at\":null,"
                    "\"ping_interval_s\":25,\"limits\":{\"message_bytes\":65536,\"channels\":128}}}");
}

static void test_subscribed(void **state)
{
    struct buf out = {0};
    reply_subscribed(&out, STR("1"), STR("conversation:conv-123"), &(struct position){STR("k3v9"), 41, STR("")}, false);
    assert_is(&out, "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"conversation:conv-123\","
                    "\"data\":{\"epoch\":\"k3v9\",\"offset\":41,\"recovered\":false}}");
    reply_subscribed(&out, STR(""), STR("c"), &(struct position){STR("k3v9"), 0, STR("")}, true);
    assert_is(&out, "{\"type\":\"subscribed\",\"channel\":\"c\","
                    "\"data\":{\"epoch\":\"k3v9\",\"offset\":0,\"recovered\":true}}");
    reply_subscribed(&out, STR(""), STR("c"), &(struct position){STR("k3v9"), 41, STR("0198-a\"")}, true);
    assert_is(&out, "{\"type\":\"subscribed\",\"channel\":\"c\","
                    "\"data\":{\"epoch\":\"k3v9\",\"offset\":41,\"id\":\"0198-a\\\"\",\"recovered\":true}}");
    reply_subscribed(&out, STR("\"a\""), STR("c"), &(struct position){STR(""), 7, STR("i")}, false);
    assert_is(&out, "{\"type\":\"subscribed\",\"id\":\"a\",\"channel\":\"c\",\"data\":{\"recovered\":false}}");
}

static void test_unsubscribed(void **state)
{
    struct buf out = {0};
    reply_unsubscribed(&out, STR("\"x\""), STR("c"));
    assert_is(&out, "{\"type\":\"unsubscribed\",\"id\":\"x\",\"channel\":\"c\"}");
}

static void test_pong(void **state)
{
    struct buf out = {0};
    reply_pong(&out, STR("-3"), then_ms);
    assert_is(&out, "{\"type\":\"pong\",\"id\":-3,\"timestamp\":\"2026-01-15T10:30:00.000Z\"}");
    reply_pong(&out, STR(""), then_ms);
    assert_is(&out, "{\"type\":\"pong\",\"timestamp\":\"2026-01-15T10:30:00.000Z\"}");
}

static void test_published(void **state)
{
    struct buf out = {0};
    reply_published(&out, STR("1"), STR("c"), STR("0197"), STR("k3v9"), 42, true);
    assert_is(&out, "{\"type\":\"published\",\"id\":1,\"channel\":\"c\","
                    "\"data\":{\"id\":\"0197\",\"epoch\":\"k3v9\",\"offset\":42,\"duplicate\":true}}");
    reply_published(&out, STR("1"), STR("c"), STR("0197"), STR("k3v9"), 42, false);
    assert_is(&out, "{\"type\":\"published\",\"id\":1,\"channel\":\"c\","
                    "\"data\":{\"id\":\"0197\",\"epoch\":\"k3v9\",\"offset\":42}}");
    reply_published(&out, STR(""), STR("c"), STR("0197"), STR(""), 0, false);
    assert_is(&out, "{\"type\":\"published\",\"channel\":\"c\",\"data\":{\"id\":\"0197\"}}");
}

static void test_refreshed(void **state)
{
    struct buf out = {0};
    reply_refreshed(&out, STR("9"), then_ms);
    assert_is(&out, "{\"type\":\"refreshed\",\"id\":9,\"data\":{\"expires_at\":\"2026-01-15T10:30:00.000Z\"}}");
    reply_refreshed(&out, STR(""), 0);
    assert_is(&out, "{\"type\":\"refreshed\",\"data\":{\"expires_at\":null}}");
}

static void test_error(void **state)
{
    struct buf out = {0};
    reply_error(&out, STR("1"), ERR_SUBSCRIPTION_FAILED, STR("channel names are up to 255 bytes"), STR("a\nb"));
    assert_is(&out, "{\"type\":\"error\",\"id\":1,\"error\":{\"code\":\"subscription_failed\","
                    "\"message\":\"channel names are up to 255 bytes\",\"channel\":\"a\\nb\"}}");
    reply_error(&out, STR(""), ERR_INVALID_REQUEST, STR("expected ',' or '}', found '\"'"), STR(""));
    assert_is(&out, "{\"type\":\"error\",\"error\":{\"code\":\"invalid_request\","
                    "\"message\":\"expected ',' or '}', found '\\\"'\"}}");
}

static void test_notices(void **state)
{
    struct buf out = {0};
    reply_warning(&out, "token_expiring", STR("the token expires in 60 s"));
    assert_is(&out, "{\"type\":\"warning\",\"data\":{\"code\":\"token_expiring\","
                    "\"message\":\"the token expires in 60 s\"}}");
    reply_reconnect(&out, "draining", 1234);
    assert_is(&out, "{\"type\":\"reconnect\",\"data\":{\"reason\":\"draining\",\"after_ms\":1234}}");
    reply_gap(&out, STR("c"), "overflow", &(struct position){STR("k3v9"), 43, STR("")});
    assert_is(&out, "{\"type\":\"gap\",\"channel\":\"c\","
                    "\"data\":{\"reason\":\"overflow\",\"epoch\":\"k3v9\",\"offset\":43}}");
    reply_gap(&out, STR("c"), "overflow", &(struct position){STR("k3v9"), 43, STR("0198-a")});
    assert_is(&out, "{\"type\":\"gap\",\"channel\":\"c\",\"data\":{\"reason\":\"overflow\",\"epoch\":\"k3v9\","
                    "\"offset\":43,\"id\":\"0198-a\"}}");
    reply_gap(&out, STR("c"), "overflow", &(struct position){.offset = 0});
    assert_is(&out, "{\"type\":\"gap\",\"channel\":\"c\",\"data\":{\"reason\":\"overflow\"}}");
}

static void test_replies_append(void **state)
{
    struct buf out = {0};
    buf_append_lit(&out, "kept ");
    reply_unsubscribed(&out, STR(""), STR("c"));
    assert_str(buf_str(&out), "kept {\"type\":\"unsubscribed\",\"channel\":\"c\"}");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_init), cmocka_unit_test(test_subscribed), cmocka_unit_test(test_unsubscribed),
        cmocka_unit_test(test_pong),         cmocka_unit_test(test_published),  cmocka_unit_test(test_refreshed),
        cmocka_unit_test(test_error),        cmocka_unit_test(test_notices),    cmocka_unit_test(test_replies_append),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
