/* test_options_presets.c - "preset" of an endpoint is the same as its members, and the others go over it. */
#include "common/options/option_value.h"
#include "tests/unit/options/loading.h"

static const struct option_row *endpoints_row(void)
{
    for (size_t i = 0; i < options_table.count; i++)
        if (strcmp(options_table.rows[i].key, "endpoints") == 0)
            return &options_table.rows[i];
    fail_msg("there are no endpoints");
    return NULL;
}

/* The endpoints of a configuration, each member as it is. */
static struct buf endpoints_of(const char *format, const char *value)
{
    struct buf text = {0}, out = {0};
    const char *at = strstr(format, "%s");
    buf_append(&text, str_from(format, at ? (size_t)(at - format) : strlen(format)));
    if (at)
        buf_appendf(&text, "%s%s", value, at + 2);
    struct loading l = load_text(buf_cstr(&text));
    assert_loads(&l);
    l.options.endpoints.items[0].preset = 0;
    option_append_json(&out, endpoints_row(), &l.options, false);
    load_end(&l);
    buf_fini(&text);
    return out;
}

/* The member's text without its outer braces. */
static struct buf inner(const char *members)
{
    struct buf out = {0};
    buf_append(&out, str_from(members + 1, strlen(members) - 2));
    return out;
}

static void each_preset_is_its_members(void **state)
{
    (void)state;
    const struct option_table *record = endpoints_row()->record;
    assert_int_equal(record->template_count, 4);
    for (size_t i = 0; i < record->template_count; i++) {
        struct buf members = inner(record->templates[i].members);
        struct buf by_name =
            endpoints_of("{\"endpoints\": [{\"path\": \"/a\", \"preset\": \"%s\"}]}", record->templates[i].name);
        struct buf by_hand = endpoints_of("{\"endpoints\": [{\"path\": \"/a\", %s}]}", buf_cstr(&members));
        assert_str(buf_str(&by_name), buf_cstr(&by_hand));
        buf_fini(&members);
        buf_fini(&by_name);
        buf_fini(&by_hand);
    }
}

/* Whatever the order. A list and an object of numbers are replaced as a whole; a member of a group alone. */
static void members_beside_a_preset_win(void **state)
{
    (void)state;
    struct loading l = load_text(
        "{\"endpoints\": [{\"path\": \"/a\", \"frames\": [\"error\"], \"correlation\": {\"id\": \"/id\"}, \"preset\": "
        "\"request-response\", \"token_single_use\": false, \"token_query\": []},\n"
        "{\"path\": \"/b\", \"preset\": \"streaming\", \"close_codes\": {\"draining\": 4000}}]}");
    assert_loads(&l);
    const struct endpoint_options *first = &l.options.endpoints.items[0];
    const struct endpoint_options *second = &l.options.endpoints.items[1];
    assert_int_equal(first->frames.count, 1);
    assert_string_equal(first->correlation_id, "/id");
    assert_string_equal(first->correlation_idempotency_key, "/headers/idempotencyKey"); /* of the preset */
    assert_false(first->token_single_use);
    assert_int_equal(first->token_query.count, 0);
    assert_int_equal(first->text, ENDPOINT_USE_UPSTREAM);
    assert_int_equal(first->limits_message_bytes, 512 * 1024);
    assert_int_equal(first->limits_channels, OPTION_UNSET);
    assert_int_equal(second->close_codes.count, 1);
    assert_int_equal(second->rate_counts.count, 1);
    load_end(&l);
}

/* Also where a member has its usual value in place of the preset's. */
static void what_a_preset_became_is_printed_and_reads_back(void **state)
{
    (void)state;
    const struct option_table *record = endpoints_row()->record;
    for (size_t i = 0; i < record->template_count; i++) {
        struct buf text = {0}, out = {0}, comment = {0};
        buf_appendf(&text,
                    "{\"endpoints\": [{\"path\": \"/a\", \"preset\": \"%s\", \"deliver\": \"event\", \"token_query\": "
                    "[\"token\"]}]}",
                    record->templates[i].name);
        buf_appendf(&comment, "/* preset \"%s\" */", record->templates[i].name);
        struct loading l = load_text(buf_cstr(&text));
        assert_loads(&l);
        options_print(&options_table, &l.options, &l.sources, &out);
        assert_non_null(strstr(buf_cstr(&out), buf_cstr(&comment)));
        struct loading again = load_text(buf_cstr(&out));
        assert_loads(&again);
        struct buf a = {0}, b = {0};
        l.options.endpoints.items[0].preset = 0;
        option_append_json(&a, endpoints_row(), &l.options, false);
        option_append_json(&b, endpoints_row(), &again.options, false);
        assert_str(buf_str(&a), buf_cstr(&b));
        load_end(&l);
        load_end(&again);
        buf_fini(&text);
        buf_fini(&out);
        buf_fini(&comment);
        buf_fini(&a);
        buf_fini(&b);
    }
}

static void an_unknown_preset_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"endpoints\": [{\"path\": \"/a\",\n\"preset\": \"chat\"}]}",
                   "test.jsonc:2: endpoints[0].preset: found \"chat\", expected one of none, events, request-response, "
                   "ticket-sockets, streaming\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_preset_is_its_members),
        cmocka_unit_test(members_beside_a_preset_win),
        cmocka_unit_test(what_a_preset_became_is_printed_and_reads_back),
        cmocka_unit_test(an_unknown_preset_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
