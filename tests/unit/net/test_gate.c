/* test_gate.c - from the listening socket to a session and back, over loopback. */
#include <stdio.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/protocol/ws_frame.h"
#include "server/net/http/connection.h"
#include "tests/support/unit.h"
#include "tests/unit/net/net_fixture.h"

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in: %s", part, text);
}

/* Sends, reads until `until`, and checks. Frames have NULs only in close codes, which come last. */
static void talk(struct net_fixture *fixture, int fd, struct str bytes, const char *until)
{
    fixture_send(fd, bytes);
    free(fixture_read(fixture, fd, until));
}

static int open_session(struct net_fixture *fixture)
{
    char head[2048], target[600];
    int fd = fixture_connect(fixture, false);
    snprintf(target, sizeof target, "/ws?token=%s", fixture->token);
    talk(fixture, fd, fixture_handshake(head, target, ""), "session_init");
    return fd;
}

static void a_session_opens_talks_and_closes(void **state)
{
    (void)state;
    struct net_fixture *fixture = fixture_create();
    fixture_start(fixture);
    char frame[256];
    int fd = open_session(fixture);
    assert_int_equal(hub_sessions(fixture->worker->hub)->count, 1);
    talk(fixture, fd, fixture_frame(frame, 0x81, "{\"type\":\"ping\",\"id\":7}"), "\"type\":\"pong\",\"id\":7");
    fixture_send(fd, fixture_frame(frame, 0x01, "{\"type\":\"pi"));
    talk(fixture, fd, fixture_frame(frame, 0x80, "ng\",\"id\":8}"), "\"type\":\"pong\",\"id\":8");
    talk(fixture, fd, fixture_frame(frame, 0x88, "\x0f\xa1 bye"), "\x88");
    free(fixture_read(fixture, fd, NULL));
    assert_int_equal(hub_sessions(fixture->worker->hub)->count, 0);
    close(fd);
    fixture_destroy(fixture);
}

static void a_head_may_come_byte_by_byte_and_frames_with_it(void **state)
{
    (void)state;
    struct net_fixture *fixture = fixture_create();
    fixture->settings->head_timeout_us = 10000000;
    fixture_start(fixture);
    char head[2048], lines[700], frame[256];
    int fd = fixture_connect(fixture, false);
    snprintf(lines, sizeof lines, "Sec-WebSocket-Protocol: carillon.v1, %s\r\n", fixture->token);
    struct str bytes = fixture_handshake(head, "/ws", lines);
    for (size_t i = 0; i + 1 < bytes.len; i++) {
        fixture_send(fd, str_from(bytes.ptr + i, 1));
        if (i % 16 == 0)
            fixture_turn(fixture);
    }
    struct str ping = fixture_frame(frame, 0x81, "{\"type\":\"ping\",\"id\":\"early\"}");
    char last[300] = "\n";
    memcpy(last + 1, ping.ptr, ping.len);
    fixture_send(fd, str_from(last, ping.len + 1));
    char *answer = fixture_read(fixture, fd, "\"early\"");
    assert_has(answer, "HTTP/1.1 101");
    assert_has(answer, "Sec-WebSocket-Protocol: carillon.v1\r\n");
    assert_null(strstr(answer, fixture->token));
    free(answer);
    close(fd);
    fixture_destroy(fixture);
}

/* The server's answer to one message: the codes of docs/protocol.md. */
static void bad_messages_are_told_and_closed(void **state)
{
    (void)state;
    static const struct {
        int first_byte;
        const char *payload;
        int repeat;
        const char *reason;
    } rows[] = {
        {0x82, "binary", 1, "data_kind"},
        {0x81, "\xff\xfe", 1, "not_utf8"},
        {0x01, "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
         12, "message_too_big"},
    };
    struct net_fixture *fixture = fixture_create();
    fixture_start(fixture);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char frame[256];
        int fd = open_session(fixture);
        for (int k = 0; k < rows[i].repeat; k++)
            fixture_send(fd, fixture_frame(frame, k ? 0x00 : rows[i].first_byte, rows[i].payload));
        free(fixture_read(fixture, fd, rows[i].reason));
        free(fixture_read(fixture, fd, NULL)); /* this client never answers the close frame */
        close(fd);
    }
    fixture_destroy(fixture);
}

