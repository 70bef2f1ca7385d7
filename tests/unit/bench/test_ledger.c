/* test_ledger.c - what is found when deliveries are lost, doubled or swapped. */
#include "server/cli/bench/ledger.h"
#include "tests/support/unit.h"

enum { SUBSCRIBERS = 3 };

/* Delivers event numbers to one subscriber: "012". */
static void deliver(struct ledger *ledger, size_t subscriber, const char *numbers)
{
    for (const char *at = numbers; *at; at++)
        ledger_deliver(ledger, subscriber, (uint32_t)(*at - '0'));
}

static void start(struct ledger *ledger, uint32_t events)
{
    ledger_init(ledger, SUBSCRIBERS);
    for (uint32_t i = 0; i < events; i++)
        assert_int_equal(ledger_send(ledger, 1000 + i), i);
}

static void expect(const struct ledger *ledger, uint64_t missing, uint64_t duplicated, uint64_t misordered)
{
    assert_int_equal(ledger_missing(ledger), missing);
    assert_int_equal(ledger->duplicated, duplicated);
    assert_int_equal(ledger->misordered, misordered);
}

static void test_all_right(void **state)
{
    struct ledger ledger;
    start(&ledger, 4);
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        deliver(&ledger, i, "0123");
    expect(&ledger, 0, 0, 0);
    assert_int_equal(ledger.deliveries, 12);
    assert_int_equal(ledger.events[3].sent_us, 1003);
    ledger_fini(&ledger);
}

static void test_the_last_delivery_completes(void **state)
{
    struct ledger ledger;
    start(&ledger, 1);
    assert_false(ledger_deliver(&ledger, 0, 0));
    assert_false(ledger_deliver(&ledger, 1, 0));
    assert_true(ledger_deliver(&ledger, 2, 0));
    assert_false(ledger_deliver(&ledger, 2, 0));
    expect(&ledger, 0, 1, 0);
    ledger_fini(&ledger);
}

/* With several publishers the order is the server's. */
static void test_any_order_that_all_share(void **state)
{
    struct ledger ledger;
    start(&ledger, 4);
    deliver(&ledger, 1, "20");
    deliver(&ledger, 0, "2");
    deliver(&ledger, 1, "31");
    deliver(&ledger, 0, "031");
    deliver(&ledger, 2, "2031");
    expect(&ledger, 0, 0, 0);
    ledger_fini(&ledger);
}

static void test_a_loss_at_the_end(void **state)
{
    struct ledger ledger;
    start(&ledger, 3);
    deliver(&ledger, 0, "012");
    deliver(&ledger, 1, "012");
    deliver(&ledger, 2, "01");
    expect(&ledger, 1, 0, 0);
    ledger_fini(&ledger);
}

static void test_a_loss_in_between(void **state)
{
    struct ledger ledger;
    start(&ledger, 3);
    deliver(&ledger, 0, "012");
    deliver(&ledger, 1, "02");
    deliver(&ledger, 2, "012");
    expect(&ledger, 1, 0, 0);
    ledger_fini(&ledger);
}

static void test_an_event_nobody_got(void **state)
{
    struct ledger ledger;
    start(&ledger, 2);
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        deliver(&ledger, i, "1");
    expect(&ledger, SUBSCRIBERS, 0, 0);
    ledger_fini(&ledger);
}

static void test_duplicates(void **state)
{
    struct ledger ledger;
    start(&ledger, 3);
    deliver(&ledger, 0, "012");
    deliver(&ledger, 1, "0012");
    deliver(&ledger, 2, "0120");
    expect(&ledger, 0, 2, 0);
    assert_int_equal(ledger.deliveries, 9);
    ledger_fini(&ledger);
}

static void test_swapped(void **state)
{
    struct ledger ledger;
    start(&ledger, 4);
    deliver(&ledger, 0, "0123");
    deliver(&ledger, 1, "0213");
    deliver(&ledger, 2, "3120");
    expect(&ledger, 0, 0, 1 + 3);
    ledger_fini(&ledger);
}

static void test_late_and_again(void **state)
{
    struct ledger ledger;
    start(&ledger, 3);
    deliver(&ledger, 0, "012");
    deliver(&ledger, 1, "0211");
    expect(&ledger, 3, 1, 1);
    ledger_fini(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_right),
        cmocka_unit_test(test_the_last_delivery_completes),
        cmocka_unit_test(test_any_order_that_all_share),
        cmocka_unit_test(test_a_loss_at_the_end),
        cmocka_unit_test(test_a_loss_in_between),
        cmocka_unit_test(test_an_event_nobody_got),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_swapped),
        cmocka_unit_test(test_late_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
