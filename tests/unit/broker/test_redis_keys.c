/* test_redis_keys.c - see redis_keys.h. */
#include "server/broker/redis/redis_keys.h"
#include "tests/support/unit.h"

static void names_what_is_in_redis(void **state)
{
    struct redis_keys keys = {0};
    redis_keys_set(&keys, STR("carillon"), STR("carillon"), STR("user:1"), STR("e-7"));
    assert_str(keys.meta, "carillon:{user:1}:meta");
    assert_str(keys.log, "carillon:{user:1}:log");
    assert_str(keys.live, "carillon:{user:1}:live");
    assert_str(keys.id, "carillon:{user:1}:id:e-7");
    redis_keys_set(&keys, STR("p"), STR("p"), STR("c"), STR(""));
    assert_str(keys.live, "p:{c}:live");
    assert_int_equal(keys.id.len, 0);
    redis_keys_set(&keys, STR("p"), STR("p:@7"), STR("c"), STR("e"));
    assert_str(keys.meta, "p:{c}:meta");
    assert_str(keys.log, "p:{c}:log");
    assert_str(keys.live, "p:@7:{c}:live");
    assert_str(keys.id, "p:{c}:id:e");
    redis_keys_fini(&keys);
}

static void names_the_database_in_pubsub(void **state)
{
    struct buf name = {0};
    redis_pubsub_prefix_append(&name, STR("p"), 0);
    assert_str(buf_str(&name), "p");
    redis_pubsub_prefix_append(&name, STR(",p"), 12);
    assert_str(buf_str(&name), "p,p:@12");
    buf_fini(&name);
}

/* Each of these would, unescaped, move to another slot or be another channel's key. */
static void keeps_the_hash_tag_whole(void **state)
{
    struct redis_keys keys = {0};
    redis_keys_set(&keys, STR("c"), STR("c"), STR("}x"), STR("i"));
    assert_str(keys.live, "c:{%7Dx}:live");
    redis_keys_set(&keys, STR("c"), STR("c"), STR("{a}:id:x"), STR("i"));
    assert_str(keys.log, "c:{%7Ba%7D:id:x}:log");
    redis_keys_set(&keys, STR("c"), STR("c"), STR("50%7D"), STR("i"));
    assert_str(keys.meta, "c:{50%257D}:meta");
    redis_keys_fini(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_is_in_redis),
        cmocka_unit_test(names_the_database_in_pubsub),
        cmocka_unit_test(keeps_the_hash_tag_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
