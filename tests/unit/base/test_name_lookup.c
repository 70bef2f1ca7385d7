/* test_name_lookup.c - names that are slow, that hang, that change, and look-ups that are cancelled. This file's
 * getaddrinfo is in the place of the system's. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/name_lookup.h"
#include "tests/support/unit.h"

/* --- names -------------------------------------------------------------------------------------------------------- */

static atomic_int asked, running, most_running; /* of the name "hangs" */
static atomic_uint address = INADDR_LOOPBACK;
static atomic_bool hanging = true;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    (void)service;
    (void)hints;
    asked++;
    if (strcmp(node, "unknown") == 0)
        return EAI_NONAME;
    if (strcmp(node, "hangs") == 0) {
        int now = ++running;
        if (now > most_running)
            most_running = now;
        while (hanging)
            poll(NULL, 0, 1);
        running--;
    }
    struct addrinfo *info = xcalloc(1, sizeof *info + sizeof(struct sockaddr_in));
    struct sockaddr_in *in = (struct sockaddr_in *)(info + 1);
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(address)}};
    info->ai_addr = (struct sockaddr *)in;
    *out = info;
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    free(list);
}

/* --- the scene ---------------------------------------------------------------------------------------------------- */

static struct {
    uv_loop_t loop;
    struct turn turn;
    unsigned found, failed;
    unsigned last; /* the address that was found */
    char why[80];
} s;

static void on_found(void *owner, struct addrinfo *addresses, const char *why)
{
    assert_ptr_equal(owner, &s);
    if (addresses) {
        s.found++;
        s.last = ntohl(((const struct sockaddr_in *)(const void *)addresses->ai_addr)->sin_addr.s_addr);
        freeaddrinfo(addresses);
    } else {
        s.failed++;
        snprintf(s.why, sizeof s.why, "%s", why);
    }
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

static int setup(void **state)
{
    (void)state;
    memset(&s, 0, sizeof s);
    uv_loop_init(&s.loop);
    turn_init(&s.turn, &s.loop);
    asked = most_running = 0;
    hanging = true;
    return 0;
}

/* The loop's end waits for no name. */
static int teardown(void **state)
{
    (void)state;
    turn_close(&s.turn);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s.loop), 0);
    hanging = false;
    while (running)
        poll(NULL, 0, 1);
    return 0;
}

static struct name_lookup *look_up(const char *name)
{
    return name_lookup_start(&s.turn, name, "80", on_found, &s);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void test_each_look_up_asks_anew(void **state)
{
    (void)state;
    address = INADDR_LOOPBACK;
    look_up("changes");
    UNTIL(s.found == 1);
    assert_int_equal(s.last, INADDR_LOOPBACK);
    address = INADDR_LOOPBACK + 1;
    look_up("changes");
    UNTIL(s.found == 2);
    assert_int_equal(s.last, INADDR_LOOPBACK + 1);
}

static void test_a_name_without_address(void **state)
{
    (void)state;
    look_up("unknown");
    UNTIL(s.failed == 1);
    assert_string_equal(s.why, gai_strerror(EAI_NONAME));
}

static void test_cancelled_before_it_runs_and_while(void **state)
{
    enum { COUNT = 40 };
    struct name_lookup *lookups[COUNT];
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        lookups[i] = look_up("hangs");
    UNTIL(running == 4);
    for (size_t i = 0; i < COUNT; i++)
        name_lookup_cancel(lookups[i]);
    uint64_t began_us = clock_now_us();
    teardown(NULL);
    assert_true(clock_now_us() - began_us < 2000000);
    assert_int_equal(s.found + s.failed, 0);
    assert_int_equal(most_running, 4);
    assert_int_equal(asked, 4); /* those that had not begun never do */
    setup(NULL);
}

static void test_a_name_that_hangs_leaves_room_for_others(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++)
        look_up("hangs");
    UNTIL(running == 4);
    for (int i = 0; i < 40; i++)
        look_up("other");
    UNTIL(s.found == 40);
    hanging = false;
    UNTIL(s.found == 80);
    assert_int_equal(most_running, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_look_up_asks_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_without_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancelled_before_it_runs_and_while, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_that_hangs_leaves_room_for_others, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
