/* test_carillon_command.c - every command, good and bad. */
#include <stdio.h>

#include "server/dialect/carillon.h"
#include "tests/support/unit.h"

struct fixture {
    struct buf scratch;
    struct command command;
    struct error error;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    buf_fini(&fixture->scratch);
    return 0;
}

static const struct command *parse(struct fixture *fixture, const char *text)
{
    fixture->error.text[0] = '\0';
    if (carillon_parse(str_from_cstr(text), &fixture->command, &fixture->scratch, &fixture->error) != ERR_NONE)
        fail_msg("%s: %s", text, fixture->error.text);
    return &fixture->command;
}

static void assert_refused(struct fixture *fixture, const char *text, const char *error)
{
    assert_int_equal(carillon_parse(str_from_cstr(text), &fixture->command, &fixture->scratch, &fixture->error),
                     ERR_INVALID_REQUEST);
    assert_string_equal(fixture->error.text, error);
    assert_int_equal(fixture->command.type, COMMAND_NONE);
}

static void test_subscribe(void **state)
{
    const struct command *command =
        parse(*state, "{\"type\":\"subscribe\",\"id\":1,\"data\":{\"channel\":\"conversation:conv-123\"}}");
    assert_int_equal(command->type, COMMAND_SUBSCRIBE);
    assert_str(command->id, "1");
    assert_str(command->channel, "conversation:conv-123");
    assert_false(command->has_since || command->has_last || command->has_limit);

    command = parse(*state, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"k3v9\","
                            "\"offset\":18446744073709551615}}}");
    assert_true(command->has_since);
    assert_str(command->since.epoch, "k3v9");
    assert_true(command->since.offset == UINT64_MAX);
    assert_str(command->since.id, "");
    assert_str(command->id, "");

    command = parse(*state, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"k3v9\","
                            "\"offset\":41,\"id\":\"0198c0de-7d5a-7abc-8def-0123456789ab\"}}}");
    assert_true(command->since.offset == 41);
    assert_str(command->since.id, "0198c0de-7d5a-7abc-8def-0123456789ab");

    command = parse(*state, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"last\":10}}");
    assert_true(command->has_last && command->last == 10);
}

static void test_the_other_commands(void **state)
{
    const struct command *command =
        parse(*state, "{\"type\":\"unsubscribe\",\"id\":\"u\",\"data\":{\"channel\":\"c\"}}");
    assert_int_equal(command->type, COMMAND_UNSUBSCRIBE);
    assert_str(command->channel, "c");
    assert_str(command->id, "\"u\"");

    assert_int_equal(parse(*state, "{\"type\":\"ping\"}")->type, COMMAND_PING);
    assert_int_equal(parse(*state, "{\"type\":\"ping\",\"data\":{}}")->type, COMMAND_PING);
    assert_int_equal(parse(*state, "{\"type\":\"ping\",\"data\":{\"x\":1},\"more\":[]}")->type, COMMAND_PING);

    command = parse(*state, "{\"type\":\"presence\",\"data\":{\"channel\":\"c\"}}");
    assert_int_equal(command->type, COMMAND_PRESENCE);
    assert_str(command->channel, "c");

    command =
        parse(*state, "{\"type\":\"history\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"e\",\"offset\":0},"
                      "\"limit\":50}}");
    assert_int_equal(command->type, COMMAND_HISTORY);
    assert_true(command->has_since && command->since.offset == 0 && command->has_limit && command->limit == 50);

    command = parse(*state, "{\"type\":\"refresh\",\"data\":{\"token\":\"a.b.c\"}}");
    assert_int_equal(command->type, COMMAND_REFRESH);
    assert_str(command->token, "a.b.c");
}

