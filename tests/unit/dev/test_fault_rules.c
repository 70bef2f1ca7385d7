/* test_fault_rules.c - how rules are read, which one acts, and how often. */
#include <stdio.h>

#include "server/dev/fault_rules.h"
#include "tests/support/unit.h"

static struct fault_rules rules;
static struct error error;

static int set_up(void **state)
{
    (void)state;
    fault_rules_init(&rules);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault_rules_fini(&rules);
    return 0;
}

static struct fault_rule *add(const char *json)
{
    struct fault_rule *rule = NULL;
    enum err err = fault_rules_add(&rules, str_from_cstr(json), &rule, &error);
    if (err)
        fail_msg("%s: %s", json, error.text);
    return rule;
}

static const char *wrong(const char *json)
{
    struct fault_rule *rule = NULL;
    assert_int_equal(fault_rules_add(&rules, str_from_cstr(json), &rule, &error), ERR_INVALID_REQUEST);
    assert_null(rule);
    return error.text;
}

/* The id of the rule that acts on this message; "": none does. */
static const char *match(enum fault_where at, const char *user, const char *message)
{
    struct frame_facts facts;
    frame_facts_read(&facts, str_from_cstr(message));
    const struct fault_subject subject = {
        .at = at, .user = str_from_cstr(user), .session = STR("s-1"), .facts = &facts};
    const struct fault_rule *rule = fault_rules_match(&rules, &subject);
    frame_facts_fini(&facts);
    return rule ? rule->id : "";
}

static void test_each_criterion(void **state)
{
    (void)state;
    add("{\"match\":{\"at\":\"out\",\"type\":\"chat\"},\"action\":{\"do\":\"drop\"}}");
    add("{\"match\":{\"at\":\"out\",\"channel\":\"room:*\"},\"action\":{\"do\":\"drop\"}}");
    add("{\"match\":{\"at\":\"in\",\"user\":\"ada\"},\"action\":{\"do\":\"drop\"}}");
    add("{\"match\":{\"at\":\"in\",\"session\":\"s-2\"},\"action\":{\"do\":\"drop\"}}");
    add("{\"match\":{\"at\":\"out\",\"data\":{\"a\":{\"b\":[1,{}]}}},\"action\":{\"do\":\"drop\"}}");
    add("{\"match\":{\"at\":\"connect\"},\"action\":{\"do\":\"reset\"}}");
    assert_string_equal(match(AT_OUT, "bob", "{\"type\":\"chat\"}"), "r1");
    assert_string_equal(match(AT_OUT, "bob", "{\"type\":\"\\u0063hat\"}"), "r1");
    assert_string_equal(match(AT_OUT, "bob", "{\"type\":\"chat2\"}"), "");
    assert_string_equal(match(AT_OUT, "bob", "{\"channel\":\"room:1\"}"), "r2");
    assert_string_equal(match(AT_OUT, "bob", "{\"data\":{\"channel\":\"room:1\"}}"), "r2");
    assert_string_equal(match(AT_OUT, "bob", "{\"channel\":\"hall\",\"data\":{\"channel\":\"room:1\"}}"), "");
    assert_string_equal(match(AT_OUT, "bob", "{\"channel\":7}"), "");
    assert_string_equal(match(AT_IN, "ada", "not JSON"), "r3");
    assert_string_equal(match(AT_IN, "bob", "{}"), "");
    assert_string_equal(match(AT_OUT, "", "{\"data\":{\"c\":0,\"a\":{\"b\":[1.0,{\"more\":1}],\"c\":2}}}"), "r5");
    assert_string_equal(match(AT_OUT, "", "{\"data\":{\"a\":{\"b\":[1]}}}"), "");
    assert_string_equal(match(AT_CONNECT, "ada", ""), "r6");
}

static void test_nth_and_times(void **state)
{
    (void)state;
    struct fault_rule *second = add("{\"match\":{\"nth\":2},\"action\":{\"do\":\"drop\"}}");
    struct fault_rule *two = add("{\"action\":{\"do\":\"drop\"},\"times\":2}");
    assert_string_equal(match(AT_OUT, "", "{}"), two->id);
    assert_string_equal(match(AT_OUT, "", "{}"), second->id);
    assert_string_equal(match(AT_OUT, "", "{}"), two->id);
    assert_string_equal(match(AT_OUT, "", "{}"), "");
    assert_int_equal(second->hits, 1);
    assert_int_equal(second->times, 0);
    assert_int_equal(two->hits, 2);
    struct fault_rule *later = add("{\"match\":{\"nth\":2},\"action\":{\"do\":\"drop\"},\"times\":2}");
    assert_string_equal(match(AT_OUT, "", "{}"), "");
    assert_string_equal(match(AT_OUT, "", "{}"), later->id);
    assert_string_equal(match(AT_OUT, "", "{}"), later->id);
    assert_string_equal(match(AT_OUT, "", "{}"), "");
}

