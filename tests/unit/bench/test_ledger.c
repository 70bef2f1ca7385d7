/* test_ledger.c - the ledger finds deliveries that are lost, doubled or swapped. */
#include "bench/load/ledger.h"
#include "tests/support/unit.h"

enum { SUBSCRIBERS = 3 };

static struct ledger ledger;
static struct ledger_part part;

/* Delivers event numbers to one subscriber: "012". */
static void deliver_to(struct ledger_part *to, size_t subscriber, const char *numbers)
{
    for (const char *at = numbers; *at; at++)
        assert_true(ledger_deliver(to, subscriber, (uint64_t)(*at - '0'), 5000));
}

static void deliver(size_t subscriber, const char *numbers)
{
    deliver_to(&part, subscriber, numbers);
}

static void start(uint32_t events)
{
    ledger_init(&ledger, 1);
    ledger_part_init(&part, &ledger, 0, SUBSCRIBERS);
    for (uint32_t i = 0; i < events; i++)
        assert_int_equal(ledger_send(&ledger, 0, 1000 + i), i);
}

static void expect(uint64_t missing, uint64_t duplicated, uint64_t misordered)
{
    assert_int_equal(ledger.expected - part.deliveries, missing);
    assert_int_equal(part.duplicated, duplicated);
    assert_int_equal(part.misordered, misordered);
}

static void end(void)
{
    ledger_part_fini(&part);
    ledger_fini(&ledger);
}

static void test_all_right(void **state)
{
    start(4);
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        deliver(i, "0123");
    expect(0, 0, 0);
    assert_int_equal(part.deliveries, 12);
    end();
}

static void test_the_last_delivery_completes(void **state)
{
    start(1);
    deliver(0, "0");
    deliver(1, "0");
    assert_int_equal(ledger_in_flight(&ledger), 1);
    deliver(2, "0");
    assert_int_equal(ledger_in_flight(&ledger), 0);
    deliver(2, "0");
    assert_int_equal(ledger_in_flight(&ledger), 0);
    expect(0, 1, 0);
    end();
}

static void test_what_is_no_event(void **state)
{
    start(2);
    assert_false(ledger_deliver(&part, 0, 2, 5000));
    assert_false(ledger_deliver(&part, 0, UINT64_MAX, 5000));
    deliver(0, "0");
    ledger_send(&ledger, 0, 1000);
    deliver(0, "12");
    end();
}

/* Latency counts from when an event was due. The latencies of the first and the last subscriber are kept by event. */
static void test_times(void **state)
{
    start(0);
    ledger_send(&ledger, 0, 1000);
    assert_true(ledger_deliver(&part, 1, 0, 1010));
    assert_true(ledger_deliver(&part, 0, 0, 1030));
    assert_true(ledger_deliver(&part, 2, 0, 1090));
    assert_int_equal(part.latency.count, 3);
    assert_int_equal(part.first.count, 1);
    assert_int_equal(part.first.max_us, 10);
    assert_int_equal(part.last.count, 1);
    assert_int_equal(part.last.max_us, 90);
    assert_int_equal(histogram_percentile_us(&part.latency, 50), 30);
    ledger_part_forget(&part);
    assert_int_equal(part.latency.count + part.first.count + part.last.count, 0);
    assert_int_equal(part.deliveries, 3);
    end();
}

/* Subscriber i of channel i % 2: an order of its own for each, and nothing of the other. */
static void test_channels(void **state)
{
    ledger_init(&ledger, 2);
    ledger_part_init(&part, &ledger, 0, 4);
    for (uint32_t i = 0; i < 4; i++)
        ledger_send(&ledger, i % 2, 1000);
    assert_int_equal(ledger.expected, 8);
    deliver(1, "13");
    deliver(0, "02");
    deliver(3, "13");
    assert_int_equal(ledger_in_flight(&ledger), 2);
    assert_false(ledger_deliver(&part, 2, 1, 5000));
    deliver(2, "02");
    assert_int_equal(ledger_in_flight(&ledger), 0);
    expect(0, 0, 0);
    end();
}