static void refusals_reach_the_client(void **state)
{
    (void)state;
    struct net_fixture *fixture = fixture_create();
    fixture_start(fixture);
    char head[2048];
    int fd = fixture_connect(fixture, false);
    fixture_send(fd, fixture_handshake(head, "/ws", ""));
    char *answer = fixture_read(fixture, fd, NULL);
    assert_has(answer, "HTTP/1.1 401 Unauthorized\r\n");
    assert_has(answer, "\"code\":\"unauthorized\"");
    assert_has(answer, "\"reason\":\"token_missing\"");
    assert_has(answer, "Connection: close\r\n");
    free(answer);
    close(fd);
    fd = fixture_connect(fixture, false);
    fixture_send(fd, fixture_handshake(head, "/ws", "Origin: https://x\r\n"));
    answer = fixture_read(fixture, fd, "token_missing");
    assert_has(answer, "HTTP/1.1 101");
    assert_has(answer, "\"code\":\"unauthorized\"");
    free(answer);
    free(fixture_read(fixture, fd, NULL));
    close(fd);
    assert_int_equal(hub_sessions(fixture->worker->hub)->count, 0);
    fixture_destroy(fixture);
}

static void say_nothing(struct buf *out, const struct reply *reply)
{
}

/* The close frame follows the upgrade: no frame has the words that the dialect lacks. */
static void a_dialect_without_words_for_a_refusal_only_closes(void **state)
{
    (void)state;
    static const struct dialect silent = {.reply = say_nothing};
    struct net_fixture *fixture = fixture_create();
    fixture->settings->endpoints[0]->base.dialect = &silent;
    fixture_start(fixture);
    char head[2048];
    int fd = fixture_connect(fixture, false);
    fixture_send(fd, fixture_handshake(head, "/ws", "Origin: https://x\r\n"));
    char *answer = fixture_read(fixture, fd, "token_missing");
    assert_has(answer, "\r\n\r\n\x88\x0f\x03\xf0token_missing");
    free(answer);
    close(fd);
    fixture_destroy(fixture);
}

static void limits_hold_and_are_given_back(void **state)
{
    (void)state;
    struct net_fixture *fixture = fixture_create();
    fixture->settings->max_per_user = 1;
    fixture->settings->max_per_address = 2;
    fixture_start(fixture);
    char head[2048], target[600], frame[256];
    snprintf(target, sizeof target, "/ws?token=%s", fixture->token);
    int first = open_session(fixture);
    for (int i = 0; i < 2; i++) { /* the second connection of the user, then also the third of the address */
        int fd = fixture_connect(fixture, false);
        int filler = i ? fixture_connect(fixture, false) : -1;
        fixture_turn(fixture);
        fixture_send(fd, fixture_handshake(head, target, ""));
        char *answer = fixture_read(fixture, fd, NULL);
        assert_has(answer, "HTTP/1.1 429 ");
        assert_has(answer, "Retry-After: 7\r\n");
        assert_has(answer, "\"reason\":\"connection_limit\"");
        free(answer);
        close(fd);
        if (filler >= 0)
            close(filler);
    }
    talk(fixture, first, fixture_frame(frame, 0x88, "\x03\xe8"), "\x88");
    free(fixture_read(fixture, first, NULL));
    close(first);
    while (quota_count(fixture->quota, QUOTA_SESSIONS, STR("")) > 0)
        fixture_turn(fixture);
    close(open_session(fixture));
    fixture_destroy(fixture);
}

