/* test_backend_socket.c - names with several addresses, slow names, and ends at each step. This file's getaddrinfo is
 * in the place of the system's. */
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "server/upstream/backend_socket.h"
#include "tests/support/unit.h"

/* --- names -------------------------------------------------------------------------------------------------------- */

static struct {
    unsigned ports[3]; /* of 127.0.0.1, up to the first 0: the addresses of any name */
} names;

static atomic_bool held; /* the resolver does not answer yet */

static atomic_int asking; /* getaddrinfo runs so often: names belongs to it meanwhile */

static struct addrinfo *make_address(unsigned port, struct addrinfo *next)
{
    struct addrinfo *info = xcalloc(1, sizeof *info + sizeof(struct sockaddr_in));
    struct sockaddr_in *address = (struct sockaddr_in *)(info + 1);
    *address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    info->ai_family = AF_INET;
    info->ai_socktype = SOCK_STREAM;
    info->ai_addr = (struct sockaddr *)address;
    info->ai_addrlen = sizeof *address;
    info->ai_next = next;
    return info;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    (void)node;
    (void)service;
    (void)hints;
    asking++;
    while (held)
        poll(NULL, 0, 1);
    *out = NULL;
    for (int i = 2; i >= 0; i--)
        if (names.ports[i])
            *out = make_address(names.ports[i], *out);
    asking--;
    return *out ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

/* --- the scene ---------------------------------------------------------------------------------------------------- */

static struct scene {
    uv_loop_t loop;
    struct turn turn;
    struct backend_socket socket;
    struct backend_address address;
    int listener;
    unsigned port;
    struct buf got;
    size_t take; /* bytes at once; 0: all */
    unsigned opened, ended, closed, inputs;
    bool close_when_open;
    enum outbound_result result;
} s;

static void on_open(struct backend_socket *socket)
{
    s.opened++;
    if (s.close_when_open)
        backend_socket_close(socket);
}

static size_t on_input(struct backend_socket *socket, struct str bytes)
{
    size_t taken = s.take && s.take < bytes.len ? s.take : bytes.len;
    (void)socket;
    s.inputs++;
    buf_append(&s.got, str_from(bytes.ptr, taken));
    return taken;
}

static void on_written(struct backend_socket *socket)
{
    (void)socket;
}

static void on_ended(struct backend_socket *socket, enum outbound_result result, const char *why)
{
    assert_true(*why);
    s.ended++;
    s.result = result;
    backend_socket_close(socket);
}

static void on_closed(struct backend_socket *socket)
{
    (void)socket;
    s.closed++;
}

static const struct backend_socket_ops ops = {
    .open = on_open, .input = on_input, .written = on_written, .ended = on_ended, .closed = on_closed};

static int bind_at_once(unsigned *out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *out_port = ntohs(address.sin_port);
    return fd;
}

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    memset(&names, 0, sizeof names);
    uv_loop_init(&s.loop);
    turn_init(&s.turn, &s.loop);
    s.listener = bind_at_once(&s.port);
    assert_int_equal(listen(s.listener, 8), 0);
    s.address = (struct backend_address){.host = "backend.example", .port = "80"};
    return 0;
}

#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        for (int turns_ = 0; !(condition); turns_++) {                                                                 \
            if (turns_ > 100000)                                                                                       \
                fail_msg("never: %s", #condition);                                                                     \
            uv_run(&s.loop, UV_RUN_NOWAIT);                                                                            \
            poll(NULL, 0, 1);                                                                                          \
        }                                                                                                              \
    } while (0)

static int teardown(void **state)
{
    (void)state;
    UNTIL(s.closed == 1);
    turn_close(&s.turn);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s.loop), 0);
    close(s.listener);
    buf_fini(&s.got);
    return 0;
}

static void begin(void)
{
    backend_socket_open(&s.socket, &s.turn, &s.address, &ops);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void test_addresses_are_tried_in_turn(void **state)
{
    unsigned dead;
    int unused = bind_at_once(&dead); /* nobody listens */
    (void)state;
    names.ports[0] = names.ports[1] = dead;
    names.ports[2] = s.port;
    begin();
    UNTIL(s.opened == 1);
    backend_socket_close(&s.socket);
    close(unused);
}

static void test_no_address_answers(void **state)
{
    unsigned dead;
    int unused = bind_at_once(&dead);
    (void)state;
    names.ports[0] = names.ports[1] = dead;
    begin();
    UNTIL(s.ended == 1);
    assert_int_equal(s.result, OUTBOUND_REFUSED);
    close(unused);
}

static void test_an_address_that_is_silent(void **state)
{
    unsigned silent;
    int full[12], unused = bind_at_once(&silent);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)silent), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    (void)state;
    assert_int_equal(listen(unused, 0), 0);
    for (size_t i = 0; i < sizeof full / sizeof *full; i++) { /* the kernel drops what finds no room */
        full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(full[i], (struct sockaddr *)&address, sizeof address);
    }
    names.ports[0] = silent;
    names.ports[1] = s.port;
    begin();
    UNTIL(s.opened == 1);
    backend_socket_close(&s.socket);
    for (size_t i = 0; i < sizeof full / sizeof *full; i++)
        close(full[i]);
    close(unused);
}

static void test_a_name_without_address(void **state)
{
    (void)state;
    begin();
    UNTIL(s.ended == 1);
    assert_int_equal(s.result, OUTBOUND_DNS);
}

