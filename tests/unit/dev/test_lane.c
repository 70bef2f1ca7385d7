/* test_lane.c - a lane keeps the order under delays, a limited speed and a freeze; only a pool changes it. */
#include "common/base/buf.h"
#include "server/dev/lane.h"
#include "tests/support/unit.h"

enum { MS = 1000 };

static struct wheel wheel;
static struct link_lane lane;
static struct buf passed; /* all bytes, in their order */
static unsigned items;    /* that have begun to pass */
static unsigned moved;
static bool is_ready;
static uint64_t now_us;

static bool ready(struct link_lane *of)
{
    (void)of;
    return is_ready;
}

static void pass(struct link_lane *of, const struct lane_item *item, size_t count)
{
    (void)of;
    items += item->passed == 0;
    buf_append(&passed, str_from(item->bytes.ptr + item->passed, count));
}

static void on_moved(struct link_lane *of)
{
    (void)of;
    moved++;
}

static const struct lane_ops ops = {.ready = ready, .pass = pass, .moved = on_moved};

static int set_up(void **state)
{
    (void)state;
    now_us = 1000 * MS;
    items = moved = 0;
    is_ready = true;
    wheel_init(&wheel, now_us);
    lane_init(&lane, &ops, &wheel);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lane_fini(&lane);
    buf_fini(&passed);
    assert_int_equal(wheel.count, 0);
    return 0;
}

static struct lane_item item_of(const char *text, uint64_t due_us)
{
    return (struct lane_item){
        .opcode = WS_TEXT, .bytes = str_from_cstr(text), .payload = str_from_cstr(text), .due_us = due_us};
}

static void put(const char *text, uint64_t due_us)
{
    const struct lane_item item = item_of(text, due_us);
    lane_put(&lane, &item, now_us);
}

static void wait_ms(unsigned ms)
{
    for (unsigned i = 0; i < ms; i++)
        wheel_advance(&wheel, now_us += MS);
}

static void expect(const char *text)
{
    assert_string_equal(buf_cstr(&passed), text);
}

static void test_without_a_fault_all_passes_at_once(void **state)
{
    (void)state;
    put("a", 0);
    put("", 0);
    put("b", now_us);
    expect("ab");
    assert_int_equal(items, 3);
    assert_true(lane_is_clear(&lane));
    assert_int_equal(wheel.count, 0);
}

static void test_a_delay_keeps_the_order(void **state)
{
    (void)state;
    put("a", now_us + 100 * MS);
    put("b", 0);
    put("c", now_us + 50 * MS);
    put("d", now_us + 300 * MS);
    put("e", 0);
    assert_int_equal(lane.bytes, 5);
    wait_ms(90);
    expect("");
    wait_ms(30);
    expect("abc");
    assert_true(moved > 0);
    wait_ms(150);
    expect("abc");
    wait_ms(50);
    expect("abcde");
    assert_int_equal(lane.bytes, 0);
}

static void test_delays_run_side_by_side(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        put("x", now_us + 100 * MS);
        wait_ms(10);
    }
    wait_ms(20);
    assert_true(passed.len >= 1);
    wait_ms(100);
    assert_int_equal(passed.len, 10);
}

static void test_a_throttled_lane_passes_so_many_bytes(void **state)
{
    char text[2001];
    (void)state;
    memset(text, 'x', 2000);
    text[2000] = '\0';
    lane_throttle(&lane, 1000, now_us);
    put(text, 0);
    put("y", 0);
    wait_ms(1000);
    assert_in_range(passed.len, 950, 1050);
    assert_int_equal(items, 1);
    wait_ms(1100);
    assert_int_equal(passed.len, 2001);
    assert_int_equal(passed.ptr[2000], 'y');
    wait_ms(60000); /* silence earns no more than a moment's worth */
    put(text, 0);
    assert_true(passed.len <= 2001 + 20);
    lane_throttle(&lane, 0, now_us);
    assert_int_equal(passed.len, 4001);
}

static void test_one_byte_a_second(void **state)
{
    (void)state;
    lane_throttle(&lane, 1, now_us);
    put("abc", 0);
    wait_ms(990);
    expect("");
    wait_ms(20);
    expect("a");
    wait_ms(2020);
    expect("abc");
}

static void test_delay_and_speed_together(void **state)
{
    (void)state;
    lane_throttle(&lane, 1000000, now_us);
    put("a", now_us + 100 * MS);
    put("b", 0);
    wait_ms(95);
    expect("");
    wait_ms(30);
    expect("ab");
}

static void test_nothing_passes_a_frozen_lane(void **state)
{
    (void)state;
    lane_freeze(&lane, 500 * MS, now_us);
    assert_false(lane_is_clear(&lane));
    put("a", 0);
    put("b", now_us + 10 * MS);
    wait_ms(490);
    expect("");
    wait_ms(30);
    expect("ab");
    assert_true(lane_is_clear(&lane));
    lane_freeze(&lane, UINT64_MAX, now_us);
    put("c", 0);
    wait_ms(10000);
    expect("ab");
    lane_thaw(&lane, now_us);
    expect("abc");
}

static void test_it_waits_for_the_other_side(void **state)
{
    (void)state;
    is_ready = false;
    put("a", 0);
    put("b", 0);
    wait_ms(100);
    expect("");
    is_ready = true;
    lane_wake(&lane, now_us);
    wait_ms(20);
    expect("ab");
}

static void pool(const char *text, size_t window)
{
    const struct lane_item item = item_of(text, 0);
    lane_pool(&lane, &item, window, 200 * MS, now_us);
}

static void test_a_pool_changes_the_order(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        buf_clear(&passed);
        pool("a", 3);
        pool("b", 3);
        put("-", 0);
        expect("-");
        pool("c", 3);
        assert_int_equal(passed.len, 4);
        assert_string_not_equal(buf_cstr(&passed), "-abc");
    }
}

static void test_a_pool_does_not_wait_for_ever(void **state)
{
    (void)state;
    pool("a", 3);
    pool("b", 3);
    wait_ms(150);
    expect("");
    wait_ms(70);
    expect("ba");
    pool("c", 3);
    wait_ms(220);
    expect("bac");
}

static void test_a_close_frame_comes_last(void **state)
{
    (void)state;
    pool("a", 3);
    lane_put(&lane, &(struct lane_item){.opcode = WS_CLOSE, .bytes = STR("!")}, now_us);
    expect("a!");
}

static void test_what_is_held_is_freed(void **state)
{
    (void)state;
    put("a", now_us + MS);
    pool("b", 9);
    lane_freeze(&lane, 10 * MS, now_us);
    lane_fini(&lane);
    assert_int_equal(lane.bytes, 0);
    wait_ms(50);
    expect("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without_a_fault_all_passes_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_delay_keeps_the_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delays_run_side_by_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_throttled_lane_passes_so_many_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_byte_a_second, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_delay_and_speed_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_passes_a_frozen_lane, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_it_waits_for_the_other_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_pool_changes_the_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_pool_does_not_wait_for_ever, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_close_frame_comes_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_held_is_freed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