static void test_the_usual_place(void **state)
{
    (void)state;
    assert_int_equal(add("{\"action\":{\"do\":\"delay\",\"by\":\"1s\"}}")->at, AT_OUT);
    assert_int_equal(add("{\"action\":{\"do\":\"lose_answer\"}}")->at, AT_IN);
    assert_int_equal(add("{\"action\":{\"do\":\"refuse\",\"status\":503}}")->at, AT_CONNECT);
}

static void test_a_rule_for_a_session_is_the_first(void **state)
{
    (void)state;
    struct fault_action *action;
    struct fault_rule *rule;
    struct json_value object = json_value_of(STR("{\"do\":\"reorder\",\"window\":3}"));
    add("{\"action\":{\"do\":\"drop\"}}");
    assert_int_equal(fault_action_read(object, &action, &error), ERR_NONE);
    assert_int_equal(fault_rules_add_for_session(&rules, STR("s-1"), action, &rule, &error), ERR_NONE);
    fault_action_unref(action);
    assert_int_equal(rule->times, 3);
    assert_string_equal(match(AT_OUT, "", "{}"), "r2");
    assert_string_equal(match(AT_IN, "", "{}"), "");
}

static void test_printing(void **state)
{
    (void)state;
    struct buf out = {0};
    add("{ \"match\": {\"type\":\"a\"}, \"action\": {\"do\":\"drop\"}, \"comment\": \"why \\\"not\\\"\" }");
    add("{\"action\":{\"do\":\"reset\"},\"times\":3,\"match\":null}");
    fault_rules_print(&out, &rules, false);
    assert_string_equal(buf_cstr(&out),
                        "[{\"id\":\"r1\",\"match\":{\"type\":\"a\"},\"action\":{\"do\":\"drop\"},"
                        "\"comment\":\"why \\\"not\\\"\",\"hits\":0},"
                        "{\"id\":\"r2\",\"match\":{},\"action\":{\"do\":\"reset\"},\"times\":3,\"hits\":0}]");
    buf_fini(&out);
}

static void test_what_was_saved_is_there_again(void **state)
{
    (void)state;
    struct fault_rules other;
    struct buf saved = {0}, again = {0};
    struct json_value list;
    add("{\"match\":{\"type\":\"a\",\"nth\":3},\"action\":{\"do\":\"drop\"},\"comment\":\"c\"}");
    add("{\"action\":{\"do\":\"close\",\"code\":4000},\"times\":1}");
    fault_rules_remove(&rules, add("{\"action\":{\"do\":\"reset\"}}"));
    add("{\"action\":{\"do\":\"reset\"}}");
    match(AT_OUT, "", "{\"type\":\"a\"}");
    fault_rules_print(&saved, &rules, true);
    assert_int_equal(json_check(buf_str(&saved), NULL, &list, &error), ERR_NONE);
    fault_rules_init(&other);
    assert_int_equal(fault_rules_read(&other, list, &error), ERR_NONE);
    match(AT_OUT, "", "{\"type\":\"a\"}");
    fault_rules_replace(&rules, &other);
    fault_rules_print(&again, &rules, true);
    assert_string_equal(buf_cstr(&again), buf_cstr(&saved));
    assert_string_equal(match(AT_OUT, "", "{\"type\":\"a\"}"), "r4");
    assert_string_equal(match(AT_OUT, "", "{\"type\":\"a\"}"), "r1");
    assert_string_equal(add("{\"action\":{\"do\":\"drop\"}}")->id, "r5");
    assert_int_equal(
        json_check(STR("[{\"id\":\"x\",\"action\":{\"do\":\"drop\"},\"hits\":0,\"seen\":0}]"), NULL, &list, NULL),
        ERR_NONE);
    assert_int_equal(fault_rules_read(&other, list, &error), ERR_INVALID_REQUEST);
    assert_int_equal(other.count, 0);
    buf_fini(&saved);
    buf_fini(&again);
    fault_rules_fini(&other);
}

static void test_removing(void **state)
{
    (void)state;
    add("{\"action\":{\"do\":\"drop\"}}");
    add("{\"action\":{\"do\":\"drop\"}}");
    fault_rules_remove(&rules, fault_rules_find(&rules, STR("r1")));
    assert_null(fault_rules_find(&rules, STR("r1")));
    assert_string_equal(match(AT_OUT, "", "{}"), "r2");
    fault_rules_empty(&rules);
    assert_int_equal(rules.count, 0);
    assert_string_equal(add("{\"action\":{\"do\":\"drop\"}}")->id, "r3");
    fault_rules_rewind(&rules);
    assert_string_equal(add("{\"action\":{\"do\":\"drop\"}}")->id, "r1");
}