static void test_publish_keeps_the_bytes_of_data(void **state)
{
    const struct command *command =
        parse(*state, "{\"data\":{\"data\": {\"n\": 9007199254740993, \"t\" : \"\\u00e9\"} ,\"type\":\"chat_message\","
                      "\"channel\":\"c\",\"event_id\":\"e-1\"},\"type\":\"publish\"}");
    assert_int_equal(command->type, COMMAND_PUBLISH);
    assert_str(command->channel, "c");
    assert_str(command->event_type, "chat_message");
    assert_str(command->data.raw, "{\"n\": 9007199254740993, \"t\" : \"\\u00e9\"}");
    assert_str(command->event_id, "e-1");

    command = parse(*state, "{\"type\":\"publish\",\"data\":{\"channel\":\"c\",\"type\":\"t\",\"data\":null}}");
    assert_str(command->data.raw, "null");
    assert_str(command->event_id, "");
}

/* Many encoders write what they have not set as null. */
static void test_null_is_as_if_absent(void **state)
{
    const struct command *command =
        parse(*state, "{\"type\":\"publish\",\"id\":null,\"data\":{\"channel\":\"c\",\"type\":\"t\",\"data\":null,"
                      "\"event_id\":null}}");
    assert_int_equal(command->data.type, JSON_NULL);
    assert_false(command->has_event_id);
    assert_str(command->id, "");
    assert_int_equal(parse(*state, "{\"type\":\"ping\",\"id\":null,\"data\":null}")->type, COMMAND_PING);
    command = parse(*state, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":null,\"last\":null}}");
    assert_false(command->has_since || command->has_last);
    command = parse(*state, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"last\":null,\"since\":"
                            "{\"epoch\":\"e\",\"offset\":1,\"id\":null}}}");
    assert_true(command->has_since);
    assert_str(command->since.id, "");
    command = parse(*state, "{\"type\":\"history\",\"data\":{\"channel\":\"c\",\"since\":null,\"before\":null,"
                            "\"limit\":null}}");
    assert_false(command->has_since || command->has_before || command->has_limit);
    command = parse(*state, "{\"type\":\"presence\",\"data\":{\"channel\":\"c\",\"after\":null,\"limit\":null}}");
    assert_str(command->after, "");
    assert_false(command->has_limit);
}

static void test_escapes_are_decoded(void **state)
{
    const struct command *command = parse(
        *state, "{\"typ\\u0065\":\"p\\u0075blish\",\"data\":{\"ch\\u0061nnel\":\"caf\\u00e9\",\"type\":\"\\u0061b\","
                "\"event_id\":\"\\u0031\",\"data\":\"\\n\"},\"id\":\"\\u0041\"}");
    assert_int_equal(command->type, COMMAND_PUBLISH);
    assert_str(command->channel, "caf\xC3\xA9");
    assert_str(command->event_type, "ab");
    assert_str(command->event_id, "1");
    assert_str(command->data.raw, "\"\\n\"");
    assert_str(command->id, "\"\\u0041\"");
}

