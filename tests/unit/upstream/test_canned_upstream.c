/* test_canned_upstream.c - the upstream inside the server: frames by a template, at a pace. */
#include "server/core/session.h"
#include "server/upstream/canned_upstream.h"
#include "tests/unit/core/hub_fixture.h"

static struct scene {
    struct fixture f;
    struct endpoint endpoint;
    struct wire wire;
    struct transport_ops transport;
    bool held;
} s;

static void on_hold(struct session *session, bool hold)
{
    (void)session;
    s.held = hold;
}

static void keep(struct endpoint *endpoint)
{
    (void)endpoint;
}

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    fixture_setup(&s.f);
    s.transport = wire_transport;
    s.transport.hold = on_hold;
    s.f.transport = &s.transport;
    return 0;
}

static void open_with(const char *settings)
{
    const struct correlation_options correlation = {.id = STR("/id")};
    struct error error;
    endpoint_init(&s.endpoint, s.f.endpoint->dialect, keep);
    s.endpoint.limits = s.f.endpoint->limits;
    s.endpoint.limits.message_rate_per_minute = 0;
    s.endpoint.text = s.endpoint.binary = USE_UPSTREAM;
    assert_int_equal(correlation_create(&correlation, &s.endpoint.correlation, &error), ERR_NONE);
    assert_int_equal(canned_upstream_create(STR("answers"), str_from_cstr(settings), &s.endpoint.upstream, &error),
                     ERR_NONE);
    s.f.other_endpoint = &s.endpoint;
    open_session(&s.f, &s.wire, "{\"sub\":\"ann\"}");
    hub_flush(s.f.hub);
    s.wire.read = s.wire.bytes.len; /* session_init */
}

static int teardown(void **state)
{
    (void)state;
    if (s.wire.session)
        close_session(&s.f, &s.wire);
    endpoint_unref(&s.endpoint);
    fixture_teardown(&s.f);
    return 0;
}

static void send_binary(const char *bytes)
{
    hub_receive_binary(s.f.hub, s.wire.session, str_from_cstr(bytes));
    hub_flush(s.f.hub);
}

static void assert_frame(const char *expected)
{
    hub_flush(s.f.hub);
    assert_string_equal(next_frame(&s.wire, NULL), expected);
}

static void test_the_answer_has_the_id_of_the_message(void **state)
{
    (void)state;
    open_with(
        "{\"text\":{\"id\":\"{id}\",\"a\":\"{action}\",\"n\":\"{n}\",\"bytes\":\"{bytes}\",\"last\":\"{last}\"}}");
    send_text(&s.f, &s.wire, "{\"id\":\"c\\u00e4\",\"headers\":{\"action\":\"translate\"},\"type\":\"x\"}");
    assert_frame("{\"id\":\"c\\u00e4\",\"a\":\"translate\",\"n\":1,\"bytes\":60,\"last\":true}");
    send_text(&s.f, &s.wire, "{\"id\":7,\"type\":\"say\"}");
    assert_frame("{\"id\":7,\"a\":\"say\",\"n\":2,\"bytes\":21,\"last\":true}");
    send_text(&s.f, &s.wire, "no JSON");
    assert_frame("{\"id\":null,\"a\":null,\"n\":3,\"bytes\":7,\"last\":true}");
    send_binary("123");
    assert_frame("");
}

static void test_frames_come_at_a_pace(void **state)
{
    (void)state;
    open_with("{\"binary\":[\"{text}\",\"{last}\"],\"frames\":3,\"every_ms\":100}");
    send_binary("12");
    assert_frame("[\"This is message 1 with\",false]");
    assert_int_equal(s.wire.session->upstream->in_flight, 1);
    pass(&s.f, 80);
    assert_frame("");
    pass(&s.f, 40);
    assert_frame("[\"This is message 1 with 2 bytes, and carillon\",false]");
    pass(&s.f, 120);
    assert_frame("[\"This is message 1 with 2 bytes, and carillon dev answers it.\",true]");
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
    pass(&s.f, 1000);
    assert_frame("");
}

static void test_echo(void **state)
{
    (void)state;
    int opcode;
    open_with("{\"echo\":true,\"text\":1,\"frames\":2}");
    send_text(&s.f, &s.wire, "as it is");
    assert_string_equal(next_frame(&s.wire, &opcode), "as it is");
    assert_int_equal(opcode, 1);
    send_binary("bytes");
    assert_string_equal(next_frame(&s.wire, &opcode), "bytes");
    assert_int_equal(opcode, 2);
}

static void test_many_answers_hold_the_client(void **state)
{
    (void)state;
    open_with("{\"text\":\"{n}\",\"frames\":2,\"every_ms\":50}");
    for (int i = 0; i < 63; i++)
        send_text(&s.f, &s.wire, "{}");
    assert_false(s.held);
    send_text(&s.f, &s.wire, "{}");
    assert_true(s.held);
    pass(&s.f, 70);
    assert_false(s.held);
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
}

static void test_a_session_ends_with_answers_under_way(void **state)
{
    (void)state;
    open_with("{\"text\":\"{n}\",\"frames\":100,\"every_ms\":50}");
    for (int i = 0; i < 3; i++)
        send_text(&s.f, &s.wire, "{}");
    close_session(&s.f, &s.wire);
    s.wire.session = NULL;
    pass(&s.f, 1000);
}

static void test_settings_that_are_wrong(void **state)
{
    static const char *const wrong[][2] = {
        {"[]", "the settings"},
        {"{", "byte"},
        {"{\"text\":\"{name}\"}", "text: "},
        {"{\"binary\":[\"{nothing}\"]}", "binary: "},
        {"{\"frames\":0}", "frames: expected a whole number from 1 to 100"},
        {"{\"frames\":1.5}", "frames: "},
        {"{\"every_ms\":60001}", "every_ms: expected a whole number from 1 to 60000"},
        {"{\"echo\":1}", "echo"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct upstream *upstream;
        struct error error;
        assert_int_not_equal(canned_upstream_create(STR("x"), str_from_cstr(wrong[i][0]), &upstream, &error), ERR_NONE);
        assert_null(upstream);
        assert_non_null(strstr(error.text, wrong[i][1]));
    }
    endpoint_init(&s.endpoint, s.f.endpoint->dialect, keep);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCENE(test_the_answer_has_the_id_of_the_message),
        WITH_SCENE(test_frames_come_at_a_pace),
        WITH_SCENE(test_echo),
        WITH_SCENE(test_many_answers_hold_the_client),
        WITH_SCENE(test_a_session_ends_with_answers_under_way),
        WITH_SCENE(test_settings_that_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
