/* test_cache.c - the cache answers as token_verify does, and forgets when it must. */
#include "common/token/cache.h"
#include "tests/support/unit.h"
#include "tests/unit/token/made_keys.h"

struct fixture {
    struct token_keys *keys;
    struct token_policy policy;
    struct buf token;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.keys = keys_of_secret(SECRET, ""), .policy = token_policy_default()};
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    token_keys_unref(f->keys);
    buf_fini(&f->token);
    return 0;
}

/* The claims, to see if two answers are the same object: that is a hit. */
static const struct claims *verify(struct token_cache *cache, struct fixture *f, uint64_t now_ms, enum reason expected)
{
    struct claims *claims = NULL;
    struct error error = {0};
    enum reason reason = token_cache_verify(cache, f->keys, &f->policy, buf_str(&f->token), now_ms, &claims, &error);
    if (reason != expected)
        fail_msg("%s: %s", reason_text(reason), error.text);
    assert_true((claims == NULL) == (reason != REASON_NONE));
    claims_unref(claims);
    return claims;
}

static void make_token(struct fixture *f, int number)
{
    char payload[80];
    snprintf(payload, sizeof payload, "{\"sub\":\"user-1\",\"n\":%d,\"exp\":1700000100}", number);
    raw_token(&f->token, f->keys, "HS256", "{\"alg\":\"HS256\"}", payload);
}

static void test_hit_and_expiry(void **state)
{
    struct fixture *f = *state;
    struct token_cache *cache = token_cache_create(10, 1 << 20);
    make_token(f, 1);
    const struct claims *first = verify(cache, f, NOW_MS, REASON_NONE);
    assert_int_equal(token_cache_count(cache), 1);
    assert_ptr_equal(verify(cache, f, NOW_MS + 129999, REASON_NONE), first);
    /* The policy's rules hold for what is in the cache too. */
    struct str issuer = STR("nobody");
    f->policy.issuers = &issuer;
    f->policy.issuer_count = 1;
    verify(cache, f, NOW_MS, REASON_TOKEN_INVALID);
    f->policy.issuer_count = 0;
    f->policy.algorithms = ALGORITHM_ES256;
    verify(cache, f, NOW_MS, REASON_TOKEN_INVALID);
    f->policy.algorithms = ALGORITHM_ALL;
    f->policy.max_bytes = f->token.len - 1;
    verify(cache, f, NOW_MS, REASON_TOKEN_INVALID);
    f->policy.max_bytes = 8192;
    assert_ptr_equal(verify(cache, f, NOW_MS, REASON_NONE), first);
    /* At its end it is refused, and dropped. */
    verify(cache, f, NOW_MS + 130000, REASON_TOKEN_EXPIRED);
    assert_int_equal(token_cache_count(cache), 0);
    token_cache_destroy(cache);
}

static void test_refusals_are_not_kept(void **state)
{
    struct fixture *f = *state;
    struct token_cache *cache = token_cache_create(10, 1 << 20);
    make_token(f, 1);
    verify(cache, f, NOW_MS + 200000, REASON_TOKEN_EXPIRED);
    f->token.ptr[f->token.len - 5] ^= 1;
    verify(cache, f, NOW_MS, REASON_TOKEN_INVALID);
    assert_int_equal(token_cache_count(cache), 0);
    token_cache_destroy(cache);
}

static void test_oldest_goes_first(void **state)
{
    struct fixture *f = *state;
    struct token_cache *cache = token_cache_create(2, 1 << 20);
    make_token(f, 1);
    verify(cache, f, NOW_MS, REASON_NONE);
    make_token(f, 2);
    verify(cache, f, NOW_MS, REASON_NONE);
    make_token(f, 1);
    verify(cache, f, NOW_MS, REASON_NONE); /* now 2 is the one used least recently */
    make_token(f, 3);
    verify(cache, f, NOW_MS, REASON_NONE);
    assert_int_equal(token_cache_count(cache), 2);

    /* With 1 still there, one more reference to it is one to the same object; 2 was parsed anew. */
    struct claims *one = NULL, *again = NULL;
    make_token(f, 1);
    token_cache_verify(cache, f->keys, &f->policy, buf_str(&f->token), NOW_MS, &one, NULL);
    token_cache_verify(cache, f->keys, &f->policy, buf_str(&f->token), NOW_MS, &again, NULL);
    assert_ptr_equal(one, again);
    assert_int_equal(one->refs, 3);
    for (int n = 2; n < 9; n++) {
        make_token(f, n);
        verify(cache, f, NOW_MS, REASON_NONE);
    }
    assert_int_equal(one->refs, 2); /* evicted; what others hold lives on */
    claims_unref(one);
    claims_unref(again);
    token_cache_destroy(cache);
}

