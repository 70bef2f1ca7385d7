/* test_hub_frames.c - what an endpoint says of frames: which of Carillon's own it sends, and what it sends of an event.
 * Also how it answers a failed message, and what the end of a token means there. */
#include <stdio.h>

#include "common/protocol/ws_frame.h"
#include "server/core/correlation.h"
#include "tests/unit/core/hub_fixture.h"

static struct scene {
    struct fixture f;
    struct wire wire;
} s;

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    fixture_setup(&s.f);
    s.f.transport = &wire_transport; /* session_init is not read over */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_session(&s.f, &s.wire);
    fixture_teardown(&s.f);
    return 0;
}

static struct endpoint *begin_change(void)
{
    struct endpoint *endpoint = fixture_copy_endpoint(&s.f);
    endpoint->ping_interval_us = 0; /* the first ping would come at a time of its own */
    return endpoint;
}

static void assert_next(const char *part)
{
    const char *frame = next_frame(&s.wire, NULL);
    if (!strstr(frame, part) || (!*part && *frame))
        fail_msg("no %s in %s", part, frame);
}

static void open_with(struct endpoint *endpoint, const char *payload)
{
    fixture_use_endpoint(&s.f, endpoint);
    open_session(&s.f, &s.wire, payload);
}

static void test_no_frames(void **state)
{
    (void)state;
    char reason[128];
    struct endpoint *endpoint = begin_change();
    endpoint->frames = 0;
    open_with(endpoint, "{\"sub\":\"ann\",\"exp\":1768473040}");
    send_text(&s.f, &s.wire, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"public:a\"}}");
    answer_join(&s.f, "public:a", "", 0);
    send_text(&s.f, &s.wire, "{\"type\":\"ping\"}");
    send_text(&s.f, &s.wire, "what");
    hub_gap(s.f.hub, STR("public:a"), GAP_CONNECTION_LOST, &(struct position){0});
    hub_flush(s.f.hub);
    assert_next("");
    deliver(&s.f, "public:a", "{\"n\":1}", true);
    assert_next("\"type\":\"note\"");
    pass(&s.f, 15000); /* no warning */
    int opcode;
    while (*next_frame(&s.wire, &opcode))
        assert_int_equal(opcode, WS_PING);
    hub_pong(s.f.hub, s.wire.session);
    hub_drain(s.f.hub, 1000000); /* no reconnect */
    pass(&s.f, 1001);
    assert_int_equal(next_close(&s.wire, reason), 1001);
}

static void test_words(void **state)
{
    static const char *const words[] = {"session_init", "subscribed", "warning", "reconnect", "error", "pong"};
    uint32_t all = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        uint32_t frames = frames_of_word(str_from_cstr(words[i]));
        assert_true(frames != 0 && (all & frames) == 0);
        all |= frames;
    }
    assert_int_equal(all, FRAMES_ALL);
    assert_int_equal(frames_of_word(STR("ping")), 0);
    open_with(begin_change(), "{\"sub\":\"ann\"}");
}

static void test_some_frames(void **state)
{
    (void)state;
    struct endpoint *endpoint = begin_change();
    endpoint->frames = frames_of_word(STR("session_init")) | frames_of_word(STR("error"));
    open_with(endpoint, "{\"sub\":\"ann\"}");
    assert_next("\"type\":\"session_init\"");
    send_text(&s.f, &s.wire, "{\"type\":\"ping\"}");
    send_text(&s.f, &s.wire, "{\"type\":\"pong\"}");
    assert_next("invalid_request");
    assert_next("");
}

/* Sessions of one endpoint share one encoding, and those of another have theirs. */
static void test_deliver_data(void **state)
{
    static struct wire other, whole;
    (void)state;
    open_session(&s.f, &whole, "{\"sub\":\"wim\"}");
    struct endpoint *endpoint = begin_change();
    endpoint->frames = 0;
    endpoint->deliver_data = true;
    s.f.other_endpoint = endpoint;
    open_session(&s.f, &s.wire, "{\"sub\":\"ann\"}");
    open_session(&s.f, &other, "{\"sub\":\"bob\"}");
    assert_ptr_equal(s.wire.session->format, other.session->format);
    assert_ptr_not_equal(s.wire.session->format, whole.session->format);
    hub_subscribe(s.f.hub, s.wire.session, STR("public:a"));
    hub_subscribe(s.f.hub, other.session, STR("public:a"));
    hub_subscribe(s.f.hub, whole.session, STR("public:a"));
    answer_join(&s.f, "public:a", "", 0);
    deliver(&s.f, "public:a", "{ \"a\" : [1, 2.50,\"\\u00e9\"] }", true);
    assert_string_equal(next_frame(&s.wire, NULL), "{ \"a\" : [1, 2.50,\"\\u00e9\"] }");
    assert_string_equal(next_frame(&other, NULL), "{ \"a\" : [1, 2.50,\"\\u00e9\"] }");
    while (!strstr(next_frame(&whole, NULL), "\"data\":{ \"a\" : [1, 2.50,\"\\u00e9\"] }"))
        assert_true(whole.read < whole.bytes.len);
    deliver(&s.f, "public:a", "\"text\"", true);
    assert_string_equal(next_frame(&s.wire, NULL), "\"text\"");
    close_session(&s.f, &other);
    close_session(&s.f, &whole);
    endpoint_unref(endpoint);
}

