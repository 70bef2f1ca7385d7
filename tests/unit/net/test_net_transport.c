/* test_net_transport.c - the gate with a second transport beside WebSocket: an ordinary GET request whose answer does
 * not end. It is one-way, has a line for each message, and refuses in a line too. */
#include <stdio.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "server/dialect/carillon.h"
#include "server/net/admission/net_transport.h"
#include "server/net/stream/stream.h"
#include "tests/support/unit.h"
#include "tests/unit/net/net_fixture.h"

/* --- the transport ---------------------------------------------------------------------------------------------- */

struct line_connection {
    struct stream stream;
    struct session *session;
    struct hub *hub;
    struct admitter *admitter;
    struct lease lease;
};

static void frame_line(struct buf *out, struct str text)
{
    buf_append(out, text);
    buf_append_char(out, '\n');
}

static void frame_end(struct buf *out, int code, struct str reason)
{
    buf_appendf(out, "bye %d %.*s\n", code, STR_ARG(reason));
}

static const struct framing line_framing = {.message = frame_line, .close = frame_end};

static void throw_away(struct stream *stream, struct str bytes)
{
}

static void on_drained(struct stream *stream)
{
    struct line_connection *connection = CONTAINER_OF(stream, struct line_connection, stream);
    hub_writable(connection->hub, connection->session, 0);
}

static void on_gone(struct stream *stream)
{
    struct line_connection *connection = CONTAINER_OF(stream, struct line_connection, stream);
    hub_gone(connection->hub, connection->session);
    lease_release(&connection->lease, connection->admitter->quota);
    free(connection);
}

static const struct stream_ops stream_operations = {.input = throw_away, .drained = on_drained, .gone = on_gone};

static enum write_result write_lines(struct session *session, struct str lines, uint32_t *out_unsent)
{
    struct line_connection *connection = session->transport;
    return stream_write(&connection->stream, lines, out_unsent);
}

static void finish(struct session *session, bool abrupt)
{
    struct line_connection *connection = session->transport;
    stream_cut(&connection->stream);
}

static const struct transport_ops operations = {
    .write = write_lines, .finish = finish, .framing = &line_framing, .one_way = true};

static int check(const struct http_head *head, struct error *error)
{
    if (str_eq(head->method, STR("GET")))
        return 0;
    error_set(error, ERR_INVALID_REQUEST, "ask with GET");
    return 405;
}

static void answer(struct buf *out, const struct http_head *head, struct str protocol)
{
    assert_int_equal(protocol.len, 0);
    buf_append_lit(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
}

static void refuse(struct buf *out, const struct net_refusal *refusal)
{
    frame_end(out, refusal->close_code, str_from_cstr(reason_text(refusal->reason)));
}

static void open_session(struct stream *stream, const struct net_start *start, struct str head, struct str rest)
{
    uint32_t unsent;
    struct line_connection *connection = xcalloc(1, sizeof *connection);
    struct session_start session = start->session;
    session.ops = &operations;
    session.transport = connection;
    connection->hub = start->hub;
    connection->admitter = start->admitter;
    connection->lease = start->lease;
    stream_move(stream, &connection->stream, &stream_operations);
    stream_write(&connection->stream, head, &unsent);
    connection->session = hub_open(connection->hub, &session);
}

static const struct net_transport by_lines = {.check = check, .answer = answer, .refuse = refuse, .open = open_session};
static const struct net_transport by_status = {.check = check, .answer = answer, .open = open_session};

/* --- the tests -------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    struct net_fixture *fixture = fixture_create();
    net_settings_add_endpoint(fixture->settings, STR("/lines"), &by_lines, &carillon_dialect);
    net_settings_add_endpoint(fixture->settings, STR("/status"), &by_status, &carillon_dialect);
    fixture_start(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static struct str request(char out[2048], const char *method, const char *target, const char *lines)
{
    int len = snprintf(out, 2048, "%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n", method, target, lines);
    return str_from(out, (size_t)len);
}

/* Reads to the end. */
static void expect(struct net_fixture *fixture, struct str bytes, const char *begin, const char *end)
{
    int fd = fixture_connect(fixture, false);
    fixture_send(fd, bytes);
    char *got = fixture_read(fixture, fd, NULL);
    close(fd);
    size_t len = strlen(got), end_len = strlen(end);
    if (strncmp(got, begin, strlen(begin)) != 0 || len < end_len || strcmp(got + len - end_len, end) != 0)
        fail_msg("not %s … %s, but: %s", begin, end, got);
    free(got);
}

static void a_session_opens_and_ends(void **state)
{
    struct net_fixture *fixture = *state;
    char bytes[2048], lines[700];
    snprintf(lines, sizeof lines, "Authorization: Bearer %s\r\n", fixture->token);
    int fd = fixture_connect(fixture, false);
    fixture_send(fd, request(bytes, "GET", "/lines", lines));
    char *got = fixture_read(fixture, fd, "}\n");
    assert_int_equal(strncmp(got, "HTTP/1.1 200 OK\r\n", 17), 0);
    assert_non_null(strstr(got, "\r\n\r\n{\"type\":\"session_init\""));
    free(got);
    assert_int_equal(hub_sessions(fixture->worker->hub)->count, 1);
    worker_drain(fixture->worker, 0);
    got = fixture_read(fixture, fd, NULL);
    assert_non_null(strstr(got, "bye 1001 going_away\n"));
    free(got);
    close(fd);
    assert_int_equal(quota_count(fixture->quota, QUOTA_OF_ENDPOINT, STR("/lines")), 0);
}

static void its_own_form_is_checked(void **state)
{
    char bytes[2048];
    expect(*state, request(bytes, "POST", "/lines", ""), "HTTP/1.1 405 ", "\"message\":\"ask with GET\"}}\n");
    expect(*state, request(bytes, "GET", "/ws", ""), "HTTP/1.1 426 ", "connect with a WebSocket client\"}}\n");
}

static void it_refuses_in_its_own_words(void **state)
{
    char bytes[2048];
    expect(*state, request(bytes, "GET", "/lines", ""), "HTTP/1.1 401 ", "\"reason\":\"token_missing\"}}\n");
    expect(*state, request(bytes, "GET", "/lines", "Origin: https://x\r\n"), "HTTP/1.1 200 OK\r\n",
           "\r\n\r\nbye 1008 token_missing\n");
}

static void without_words_it_refuses_by_status(void **state)
{
    char bytes[2048];
    expect(*state, request(bytes, "GET", "/status", "Origin: https://x\r\n"), "HTTP/1.1 401 ",
           "\"reason\":\"token_missing\"}}\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_opens_and_ends),
        TEST(its_own_form_is_checked),
        TEST(it_refuses_in_its_own_words),
        TEST(without_words_it_refuses_by_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
