/* test_log_window.c - a window takes, gives and drops events. */
#include "server/node/catchup/log_window.h"
#include "tests/support/unit.h"

static struct log_budget budget;
static struct log_window window;

static int setup(void **state)
{
    (void)state;
    budget = (struct log_budget){.bytes_max = 1 << 20};
    window = (struct log_window){.budget = &budget};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_window_clear(&window);
    assert_int_equal(budget.bytes, 0);
    return 0;
}

static struct message *message(uint64_t offset)
{
    const struct event event = {.channel = STR("log:a"), .epoch = STR("e"), .offset = offset, .exclude = STR("")};
    return message_from_json(&event, STR("{}"), 1);
}

static void append(uint64_t offset)
{
    struct message *one = message(offset);
    log_window_append(&window, one);
    message_unref(one);
}

static void prepend(uint64_t offset)
{
    struct message *one = message(offset);
    log_window_prepend(&window, one);
    message_unref(one);
}

static void expect(uint64_t first, uint64_t last)
{
    assert_int_equal(window.first, first);
    assert_int_equal(log_window_last(&window), last);
    for (uint64_t offset = first; offset <= last; offset++)
        assert_int_equal(log_window_get(&window, offset)->offset, offset);
    assert_null(log_window_get(&window, first - 1));
    assert_null(log_window_get(&window, last + 1));
}

static void test_takes_only_neighbours(void **state)
{
    (void)state;
    append(10);
    append(12);
    append(10);
    prepend(8);
    prepend(10);
    expect(10, 10);
    append(11);
    prepend(9);
    expect(9, 11);
}

/* The ring grows and wraps at both ends. */
static void test_many_at_both_ends(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        append(1000 + i);
        prepend(999 - i);
    }
    expect(900, 1099);
    log_window_forget(&window, 1089);
    expect(1090, 1099);
    for (uint64_t i = 1100; i < 2000; i++) {
        append(i);
        log_window_forget(&window, i - 10);
    }
    expect(1990, 1999);
}

static void test_forget_all(void **state)
{
    (void)state;
    append(1);
    append(2);
    log_window_forget(&window, 7);
    assert_null(log_window_get(&window, 2));
    assert_int_equal(budget.bytes, 0);
    prepend(20); /* an empty window takes any */
    expect(20, 20);
}

/* Two windows share the budget: the one that is trimmed gives its own. */
static void test_trim(void **state)
{
    struct log_window other = {.budget = &budget};
    struct message *one = message(5);
    (void)state;
    log_window_append(&other, one);
    message_unref(one);
    size_t each = budget.bytes;
    for (uint64_t offset = 1; offset <= 4; offset++)
        append(offset);
    assert_int_equal(budget.bytes, 5 * each);
    budget.bytes_max = 3 * each;
    log_window_trim(&window);
    expect(3, 4);
    assert_non_null(log_window_get(&other, 5));
    log_window_clear(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_takes_only_neighbours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_at_both_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forget_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
