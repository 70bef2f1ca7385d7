/* test_quota.c - counts, limits, and that nothing is left when all has been released. */
#include "server/net/admission/quota.h"
#include "tests/support/unit.h"

static void counts_up_to_the_limit(void **state)
{
    (void)state;
    struct quota *quota = quota_create();
    assert_true(quota_reserve(quota, QUOTA_BODIES, 2, 3));
    assert_false(quota_reserve(quota, QUOTA_BODIES, 2, 3));
    assert_true(quota_reserve(quota, QUOTA_BODIES, 1, 3));
    assert_true(quota_reserve(quota, QUOTA_BODIES, 0, 3));
    assert_false(quota_reserve(quota, QUOTA_BODIES, SIZE_MAX, SIZE_MAX));
    quota_give_back(quota, QUOTA_BODIES, 2);
    assert_int_equal(quota_count(quota, QUOTA_BODIES, STR("")), 1);
    assert_true(quota_reserve(quota, QUOTA_BODIES, 2, 3));
    quota_give_back(quota, QUOTA_BODIES, 1);
    quota_give_back(quota, QUOTA_BODIES, 2);
    assert_int_equal(quota_count(quota, QUOTA_BODIES, STR("")), 0);
    quota_destroy(quota); /* asserts that it is empty */
}

static void a_lease_keeps_kinds_apart_and_gives_all_back(void **state)
{
    (void)state;
    struct quota *quota = quota_create();
    struct lease one = {0}, two = {0};
    assert_int_equal(lease_take(&one, quota, QUOTA_OF_USER, STR("x"), 1), 1);
    assert_int_equal(lease_take(&one, quota, QUOTA_OF_ADDRESS, STR("x"), 1), 1);
    assert_int_equal(lease_take(&two, quota, QUOTA_OF_USER, STR("x"), 1), 0);
    assert_int_equal(lease_take(&two, quota, QUOTA_SESSIONS, STR(""), 0), 1); /* 0: no limit */
    assert_int_equal(two.count, 1);
    lease_release(&one, quota);
    assert_int_equal(lease_take(&two, quota, QUOTA_OF_USER, STR("x"), 1), 1);
    lease_release(&two, quota);
    quota_destroy(quota);
}

static void a_key_may_have_any_length(void **state)
{
    (void)state;
    static char bytes[1000];
    struct quota *quota = quota_create();
    for (size_t len = 250; len < 260; len++) {
        struct lease lease = {0};
        assert_int_equal(lease_take(&lease, quota, QUOTA_OF_USER, str_from(bytes, len), 1), 1);
        assert_int_equal(lease_take(&lease, quota, QUOTA_OF_USER, str_from(bytes, len), 1), 0);
        assert_int_equal(quota_count(quota, QUOTA_OF_USER, str_from(bytes, len)), 1);
        assert_int_equal(quota_count(quota, QUOTA_OF_USER, str_from(bytes, len - 1)), 0);
        lease_release(&lease, quota);
    }
    quota_destroy(quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_up_to_the_limit),
        cmocka_unit_test(a_lease_keeps_kinds_apart_and_gives_all_back),
        cmocka_unit_test(a_key_may_have_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