/* The second part's first subscriber is the third of all. Channel 1 has none there. */
static void test_parts(void **state)
{
    struct ledger_part other;
    ledger_init(&ledger, 2);
    ledger_part_init(&part, &ledger, 0, 2);
    ledger_part_init(&other, &ledger, 2, 1);
    for (uint32_t i = 0; i < 3; i++)
        ledger_send(&ledger, i == 1, 1000);
    deliver_to(&other, 0, "02");
    assert_false(ledger_deliver(&other, 0, 1, 5000));
    assert_int_equal(ledger_in_flight(&ledger), 3);
    deliver(0, "20");
    assert_int_equal(ledger_in_flight(&ledger), 1);
    assert_int_equal(part.completed, 2);
    assert_int_equal(other.completed, 0);
    assert_int_equal(part.misordered, 1);
    assert_int_equal(other.first.count, 2);
    assert_int_equal(part.first.count, 0);
    deliver(1, "1");
    assert_int_equal(ledger_in_flight(&ledger), 0);
    ledger_part_fini(&other);
    end();
}

enum { THREADS = 4, EVENTS = 3 * LEDGER_CHUNK };

static void *deliver_all(void *argument)
{
    struct ledger_part *own = argument;
    for (uint64_t number = 0; number < EVENTS;) {
        if (ledger_deliver(own, 0, number, 5000) && ledger_deliver(own, 1, number, 5000))
            number++;
        else
            assert_int_equal(own->deliveries, 2 * number); /* not sent yet */
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct ledger_part parts[THREADS];
    pthread_t threads[THREADS];
    ledger_init(&ledger, 1);
    for (size_t i = 0; i < THREADS; i++)
        ledger_part_init(&parts[i], &ledger, 2 * i, 2);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, deliver_all, &parts[i]), 0);
    for (uint32_t i = 0; i < EVENTS; i++)
        ledger_send(&ledger, 0, 1000);
    uint64_t first = 0, last = 0, wrong = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        first += parts[i].first.count;
        last += parts[i].last.count;
        wrong += parts[i].duplicated + parts[i].misordered;
    }
    assert_int_equal(ledger_in_flight(&ledger), 0);
    assert_int_equal(first, EVENTS);
    assert_int_equal(last, EVENTS);
    assert_int_equal(wrong, 0);
    for (size_t i = 0; i < THREADS; i++)
        ledger_part_fini(&parts[i]);
    ledger_fini(&ledger);
}

/* With several publishers the order is the server's. */
static void test_any_order_that_all_share(void **state)
{
    start(4);
    deliver(1, "20");
    deliver(0, "2");
    deliver(1, "31");
    deliver(0, "031");
    deliver(2, "2031");
    expect(0, 0, 0);
    end();
}

static void test_a_loss_at_the_end(void **state)
{
    start(3);
    deliver(0, "012");
    deliver(1, "012");
    deliver(2, "01");
    expect(1, 0, 0);
    end();
}

static void test_a_loss_in_between(void **state)
{
    start(3);
    deliver(0, "012");
    deliver(1, "02");
    deliver(2, "012");
    expect(1, 0, 0);
    end();
}

static void test_an_event_nobody_got(void **state)
{
    start(2);
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        deliver(i, "1");
    expect(SUBSCRIBERS, 0, 0);
    end();
}

static void test_duplicates(void **state)
{
    start(3);
    deliver(0, "012");
    deliver(1, "0012");
    deliver(2, "0120");
    expect(0, 2, 0);
    assert_int_equal(part.deliveries, 9);
    end();
}

static void test_swapped(void **state)
{
    start(4);
    deliver(0, "0123");
    deliver(1, "0213");
    deliver(2, "3120");
    expect(0, 0, 1 + 3);
    end();
}

static void test_late_and_again(void **state)
{
    start(3);
    deliver(0, "012");
    deliver(1, "0211");
    expect(3, 1, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_right),
        cmocka_unit_test(test_the_last_delivery_completes),
        cmocka_unit_test(test_what_is_no_event),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_threads),
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
