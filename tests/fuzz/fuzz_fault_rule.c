/* fuzz_fault_rule.c - "RULE\nMESSAGE\nMESSAGE…". A rule that is taken can be saved, and what was saved is the same
 * rule. It acts no more often than it says. */
#include <stdlib.h>

#include "server/dev/fault_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_saved(const struct fault_rules *rules)
{
    const struct json_limits limits = {.depth = JSON_DEPTH_MAX, .values = 1000000};
    struct fault_rules again;
    struct buf saved = {0}, second = {0};
    struct json_value list;
    struct error error = {0};
    fault_rules_init(&again);
    fault_rules_print(&saved, rules, true);
    require(json_check(buf_str(&saved), &limits, &list, NULL) == ERR_NONE);
    require(fault_rules_read(&again, list, &error) == ERR_NONE);
    fault_rules_print(&second, &again, true);
    require(str_eq(buf_str(&saved), buf_str(&second)));
    buf_fini(&saved);
    buf_fini(&second);
    fault_rules_fini(&again);
}

static void show(struct fault_rules *rules, struct str message)
{
    static const enum fault_where places[] = {AT_CONNECT, AT_IN, AT_OUT};
    struct frame_facts facts;
    frame_facts_read(&facts, message);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const struct fault_subject subject = {
            .at = places[i], .user = STR("ada"), .session = STR("s-1"), .facts = &facts};
        fault_rules_match(rules, &subject);
    }
    frame_facts_fini(&facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str rest = str_from((const char *)bytes, len);
    struct str json = str_split(&rest, '\n');
    struct fault_rules rules;
    struct fault_rule *rule;
    struct error error = {0};
    fault_rules_init(&rules);
    if (fault_rules_add(&rules, json, &rule, &error)) {
        require(error.text[0] != '\0' && rules.count == 0);
    } else {
        uint64_t times = rule->times;
        while (rest.ptr)
            show(&rules, str_split(&rest, '\n'));
        require(rule->hits <= times && rule->hits <= rule->seen);
        check_saved(&rules);
    }
    fault_rules_fini(&rules);
    return 0;
}