static void test_bad_messages(void **state)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"", "byte 0: expected a value, found the end of the text"},
        {"{\"type\":\"ping\"", "byte 14: expected ',' or '}', found the end of the text"},
        {"[]", "expected an object, found an array"},
        {"\"ping\"", "expected an object, found a string"},
        {"{}", "type: is missing"},
        {"{\"type\":1}", "type: expected a string, found a number"},
        {"{\"type\":\"ping\",\"type\":\"ping\"}", "type: given twice"},
        {"{\"type\":\"ping\",\"data\":{},\"data\":{}}", "data: given twice"},
        {"{\"type\":\"\"}", "type: \"\" is not a command"},
        {"{\"type\":\"Ping\"}", "type: \"Ping\" is not a command"},
        {"{\"type\":\"none\"}", "type: \"none\" is not a command"},
        {"{\"type\":\"a\\u0000\"}", "type: \"a\\u0000\" is not a command"},
        {"{\"type\":\"0123456789012345678901234567890123456789+\"}",
         "type: \"0123456789012345678901234567890123456789...\" is not a command"},
        {"{\"type\":\"\xC2\x9B"
         "31m\"}",
         "type: \"?31m\" is not a command"},
        {"{\"type\":\"ping\",\"data\":[]}", "data: expected an object, found an array"},
        {"{\"type\":\"subscribe\"}", "data: is missing; subscribe needs it"},
        {"{\"type\":\"unsubscribe\"}", "data: is missing; unsubscribe needs it"},
        {"{\"type\":\"publish\"}", "data: is missing; publish needs it"},
        {"{\"type\":\"presence\"}", "data: is missing; presence needs it"},
        {"{\"type\":\"history\"}", "data: is missing; history needs it"},
        {"{\"type\":\"refresh\"}", "data: is missing; refresh needs it"},
        {"{\"type\":\"subscribe\",\"data\":\"c\"}", "data: expected an object, found a string"},
        {"{\"type\":\"subscribe\",\"data\":null}", "data: is missing; subscribe needs it"},
        {"{\"type\":\"subscribe\",\"data\":{}}", "data.channel: is missing"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":5}}", "data.channel: expected a string, found a number"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"a\\u0000\"}}", "data.channel: must not contain \\u0000"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"channel\":\"d\"}}", "data.channel: given twice"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":1}}",
         "data.since: expected an object, found a number"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"offset\":1}}}",
         "data.since.epoch: is missing"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"e\"}}}",
         "data.since.offset: is missing"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"e\",\"offset\":-1}}}",
         "data.since.offset: expected a whole number from 0 to 2^64-1"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"e\",\"offset\":1,\"id\":1}}}",
         "data.since.id: expected a string, found a number"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"e\",\"offset\":1,\"id\":\"\"}}}",
         "data.since.id: expected the id of an event, 1 to 36 printable ASCII characters"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"e\",\"offset\":1,\"id\":\"a "
         "b\"}}}",
         "data.since.id: expected the id of an event, 1 to 36 printable ASCII characters"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"e\",\"offset\":1,\"id\":"
         "\"\\u00e9\"}}}",
         "data.since.id: expected the id of an event, 1 to 36 printable ASCII characters"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"e\",\"offset\":1,\"id\":"
         "\"0123456789012345678901234567890123456\"}}}",
         "data.since.id: expected the id of an event, 1 to 36 printable ASCII characters"},
        {"{\"type\":\"history\",\"data\":{\"channel\":\"c\",\"before\":{\"epoch\":\"e\"}}}",
         "data.before.offset: is missing"},
        {"{\"type\":\"history\",\"data\":{\"channel\":\"c\",\"since\":{\"epoch\":\"e\",\"offset\":1},"
         "\"before\":{\"epoch\":\"e\",\"offset\":1}}}",
         "data: expected only one of since and before"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"last\":1.5}}",
         "data.last: expected a whole number from 0 to 2^64-1"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"last\":\"1\"}}",
         "data.last: expected a number, found a string"},
        {"{\"type\":\"subscribe\",\"data\":{\"channel\":\"c\",\"last\":1,\"since\":{\"epoch\":\"e\",\"offset\":1}}}",
         "data: expected only one of since and last"},
        {"{\"type\":\"unsubscribe\",\"data\":{}}", "data.channel: is missing"},
        {"{\"type\":\"presence\",\"data\":{\"channel\":[]}}", "data.channel: expected a string, found an array"},
        {"{\"type\":\"history\",\"data\":{\"channel\":\"c\",\"limit\":-5}}",
         "data.limit: expected a whole number from 0 to 2^64-1"},
        {"{\"type\":\"refresh\",\"data\":{}}", "data.token: is missing"},
        {"{\"type\":\"refresh\",\"data\":{\"token\":null}}", "data.token: expected a string, found null"},
        {"{\"type\":\"publish\",\"data\":{\"channel\":\"c\",\"type\":\"t\"}}", "data.data: is missing"},
        {"{\"type\":\"publish\",\"data\":{\"channel\":\"c\",\"data\":1}}", "data.type: is missing"},
        {"{\"type\":\"publish\",\"data\":{\"type\":\"t\",\"data\":1}}", "data.channel: is missing"},
        {"{\"type\":\"publish\",\"data\":{\"channel\":\"c\",\"type\":7,\"data\":1}}",
         "data.type: expected a string, found a number"},
        {"{\"type\":\"publish\",\"data\":{\"channel\":\"c\",\"type\":\"t\",\"data\":1,\"event_id\":9}}",
         "data.event_id: expected a string, found a number"},
        {"{\"type\":\"publish\",\"data\":{\"channel\":\"c\",\"type\":\"t\",\"data\":1,\"data\":2}}",
         "data.data: given twice"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_refused(*state, cases[i].text, cases[i].error);
}

