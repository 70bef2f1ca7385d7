/* test_redis_slots.c - see redis_slots.h. */
#include "server/broker/redis/topology/redis_slots.h"
#include "tests/support/unit.h"

static void agrees_with_redis(void **state)
{
    static const struct {
        const char *key;
        unsigned slot;
    } rows[] = {
        /* CLUSTER KEYSLOT of Redis 7.0 */
        {"", 0},
        {"123456789", 12739}, /* 0x31C3, the check value of the CRC */
        {"foo", 12182},
        {"foo{}{bar}", 8363},
        {"{user1000}.following", 3443},
        {"{user1000}.followers", 3443},
        {"foo{{bar}}zap", 4015},
        {"foo{bar}{zap}", 5061},
        {"bar", 5061},
        {"{bar", 4015},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (redis_slot_of(str_from_cstr(rows[i].key)) != rows[i].slot)
            fail_msg("%s: %u", rows[i].key, redis_slot_of(str_from_cstr(rows[i].key)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_redis)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