/* Every action says what it needs, and takes what it has. */
static void test_every_action(void **state)
{
    static const char *const good[] = {
        "\"close\",\"code\":4000,\"reason\":\"x\"",
        "\"close\"",
        "\"reset\"",
        "\"half_close\"",
        "\"freeze\",\"for\":\"5s\",\"side\":\"read\"",
        "\"freeze\",\"for\":0",
        "\"delay\",\"by\":\"200ms\",\"jitter\":\"1s\"",
        "\"drop\"",
        "\"duplicate\",\"n\":2",
        "\"reorder\",\"window\":3,\"for\":\"2s\"",
        "\"corrupt\"",
        "\"truncate\",\"bytes\":0",
        "\"fragment\",\"bytes\":1",
        "\"replace\",\"frame\":{}",
        "\"inject\",\"frame\":\"x\"",
        "\"gap\",\"reason\":\"epoch_changed\",\"channel\":\"a\"",
        "\"refuse\",\"status\":503,\"retry_after\":\"2s\"",
        "\"refuse\",\"code\":1012",
        "\"refuse\",\"reason\":\"token_expired\"",
        "\"slow_handshake\",\"by\":\"1s\"",
        "\"throttle\",\"bytes_per_s\":0",
        "\"lose_answer\"",
        "\"error\",\"code\":\"conflict\"",
        "\"error\"",
        "\"expire\",\"warn\":true",
        "\"lose_history\"",
        "\"reconnect\",\"after_ms\":5",
    };
    static const char *const bad[] = {
        "\"delay\"",
        "\"delay\",\"by\":-1",
        "\"delay\",\"by\":\"1s\",\"jitter\":\"x\"",
        "\"duplicate\",\"n\":0",
        "\"duplicate\",\"n\":101",
        "\"duplicate\",\"n\":1.5",
        "\"reorder\",\"window\":1",
        "\"reorder\",\"for\":0",
        "\"truncate\"",
        "\"fragment\",\"bytes\":0",
        "\"replace\"",
        "\"replace\",\"frame\":\"\\u0000\"",
        "\"gap\"",
        "\"slow_handshake\"",
        "\"throttle\",\"bytes_per_s\":1000000001",
        "\"expire\",\"warn\":1",
        "\"reconnect\",\"after_ms\":\"1s\"",
        "\"freeze\",\"side\":\"\"",
        "\"close\",\"code\":\"4000\"",
        "\"\"",
        "7",
        "\"reset\",\"reset\":1",
        "\"drop\",\"do\":\"drop\"",
    };
    char json[200];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(json, sizeof json, "{\"action\":{\"do\":%s}}", good[i]);
        add(json);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(json, sizeof json, "{\"action\":{\"do\":%s}}", bad[i]);
        assert_true(strlen(wrong(json)) > 0);
    }
}

static void test_what_is_hostile(void **state)
{
    struct buf json = {0};
    struct fault_rule *rule;
    (void)state;
    wrong("");
    wrong("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    buf_append_lit(&json, "{\"action\":{\"do\":\"drop\"},\"match\":{\"data\":");
    for (int i = 0; i < 200; i++)
        buf_append_char(&json, '[');
    for (int i = 0; i < 200; i++)
        buf_append_char(&json, ']');
    buf_append_lit(&json, "}}");
    assert_non_null(strstr(wrong(buf_cstr(&json)), "deep"));
    buf_clear(&json);
    buf_append_lit(&json, "{\"action\":{\"do\":\"drop\"},\"comment\":\"");
    for (int i = 0; i < FAULT_RULE_BYTES; i++)
        buf_append_char(&json, 'x');
    buf_append_lit(&json, "\"}");
    assert_int_equal(fault_rules_add(&rules, buf_str(&json), &rule, &error), ERR_TOO_LARGE);
    buf_fini(&json);
    wrong("{\"action\":{\"do\":\"drop\"},\"match\":{\"channel\":\"{sub\"}}");
    wrong("{\"action\":{\"do\":\"drop\"},\"times\":99999999999999999999999}");
    wrong("{\"action\":{\"do\":\"drop\"},\"match\":{\"type\":\"\\u0000\"}}");
    for (int i = 0; i < FAULT_RULES_MAX; i++)
        add("{\"action\":{\"do\":\"drop\"}}");
    assert_int_equal(fault_rules_add(&rules, STR("{\"action\":{\"do\":\"drop\"}}"), &rule, &error), ERR_RATE_LIMITED);
    assert_int_equal(rules.count, FAULT_RULES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_criterion, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nth_and_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_usual_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_rule_for_a_session_is_the_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_printing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_saved_is_there_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_action, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_hostile, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