static void test_the_loop_runs_while_a_name_is_resolved(void **state)
{
    (void)state;
    names.ports[0] = s.port;
    held = true;
    begin();
    for (unsigned turns = 0; turns < 20 || !asking; turns++) {
        uv_run(&s.loop, UV_RUN_NOWAIT);
        poll(NULL, 0, 1);
    }
    assert_int_equal(s.opened, 0);
    held = false;
    UNTIL(s.opened == 1);
    backend_socket_close(&s.socket);
}

static void test_closed_while_the_name_is_resolved(void **state)
{
    (void)state;
    names.ports[0] = s.port;
    held = true;
    begin();
    UNTIL(asking); /* from then on it cannot be interrupted */
    backend_socket_close(&s.socket);
    uv_run(&s.loop, UV_RUN_NOWAIT);
    assert_int_equal(s.closed, 1);
    held = false;
    while (asking) /* the address comes, for nobody */
        poll(NULL, 0, 1);
    assert_int_equal(s.opened + s.ended, 0);
}

/* An operator moves the backend. */
static void test_each_connection_asks_for_the_addresses(void **state)
{
    unsigned port;
    int other = bind_at_once(&port), peer = -1;
    assert_int_equal(listen(other, 8), 0);
    (void)state;
    names.ports[0] = s.port;
    begin();
    UNTIL(s.opened == 1);
    backend_socket_close(&s.socket);
    UNTIL(s.closed == 1);
    names.ports[0] = port;
    s.closed = 0;
    begin();
    UNTIL(s.opened == 2);
    UNTIL((peer = accept(other, NULL, NULL)) >= 0);
    close(peer);
    close(other);
    UNTIL(s.closed == 1);
}

static void test_closed_while_it_connects(void **state)
{
    (void)state;
    names.ports[0] = s.port;
    begin();
    UNTIL(s.socket.state != SOCKET_RESOLVING);
    if (s.socket.state == SOCKET_CONNECTING)
        backend_socket_close(&s.socket);
    UNTIL(s.closed == 1 || s.opened == 1);
    if (!s.closed)
        backend_socket_close(&s.socket);
    assert_int_equal(s.ended, 0);
}

static void test_closed_as_it_opens(void **state)
{
    (void)state;
    names.ports[0] = s.port;
    s.close_when_open = true;
    begin();
    UNTIL(s.closed == 1);
    assert_int_equal(s.opened, 1);
    assert_int_equal(s.ended, 0);
}

static int accept_peer(void)
{
    int peer = -1;
    UNTIL((peer = accept(s.listener, NULL, NULL)) >= 0);
    return peer;
}

static void test_what_is_not_taken_comes_again(void **state)
{
    (void)state;
    names.ports[0] = s.port;
    s.take = 3;
    begin();
    int peer = accept_peer();
    assert_int_equal(send(peer, "abcdefgh", 8, 0), 8);
    UNTIL(s.got.len == 3);
    backend_socket_want_input(&s.socket, false);
    unsigned inputs = s.inputs;
    for (int i = 0; i < 30; i++) {
        uv_run(&s.loop, UV_RUN_NOWAIT);
        poll(NULL, 0, 1);
    }
    assert_int_equal(s.inputs, inputs);
    backend_socket_want_input(&s.socket, true);
    UNTIL(s.got.len == 8);
    assert_str(buf_str(&s.got), "abcdefgh");
    assert_int_equal(s.inputs, 3);
    close(peer);
    UNTIL(s.ended == 1);
    assert_int_equal(s.result, OUTBOUND_OK);
}

static void test_what_the_kernel_does_not_take_is_kept(void **state)
{
    static char chunk[1 << 20];
    static char read[1 << 16];
    size_t total = 0;
    (void)state;
    names.ports[0] = s.port;
    begin();
    int peer = accept_peer();
    UNTIL(s.opened == 1);
    for (int i = 0; i < 16; i++)
        backend_socket_write(&s.socket, str_from(chunk, sizeof chunk));
    assert_true(backend_socket_unsent(&s.socket) > 0);
    while (total < 16u << 20) {
        ssize_t n = recv(peer, read, sizeof read, MSG_DONTWAIT);
        if (n > 0)
            total += (size_t)n;
        else
            uv_run(&s.loop, UV_RUN_NOWAIT);
    }
    UNTIL(backend_socket_unsent(&s.socket) == 0);
    close(peer);
    backend_socket_close(&s.socket);
}

static void test_a_broken_connection_is_told_once(void **state)
{
    static char chunk[1 << 20];
    (void)state;
    names.ports[0] = s.port;
    begin();
    int peer = accept_peer();
    UNTIL(s.opened == 1);
    backend_socket_want_input(&s.socket, false); /* reading does not tell */
    shutdown(peer, SHUT_RD);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(peer);
    for (int i = 0; i < 100 && !s.ended; i++) {
        backend_socket_write(&s.socket, str_from(chunk, sizeof chunk));
        uv_run(&s.loop, UV_RUN_NOWAIT);
        poll(NULL, 0, 1);
    }
    UNTIL(s.ended == 1);
    assert_int_equal(s.result, OUTBOUND_RESET);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_addresses_are_tried_in_turn),
        TEST(test_no_address_answers),
        TEST(test_an_address_that_is_silent),
        TEST(test_a_name_without_address),
        TEST(test_the_loop_runs_while_a_name_is_resolved),
        TEST(test_closed_while_the_name_is_resolved),
        TEST(test_each_connection_asks_for_the_addresses),
        TEST(test_closed_while_it_connects),
        TEST(test_closed_as_it_opens),
        TEST(test_what_is_not_taken_comes_again),
        TEST(test_what_the_kernel_does_not_take_is_kept),
        TEST(test_a_broken_connection_is_told_once),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
