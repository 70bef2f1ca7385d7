/* test_revocations.c - which tokens a revocation covers, and for how long. A round finds the revocations that the
 * broker has lost. */
#include <stdio.h>

#include "server/core/revocations.h"
#include "tests/support/unit.h"

static const uint64_t now_ms = 1000000;

static bool covers_at(struct revocations *revocations, const char *payload, uint64_t at_ms)
{
    struct claims *claims;
    struct error error;
    if (claims_parse(str_from_cstr(payload), &claims, &error))
        fail_msg("%s: %s", payload, error.text);
    bool covered = revocations_cover(revocations, claims, at_ms);
    claims_unref(claims);
    return covered;
}

static void add(struct revocations *revocations, enum revocation_kind kind, const char *value, uint64_t before_ms,
                uint64_t until_ms)
{
    const struct revocation revocation = {kind, str_from_cstr(value), before_ms, until_ms};
    revocations_add(revocations, &revocation, now_ms);
}

static void count_one(void *owner, const struct revocation *revocation)
{
    assert_str(revocation->value, "lost");
    (*(int *)owner)++;
}

/* A whole round. Returns how many do not count as kept. */
static int look_at_all(struct revocations *revocations, uint64_t at_ms)
{
    int lost = 0;
    revocations_begin_round(revocations);
    while (revocations_look(revocations, 1, at_ms, count_one, &lost))
        ;
    return lost;
}

static void test_what_is_covered(void **state)
{
    static const struct {
        const char *payload;
        bool covered;
    } cases[] = {
        {"{\"sub\":\"alice\",\"jti\":\"one\",\"iat\":900}", true},
        {"{\"sub\":\"bob\",\"jti\":\"one\"}", true},
        {"{\"sub\":\"bob\",\"jti\":\"on\"}", false},
        {"{\"sub\":\"bob\",\"jti\":\"one.\"}", false},
        {"{\"sub\":\"one\"}", false}, /* a user of the name of a jti */
        {"{\"sub\":\"x\",\"jti\":\"mallory\"}", false},
        {"{\"sub\":\"mallory\",\"iat\":499}", true},
        {"{\"sub\":\"mallory\",\"iat\":500}", false},
        {"{\"sub\":\"mallory\",\"iat\":501}", false},
        {"{\"sub\":\"mallory\"}", true}, /* nobody knows when it was issued */
        {"{\"sub\":\"mallory2\"}", false},
    };
    (void)state;
    struct revocations *revocations = revocations_create();
    assert_false(covers_at(revocations, cases[0].payload, now_ms));
    add(revocations, REVOCATION_JTI, "one", 0, now_ms + 5000);
    add(revocations, REVOCATION_USER, "mallory", 500000, now_ms + 5000);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (covers_at(revocations, cases[i].payload, now_ms) != cases[i].covered)
            fail_msg("%s: not as expected", cases[i].payload);
    assert_int_equal(revocations_count(revocations), 2);
    revocations_destroy(revocations);
}

static void test_the_wider_one_counts(void **state)
{
    (void)state;
    struct revocations *revocations = revocations_create();
    add(revocations, REVOCATION_USER, "a", 500000, now_ms + 5000);
    add(revocations, REVOCATION_USER, "a", 400000, now_ms + 9000); /* longer, of fewer tokens */
    assert_int_equal(revocations_count(revocations), 1);
    assert_true(covers_at(revocations, "{\"sub\":\"a\",\"iat\":450}", now_ms + 8000));
    assert_false(covers_at(revocations, "{\"sub\":\"a\",\"iat\":600}", now_ms));
    add(revocations, REVOCATION_USER, "a", 0, now_ms + 100); /* whenever issued */
    assert_true(covers_at(revocations, "{\"sub\":\"a\",\"iat\":600}", now_ms + 8000));
    revocations_destroy(revocations);
}

static void test_ends(void **state)
{
    (void)state;
    struct revocations *revocations = revocations_create();
    add(revocations, REVOCATION_JTI, "over", 0, now_ms); /* already: not kept */
    assert_int_equal(revocations_count(revocations), 0);
    add(revocations, REVOCATION_JTI, "one", 0, now_ms + 10);
    assert_true(covers_at(revocations, "{\"sub\":\"a\",\"jti\":\"one\"}", now_ms + 9));
    assert_false(covers_at(revocations, "{\"sub\":\"a\",\"jti\":\"one\"}", now_ms + 10));
    add(revocations, REVOCATION_JTI, "two", 0, now_ms * 2);
    assert_int_equal(0, look_at_all(revocations, now_ms + 9));
    assert_int_equal(revocations_count(revocations), 2);
    look_at_all(revocations, now_ms + 10);
    assert_int_equal(revocations_count(revocations), 1); /* the first has been forgotten */
    assert_true(covers_at(revocations, "{\"sub\":\"a\",\"jti\":\"two\"}", now_ms + 10));
    revocations_destroy(revocations);
}

