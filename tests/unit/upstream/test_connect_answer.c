#include "server/upstream/connect_answer.h"
#include "tests/support/unit.h"

static struct claims *claims_of(const char *payload)
{
    struct claims *claims = NULL;
    assert_int_equal(claims_parse(str_from_cstr(payload), &claims, NULL), ERR_NONE);
    return claims;
}

#define TOKEN "{\"sub\":\"ann\",\"exp\":1800000000,\"role\":\"guest\",\"jti\":\"7\"}"

static void changes_claims(const char *answer, const char *expected)
{
    struct claims *before = claims_of(TOKEN);
    struct connect_answer out;
    struct error error;
    assert_int_equal(connect_answer_read(str_from_cstr(answer), false, before, &out, &error), ERR_NONE);
    if (expected)
        assert_str(out.claims->payload.raw, expected);
    else
        assert_null(out.claims);
    connect_answer_fini(&out);
    claims_unref(before);
}

static void test_claims(void **state)
{
    changes_claims("", NULL);
    changes_claims("{}", NULL);
    changes_claims("{\"user\":null,\"state\":{}}", NULL);
    changes_claims("{\"user\":\"bob\"}", "{\"sub\":\"bob\",\"exp\":1800000000,\"role\":\"guest\",\"jti\":\"7\"}");
    changes_claims("{\"expires_at\":1900000000}",
                   "{\"exp\":1900000000,\"sub\":\"ann\",\"role\":\"guest\",\"jti\":\"7\"}");
    changes_claims("{\"claims\":{\"role\":\"admin\",\"x\":[1]}}",
                   "{\"role\":\"admin\",\"x\":[1],\"sub\":\"ann\",\"exp\":1800000000,\"jti\":\"7\"}");
    changes_claims("{\"user\":\"bob\",\"claims\":{\"sub\":\"eve\",\"r\\u006fle\":\"admin\"}}",
                   "{\"sub\":\"bob\",\"r\\u006fle\":\"admin\",\"exp\":1800000000,\"jti\":\"7\"}");
}

static void test_the_token_is_kept(void **state)
{
    struct claims *before = claims_of(TOKEN);
    struct connect_answer out;
    assert_int_equal(connect_answer_read(STR("{\"user\":\"bob\",\"expires_at\":1700000000,\"claims\":{\"exp\":1}}"),
                                         false, before, &out, NULL),
                     ERR_NONE);
    assert_ptr_equal(claims_of_token(out.claims), before);
    assert_int_equal(claims_end_by_backend(out.claims), 1700000000000);
    connect_answer_fini(&out);
    claims_unref(before);
}

static void test_other_members(void **state)
{
    struct claims *before = claims_of(TOKEN);
    struct connect_answer out;
    assert_int_equal(
        connect_answer_read(STR("{\"subprotocol\":\"a.v1\",\"subscribe\":[\"a\",\"b\"],\"state\":{\"a\":1}}"), false,
                            before, &out, NULL),
        ERR_NONE);
    assert_str(out.subprotocol, "a.v1");
    assert_str(out.subscribe.raw, "[\"a\",\"b\"]");
    assert_str(buf_str(&out.state), "eyJhIjoxfQ");
    connect_answer_fini(&out);
    claims_unref(before);
}

static void refuses(const char *answer, const char *part)
{
    struct claims *before = claims_of(TOKEN);
    struct connect_answer out;
    struct error error;
    assert_int_not_equal(connect_answer_read(str_from_cstr(answer), false, before, &out, &error), ERR_NONE);
    if (!strstr(error.text, part))
        fail_msg("%s: %s", answer, error.text);
    assert_null(out.claims);
    claims_unref(before);
}

static void test_what_is_wrong(void **state)
{
    char large[8000];
    refuses("x", "");
    refuses("[]", "");
    refuses("{\"user\":7}", "user");
    refuses("{\"user\":\"\"}", "user, claims, expires_at");
    refuses("{\"claims\":{\"exp\":\"soon\"}}", "exp");
    refuses("{\"subscribe\":[\"a\",7]}", "subscribe");
    refuses("{\"subprotocol\":\"a\\u0000\"}", "subprotocol");
    refuses("{\"expires_at\":\"2026\"}", "expires_at");
    memset(large, 'a', sizeof large - 1);
    memcpy(large, "{\"state\":\"", 10);
    memcpy(large + sizeof large - 3, "\"}", 3);
    refuses(large, "state");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_the_token_is_kept),
        cmocka_unit_test(test_other_members),
        cmocka_unit_test(test_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
