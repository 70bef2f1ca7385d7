/* test_edge_stop.c - the end of an edge leaves descriptors of others alone. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/net/stream/edge.h"
#include "server/net/stream/socket_counts.h"
#include "tests/support/unit.h"

enum { OPENED = 8 };

static void descriptors_that_are_opened_meanwhile_stay(void **state)
{
    uv_loop_t loop;
    struct turn turn;
    struct socket_counts counts = {0};
    struct edge *edge;
    struct error error;
    int fds[OPENED];
    (void)state;
    uv_loop_init(&loop);
    turn_init(&turn, &loop);
    const struct edge_options options = {.loop = &loop, .turn = &turn, .sockets = &counts};
    assert_int_equal(edge_create(&options, &edge, &error), ERR_NONE);
    uv_run(&loop, UV_RUN_NOWAIT);
    edge_stop(edge);
    for (int i = 0; i < OPENED; i++)
        fds[i] = eventfd(0, EFD_CLOEXEC); /* the first one has the lowest number that is free */
    while (!edge_is_down(edge))
        uv_run(&loop, UV_RUN_NOWAIT);
    for (int i = 0; i < OPENED; i++) {
        assert_int_not_equal(fcntl(fds[i], F_GETFD), -1);
        close(fds[i]);
    }
    edge_destroy(edge);
    turn_close(&turn);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(descriptors_that_are_opened_meanwhile_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
