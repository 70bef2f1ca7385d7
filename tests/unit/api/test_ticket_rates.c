/* test_ticket_rates.c - how often a user or an address may ask for tickets. */
#include <stdio.h>

#include "server/api/ticket_rates.h"
#include "tests/support/unit.h"

static bool take(struct ticket_rates *rates, char kind, const char *key, uint64_t now_us, uint64_t *out_retry_us)
{
    return ticket_rates_take(rates, kind, str_from_cstr(key), 3, now_us, out_retry_us);
}

static void each_key_has_its_own_rate(void **state)
{
    struct ticket_rates *rates = ticket_rates_create();
    uint64_t retry_us = 0, now_us = 5000000;
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(take(rates, 'u', "alice", now_us, &retry_us));
    assert_false(take(rates, 'u', "alice", now_us, &retry_us));
    assert_int_equal(retry_us, 20000000);
    assert_true(take(rates, 'u', "bob", now_us, &retry_us));
    assert_true(take(rates, 'a', "alice", now_us, &retry_us)); /* an address of that text */
    assert_true(take(rates, 'u', "alice", now_us + 20000000, &retry_us));
    assert_false(take(rates, 'u', "alice", now_us + 20000000, &retry_us));
    ticket_rates_destroy(rates);
}

static void without_a_rate_nothing_is_counted(void **state)
{
    struct ticket_rates *rates = ticket_rates_create();
    uint64_t retry_us;
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_true(ticket_rates_take(rates, 'u', STR("alice"), 0, 1, &retry_us));
    ticket_rates_destroy(rates);
    ticket_rates_destroy(NULL);
}

/* Over the bound, the key that was used longest ago is forgotten. */
static void memory_is_bounded(void **state)
{
    struct ticket_rates *rates = ticket_rates_create();
    uint64_t retry_us;
    char key[24];
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(take(rates, 'u', "first", 1, &retry_us) && take(rates, 'u', "kept", 1, &retry_us));
    for (int i = 0; i < TICKET_RATES_MAX; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_true(take(rates, 'a', key, 1, &retry_us));
        if (i % 1000 == 0)
            assert_false(take(rates, 'u', "kept", 1, &retry_us));
    }
    assert_false(take(rates, 'u', "kept", 1, &retry_us));
    assert_true(take(rates, 'u', "first", 1, &retry_us));
    ticket_rates_destroy(rates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_has_its_own_rate),
        cmocka_unit_test(without_a_rate_nothing_is_counted),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