/* A round sees each that is there when it begins once, a few at a time, whatever comes and goes meanwhile. */
static void test_rounds(void **state)
{
    char value[16];
    int rounds = 0;
    (void)state;
    struct revocations *revocations = revocations_create();
    assert_false(revocations_look(revocations, 10, now_ms, NULL, NULL));
    for (int i = 0; i < 1000; i++) {
        snprintf(value, sizeof value, "%d", i);
        add(revocations, REVOCATION_JTI, value, 0, now_ms + 1 + (uint64_t)(i % 10));
    }
    revocations_begin_round(revocations);
    for (size_t gone = 0; revocations_look(revocations, 10, now_ms + 5, NULL, NULL); rounds++) {
        gone += 5; /* of ten */
        assert_int_equal(revocations_count(revocations), 1000 - gone + (size_t)rounds);
        snprintf(value, sizeof value, "new %d", rounds);
        add(revocations, REVOCATION_JTI, value, 0, now_ms + 3);
    }
    assert_int_equal(rounds, 99);
    assert_int_equal(revocations_count(revocations), 500 + 99);
    look_at_all(revocations, now_ms + 5);
    assert_int_equal(revocations_count(revocations), 500);
    revocations_destroy(revocations);
}

static void test_what_the_broker_has_lost(void **state)
{
    (void)state;
    struct revocations *revocations = revocations_create();
    add(revocations, REVOCATION_JTI, "lost", 0, now_ms + 5000);
    add(revocations, REVOCATION_USER, "kept", 0, now_ms + 5000);
    assert_int_equal(look_at_all(revocations, now_ms), 0);
    revocations_doubt(revocations);
    add(revocations, REVOCATION_USER, "kept", 0, now_ms + 5000);
    assert_int_equal(look_at_all(revocations, now_ms), 1);
    revocations_destroy(revocations);
}

/* Another node has given back the one that it knows, and this one knows more. */
static void test_a_narrower_one_does_not_count_as_kept(void **state)
{
    (void)state;
    struct revocations *revocations = revocations_create();
    add(revocations, REVOCATION_USER, "lost", 2000, now_ms + 5000);
    revocations_doubt(revocations);
    add(revocations, REVOCATION_USER, "lost", 1000, now_ms + 5000);
    assert_int_equal(look_at_all(revocations, now_ms), 1);
    add(revocations, REVOCATION_USER, "lost", 2000, now_ms + 5000);
    assert_int_equal(look_at_all(revocations, now_ms), 0);
    revocations_destroy(revocations);
}

static void test_values_that_are_too_long(void **state)
{
    (void)state;
    char payload[REVOCATION_VALUE_MAX + 64], value[REVOCATION_VALUE_MAX + 2];
    struct revocations *revocations = revocations_create();
    memset(value, 'x', sizeof value);
    value[REVOCATION_VALUE_MAX + 1] = '\0';
    add(revocations, REVOCATION_JTI, value, 0, now_ms + 5000);
    assert_int_equal(revocations_count(revocations), 0);
    value[REVOCATION_VALUE_MAX] = '\0';
    add(revocations, REVOCATION_JTI, value, 0, now_ms + 5000);
    snprintf(payload, sizeof payload, "{\"sub\":\"a\",\"jti\":\"%s\"}", value);
    assert_true(covers_at(revocations, payload, now_ms));
    revocations_destroy(revocations);
}

/* A backend has given the session another user and another jti. Those of the token count all the same. */
static void test_claims_with_changes(void **state)
{
    static const struct {
        enum revocation_kind kind;
        const char *value;
        bool covered;
    } rows[] = {
        {REVOCATION_USER, "ada", true}, {REVOCATION_USER, "zoe", true}, {REVOCATION_USER, "role", false},
        {REVOCATION_JTI, "one", true},  {REVOCATION_JTI, "two", true},  {REVOCATION_JTI, "ada", false},
    };
    struct claims *token, *claims;
    (void)state;
    assert_int_equal(claims_parse(STR("{\"sub\":\"ada\",\"jti\":\"one\"}"), &token, NULL), ERR_NONE);
    assert_int_equal(claims_change(token, json_value_of(STR("{\"sub\":\"zoe\",\"jti\":\"two\"}")), &claims, NULL),
                     ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct revocations *revocations = revocations_create();
        add(revocations, rows[i].kind, rows[i].value, 0, now_ms + 5000);
        if (revocations_cover(revocations, claims, now_ms) != rows[i].covered)
            fail_msg("%s: not as expected", rows[i].value);
        revocations_destroy(revocations);
    }
    claims_unref(claims);
    claims_unref(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_covered),
        cmocka_unit_test(test_claims_with_changes),
        cmocka_unit_test(test_the_wider_one_counts),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_what_the_broker_has_lost),
        cmocka_unit_test(test_a_narrower_one_does_not_count_as_kept),
        cmocka_unit_test(test_values_that_are_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
