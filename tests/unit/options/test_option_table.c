/* test_option_table.c - walks the server's table: a new row is tested without a line here. */
#include <cjson/cJSON.h>

#include "common/options/option_value.h"
#include "tests/unit/options/loading.h"

/* {"name": value}, in the objects of the row's groups. */
static struct loading load_one(const struct option_row *row, const char *value)
{
    struct buf text = {0};
    buf_append_char(&text, '{');
    option_enter_group(&text, STR(""), option_group(row->key), -1);
    buf_appendf(&text, "\"%s\": %s", option_name(row->key), value);
    option_enter_group(&text, option_group(row->key), STR(""), -1);
    buf_append_char(&text, '}');
    struct loading l = load_text(buf_cstr(&text));
    buf_fini(&text);
    return l;
}

static void check_rows(const struct option_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        size_t len = strlen(row->text);
        assert_true(len > 10 && row->text[len - 1] == '.' && row->text[0] >= 'A' && !strchr(row->text, '|'));
        assert_true(strlen(row->key) < 60);
        assert_true(option_depth(option_group(row->key)) <= 2);
        for (size_t j = 0; j < i; j++) {
            struct buf a = {0};
            struct buf b = {0};
            option_env_name(&a, row->key);
            option_env_name(&b, table->rows[j].key);
            if (str_eq(buf_str(&a), buf_str(&b)))
                fail_msg("%s and %s are one variable", row->key, table->rows[j].key);
            if (str_eq(option_group(row->key), option_group(table->rows[j].key)))
                assert_true(str_eq(option_group(table->rows[i - 1].key), option_group(row->key))); /* together */
            buf_fini(&a);
            buf_fini(&b);
        }
        if (row->record)
            check_rows(row->record);
    }
}

static void rows_are_well_made(void **state)
{
    (void)state;
    check_rows(&options_table);
}

/* One step outside of min and max is refused, min and max are taken. */
static void ranges_are_enforced(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_table.count; i++) {
        const struct option_row *row = &options_table.rows[i];
        bool number = row->type == OPTION_INT || row->type == OPTION_BYTES || row->type == OPTION_DURATION;
        const char *const bounds[2] = {row->min, row->max};
        for (int end = 0; number && end < 2; end++) {
            char value[48];
            const char *quote = row->type == OPTION_DURATION ? "\"" : "";
            const char *unit = row->type == OPTION_DURATION ? "ms" : "";
            uint64_t bound;
            assert_non_null(bounds[end]);
            assert_true(option_number_parse(row->type, str_from_cstr(bounds[end]), &bound));
            snprintf(value, sizeof value, "%s%llu%s%s", quote, (unsigned long long)bound, unit, quote);
            struct loading l = load_one(row, value);
            assert_loads(&l);
            load_end(&l);
            if (end == 0 && bound == 0)
                continue;
            snprintf(value, sizeof value, "%s%llu%s%s", quote, (unsigned long long)(end ? bound + 1 : bound - 1), unit,
                     quote);
            l = load_one(row, value);
            if (l.err == ERR_NONE)
                fail_msg("%s took %s", row->key, value);
            assert_non_null(strstr(buf_cstr(&l.messages), row->key));
            load_end(&l);
        }
    }
}

/* Values of another kind are refused by every row, with its key in the message. */
static void wrong_types_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {"null", "1.5", "-1", "{\"\": null}", "[[]]", "[1]", "5e99"};
    for (size_t i = 0; i < options_table.count; i++) {
        const struct option_row *row = &options_table.rows[i];
        for (size_t j = 0; j < COUNT_OF(values); j++) {
            if (row->type == OPTION_JSON && (values[j][0] == 'n' || values[j][0] == '{'))
                continue; /* not set, or an object */
            struct loading l = load_one(row, values[j]);
            if (l.err == ERR_NONE || !strstr(buf_cstr(&l.messages), row->key))
                fail_msg("%s took %s, or says only: %s", row->key, values[j], buf_cstr(&l.messages));
            load_end(&l);
        }
    }
}