/* Without other settings: who is there stays, and only tokens by the new keys are good. */
static void other_keys_count_from_the_next_token_on(void **state)
{
    (void)state;
    struct net_fixture *fixture = fixture_create();
    fixture_start(fixture);
    char head[2048], target[600], frame[256];
    int before = open_session(fixture);
    struct token_keys *keys = fixture_make_keys("another secret of thirty-two bytes");
    worker_set_keys(fixture->worker, keys);
    fixture_turn(fixture);
    snprintf(target, sizeof target, "/ws?token=%s", fixture->token);
    int fd = fixture_connect(fixture, false);
    fixture_send(fd, fixture_handshake(head, target, ""));
    char *answer = fixture_read(fixture, fd, NULL);
    assert_has(answer, "\"reason\":\"token_invalid\"");
    free(answer);
    close(fd);
    fixture_make_token(fixture, keys);
    token_keys_unref(keys);
    close(open_session(fixture));
    talk(fixture, before, fixture_frame(frame, 0x81, "{\"type\":\"ping\",\"id\":7}"), "\"type\":\"pong\",\"id\":7");
    close(before);
    fixture_destroy(fixture);
}

static void a_slow_or_silent_client_is_let_go(void **state)
{
    (void)state;
    struct net_fixture *fixture = fixture_create();
    fixture_start(fixture);
    int silent = fixture_connect(fixture, false), slow = fixture_connect(fixture, false);
    fixture_send(slow, STR("GET /ws HTTP/1.1\r\nHo"));
    char *answer = fixture_read(fixture, slow, NULL);
    assert_has(answer, "HTTP/1.1 408 ");
    free(answer);
    answer = fixture_read(fixture, silent, NULL);
    assert_string_equal(answer, "");
    free(answer);
    close(silent);
    close(slow);
    fixture_destroy(fixture);
}

/* Whoever waits before the first byte has less time for the rest. */
static void the_first_byte_does_not_move_the_deadline(void **state)
{
    (void)state;
    struct net_fixture *fixture = fixture_create();
    fixture->settings->head_timeout_us = 60000000;
    fixture_start(fixture);
    int fd = fixture_connect(fixture, false);
    while (fixture->connections->count == 0)
        fixture_turn(fixture);
    const struct connection *connection = CONTAINER_OF(fixture->connections->connections.next, struct connection, link);
    uint64_t due_tick = connection->deadline.due_tick;
    for (int i = 0; i < 2; i++) /* two of the worker's ticks, so that the time is another */
        fixture_turn(fixture);
    fixture_send(fd, STR("GET /ws HT"));
    while (connection->in.len == 0)
        fixture_turn(fixture);
    assert_int_equal(connection->deadline.due_tick, due_tick);
    close(fd);
    fixture_destroy(fixture);
}

static void a_proxy_header_counts_only_from_trusted_peers(void **state)
{
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        struct net_fixture *fixture = fixture_create();
        fixture->settings->proxy_protocol = PROXY_REQUIRED;
        fixture->settings->trusted_proxies = xcalloc(1, sizeof(struct cidr));
        fixture->settings->trusted_proxy_count = 1;
        assert_int_equal(
            cidr_parse(trusted ? STR("127.0.0.0/8") : STR("10.0.0.0/8"), fixture->settings->trusted_proxies, NULL),
            ERR_NONE);
        fixture_start(fixture);
        char head[2048], target[600];
        snprintf(target, sizeof target, "/ws?token=%s", fixture->token);
        int fd = fixture_connect(fixture, false);
        fixture_send(fd, STR("PROXY TCP4 203.0.113.5 192.0.2.1 5555 80\r\n"));
        fixture_send(fd, fixture_handshake(head, target, ""));
        char *answer = fixture_read(fixture, fd, trusted ? "session_init" : NULL);
        if (trusted) {
            size_t cursor = 0;
            assert_string_equal(session_index_next(hub_sessions(fixture->worker->hub), &cursor)->address,
                                "203.0.113.5");
        } else {
            assert_has(answer, "HTTP/1.1 400 ");
        }
        free(answer);
        close(fd);
        if (trusted) { /* and from whom it is required, nothing else will do */
            fd = fixture_connect(fixture, false);
            fixture_send(fd, fixture_handshake(head, target, ""));
            answer = fixture_read(fixture, fd, NULL);
            assert_string_equal(answer, "");
            free(answer);
            close(fd);
        }
        fixture_destroy(fixture);
    }
}