static struct correlation *correlate(const char *id, const char *error_template)
{
    const struct correlation_options options = {.id = str_from_cstr(id), .error = str_from_cstr(error_template)};
    struct correlation *correlation;
    struct error error;
    if (correlation_create(&options, &correlation, &error))
        fail_msg("%s", error.text);
    return correlation;
}

static void test_error_frame(void **state)
{
    (void)state;
    struct endpoint *endpoint = begin_change();
    endpoint->frames = 0;
    endpoint->text = USE_ECHO;
    endpoint->binary = USE_ECHO;
    endpoint->limits.message_rate_per_minute = 60;
    endpoint->limits.message_burst = 1;
    endpoint->limits.bad_messages = 0;
    endpoint->correlation =
        correlate("/h/id", "{\"state\":\"error\",\"h\":{\"id\":\"{id}\"},\"error\":\"{code}: {message}\"}");
    open_with(endpoint, "{\"sub\":\"ann\"}");
    send_text(&s.f, &s.wire, "hello");
    assert_next("hello");
    send_text(&s.f, &s.wire, "{\"h\":{\"id\":\"a\\\"b\"}}");
    assert_string_equal(next_frame(&s.wire, NULL), "{\"state\":\"error\",\"h\":{\"id\":\"a\\\"b\"},\"error\":"
                                                   "\"rate_limited: too many messages; wait 1001 ms\"}");
    send_text(&s.f, &s.wire, "{\"h\":{\"id\":17}}");
    assert_next("\"id\":17}");
    static const char *const without[] = {"no JSON", "{}", "{\"h\":{\"id\":null}}", "{\"h\":{\"id\":[\"x\"]}}", ""};
    for (size_t i = 0; i < COUNT_OF(without); i++) {
        send_text(&s.f, &s.wire, without[i]);
        assert_next("\"id\":null}");
    }
    hub_receive_binary(s.f.hub, s.wire.session, STR("{\"h\":{\"id\":17}}"));
    hub_flush(s.f.hub);
    assert_next("\"id\":null}");
    char large[2000];
    snprintf(large, sizeof large, "{\"h\":{\"id\":\"%01100d\"}}", 0);
    send_text(&s.f, &s.wire, large);
    assert_next("\"id\":null}");
    hub_fail(s.f.hub, s.wire.session, STR("\"later\""), ERR_UNAVAILABLE, STR("gone \"away\""));
    hub_flush(s.f.hub);
    assert_next("{\"state\":\"error\",\"h\":{\"id\":\"later\"},\"error\":\"unavailable: gone \\\"away\\\"\"}");
}

static void test_no_template(void **state)
{
    (void)state;
    struct endpoint *endpoint = begin_change();
    endpoint->correlation = correlate("/id", "");
    open_with(endpoint, "{\"sub\":\"ann\"}");
    assert_next("session_init");
    hub_fail(s.f.hub, s.wire.session, STR("\"x\""), ERR_UNAVAILABLE, STR("away"));
    hub_flush(s.f.hub);
    assert_next("{\"type\":\"error\",\"id\":\"x\",\"error\":{\"code\":\"unavailable\",\"message\":\"away\"}}");
}

static void test_bad_correlation(void **state)
{
    struct correlation *correlation;
    struct error error;
    (void)state;
    const struct correlation_options rows[] = {
        {.id = STR("id")}, {.idempotency_key = STR("/~")}, {.error = STR("{\"a\":\"{what}\"}")}, {.error = STR("{")}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(correlation_create(&rows[i], &correlation, &error), ERR_INVALID_REQUEST);
        assert_null(correlation);
    }
    open_with(begin_change(), "{\"sub\":\"ann\"}");
}

/* The token's end is no end of the session, and a refresh is answered as ever. A reload changes that. */
static void test_expiry_counts_at_the_upgrade(void **state)
{
    (void)state;
    struct endpoint *endpoint = begin_change();
    struct error error;
    endpoint->ignores_expiry = true;
    open_with(endpoint, "{\"sub\":\"ann\",\"exp\":1768473040}");
    assert_next("session_init");
    for (int second = 0; second < 100; second++)
        pass(&s.f, 1000);
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    assert_int_equal(claims_parse(STR("{\"sub\":\"ann\",\"exp\":1768473110}"), &s.f.next_claims, &error), ERR_NONE);
    send_text(&s.f, &s.wire, "{\"type\":\"refresh\",\"data\":{\"token\":\"t\"}}");
    assert_next("\"type\":\"refreshed\"");
    pass(&s.f, 20000);
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    fixture_use_endpoint(&s.f, begin_change());
    hub_flush(s.f.hub);
    assert_int_equal(s.wire.session->closing_reason, REASON_TOKEN_EXPIRED);
}

/* But for the end that a backend has set: it is not the token's. The leeway does not put it off. */
static void test_the_end_of_a_backend_counts_all_the_same(void **state)
{
    (void)state;
    struct endpoint *endpoint = begin_change();
    endpoint->ignores_expiry = true;
    s.f.next_changes = "{\"exp\":1768473040}";
    open_with(endpoint, "{\"sub\":\"ann\",\"exp\":1768473020}");
    assert_next("session_init");
    pass(&s.f, 39900);
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    pass(&s.f, 200);
    assert_int_equal(s.wire.session->closing_reason, REASON_TOKEN_EXPIRED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_frames),
        TEST(test_words),
        TEST(test_some_frames),
        TEST(test_deliver_data),
        TEST(test_error_frame),
        TEST(test_no_template),
        TEST(test_bad_correlation),
        TEST(test_expiry_counts_at_the_upgrade),
        TEST(test_the_end_of_a_backend_counts_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
