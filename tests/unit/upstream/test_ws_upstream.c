/* test_ws_upstream.c - sessions with a connection each to a backend by WebSocket. The backend is a socket in the same
 * thread, which the test reads and writes by hand. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/protocol/http_head.h"
#include "common/protocol/ws_decoder.h"
#include "common/protocol/ws_frame.h"
#include "common/protocol/ws_handshake.h"
#include "server/core/session.h"
#include "server/upstream/ws_target.h"
#include "server/upstream/ws_upstream.h"
#include "tests/unit/core/hub_fixture.h"

static struct scene {
    struct fixture f;
    struct endpoint endpoint;
    struct ws_target_options target;
    struct ws_upstream_options options;
    struct wire wire;
    struct transport_ops transport;
    bool held;
    char url[64];
    int listener;
    int peer;        /* the backend's end of the connection; -1: none */
    struct buf sent; /* what it has read and the test has not looked at */
    struct ws_decoder decoder;
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

static void listen_at_once(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    s.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(s.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s.listener, 16), 0);
    assert_int_equal(getsockname(s.listener, (struct sockaddr *)&address, &len), 0);
    snprintf(s.url, sizeof s.url, "ws://127.0.0.1:%d/asr?x=1", ntohs(address.sin_port));
}

static int setup(void **state)
{
    static const struct str claims[] = {{"role", 4}};
    (void)state;
    memset(&s, 0, sizeof s);
    s.peer = -1;
    fixture_setup(&s.f);
    s.f.settings.outbox_max_bytes = 1000000;
    hub_configure(s.f.hub, &s.f.settings, s.f.rules);
    s.transport = wire_transport;
    s.transport.hold = on_hold;
    s.f.transport = &s.transport;
    listen_at_once();
    s.target = (struct ws_target_options){.name = STR("stt"),
                                          .url = str_from_cstr(s.url),
                                          .connections = 10,
                                          .breaker_failures = OUTBOUND_NO_BREAKER,
                                          .breaker_open_us = 1000};
    s.options = (struct ws_upstream_options){.name = STR("stt"),
                                             .claims = claims,
                                             .claim_count = 1,
                                             .waiting_bytes = 100000,
                                             .frame_bytes = 300000,
                                             .timeout_us = 10000000};
    return 0;
}

static void open_with_upstream(void)
{
    struct error error;
    assert_int_equal(ws_target_create(&s.target, &s.options.target, &error), ERR_NONE);
    endpoint_init(&s.endpoint, s.f.endpoint->dialect, keep);
    s.endpoint.limits = s.f.endpoint->limits;
    s.endpoint.limits.message_rate_per_minute = 0;
    s.endpoint.close_codes = s.f.endpoint->close_codes;
    s.endpoint.text = s.endpoint.binary = USE_UPSTREAM;
    s.endpoint.upstream = ws_upstream_create(&s.options);
    s.f.other_endpoint = &s.endpoint;
    open_session(&s.f, &s.wire, "{\"sub\":\"ann\",\"role\":\"admin\"}");
    s.wire.read = s.wire.bytes.len; /* session_init */
}