static void draining_refuses_and_sends_away(void **state)
{
    (void)state;
    struct net_fixture *fixture = fixture_create();
    fixture_start(fixture);
    char head[2048], target[600];
    int fd = open_session(fixture);
    worker_drain(fixture->worker, 0);
    free(fixture_read(fixture, fd, "going_away"));
    int late = fixture_connect(fixture, false);
    snprintf(target, sizeof target, "/ws?token=%s", fixture->token);
    fixture_send(late, fixture_handshake(head, target, ""));
    char *answer = fixture_read(fixture, late, NULL);
    assert_has(answer, "HTTP/1.1 503 ");
    assert_has(answer, "\"reason\":\"draining\"");
    free(answer);
    close(late);
    close(fd);
    fixture_destroy(fixture);
}

static enum write_result keep(struct session *session, struct str frames, uint32_t *out_unsent)
{
    *out_unsent = 0;
    buf_append(session->transport, frames);
    return WRITE_ALL;
}

static void do_nothing(struct session *session, bool abrupt)
{
}

static void refresh_on_another_transport(struct net_fixture *fixture, struct buf *written)
{
    static const struct transport_ops other = {.write = keep, .finish = do_nothing, .framing = &ws_framing};
    struct hub *hub = fixture->worker->hub;
    struct claims *claims = NULL;
    char text[700];
    assert_int_equal(claims_parse(STR("{\"sub\":\"u\"}"), &claims, NULL), ERR_NONE);
    struct session *session =
        hub_open(hub, &(struct session_start){.claims = claims,
                                              .endpoint = &fixture->worker->admitter.settings->endpoints[0]->base,
                                              .ops = &other,
                                              .address = STR("192.0.2.1"),
                                              .transport = written});
    claims_unref(claims);
    snprintf(text, sizeof text, "{\"type\":\"refresh\",\"id\":1,\"data\":{\"token\":\"%s\"}}", fixture->token);
    hub_receive(hub, session, str_from_cstr(text));
    hub_flush(hub);
    hub_gone(hub, session);
    hub_flush(hub);
}

/* A refresh asks nothing of the connection: the session may be on any transport. */
static void a_refresh_on_another_transport(void **state)
{
    (void)state;
    struct net_fixture *fixture = fixture_create();
    fixture_start(fixture);
    struct buf written = {0};
    buf_reserve(&written, 4096);
    refresh_on_another_transport(fixture, &written);
    assert_non_null(memmem(written.ptr, written.len, "\"refreshed\",\"id\":1", 18));
    buf_clear(&written);
    texts_add(&fixture->worker->admitter.settings->endpoints[0]->scopes, STR("connect"));
    refresh_on_another_transport(fixture, &written);
    assert_non_null(memmem(written.ptr, written.len, "scope_missing", 13));
    buf_clear(&written);
    texts_add(&fixture->worker->admitter.settings->endpoints[0]->claims, STR("team"));
    refresh_on_another_transport(fixture, &written);
    assert_non_null(memmem(written.ptr, written.len, "token_invalid: the token has no claim \\\"team\\\"", 46));
    buf_fini(&written);
    fixture_destroy(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_opens_talks_and_closes),
        cmocka_unit_test(a_head_may_come_byte_by_byte_and_frames_with_it),
        cmocka_unit_test(bad_messages_are_told_and_closed),
        cmocka_unit_test(refusals_reach_the_client),
        cmocka_unit_test(a_dialect_without_words_for_a_refusal_only_closes),
        cmocka_unit_test(limits_hold_and_are_given_back),
        cmocka_unit_test(other_keys_count_from_the_next_token_on),
        cmocka_unit_test(a_slow_or_silent_client_is_let_go),
        cmocka_unit_test(the_first_byte_does_not_move_the_deadline),
        cmocka_unit_test(a_proxy_header_counts_only_from_trusted_peers),
        cmocka_unit_test(a_refresh_on_another_transport),
        cmocka_unit_test(draining_refuses_and_sends_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
