/* test_reason.c - walks reasons.def: a new reason is tested without writing a test. */
#include "common/protocol/reason.h"
#include "common/protocol/ws_frame.h"
#include "tests/support/unit.h"

static void test_every_reason(void **state)
{
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        enum reason reason = (enum reason)i;
        struct str text = str_from_cstr(reason_text(reason));
        assert_true(text.len > 0 && text.len <= WS_CONTROL_MAX - 2);
        for (size_t at = 0; at < text.len; at++)
            assert_true((text.ptr[at] >= 'a' && text.ptr[at] <= 'z') || strchr("_0123456789", text.ptr[at]));
        /* Texts are what programs tell reasons apart by: the first of a text must be this one. */
        assert_int_equal(reason_from_text(text), reason);
        assert_true(reason_err(reason) > ERR_NONE && reason_err(reason) < ERR_COUNT);
        int close = reason_close_code(reason);
        assert_true(close > 1000 && close_code_may_be_sent((uint64_t)close));
        assert_true(strlen(reason_sentence(reason)) > 5);
        for (int other = REASON_NONE; other < i; other++)
            assert_string_not_equal(reason_sentence(reason), reason_sentence((enum reason)other));
    }
}

/* RFC 6455, 7.4: what an endpoint may send. */
static void test_codes_that_may_be_sent(void **state)
{
    static const struct {
        uint64_t first, last;
    } good[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
    (void)state;
    for (uint64_t code = 0; code < 70000; code++) {
        bool expected = false;
        for (size_t i = 0; i < COUNT_OF(good); i++)
            expected |= code >= good[i].first && code <= good[i].last;
        assert_int_equal(close_code_may_be_sent(code), expected);
    }
    assert_false(close_code_may_be_sent(UINT64_MAX));
}

static void test_none(void **state)
{
    assert_string_equal(reason_text(REASON_NONE), "none");
    assert_int_equal(reason_err(REASON_NONE), ERR_NONE);
    assert_int_equal(reason_from_text(STR("none")), REASON_NONE);
    assert_int_equal(reason_from_text(STR("token_expire")), REASON_NONE);
    assert_int_equal(reason_from_text(STR("")), REASON_NONE);
}

static void test_the_documented_ones(void **state)
{
    assert_string_equal(reason_text(REASON_TOKEN_EXPIRED), "token_expired");
    assert_int_equal(reason_err(REASON_TOKEN_EXPIRED), ERR_UNAUTHORIZED);
    assert_int_equal(reason_close_code(REASON_TOKEN_EXPIRED), 1008);
    assert_int_equal(reason_err(REASON_ORIGIN_DENIED), ERR_FORBIDDEN);
    assert_int_equal(reason_close_code(REASON_CONNECTION_LIMIT), 1013);
    assert_int_equal(reason_close_code(REASON_DRAINING), 1012);
    assert_int_equal(reason_close_code(REASON_SLOW_CONSUMER), 1013);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reason),
        cmocka_unit_test(test_codes_that_may_be_sent),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_the_documented_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