/* One turn of the loop, and what the backend can read. */
static void spin(void)
{
    char bytes[65536];
    uv_run(&s.f.loop, UV_RUN_NOWAIT);
    hub_flush(s.f.hub);
    for (ssize_t n; s.peer >= 0 && (n = recv(s.peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
        buf_append(&s.sent, str_from(bytes, (size_t)n));
    poll(NULL, 0, 1);
}

#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        for (int turns_ = 0; !(condition); turns_++) {                                                                 \
            if (turns_ > 100000)                                                                                       \
                fail_msg("never: %s", #condition);                                                                     \
            spin();                                                                                                    \
        }                                                                                                              \
    } while (0)

static void leave(void)
{
    close_session(&s.f, &s.wire);
    s.wire.session = NULL;
}

static int teardown(void **state)
{
    (void)state;
    if (s.wire.session)
        leave();
    if (s.peer >= 0)
        close(s.peer);
    close(s.listener);
    s.peer = -1;
    UNTIL(hub_links(s.f.hub) == 0);
    endpoint_unref(&s.endpoint);
    fixture_teardown(&s.f);
    ws_decoder_fini(&s.decoder);
    buf_fini(&s.sent);
    return 0;
}

static bool accept_peer(void)
{
    s.peer = accept(s.listener, NULL, NULL);
    return s.peer >= 0;
}

static void say(struct str bytes)
{
    assert_int_equal(send(s.peer, bytes.ptr, bytes.len, MSG_NOSIGNAL), (ssize_t)bytes.len);
}

static void say_frame(enum ws_opcode opcode, const char *payload)
{
    uint8_t header[WS_HEADER_MAX];
    size_t len = strlen(payload);
    say(str_from((const char *)header, ws_frame_header(header, opcode, len)));
    say(str_from(payload, len));
}

/* Reads the upgrade request and answers it. */
static void upgrade(struct buf *out_request)
{
    struct http_head head;
    struct str key;
    size_t scanned = 0;
    char accept[WS_ACCEPT_LEN + 1], answer[256];
    UNTIL(accept_peer());
    UNTIL(memmem(s.sent.ptr ? s.sent.ptr : "", s.sent.len, "\r\n\r\n", 4));
    assert_int_equal(http_head_parse(buf_str(&s.sent), 8192, &scanned, &head, NULL), HTTP_HEAD_DONE);
    assert_int_equal(ws_handshake_check(&head, NULL), WS_HANDSHAKE_WEBSOCKET);
    assert_true(http_head_find(&head, STR("sec-websocket-key"), &key));
    ws_handshake_accept(key, accept);
    if (out_request)
        buf_append(out_request, str_from(s.sent.ptr, head.length));
    buf_consume(&s.sent, head.length);
    s.decoder.from_client = true;
    int len = snprintf(
        answer, sizeof answer,
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    say(str_from(answer, (size_t)len));
}

/* The next frame that the backend gets must be that. Of a close frame payload is the reason. */
static int assert_sent(enum ws_opcode opcode, const char *payload)
{
    struct ws_message message;
    struct error error;
    for (int turns = 0; turns < 5000; turns++, spin()) {
        struct str bytes = buf_str(&s.sent);
        enum ws_decoded decoded = ws_decoder_next(&s.decoder, &bytes, &message, &error);
        struct buf copy = {0};
        if (decoded == WS_DECODED_BAD)
            fail_msg("%s", error.text);
        if (decoded == WS_DECODED_MESSAGE)
            buf_append(&copy, message.payload);
        buf_consume(&s.sent, s.sent.len - bytes.len);
        if (decoded == WS_DECODED_MESSAGE) {
            assert_int_equal(message.opcode, opcode);
            assert_string_equal(buf_cstr(&copy), payload);
            buf_fini(&copy);
            return message.close_code;
        }
    }
    fail_msg("no frame came: %s", payload);
    return 0;
}

static void assert_got(int opcode, const char *payload)
{
    int found = 0;
    UNTIL(s.wire.bytes.len > s.wire.read);
    assert_string_equal(next_frame(&s.wire, &found), payload);
    assert_int_equal(found, opcode);
}

static void assert_failed(const char *code)
{
    UNTIL(s.wire.bytes.len > s.wire.read);
    const char *frame = next_frame(&s.wire, NULL);
    assert_non_null(strstr(frame, "\"error\""));
    assert_non_null(strstr(frame, code));
}

static void test_messages_wait_for_the_connection(void **state)
{
    struct buf request = {0};
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "first");
    send_text(&s.f, &s.wire, "second");
    assert_int_equal(s.wire.session->upstream->in_flight, 2);
    upgrade(&request);
    assert_non_null(strstr(buf_cstr(&request), "GET /asr?x=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(buf_cstr(&request), "\r\nce-type: carillon.connected\r\n"));
    assert_non_null(strstr(buf_cstr(&request), "\r\nce-claims: eyJyb2xlIjoiYWRtaW4ifQ\r\n"));
    assert_non_null(strstr(buf_cstr(&request), "\r\ntraceparent: 00-"));
    assert_null(strstr(buf_cstr(&request), "webhook-"));
    assert_sent(WS_TEXT, "first");
    assert_sent(WS_TEXT, "second");
    assert_int_equal(s.wire.session->upstream->in_flight, 0);
    hub_receive_binary(s.f.hub, s.wire.session, STR("third"));
    assert_sent(WS_BINARY, "third");
    say_frame(WS_TEXT, "hello");
    assert_got(WS_TEXT, "hello");
    say_frame(WS_BINARY, "bytes");
    assert_got(WS_BINARY, "bytes");
    say_frame(WS_PING, "p");
    assert_sent(WS_PONG, "p");
    buf_fini(&request);
}

static void test_the_backend_closes(void **state)
{
    char reason[128];
    (void)state;
    open_with_upstream();
    upgrade(NULL);
    say(STR("\x88\x06\x12\x67over"));
    UNTIL(s.wire.bytes.len > s.wire.read);
    assert_int_equal(next_close(&s.wire, reason), 4711);
    assert_string_equal(reason, "over");
    assert_int_equal(assert_sent(WS_CLOSE, ""), 4711);
}

static void test_the_session_closes(void **state)
{
    (void)state;
    open_with_upstream();
    upgrade(NULL);
    send_text(&s.f, &s.wire, "x");
    assert_sent(WS_TEXT, "x");
    session_end_with(s.wire.session, 4004, STR("gone"));
    hub_flush(s.f.hub);
    assert_int_equal(assert_sent(WS_CLOSE, ""), 4004);
    assert_int_equal(hub_links(s.f.hub), 1);
    close(s.peer);
    s.peer = -1;
    UNTIL(hub_links(s.f.hub) == 0);
}

static void test_a_lost_client_is_1001_for_the_backend(void **state)
{
    (void)state;
    open_with_upstream();
    upgrade(NULL);
    send_text(&s.f, &s.wire, "x");
    assert_sent(WS_TEXT, "x");
    leave();
    assert_int_equal(assert_sent(WS_CLOSE, ""), 1001);
}

static void test_a_refused_connection_is_tried_again_with_the_next_message(void **state)
{
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "one");
    UNTIL(accept_peer());
    say(STR("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"));
    assert_failed("forbidden");
    close(s.peer);
    buf_clear(&s.sent);
    send_text(&s.f, &s.wire, "two");
    upgrade(NULL);
    assert_sent(WS_TEXT, "two");
}

static void test_a_failure_closes_where_it_is_told_to(void **state)
{
    char reason[128];
    (void)state;
    s.options.close_on_failure = true;
    open_with_upstream();
    UNTIL(accept_peer());
    say(STR("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"));
    UNTIL(s.wire.bytes.len > s.wire.read);
    assert_int_equal(next_close(&s.wire, reason), 1013);
}

static void test_too_many_connections(void **state)
{
    (void)state;
    s.target.connections = 0;
    open_with_upstream();
    send_text(&s.f, &s.wire, "one");
    assert_failed("unavailable");
    assert_int_equal(hub_links(s.f.hub), 0);
}

static void test_a_session_that_ends_while_it_connects(void **state)
{
    (void)state;
    open_with_upstream();
    leave();
    UNTIL(hub_links(s.f.hub) == 0);
}

static void test_messages_of_an_ended_session_still_go_out(void **state)
{
    (void)state;
    open_with_upstream();
    send_text(&s.f, &s.wire, "last");
    leave();
    upgrade(NULL);
    assert_sent(WS_TEXT, "last");
    assert_int_equal(assert_sent(WS_CLOSE, ""), 1001);
}

static void test_a_backend_that_does_not_read(void **state)
{
    static char chunk[60001];
    (void)state;
    memset(chunk, 'x', sizeof chunk - 1);
    open_with_upstream();
    send_text(&s.f, &s.wire, "x");
    assert_false(s.held);
    s.endpoint.limits.message_bytes = sizeof chunk;
    hub_receive_binary(s.f.hub, s.wire.session, str_from(chunk, 60000));
    hub_receive_binary(s.f.hub, s.wire.session, str_from(chunk, 60000));
    assert_true(s.held);
    upgrade(NULL);
    assert_sent(WS_TEXT, "x");
    assert_sent(WS_BINARY, chunk);
    assert_sent(WS_BINARY, chunk);
    UNTIL(!s.held);
}

static void test_a_client_that_does_not_read(void **state)
{
    static char chunk[30001];
    (void)state;
    memset(chunk, 'y', sizeof chunk - 1);
    open_with_upstream();
    upgrade(NULL);
    send_text(&s.f, &s.wire, "x");
    assert_sent(WS_TEXT, "x");
    s.wire.full = true;
    for (int i = 0; i < 10; i++)
        say_frame(WS_BINARY, chunk);
    for (int i = 0; i < 200; i++)
        spin();
    assert_in_range(s.wire.session->outbox.bytes + s.wire.session->unsent_bytes, 1, 65536 + 31000);
    s.wire.full = false;
    hub_writable(s.f.hub, s.wire.session, 0);
    for (int i = 0; i < 10; i++)
        assert_got(WS_BINARY, chunk);
}

static void test_a_frame_as_large_as_the_outbox_waits_for_a_slow_client(void **state)
{
    static char chunk[60001];
    (void)state;
    memset(chunk, 'z', sizeof chunk - 1);
    open_with_upstream();
    s.f.settings.outbox_max_bytes = 61000;
    hub_configure(s.f.hub, &s.f.settings, s.f.rules);
    upgrade(NULL);
    send_text(&s.f, &s.wire, "x");
    assert_sent(WS_TEXT, "x");
    s.wire.full = true;
    char small[2001] = "";
    memset(small, 'a', sizeof small - 1);
    say_frame(WS_TEXT, small);
    say_frame(WS_BINARY, chunk);
    say_frame(WS_TEXT, "after");
    for (int i = 0; i < 200; i++)
        spin();
    assert_int_equal(s.wire.session->state, SESSION_OPEN);
    s.wire.full = false;
    hub_writable(s.f.hub, s.wire.session, 0);
    assert_got(WS_TEXT, small);
    assert_got(WS_BINARY, chunk);
    assert_got(WS_TEXT, "after");
}

static void test_a_frame_that_is_too_large(void **state)
{
    char reason[128];
    (void)state;
    s.options.frame_bytes = 1000;
    open_with_upstream();
    upgrade(NULL);
    say(STR("\x82\x7f\0\0\0\0\x06\x40\0\0"));
    UNTIL(s.wire.bytes.len > s.wire.read);
    assert_int_equal(next_close(&s.wire, reason), 1009);
    assert_int_equal(assert_sent(WS_CLOSE, ""), 1009);
}

static void test_urls(void **state)
{
    struct ws_target *target;
    struct error error;
    (void)state;
    open_with_upstream();
    s.target.url = STR("wss://[::1]/a");
    assert_int_equal(ws_target_create(&s.target, &target, &error), ERR_NONE);
    assert_string_equal(ws_target_address(target)->host, "::1");
    assert_string_equal(ws_target_address(target)->port, "443");
    assert_non_null(ws_target_address(target)->context);
    assert_str(ws_target_host(target), "[::1]");
    ws_target_unref(target);
    s.target.url = STR("http://h/a");
    assert_int_equal(ws_target_create(&s.target, &target, &error), ERR_INVALID_REQUEST);
    s.target.url = STR("wss://h/a");
    s.target.ca_file = STR("/nonexistent.pem");
    assert_int_equal(ws_target_create(&s.target, &target, &error), ERR_INVALID_REQUEST);
    assert_non_null(strstr(error.text, "tls_ca: cannot use /nonexistent.pem: No such file"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_messages_wait_for_the_connection),
        TEST(test_the_backend_closes),
        TEST(test_the_session_closes),
        TEST(test_a_lost_client_is_1001_for_the_backend),
        TEST(test_a_refused_connection_is_tried_again_with_the_next_message),
        TEST(test_a_failure_closes_where_it_is_told_to),
        TEST(test_too_many_connections),
        TEST(test_a_session_that_ends_while_it_connects),
        TEST(test_messages_of_an_ended_session_still_go_out),
        TEST(test_a_backend_that_does_not_read),
        TEST(test_a_client_that_does_not_read),
        TEST(test_a_frame_as_large_as_the_outbox_waits_for_a_slow_client),
        TEST(test_a_frame_that_is_too_large),
        TEST(test_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
