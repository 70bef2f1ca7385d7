/* test_carillon.c - each frame of the server, byte for byte. */
#include "common/json/json.h"
#include "server/dialect/carillon.h"
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

static void write(struct buf *out, struct reply reply)
{
    carillon_dialect.reply(out, &reply);
}

static void test_session_init(void **state)
{
    struct buf out = {0};
    struct reply reply = {.type = REPLY_SESSION_INIT,
                          .session_init = {
                              .session_id = STR("0197-x"),
                              .wall_ms = then_ms,
                              .user = STR("user-\"456\""),
                              .expires_ms = then_ms + 3600999,
                              .ping_interval_s = 25,
                              .message_bytes = 65536,
                              .channels = 128,
                          }};
    write(&out, reply);
    assert_is(&out, "{\"type\":\"session_init\",\"session_id\":\"0197-x\",\"timestamp\":\"2026-01-15T10:30:00.000Z\","
                    "\"data\":{\"user\":\"user-\\\"456\\\"\",\"expires_at\":\"2026-01-15T11:30:00.999Z\","
                    "\"ping_interval_s\":25,\"limits\":{\"message_bytes\":65536,\"channels\":128}}}");
    reply.session_init.expires_ms = 0;
    write(&out, reply);
    assert_is(&out, "{\"type\":\"session_init\",\"session_id\":\"0197-x\",\"timestamp\":\"2026-01-15T10:30:00.000Z\","
                    "\"data\":{\"user\":\"user-\\\"456\\\"\",\"expires_at\":null,"
                    "\"ping_interval_s\":25,\"limits\":{\"message_bytes\":65536,\"channels\":128}}}");
}

static void test_subscribed(void **state)
{
    struct buf out = {0};
    write(&out, (struct reply){.type = REPLY_SUBSCRIBED,
                               .id = STR("1"),
                               .channel = STR("conversation:conv-123"),
                               .subscribed = {{STR("k3v9"), 41, STR("")}, false}});
    assert_is(&out, "{\"type\":\"subscribed\",\"id\":1,\"channel\":\"conversation:conv-123\","
                    "\"data\":{\"epoch\":\"k3v9\",\"offset\":41,\"recovered\":false}}");
    write(&out, (struct reply){.type = REPLY_SUBSCRIBED,
                               .id = STR(""),
                               .channel = STR("c"),
                               .subscribed = {{STR("k3v9"), 0, STR("")}, true}});
    assert_is(&out, "{\"type\":\"subscribed\",\"channel\":\"c\","
                    "\"data\":{\"epoch\":\"k3v9\",\"offset\":0,\"recovered\":true}}");
    write(&out, (struct reply){.type = REPLY_SUBSCRIBED,
                               .id = STR(""),
                               .channel = STR("c"),
                               .subscribed = {{STR("k3v9"), 41, STR("0198-a\"")}, true}});
    assert_is(&out, "{\"type\":\"subscribed\",\"channel\":\"c\","
                    "\"data\":{\"epoch\":\"k3v9\",\"offset\":41,\"id\":\"0198-a\\\"\",\"recovered\":true}}");
    write(&out, (struct reply){.type = REPLY_SUBSCRIBED,
                               .id = STR("\"a\""),
                               .channel = STR("c"),
                               .subscribed = {{STR(""), 7, STR("i")}, false}});
    assert_is(&out, "{\"type\":\"subscribed\",\"id\":\"a\",\"channel\":\"c\",\"data\":{\"recovered\":false}}");
}

static void test_unsubscribed(void **state)
{
    struct buf out = {0};
    write(&out, (struct reply){.type = REPLY_UNSUBSCRIBED, .id = STR("\"x\""), .channel = STR("c")});
    assert_is(&out, "{\"type\":\"unsubscribed\",\"id\":\"x\",\"channel\":\"c\"}");
}

static void test_pong(void **state)
{
    struct buf out = {0};
    write(&out, (struct reply){.type = REPLY_PONG, .id = STR("-3"), .pong = {then_ms}});
    assert_is(&out, "{\"type\":\"pong\",\"id\":-3,\"timestamp\":\"2026-01-15T10:30:00.000Z\"}");
    write(&out, (struct reply){.type = REPLY_PONG, .id = STR(""), .pong = {then_ms}});
    assert_is(&out, "{\"type\":\"pong\",\"timestamp\":\"2026-01-15T10:30:00.000Z\"}");
}

static void test_published(void **state)
{
    struct buf out = {0};
    write(&out, (struct reply){.type = REPLY_PUBLISHED,
                               .id = STR("1"),
                               .channel = STR("c"),
                               .published = {{STR("k3v9"), 42, STR("0197")}, true}});
    assert_is(&out, "{\"type\":\"published\",\"id\":1,\"channel\":\"c\","
                    "\"data\":{\"id\":\"0197\",\"epoch\":\"k3v9\",\"offset\":42,\"duplicate\":true}}");
    write(&out, (struct reply){.type = REPLY_PUBLISHED,
                               .id = STR("1"),
                               .channel = STR("c"),
                               .published = {{STR("k3v9"), 42, STR("0197")}, false}});
    assert_is(&out, "{\"type\":\"published\",\"id\":1,\"channel\":\"c\","
                    "\"data\":{\"id\":\"0197\",\"epoch\":\"k3v9\",\"offset\":42}}");
    write(&out, (struct reply){.type = REPLY_PUBLISHED,
                               .id = STR(""),
                               .channel = STR("c"),
                               .published = {{STR(""), 0, STR("0197")}, false}});
    assert_is(&out, "{\"type\":\"published\",\"channel\":\"c\",\"data\":{\"id\":\"0197\"}}");
}

