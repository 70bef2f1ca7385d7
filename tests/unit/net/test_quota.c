/* test_quota.c - counts, limits, and that nothing is left when all has been released. */
#include "server/net/admission/quota.h"
#include "tests/support/unit.h"

static void counts_up_to_the_limit(void **state)
{
    (void)state;
    struct quota *quota = quota_create();
    assert_int_equal(quota_take(quota, STR("a"), 2), 1);
    assert_int_equal(quota_take(quota, STR("a"), 2), 2);
    assert_int_equal(quota_take(quota, STR("a"), 2), 0);
    assert_int_equal(quota_take(quota, STR("b"), 2), 1);
    quota_release(quota, STR("a"));
    assert_int_equal(quota_count(quota, STR("a")), 1);
    assert_int_equal(quota_take(quota, STR("a"), 2), 2);
    quota_release(quota, STR("a"));
    quota_release(quota, STR("a"));
    quota_release(quota, STR("b"));
    assert_int_equal(quota_count(quota, STR("a")), 0);
    quota_destroy(quota); /* asserts that it is empty */
}

static void a_lease_keeps_kinds_apart_and_gives_all_back(void **state)
{
    (void)state;
    struct quota *quota = quota_create();
    struct lease one = {0}, two = {0};
    assert_int_equal(lease_take(&one, quota, "user", STR("x"), 1), 1);
    assert_int_equal(lease_take(&one, quota, "address", STR("x"), 1), 1);
    assert_int_equal(lease_take(&two, quota, "user", STR("x"), 1), 0);
    assert_int_equal(lease_take(&two, quota, "all", STR(""), 0), 1); /* 0: no limit */
    assert_int_equal(two.count, 1);
    lease_release(&one, quota);
    assert_int_equal(lease_take(&two, quota, "user", STR("x"), 1), 1);
    lease_release(&two, quota);
    quota_destroy(quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_up_to_the_limit),
        cmocka_unit_test(a_lease_keeps_kinds_apart_and_gives_all_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
