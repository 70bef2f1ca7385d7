/* test_access.c - rules, grants and scopes: who may do what. */
#include "server/core/access.h"
#include "tests/support/unit.h"

static const struct rule rules_given[] = {
    {.match = STR("user:{sub}"), .allow = ALLOW_SUBSCRIBE | ALLOW_HISTORY},
    {.match = STR("team:{team}:*"), .allow = ALLOW_SUBSCRIBE},
    {.match = STR("room:*"),
     .require_grant = true,
     .allow = ALLOW_SUBSCRIBE | ALLOW_PUBLISH,
     .history = {.size = 100, .ttl_ms = 600000}},
    {.match = STR("admin:*"), .require_scope = STR("admin"), .allow = ALLOW_ALL},
    {.match = STR("public:closed:*"), .allow = 0},
    {.match = STR("public:*"), .allow = ALLOW_SUBSCRIBE},
};

static void test_table(void **state)
{
    static const struct {
        const char *payload;
        const char *channel;
        unsigned allowed;
    } cases[] = {
        {"{\"sub\":\"alice\"}", "user:alice", ALLOW_SUBSCRIBE | ALLOW_HISTORY},
        {"{\"sub\":\"alice\"}", "user:bob", 0},
        {"{\"sub\":\"alice\"}", "user:alice:x", 0},
        {"{\"sub\":\"*\"}", "user:bob", 0}, /* a claim is text, never a pattern */
        {"{\"sub\":\"{sub}\"}", "user:bob", 0},
        {"{\"sub\":\"a\",\"team\":7}", "team:7:news", ALLOW_SUBSCRIBE},
        {"{\"sub\":\"a\"}", "team:7:news", 0},
        {"{\"sub\":\"a\",\"team\":[7]}", "team:7:news", 0},
        {"{\"sub\":\"a\"}", "room:1", 0},
        {"{\"sub\":\"a\",\"channels\":[\"room:1\"]}", "room:1", ALLOW_SUBSCRIBE | ALLOW_PUBLISH},
        {"{\"sub\":\"a\",\"channels\":[\"room:1\"]}", "room:12", 0},
        {"{\"sub\":\"a\",\"channels\":[\"room:*\"]}", "room:12", ALLOW_SUBSCRIBE | ALLOW_PUBLISH},
        {"{\"sub\":\"a\",\"channels\":[{\"match\":\"room:*\",\"allow\":[\"subscribe\"]}]}", "room:12", ALLOW_SUBSCRIBE},
        {"{\"sub\":\"a\",\"channels\":[{\"match\":\"room:*\",\"allow\":[\"presence\"]}]}", "room:12", 0},
        {"{\"sub\":\"a\",\"channels\":[{\"match\":\"room:*\",\"allow\":[\"subscribe\"]},"
         "{\"match\":\"room:1\",\"allow\":[\"publish\"]}]}",
         "room:1", ALLOW_SUBSCRIBE | ALLOW_PUBLISH},
        {"{\"sub\":\"a\",\"channels\":[\"public:*\",\"other:*\"]}", "other:1",
         0}, /* a grant without a rule is nothing */
        {"{\"sub\":\"a\"}", "admin:1", 0},
        {"{\"sub\":\"a\",\"scope\":\"read administrator\"}", "admin:1", 0},
        {"{\"sub\":\"a\",\"scope\":\"read admin\"}", "admin:1", ALLOW_ALL},
        {"{\"sub\":\"a\"}", "public:closed:1", 0}, /* the first match decides */
        {"{\"sub\":\"a\"}", "public:1", ALLOW_SUBSCRIBE},
        {"{\"sub\":\"a\"}", "unknown", 0},
    };
    (void)state;
    struct rules *rules = rules_create(rules_given, sizeof rules_given / sizeof *rules_given);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct claims *claims;
        struct error error;
        if (claims_parse(str_from_cstr(cases[i].payload), &claims, &error))
            fail_msg("%s: %s", cases[i].payload, error.text);
        unsigned allowed = access_allowed(rules, str_from_cstr(cases[i].channel), claims);
        if (allowed != cases[i].allowed)
            fail_msg("%s on %s: %u, not %u", cases[i].payload, cases[i].channel, allowed, cases[i].allowed);
        claims_unref(claims);
    }
    rules_unref(rules);
}

static void test_rule_without_a_token(void **state)
{
    (void)state;
    struct rules *rules = rules_create(rules_given, sizeof rules_given / sizeof *rules_given);
    assert_int_equal(rules_find_any(rules, STR("room:1"))->history.size, 100);
    assert_int_equal(rules_find_any(rules, STR("user:anybody"))->history.size, 0);
    assert_null(rules_find_any(rules, STR("unknown")));
    rules_unref(rules_ref(rules));
    rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_rule_without_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
