/* test_hold.c - the input of a session is held and goes on, over loopback: no byte is lost, and each comes in its turn.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "tests/support/unit.h"
#include "tests/unit/net/net_fixture.h"

/* An upstream that holds the input with each message, as one that is slow. */
static struct slow {
    struct upstream base;
    struct upstream_session state;
    struct hub *hub;
    unsigned taken;
    bool in_order;
} slow;

static struct upstream_session *on_opened(struct upstream *upstream, struct hub *hub, struct session *session,
                                          struct session_origin *origin)
{
    (void)origin;
    upstream_session_begin(&slow.state, upstream, session);
    slow.hub = hub;
    return &slow.state;
}

static enum err on_take(struct upstream_session *state, const struct session_message *message, struct error *error)
{
    char expected[20];
    (void)error;
    snprintf(expected, sizeof expected, "%u", slow.taken++);
    slow.in_order = slow.in_order && str_eq(message->bytes, str_from_cstr(expected));
    hub_hold_input(slow.hub, state->session, true);
    return ERR_NONE;
}

static void on_ended(struct upstream_session *state, int code, struct str reason)
{
    (void)reason;
    (void)code;
    upstream_unref(state->upstream);
}

static void on_destroy(struct upstream *upstream)
{
    (void)upstream;
}

static const struct upstream_ops slow_ops = {
    .opened = on_opened, .take = on_take, .ended = on_ended, .destroy = on_destroy};

static struct net_fixture *start(void)
{
    struct net_fixture *fixture = fixture_create();
    struct endpoint *endpoint = &fixture->settings->endpoints[0]->base;
    slow = (struct slow){.in_order = true};
    upstream_init(&slow.base, &slow_ops, STR("slow"));
    endpoint->text = USE_UPSTREAM;
    endpoint->upstream = &slow.base;
    fixture_start(fixture);
    return fixture;
}

static int open_session(struct net_fixture *fixture)
{
    char head[2048], target[600];
    int fd = fixture_connect(fixture, false);
    snprintf(target, sizeof target, "/ws?token=%s", fixture->token);
    fixture_send(fd, fixture_handshake(head, target, ""));
    free(fixture_read(fixture, fd, "session_init"));
    return fd;
}

static void add_frame(struct buf *out, unsigned number)
{
    char frame[256], payload[20];
    snprintf(payload, sizeof payload, "%u", number);
    buf_append(out, fixture_frame(frame, 0x81, payload));
}

static void turns(struct net_fixture *fixture, int count)
{
    for (int i = 0; i < count; i++)
        fixture_turn(fixture);
}

/* Many messages in one read: each waits until the one before has been taken. */
static void messages_that_have_been_read_wait(void **state)
{
    (void)state;
    struct net_fixture *fixture = start();
    struct buf bytes = {0};
    int fd = open_session(fixture);
    for (unsigned i = 0; i < 30; i++)
        add_frame(&bytes, i);
    fixture_send(fd, str_from(bytes.ptr, bytes.len - 3)); /* the last frame comes in two parts */
    turns(fixture, 2);
    assert_int_equal(slow.taken, 1);
    for (unsigned i = 1; i < 29; i++) {
        hub_hold_input(slow.hub, slow.state.session, false);
        hub_hold_input(slow.hub, slow.state.session, true); /* again, before anything was read */
        hub_hold_input(slow.hub, slow.state.session, false);
        for (int turn = 0; turn < 100 && slow.taken <= i; turn++)
            fixture_turn(fixture);
        assert_int_equal(slow.taken, i + 1);
    }
    fixture_send(fd, str_from(bytes.ptr + bytes.len - 3, 3));
    turns(fixture, 2);
    assert_int_equal(slow.taken, 29);
    hub_hold_input(slow.hub, slow.state.session, false);
    turns(fixture, 2);
    assert_int_equal(slow.taken, 30);
    assert_true(slow.in_order);
    buf_fini(&bytes);
    close(fd);
    fixture_destroy(fixture);
}

/* A client that sends without end is stopped by TCP, and the server keeps no more than one read of it. */
static void the_client_is_stopped(void **state)
{
    (void)state;
    struct net_fixture *fixture = start();
    struct buf bytes = {0};
    int fd = open_session(fixture), small = 4096;
    unsigned number = 0;
    size_t sent = 0;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    for (int tries = 0; tries < 30; tries++) {
        while (bytes.len < 4096)
            add_frame(&bytes, number++);
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            buf_consume(&bytes, (size_t)n);
            sent += (size_t)n;
            tries = 0;
        } else {
            assert_int_equal(errno, EAGAIN);
            fixture_turn(fixture);
        }
        assert_true(sent < 64000000);
    }
    assert_int_equal(slow.taken, 1);
    for (int turn = 0; turn < 1000; turn++) {
        hub_hold_input(slow.hub, slow.state.session, false);
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_true(slow.taken > 500);
    assert_true(slow.in_order);
    buf_fini(&bytes);
    close(fd);
    fixture_destroy(fixture);
}

/* What was kept goes with a connection that ends, whoever ends it. */
static void the_end_of_a_held_session(void **state)
{
    (void)state;
    struct net_fixture *fixture = start();
    struct buf bytes = {0};
    char frame[256];
    int fd = open_session(fixture);
    add_frame(&bytes, 0);
    add_frame(&bytes, 1);
    buf_append(&bytes, fixture_frame(frame, 0x88, "\x03\xe8"));
    fixture_send(fd, buf_str(&bytes));
    turns(fixture, 2);
    assert_int_equal(slow.taken, 1);
    session_end(slow.state.session, REASON_GOING_AWAY);
    free(fixture_read(fixture, fd, NULL)); /* the close frame of the client was among what was kept */
    assert_int_equal(slow.taken, 1);
    assert_int_equal(hub_sessions(slow.hub)->count, 0);
    close(fd);
    fd = open_session(fixture);
    slow.taken = 0;
    fixture_send(fd, buf_str(&bytes));
    turns(fixture, 2);
    assert_int_equal(slow.taken, 1);
    buf_fini(&bytes);
    fixture_destroy(fixture);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_that_have_been_read_wait),
        cmocka_unit_test(the_client_is_stopped),
        cmocka_unit_test(the_end_of_a_held_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
