/* test_event.c - which events may be published, and how they look to subscribers. */
#include "common/protocol/command.h"
#include "common/protocol/event.h"
#include "tests/support/unit.h"

static void assert_refused(const char *type, const char *data, bool custom, const char *text)
{
    struct error error = {0};
    assert_int_equal(event_check(str_from_cstr(type), str_from_cstr(data), custom, &error), ERR_INVALID_REQUEST);
    assert_string_equal(error.text, text);
}

static void assert_fine(const char *type, const char *data)
{
    assert_int_equal(event_check(str_from_cstr(type), str_from_cstr(data), false, NULL), ERR_NONE);
}

static void test_builtin_types(void **state)
{
    assert_fine("notification", "{\"message\":\"hi\"}");
    assert_fine("notification", "{\"level\":\"info\",\"message\":\"\"}");
    assert_fine("notification", "{\"level\":\"success\",\"message\":\"hi\",\"more\":[1,{}]}");
    assert_fine("notification", "{\"level\":\"warning\",\"message\":\"hi\"}");
    assert_fine("notification", "{\"level\":\"\\u0065rror\",\"message\":\"hi\"}");
    assert_fine("chat_message", "{\"conversation_id\":\"c\",\"sender_id\":\"s\",\"content\":\"Hello there!\"}");
    assert_fine("status_update", "{\"entity_type\":\"order\",\"entity_id\":\"7\",\"status\":\"sent\",\"at\":1}");
}