static void test_other_keys_empty_it(void **state)
{
    struct fixture *f = *state;
    struct token_cache *cache = token_cache_create(10, 1 << 20);
    make_token(f, 1);
    verify(cache, f, NOW_MS, REASON_NONE);
    token_keys_unref(f->keys);
    f->keys = keys_of_secret("another secret, also of thirty-two bytes or more", "");
    verify(cache, f, NOW_MS, REASON_TOKEN_INVALID);
    assert_int_equal(token_cache_count(cache), 0);
    token_cache_destroy(cache);
}

static void test_size_zero_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    struct token_cache *cache = token_cache_create(0, 1 << 20);
    make_token(f, 1);
    verify(cache, f, NOW_MS, REASON_NONE);
    assert_int_equal(token_cache_count(cache), 0);
    token_cache_destroy(cache);
}

static void make_long_token(struct fixture *f, int number)
{
    char payload[4200];
    int len = snprintf(payload, sizeof payload, "{\"sub\":\"user-1\",\"n\":%d,\"exp\":1700000100,\"channels\":[\"a\"",
                       number);
    while (len < 4000)
        len += snprintf(payload + len, sizeof payload - (size_t)len, ",\"b\"");
    snprintf(payload + len, sizeof payload - (size_t)len, "]}");
    raw_token(&f->token, f->keys, "HS256", "{\"alg\":\"HS256\"}", payload);
}

/* Their grants take many times what the token has bytes: what counts is memory. */
static void test_bytes_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct token_cache *cache = token_cache_create(1000, 200000);
    for (int n = 0; n < 20; n++) {
        make_long_token(f, n);
        verify(cache, f, NOW_MS, REASON_NONE);
        assert_in_range(token_cache_bytes(cache), 1, 200000);
    }
    assert_in_range(token_cache_count(cache), 5, 9);
    /* The newest is kept, however little room there is. */
    struct token_cache *small = token_cache_create(1000, 1000);
    verify(small, f, NOW_MS, REASON_NONE);
    verify(small, f, NOW_MS, REASON_NONE);
    assert_int_equal(token_cache_count(small), 1);
    assert_int_equal(token_cache_hits(small), 1);
    token_cache_destroy(small);
    token_cache_destroy(cache);
}

static void test_expired_ones_go(void **state)
{
    struct fixture *f = *state;
    struct token_cache *cache = token_cache_create(1000, 1 << 20);
    for (int n = 0; n < 300; n++) {
        make_token(f, n);
        verify(cache, f, NOW_MS, REASON_NONE);
    }
    token_cache_expire(cache, &f->policy, NOW_MS + 129999, 10000);
    assert_int_equal(token_cache_count(cache), 300);
    /* By the clock alone, some at a time. */
    for (int turn = 0; turn < 10; turn++)
        token_cache_expire(cache, &f->policy, NOW_MS + 130000, 50);
    assert_in_range(token_cache_count(cache), 0, 150);
    for (int turn = 0; turn < 40; turn++)
        token_cache_expire(cache, &f->policy, NOW_MS + 130000, 50);
    assert_int_equal(token_cache_count(cache), 0);
    assert_int_equal(token_cache_bytes(cache), 0);
    token_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hit_and_expiry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals_are_not_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_oldest_goes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_keys_empty_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bytes_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expired_ones_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_size_zero_keeps_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
