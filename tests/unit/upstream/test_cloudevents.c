#include "server/upstream/cloudevents.h"
#include "tests/support/unit.h"

static void wrote(struct buf *out, const char *expected)
{
    assert_string_equal(buf_cstr(out), expected);
    buf_fini(out);
}

static void test_values_are_encoded(void **state)
{
    struct buf out = {0};
    cloudevent_append_value(&out, STR("az~!#/{}"));
    wrote(&out, "az~!#/{}");
    cloudevent_append_value(&out, STR("a b\"c%d\r\n\x01\x7f"));
    wrote(&out, "a%20b%22c%25d%0D%0A%01%7F");
    cloudevent_append_value(&out, STR("Euro \xe2\x82\xac \xf0\x9f\x98\x80")); /* the binding's example */
    wrote(&out, "Euro%20%E2%82%AC%20%F0%9F%98%80");
    cloudevent_append_value(&out, str_from("a\0b", 3));
    wrote(&out, "a%00b");
}

static void test_the_headers_of_a_session(void **state)
{
    struct buf out = {0};
    const struct cloudevent_session full = {
        .endpoint = STR("/ai chat/{id}"),
        .id = STR("s1"),
        .user = STR("J\xc3\xbcrgen\r\nce-userid: root"),
        .subprotocol = STR("x.v1"),
        .claims = STR("{\"a\":1}"),
        .query = STR("{\"trace\":\"7\"}"),
        .path = STR("{\"id\":\"t1\"}"),
    };
    cloudevent_write_session(&out, &full);
    wrote(&out, "ce-specversion: 1.0\r\n"
                "ce-source: /endpoints/ai%2520chat/%257Bid%257D/sessions/s1\r\n"
                "ce-sessionid: s1\r\n"
                "ce-partitionkey: s1\r\n"
                "ce-userid: J%C3%BCrgen%0D%0Ace-userid:%20root\r\n"
                "ce-endpoint: /ai%20chat/{id}\r\n"
                "ce-subprotocol: x.v1\r\n"
                "ce-claims: eyJhIjoxfQ\r\n"
                "ce-query: eyJ0cmFjZSI6IjcifQ\r\n"
                "ce-path: eyJpZCI6InQxIn0\r\n");
    const struct cloudevent_session plain = {.endpoint = STR("/"), .id = STR("s1")};
    cloudevent_write_session(&out, &plain);
    wrote(&out, "ce-specversion: 1.0\r\nce-source: /endpoints/sessions/s1\r\nce-sessionid: s1\r\n"
                "ce-partitionkey: s1\r\nce-endpoint: /\r\n");
}

static void test_the_headers_of_an_event(void **state)
{
    struct buf out = {0};
    struct cloudevent event = {.type = CLOUDEVENT_MESSAGE,
                               .session_id = STR("s1"),
                               .sequence = 7,
                               .wall_ms = 1700000000123,
                               .state = STR("c3Q=")};
    cloudevent_write(&out, &event);
    wrote(&out, "ce-type: carillon.message\r\nce-id: s1.7\r\nce-time: 2023-11-14T22:13:20.123Z\r\n"
                "ce-sequence: 7\r\nce-connectionstate: c3Q=\r\n");
    event = (struct cloudevent){.type = CLOUDEVENT_SUBSCRIBE, .session_id = STR("s1"), .sequence = 2};
    cloudevent_write(&out, &event);
    wrote(&out, "ce-type: carillon.subscribe\r\nce-id: s1.subscribe.2\r\nce-time: 1970-01-01T00:00:00.000Z\r\n");
    event.type = CLOUDEVENT_CONNECTED;
    cloudevent_append_id(&out, &event);
    wrote(&out, "s1.connected");
    event.type = CLOUDEVENT_DISCONNECTED;
    cloudevent_append_id(&out, &event);
    wrote(&out, "s1.disconnected");
    event.type = CLOUDEVENT_CONNECT;
    cloudevent_append_id(&out, &event);
    wrote(&out, "s1.connect");
}

static void picks(const char *object, const char *expected)
{
    static const struct str names[] = {{"scope", 5}, {"a\"b", 3}, {"nested", 6}};
    struct json_value value;
    struct buf out = {0};
    assert_int_equal(json_check(str_from_cstr(object), NULL, &value, NULL), ERR_NONE);
    cloudevent_pick(&out, value, names, 3);
    wrote(&out, expected);
}

static void test_only_listed_claims(void **state)
{
    picks("{\"sub\":\"u\",\"scope\":\"x y\",\"password\":\"p\", \"nested\": {\"a\" : [1]}}",
          "{\"scope\":\"x y\",\"nested\":{\"a\" : [1]}}");
    picks("{\"a\\\"b\":1}", "{\"a\\\"b\":1}");
    picks("{\"sub\":\"u\"}", "");
    picks("{}", "");
}

static void test_a_passed_header_stays_one_line(void **state)
{
    struct buf out = {0};
    cloudevent_write_passed(&out, STR("x-name"), STR("J\xc3\xbc\r\nce-id: 7 50%"));
    wrote(&out, "x-name: J%C3%BC%0D%0Ace-id: 7 50%\r\n");
}

static void test_traceparent(void **state)
{
    static const char *const bad[] = {
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
    };
    assert_true(traceparent_is_valid(STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(traceparent_is_valid(str_from_cstr(bad[i])));
    for (int i = 0; i < 100; i++) {
        struct buf out = {0};
        traceparent_make(&out);
        assert_true(traceparent_is_valid(buf_str(&out)));
        buf_fini(&out);
    }
}

static void test_connection_states(void **state)
{
    char long_state[CONNECTION_STATE_MAX + 1];
    memset(long_state, 'a', sizeof long_state);
    assert_true(connection_state_is_valid(STR("")));
    assert_true(connection_state_is_valid(STR("eyJhIjoxfQ==")));
    assert_false(connection_state_is_valid(STR("a b")));
    assert_false(connection_state_is_valid(STR("a\r\nb")));
    assert_false(connection_state_is_valid(STR("\xc3\xbc")));
    assert_true(connection_state_is_valid(str_from(long_state, CONNECTION_STATE_MAX)));
    assert_false(connection_state_is_valid(str_from(long_state, CONNECTION_STATE_MAX + 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_encoded),
        cmocka_unit_test(test_the_headers_of_a_session),
        cmocka_unit_test(test_the_headers_of_an_event),
        cmocka_unit_test(test_only_listed_claims),
        cmocka_unit_test(test_a_passed_header_stays_one_line),
        cmocka_unit_test(test_traceparent),
        cmocka_unit_test(test_connection_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
