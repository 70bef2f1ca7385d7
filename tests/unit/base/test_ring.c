#include "common/base/ring.h"
#include "tests/support/unit.h"

struct pair {
    uint64_t number;
    char letter;
};

static void append(struct ring *ring, uint64_t number)
{
    *(struct pair *)ring_append(ring, sizeof(struct pair)) = (struct pair){number, (char)('a' + number % 26)};
}

static void expect(const struct ring *ring, size_t index, uint64_t number)
{
    const struct pair *pair = ring_at(ring, index, sizeof *pair);
    assert_int_equal(pair->number, number);
    assert_int_equal(pair->letter, (char)('a' + number % 26));
}

static void items_leave_in_the_order_in_which_they_came(void **state)
{
    struct ring ring = {0};
    uint64_t in = 0, out = 0;
    for (int round = 0; round < 50; round++) { /* two more than leave, so it grows from each position of the head */
        for (int i = 0; i < 7; i++)
            append(&ring, in++);
        for (size_t i = 0; i < ring.count; i++)
            expect(&ring, i, out + i);
        for (int i = 0; i < 5; i++, out++) {
            expect(&ring, 0, out);
            ring_drop(&ring);
        }
        assert_int_equal(ring.count, in - out);
        assert_int_equal(ring.cap & (ring.cap - 1), 0);
    }
    ring_fini(&ring);
    assert_int_equal(ring.count + ring.cap, 0);
}

static void items_may_come_in_front(void **state)
{
    struct ring ring = {0};
    for (uint64_t i = 0; i < 20; i++) {
        append(&ring, 100 + i);
        *(struct pair *)ring_prepend(&ring, sizeof(struct pair)) = (struct pair){99 - i, (char)('a' + (99 - i) % 26)};
    }
    assert_int_equal(ring.count, 40);
    for (size_t i = 0; i < 40; i++)
        expect(&ring, i, 80 + i);
    ring_fini(&ring);
}

static void an_emptied_ring_is_used_again(void **state)
{
    struct ring ring = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        append(&ring, i);
        expect(&ring, 0, i);
        ring_drop(&ring);
    }
    assert_int_equal(ring.cap, 4);
    ring_fini(&ring);
    append(&ring, 5);
    expect(&ring, 0, 5);
    ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_leave_in_the_order_in_which_they_came),
        cmocka_unit_test(items_may_come_in_front),
        cmocka_unit_test(an_emptied_ring_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