static void test_builtin_types_name_the_member_that_is_wrong(void **state)
{
    static const struct {
        const char *type;
        const char *data;
        const char *error;
    } cases[] = {
        {"notification", "[]", "data: expected an object, found an array"},
        {"notification", "null", "data: expected an object, found null"},
        {"notification", "{}", "data.message: is missing"},
        {"notification", "{\"message\":1}", "data.message: expected a string, found a number"},
        {"notification", "{\"message\":\"a\",\"message\":\"b\"}", "data.message: given twice"},
        {"notification", "{\"message\":\"a\",\"level\":\"fatal\"}",
         "data.level: expected one of info, success, warning, error; found \"fatal\""},
        {"notification", "{\"message\":\"a\",\"level\":\"\"}",
         "data.level: expected one of info, success, warning, error; found \"\""},
        {"notification", "{\"message\":\"a\",\"level\":null}", "data.level: expected a string, found null"},
        {"chat_message", "{\"sender_id\":\"s\",\"content\":\"x\"}", "data.conversation_id: is missing"},
        {"chat_message", "{\"conversation_id\":\"c\",\"content\":\"x\"}", "data.sender_id: is missing"},
        {"chat_message", "{\"conversation_id\":\"c\",\"sender_id\":\"s\"}", "data.content: is missing"},
        {"chat_message", "{\"conversation_id\":\"c\",\"sender_id\":\"s\",\"content\":{}}",
         "data.content: expected a string, found an object"},
        {"status_update", "{\"entity_id\":\"7\",\"status\":\"s\"}", "data.entity_type: is missing"},
        {"status_update", "{\"entity_type\":\"o\",\"status\":\"s\"}", "data.entity_id: is missing"},
        {"status_update", "{\"entity_type\":\"o\",\"entity_id\":7,\"status\":\"s\"}",
         "data.entity_id: expected a string, found a number"},
        {"status_update", "{\"entity_type\":\"o\",\"entity_id\":\"7\"}", "data.status: is missing"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_refused(cases[i].type, cases[i].data, true, cases[i].error);
}

static void test_custom_types(void **state)
{
    static const char *const good[] = {
        "a",
        "order.created",
        "x-1_2.z",
        "a123456789012345678901234567890123456789012345678901234567890123",
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct str type = str_from_cstr(good[i]);
        assert_int_equal(event_check(type, STR("[1,null]"), true, NULL), ERR_NONE);
        assert_int_equal(event_check(type, STR("[1,null]"), false, NULL), ERR_INVALID_REQUEST);
    }
    assert_refused(
        "order.created", "1", false,
        "type: \"order.created\" is not a built-in event type, and others are turned off here (events.custom)");
    static const char *const bad[] = {
        "",
        "A",
        "1a",
        "_a",
        ".a",
        "aB",
        "a b",
        "a/b",
        "a\n",
        "caf\xC3\xA9",
        "a1234567890123456789012345678901234567890123456789012345678901234",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(event_check(str_from_cstr(bad[i]), STR("1"), true, NULL), ERR_INVALID_REQUEST);
    assert_refused("No\n", "1", true,
                   "type: event types are a-z, then up to 63 of a-z, 0-9, '_', '.' and '-', found \"No?\"");
}

static void test_reserved_types(void **state)
{
    static const char *const control[] = {
        "session_init", "subscribed", "unsubscribed", "pong", "published", "presence",  "history",
        "refreshed",    "join",       "leave",        "gap",  "warning",   "reconnect", "error",
    };
    for (size_t i = 0; i < COUNT_OF(control); i++)
        assert_int_equal(event_check(str_from_cstr(control[i]), STR("{}"), true, NULL), ERR_INVALID_REQUEST);
    for (int type = COMMAND_NONE + 1; type < COMMAND_TYPE_COUNT; type++)
        assert_int_equal(event_check(str_from_cstr(command_name((enum command_type)type)), STR("{}"), true, NULL),
                         ERR_INVALID_REQUEST);
    assert_refused("gap", "{}", true, "type: \"gap\" is reserved for the protocol itself");
    assert_int_equal(event_check(STR("gaps"), STR("{}"), true, NULL), ERR_NONE);
}

static void test_event_ids(void **state)
{
    char id[EVENT_ID_MAX + 1];
    memset(id, '~', sizeof id);
    assert_int_equal(event_id_check(STR("!"), NULL), ERR_NONE);
    assert_int_equal(event_id_check(str_from(id, EVENT_ID_MAX), NULL), ERR_NONE);
    assert_int_equal(event_id_check(str_from(id, EVENT_ID_MAX + 1), NULL), ERR_INVALID_REQUEST);
    assert_int_equal(event_id_check(STR(""), NULL), ERR_INVALID_REQUEST);
    assert_int_equal(event_id_check(STR("a b"), NULL), ERR_INVALID_REQUEST);
    assert_int_equal(event_id_check(STR("a\x7F"), NULL), ERR_INVALID_REQUEST);
    assert_int_equal(event_id_check(STR("a\0"), NULL), ERR_INVALID_REQUEST);
    struct error error;
    assert_int_equal(event_id_check(STR("caf\xC3\xA9"), &error), ERR_INVALID_REQUEST);
    assert_string_equal(error.text, "event_id: byte 3 is not a printable ASCII character other than space");
}

static void test_encode(void **state)
{
    struct event event = {
        .channel = STR("conversation:conv-123"),
        .type = STR("chat_message"),
        .id = STR("0197"),
        .epoch = STR("k3v9"),
        .offset = 42,
        .timestamp = STR("2026-01-15T10:30:00.000Z"),
        .data = STR("{ \"n\" : 9007199254740993 }"),
    };
    struct buf out = {0};
    event_encode(&out, &event);
    assert_str(buf_str(&out),
               "{\"type\":\"chat_message\",\"channel\":\"conversation:conv-123\",\"id\":\"0197\",\"offset\":42,"
               "\"timestamp\":\"2026-01-15T10:30:00.000Z\",\"data\":{ \"n\" : 9007199254740993 }}");
    event.id = STR("");
    event.offset = 0;
    event.channel = STR("a\"b");
    buf_clear(&out);
    event_encode(&out, &event);
    assert_str(buf_str(&out), "{\"type\":\"chat_message\",\"channel\":\"a\\\"b\","
                              "\"timestamp\":\"2026-01-15T10:30:00.000Z\",\"data\":{ \"n\" : 9007199254740993 }}");
    event.user = STR("a\"da");
    event.session = STR("0198");
    event.exclude = STR("0199");
    buf_clear(&out);
    event_encode(&out, &event);
    assert_str(buf_str(&out),
               "{\"type\":\"chat_message\",\"channel\":\"a\\\"b\",\"timestamp\":\"2026-01-15T10:30:00.000Z\","
               "\"user\":\"a\\\"da\",\"session\":\"0198\",\"data\":{ \"n\" : 9007199254740993 }}");
    struct buf scratch = {0};
    struct event decoded;
    event_decode(buf_str(&out), &scratch, &decoded);
    assert_str(decoded.user, "a\"da");
    assert_str(decoded.session, "0198");
    assert_str(decoded.exclude, "");
    buf_fini(&scratch);
    buf_fini(&out);
}

static void test_excluded_session(void **state)
{
    static const char *const bad[] = {"", "me", "0198c0de-0000-7000-8000-00000000000",
                                      "0198c0de-0000-7000-8000-00000000000g", "0198c0de-0000-7000-8000-0000000000001"};
    const struct event_limits limits = {.data_bytes = 10, .custom = true};
    struct event_offer offer = {.type = STR("note"), .data = json_value_of(STR("1"))};
    struct error error;
    assert_int_equal(event_offer_check(&offer, &limits, &error), ERR_NONE);
    offer.exclude = STR("0198c0de-0000-7000-8000-00000000000f");
    assert_int_equal(event_offer_check(&offer, &limits, &error), ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        offer.exclude = str_from_cstr(bad[i]);
        assert_int_equal(event_offer_check(&offer, &limits, &error), ERR_INVALID_REQUEST);
        assert_string_equal(error.text, "exclude_session: expected the id of a session, as session_init tells it");
    }
}

static void assert_encoded_id(struct event event, const char *id)
{
    struct buf out = {0};
    event_encode(&out, &event);
    assert_str(event_encoded_id(buf_str(&out)), id);
    buf_fini(&out);
}

static void test_encoded_id(void **state)
{
    struct event event = {.channel = STR("c"), .type = STR("note"), .id = STR("0197-a"), .offset = 1};
    assert_encoded_id(event, "0197-a");
    event.channel = STR("a\",\"id\":\"x\\");
    event.data = STR("\",\"id\":\"y\"");
    assert_encoded_id(event, "0197-a");
    event.id = STR("with\"a quote");
    assert_encoded_id(event, "");
    event.id = STR("");
    assert_encoded_id(event, "");
    static const char *const others[] = {"", "{}", "{\"type\":\"note", "{\"type\":\"note\",\"channel\":\"c\\",
                                         "{\"type\":\"note\",\"channel\":\"c\",\"id\":\"x"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_str(event_encoded_id(str_from_cstr(others[i])), "");
}

static void test_decode(void **state)
{
    const struct event event = {
        .channel = STR("a\"b"),
        .type = STR("chat_message"),
        .id = STR("with\"a \\ quote"),
        .offset = UINT64_MAX,
        .timestamp = STR("2026-01-15T10:30:00.000Z"),
        .data = STR("{ \"channel\" : [\"x\", {\"id\":1}] }"),
    };
    struct buf json = {0}, scratch = {0};
    struct event decoded;
    event_encode(&json, &event);
    event_decode(buf_str(&json), &scratch, &decoded);
    assert_str(decoded.channel, "a\"b");
    assert_str(decoded.type, "chat_message");
    assert_str(decoded.id, "with\"a \\ quote");
    assert_true(decoded.offset == UINT64_MAX);
    assert_str(decoded.timestamp, "2026-01-15T10:30:00.000Z");
    assert_str(decoded.data, "{ \"channel\" : [\"x\", {\"id\":1}] }");
    assert_str(decoded.epoch, "");
    const struct event live = {
        .channel = STR("a"), .type = STR("note"), .timestamp = STR("2026-01-15T10:30:00.000Z"), .data = STR("null")};
    buf_clear(&json);
    event_encode(&json, &live);
    event_decode(buf_str(&json), &scratch, &decoded);
    assert_str(decoded.id, "");
    assert_int_equal(decoded.offset, 0);
    assert_str(decoded.data, "null");
    buf_fini(&json);
    buf_fini(&scratch);
}

static void test_id_of_a_position(void **state)
{
    char kept[POSITION_ID_MAX + 1];
    position_keep_id(kept, STR("0198c0de-7d5a-7abc-8def-0123456789ab"));
    assert_string_equal(kept, "0198c0de-7d5a-7abc-8def-0123456789ab");
    position_keep_id(kept, STR("0198c0de-7d5a-7abc-8def-0123456789abc"));
    assert_string_equal(kept, "");
    position_keep_id(kept, (struct str){0});
    assert_string_equal(kept, "");
}

static struct json_value nested(char *text, size_t size, unsigned depth)
{
    struct json_value value = {0};
    assert_true(2 * depth + 1 <= size);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    assert_int_equal(json_check(str_from(text, 2 * (size_t)depth), &(struct json_limits){.depth = depth}, &value, NULL),
                     ERR_NONE);
    return value;
}

static void test_what_is_offered(void **state)
{
    char text[2 * (EVENT_DEPTH_MAX + 2)];
    struct event_limits limits = {.data_bytes = sizeof text, .custom = true};
    struct event_offer offer = {.type = STR("x"), .data = nested(text, sizeof text, EVENT_DEPTH_MAX)};
    struct error error;
    assert_int_equal(event_offer_check(&offer, &limits, NULL), ERR_NONE);
    offer.has_event_id = true;
    assert_int_equal(event_offer_check(&offer, &limits, &error), ERR_INVALID_REQUEST);
    assert_string_equal(error.text, "event_id: expected 1 to 128 bytes, found 0");
    offer.event_id = STR("one");
    assert_int_equal(event_offer_check(&offer, &limits, NULL), ERR_NONE);
    limits.data_bytes = offer.data.raw.len - 1;
    assert_int_equal(event_offer_check(&offer, &limits, &error), ERR_TOO_LARGE);
    assert_string_equal(error.text, "data: 256 bytes, at most 255 are allowed (limits.event_bytes)");
    limits.data_bytes = sizeof text;
    offer.data = nested(text, sizeof text, EVENT_DEPTH_MAX + 1);
    assert_int_equal(event_offer_check(&offer, &limits, &error), ERR_INVALID_REQUEST);
    assert_string_equal(error.text, "data: arrays and objects nested 129 deep, at most 128 are allowed");
    offer.data = nested(text, sizeof text, 1);
    limits.custom = false;
    assert_int_equal(event_offer_check(&offer, &limits, NULL), ERR_INVALID_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin_types),    cmocka_unit_test(test_builtin_types_name_the_member_that_is_wrong),
        cmocka_unit_test(test_custom_types),     cmocka_unit_test(test_reserved_types),
        cmocka_unit_test(test_event_ids),        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_excluded_session), cmocka_unit_test(test_encoded_id),
        cmocka_unit_test(test_id_of_a_position), cmocka_unit_test(test_what_is_offered),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