static void test_ids(void **state)
{
    struct fixture *fixture = *state;
    static const char *const good[] = {
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "\"\"",
        "\"a b\"",
        "\"0123456789012345678901234567890123456789012345678901234567890123\"",
        "\"\\u0030123456789012345678901234567890123456789012345678901234567890123\"",
    };
    static const char *const bad[] = {
        "1.5",
        "1e3",
        "18446744073709551616",
        "-9223372036854775809",
        "true",
        "[]",
        "{}",
        "\"a\\u0000\"",
        "\"01234567890123456789012345678901234567890123456789012345678901234\"",
    };
    char text[160];
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        snprintf(text, sizeof text, "{\"id\":%s,\"type\":\"ping\"}", good[i]);
        assert_str(parse(fixture, text)->id, good[i]);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(text, sizeof text, "{\"id\":%s,\"type\":\"ping\"}", bad[i]);
        assert_refused(fixture, text, "id: expected a string of up to 64 bytes without \\u0000, or a 64-bit integer");
        assert_str(fixture->command.id, "");
    }
    assert_refused(fixture, "{\"id\":1,\"id\":2,\"type\":\"ping\"}", "id: given twice");
}

static void test_id_is_known_when_the_rest_is_bad(void **state)
{
    struct fixture *fixture = *state;
    assert_refused(fixture, "{\"type\":\"nonsense\",\"id\":\"x\"}", "type: \"nonsense\" is not a command");
    assert_str(fixture->command.id, "\"x\"");
    assert_refused(fixture, "{\"type\":7,\"id\":42}", "type: expected a string, found a number");
    assert_str(fixture->command.id, "42");
    assert_refused(fixture, "{\"data\":{},\"id\":-3,\"type\":\"subscribe\"}", "data.channel: is missing");
    assert_str(fixture->command.id, "-3");
}

static void test_every_truncation_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct str whole =
        STR("{\"type\":\"publish\",\"id\":\"\\u0041\",\"data\":{\"channel\":\"c\\u00e9\",\"type\":\"t\","
            "\"data\":{\"a\":[1,2]},\"event_id\":\"e\"}}");
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(carillon_parse(str_from(whole.ptr, len), &fixture->command, &fixture->scratch, NULL),
                         ERR_INVALID_REQUEST);
    assert_int_equal(carillon_parse(whole, &fixture->command, &fixture->scratch, NULL), ERR_NONE);
}

static void test_names(void **state)
{
    for (int type = COMMAND_NONE + 1; type < COMMAND_TYPE_COUNT; type++) {
        assert_non_null(command_name((enum command_type)type));
        for (int other = COMMAND_NONE; other < type; other++)
            assert_string_not_equal(command_name((enum command_type)type), command_name((enum command_type)other));
    }
    assert_string_equal(command_name(COMMAND_SUBSCRIBE), "subscribe");
}

#define COMMAND_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMMAND_TEST(test_subscribe),
        COMMAND_TEST(test_the_other_commands),
        COMMAND_TEST(test_publish_keeps_the_bytes_of_data),
        COMMAND_TEST(test_null_is_as_if_absent),
        COMMAND_TEST(test_escapes_are_decoded),
        COMMAND_TEST(test_bad_messages),
        COMMAND_TEST(test_ids),
        COMMAND_TEST(test_id_is_known_when_the_rest_is_bad),
        COMMAND_TEST(test_every_truncation_is_refused),
        COMMAND_TEST(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