/* {"endpoints": [{"path": "/x", "limits": {\n"channels":\nvalue}}]}: one member, and those that must be there. */
static struct loading load_member(const struct option_row *list, const struct option_row *row, const char *value)
{
    struct buf text = {0};
    bool map = list->type == OPTION_MAP;
    buf_append_char(&text, '{');
    option_enter_group(&text, STR(""), option_group(list->key), -1);
    buf_appendf(&text, map ? "\"%s\": {\"x\": {" : "\"%s\": [{", option_name(list->key));
    for (size_t i = map ? 1 : 0; i < list->record->count; i++)
        if (!list->record->rows[i].default_text && &list->record->rows[i] != row)
            buf_appendf(&text, "\"%s\": \"/x\", ", list->record->rows[i].key);
    struct str group = option_group(row->key);
    if (group.len > 0)
        buf_appendf(&text, "\"%.*s\": {", STR_ARG(group));
    buf_appendf(&text, "\n\"%s\":\n%s", option_name(row->key), value);
    buf_append(&text, group.len > 0 ? STR("}") : STR(""));
    buf_append(&text, map ? STR("}}") : STR("}]"));
    option_enter_group(&text, option_group(list->key), STR(""), -1);
    buf_append_char(&text, '}');
    struct loading l = load_text(buf_cstr(&text));
    buf_fini(&text);
    return l;
}

/* Wrong values of one member, and numbers one step outside of its bounds: the message has its path and the line. */
static void refuse_members(const struct option_row *list, const struct option_row *row)
{
    static const char *const values[] = {"null", "1.5", "-1", "{\"\": null}", "[[]]", "[1]", "5e99"};
    char bounds[2][48] = {"", ""};
    char place[160];
    uint64_t bound;
    bool number = row->type == OPTION_INT || row->type == OPTION_BYTES || row->type == OPTION_DURATION;
    const char *quote = row->type == OPTION_DURATION ? "\"" : "";
    const char *unit = row->type == OPTION_DURATION ? "ms" : "";
    if (number && option_number_parse(row->type, str_from_cstr(row->min), &bound) && bound > 0)
        snprintf(bounds[0], sizeof bounds[0], "%s%llu%s%s", quote, (unsigned long long)bound - 1, unit, quote);
    if (number && option_number_parse(row->type, str_from_cstr(row->max), &bound))
        snprintf(bounds[1], sizeof bounds[1], "%s%llu%s%s", quote, (unsigned long long)bound + 1, unit, quote);
    snprintf(place, sizeof place, "test.jsonc:3: %s%s.%s: ", list->key, list->type == OPTION_MAP ? ".x" : "[0]",
             row->key);
    for (size_t i = 0; i < COUNT_OF(values) + 2; i++) {
        bool optional = row->type == OPTION_JSON || (number && !*row->default_text);
        const char *value = i < COUNT_OF(values) ? values[i] : bounds[i - COUNT_OF(values)];
        if (!*value || (optional && i == 0) || (row->type == OPTION_JSON && value[0] == '{'))
            continue;
        struct loading l = load_member(list, row, value);
        if (l.err == ERR_NONE || !strstr(buf_cstr(&l.messages), place))
            fail_msg("%s took %s, or says only: %s", place, value, buf_cstr(&l.messages));
        load_end(&l);
    }
}

static void every_member_of_a_record_refuses_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < options_table.count; i++) {
        const struct option_row *list = &options_table.rows[i];
        for (size_t j = list->type == OPTION_MAP ? 1 : 0; list->record && j < list->record->count; j++)
            refuse_members(list, &list->record->rows[j]);
    }
}

static void assert_same(const struct options *a, const struct options *b)
{
    for (size_t i = 0; i < options_table.count; i++) {
        struct buf left = {0};
        struct buf right = {0};
        option_append_json(&left, &options_table.rows[i], a, false);
        option_append_json(&right, &options_table.rows[i], b, false);
        assert_str(buf_str(&left), buf_cstr(&right));
        buf_fini(&left);
        buf_fini(&right);
    }
}

/* The sample as it is, and with every commented option made a real one, gives the defaults. */
static void the_sample_gives_the_defaults(void **state)
{
    (void)state;
    struct buf sample = {0};
    struct buf bare = {0};
    options_sample(&options_table, &sample);
    struct str rest = buf_str(&sample);
    while (rest.ptr) {
        struct str line = str_split(&rest, '\n');
        size_t indent = 0;
        while (indent < line.len && line.ptr[indent] == ' ')
            indent++;
        bool option = line.len > indent + 2 && memcmp(line.ptr + indent, "//\"", 3) == 0;
        buf_append(&bare, option ? str_from(line.ptr + indent + 2, line.len - indent - 2) : line);
        buf_append_char(&bare, '\n');
    }
    struct loading defaults = load_text("{}");
    struct loading from_sample = load_text(buf_cstr(&sample));
    struct loading from_bare = load_text(buf_cstr(&bare));
    assert_loads(&defaults);
    assert_loads(&from_sample);
    assert_loads(&from_bare);
    assert_same(&defaults.options, &from_sample.options);
    assert_same(&defaults.options, &from_bare.options);
    for (size_t i = 0; i < options_table.count; i++) {
        assert_int_equal(from_sample.sources.of[i].origin, OPTION_FROM_DEFAULT);
        assert_int_equal(from_bare.sources.of[i].origin, OPTION_FROM_FILE);
    }
    load_end(&defaults);
    load_end(&from_sample);
    load_end(&from_bare);
    buf_fini(&sample);
    buf_fini(&bare);
}