static void test_refreshed(void **state)
{
    struct buf out = {0};
    write(&out, (struct reply){.type = REPLY_REFRESHED, .id = STR("9"), .refreshed = {then_ms}});
    assert_is(&out, "{\"type\":\"refreshed\",\"id\":9,\"data\":{\"expires_at\":\"2026-01-15T10:30:00.000Z\"}}");
    write(&out, (struct reply){.type = REPLY_REFRESHED, .id = STR(""), .refreshed = {0}});
    assert_is(&out, "{\"type\":\"refreshed\",\"data\":{\"expires_at\":null}}");
}

static void test_error(void **state)
{
    struct buf out = {0};
    write(&out, (struct reply){.type = REPLY_ERROR,
                               .id = STR("1"),
                               .channel = STR("a\nb"),
                               .error = {ERR_SUBSCRIPTION_FAILED, STR("channel names are up to 255 bytes")}});
    assert_is(&out, "{\"type\":\"error\",\"id\":1,\"error\":{\"code\":\"subscription_failed\","
                    "\"message\":\"channel names are up to 255 bytes\",\"channel\":\"a\\nb\"}}");
    write(&out, (struct reply){.type = REPLY_ERROR,
                               .id = STR(""),
                               .channel = STR(""),
                               .error = {ERR_INVALID_REQUEST, STR("expected ',' or '}', found '\"'")}});
    assert_is(&out, "{\"type\":\"error\",\"error\":{\"code\":\"invalid_request\","
                    "\"message\":\"expected ',' or '}', found '\\\"'\"}}");
}

static void test_notices(void **state)
{
    struct buf out = {0};
    write(&out,
          (struct reply){.type = REPLY_WARNING, .warning = {STR("token_expiring"), STR("the token expires in 60 s")}});
    assert_is(&out, "{\"type\":\"warning\",\"data\":{\"code\":\"token_expiring\","
                    "\"message\":\"the token expires in 60 s\"}}");
    write(&out, (struct reply){.type = REPLY_RECONNECT, .reconnect = {STR("draining"), 1234}});
    assert_is(&out, "{\"type\":\"reconnect\",\"data\":{\"reason\":\"draining\",\"after_ms\":1234}}");
    write(&out, (struct reply){
                    .type = REPLY_GAP, .channel = STR("c"), .gap = {GAP_EPOCH_CHANGED, {STR("k3v9"), 43, STR("")}}});
    assert_is(&out, "{\"type\":\"gap\",\"channel\":\"c\","
                    "\"data\":{\"reason\":\"epoch_changed\",\"epoch\":\"k3v9\",\"offset\":43}}");
    write(&out, (struct reply){.type = REPLY_GAP,
                               .channel = STR("c"),
                               .gap = {GAP_EPOCH_CHANGED, {STR("k3v9"), 43, STR("0198-a")}}});
    assert_is(&out, "{\"type\":\"gap\",\"channel\":\"c\",\"data\":{\"reason\":\"epoch_changed\",\"epoch\":\"k3v9\","
                    "\"offset\":43,\"id\":\"0198-a\"}}");
    write(&out, (struct reply){.type = REPLY_GAP, .channel = STR("c"), .gap = {GAP_EPOCH_CHANGED, {.offset = 0}}});
    assert_is(&out, "{\"type\":\"gap\",\"channel\":\"c\",\"data\":{\"reason\":\"epoch_changed\"}}");
}

static void test_pages(void **state)
{
    struct buf out = {0};
    struct reply reply = {
        .type = REPLY_HISTORY,
        .id = STR("1"),
        .channel = STR("c"),
        .history = {.position = {STR("k3v9"), 43, STR("")}, .events = STR("{\"a\":1}"), .more = true}};
    write(&out, reply);
    assert_is(&out, "{\"type\":\"history\",\"id\":1,\"channel\":\"c\",\"data\":{\"epoch\":\"k3v9\",\"offset\":43,"
                    "\"events\":[{\"a\":1}],\"more\":true}}");
    reply.history.position = (struct position){.offset = 43};
    reply.history.more = false;
    write(&out, reply);
    assert_is(&out,
              "{\"type\":\"history\",\"id\":1,\"channel\":\"c\",\"data\":{\"events\":[{\"a\":1}],\"more\":false}}");
    reply = (struct reply){
        .type = REPLY_PRESENCE,
        .channel = STR("c"),
        .presence = {.users = 2, .connections = 3, .members = STR("{\"user\":\"a\"}"), .next = STR("b\"")}};
    write(&out, reply);
    assert_is(&out, "{\"type\":\"presence\",\"channel\":\"c\",\"data\":{\"users\":2,\"connections\":3,"
                    "\"members\":[{\"user\":\"a\"}],\"next\":\"b\\\"\"}}");
    reply.presence.next = STR("");
    write(&out, reply);
    assert_is(&out, "{\"type\":\"presence\",\"channel\":\"c\",\"data\":{\"users\":2,\"connections\":3,"
                    "\"members\":[{\"user\":\"a\"}],\"next\":null}}");
}

static void test_replies_append(void **state)
{
    struct buf out = {0};
    buf_append_lit(&out, "kept ");
    write(&out, (struct reply){.type = REPLY_UNSUBSCRIBED, .id = STR(""), .channel = STR("c")});
    assert_str(buf_str(&out), "kept {\"type\":\"unsubscribed\",\"channel\":\"c\"}");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_init),   cmocka_unit_test(test_subscribed), cmocka_unit_test(test_unsubscribed),
        cmocka_unit_test(test_pong),           cmocka_unit_test(test_published),  cmocka_unit_test(test_refreshed),
        cmocka_unit_test(test_error),          cmocka_unit_test(test_notices),    cmocka_unit_test(test_pages),
        cmocka_unit_test(test_replies_append),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