static void what_is_printed_reads_back(void **state)
{
    (void)state;
    struct loading l = load_text("{\"port\": 7, \"ping_interval\": \"1500ms\", \"outbox\": {\"max_bytes\": 1048577},\n"
                                 "\"endpoints\": [{\"path\": \"/a\\\"b\", \"close_codes\": {\"draining\": 4000}}]}");
    assert_int_not_equal(l.err, ERR_NONE); /* no quotes in paths */
    load_end(&l);
    l = load_text("{\"port\": 7, \"ping_interval\": \"1500ms\", \"outbox\": {\"max_bytes\": 1048577},\n"
                  "\"token\": {\"issuers\": [\"a\\\"b\\\\\\n\"]},\n"
                  "\"endpoints\": [{\"path\": \"/a\", \"close_codes\": {\"draining\": 4000}, \"token_query\": []}],\n"
                  "\"channels\": [{\"match\": \"a\", \"history\": {\"ttl\": \"90s\"}, \"require_scope\": \"x\"}]}");
    assert_loads(&l);
    struct buf out = {0};
    options_print(&options_table, &l.options, &l.sources, &out);
    struct loading again = load_text(buf_cstr(&out));
    assert_loads(&again);
    assert_same(&l.options, &again.options);
    load_end(&l);
    load_end(&again);
    buf_fini(&out);
}

static void the_schema_is_json_and_complete(void **state)
{
    (void)state;
    struct buf out = {0};
    options_schema(&options_table, &out);
    struct json_value value;
    struct error error;
    if (json_check(buf_str(&out), NULL, &value, &error) != ERR_NONE)
        fail_msg("%s", error.text);
    cJSON *schema = cJSON_Parse(buf_cstr(&out));
    for (size_t i = 0; i < options_table.count; i++) {
        const struct option_row *row = &options_table.rows[i];
        const cJSON *at = cJSON_GetObjectItemCaseSensitive(schema, "properties");
        struct str rest = option_group(row->key);
        while (rest.len > 0) {
            struct str part = str_split(&rest, '.');
            char group[64];
            snprintf(group, sizeof group, "%.*s", STR_ARG(part));
            at = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(at, group), "properties");
        }
        at = cJSON_GetObjectItemCaseSensitive(at, option_name(row->key));
        assert_non_null(at);
        assert_true(row->type == OPTION_JSON || cJSON_GetObjectItemCaseSensitive(at, "type"));
        assert_non_null(cJSON_GetObjectItemCaseSensitive(at, "default"));
    }
    cJSON_Delete(schema);
    buf_fini(&out);
}

static void help_and_reference_name_every_option(void **state)
{
    (void)state;
    struct buf help = {0};
    struct buf page = {0};
    options_help(&options_table, NULL, 0, &help);
    options_reference(&options_table, &page);
    for (size_t i = 0; i < options_table.count; i++) {
        struct buf name = {0};
        buf_append_lit(&name, "  --");
        option_flag_name(&name, options_table.rows[i].key);
        buf_append_char(&name, ' ');
        assert_non_null(strstr(buf_cstr(&help), buf_cstr(&name)));
        buf_clear(&name);
        buf_appendf(&name, "| `%s` |", options_table.rows[i].key);
        assert_non_null(strstr(buf_cstr(&page), buf_cstr(&name)));
        buf_fini(&name);
    }
    struct str rest = buf_str(&help);
    while (rest.ptr)
        assert_true(str_split(&rest, '\n').len <= 100);
    buf_fini(&help);
    buf_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_well_made),
        cmocka_unit_test(ranges_are_enforced),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(every_member_of_a_record_refuses_what_is_wrong),
        cmocka_unit_test(the_sample_gives_the_defaults),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(the_schema_is_json_and_complete),
        cmocka_unit_test(help_and_reference_name_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
