/* option_write.c - writes a member of the struct as JSON, on one line. */
#include "common/base/alloc.h"
#include "common/options/option_value.h"

/* The password of a URL, if it has one: what stands between "//" and the last '@' before the path. */
static void append_url(struct buf *out, const char *url, bool masked)
{
    struct buf text = {0};
    const char *start = strstr(url, "//");
    const char *end = start ? start + 2 + strcspn(start + 2, "/?#") : NULL;
    const char *at = end;
    while (at && at > start && *at != '@')
        at--;
    if (masked && at && *at == '@') {
        buf_append(&text, str_from(url, (size_t)(start + 2 - url)));
        buf_append_lit(&text, "***");
        buf_append(&text, str_from_cstr(at));
    } else {
        buf_append(&text, str_from_cstr(url));
    }
    json_append_string(out, buf_str(&text));
    buf_fini(&text);
}

static void append_strings(struct buf *out, const struct option_strings *list, bool masked)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_append(out, i ? STR(", ") : STR(""));
        json_append_string(out, masked ? STR("***") : str_from_cstr(list->items[i]));
    }
    buf_append_char(out, ']');
}

static void append_numbers(struct buf *out, const struct option_numbers *list)
{
    buf_append_char(out, '{');
    for (size_t i = 0; i < list->count; i++) {
        buf_append(out, i ? STR(", ") : STR(""));
        json_append_string(out, str_from_cstr(list->items[i].name));
        buf_append_lit(out, ": ");
        buf_append_u64(out, list->items[i].value);
    }
    buf_append_char(out, '}');
}

/* A record on one line, its rows from first on. Members that have their default are left out. What a preset has set is
 * shown as if it had been given, so the preset is a comment. */
static void append_record(struct buf *out, const struct option_table *table, size_t first, const void *record,
                          bool masked)
{
    void *defaults = xcalloc(1, table->size);
    struct str group = STR("");
    option_set_defaults(table, defaults);
    buf_append_char(out, '{');
    for (size_t i = first; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        struct buf value = {0};
        struct buf usual = {0};
        option_append_json(&value, row, record, masked);
        option_append_json(&usual, row, defaults, masked);
        if (!str_eq(buf_str(&value), buf_str(&usual)) && table->templates && strcmp(row->key, "preset") == 0) {
            buf_append_lit(out, "/* preset ");
            buf_append(out, buf_str(&value));
            buf_append_lit(out, " */ ");
        } else if (!str_eq(buf_str(&value), buf_str(&usual))) {
            struct str its = option_group(row->key);
            option_enter_group(out, group, its, -1);
            option_append_comma(out);
            group = its;
            buf_appendf(out, "\"%s\": ", option_name(row->key));
            buf_append(out, buf_str(&value));
        }
        buf_fini(&value);
        buf_fini(&usual);
    }
    option_enter_group(out, group, STR(""), -1);
    buf_append_char(out, '}');
    options_fini(table, defaults);
    free(defaults);
}

void option_append_entry(struct buf *out, const struct option_row *row, const void *options, size_t index, bool masked)
{
    bool map = row->type == OPTION_MAP;
    struct option_list list;
    memcpy(&list, option_member_const(row, options), sizeof list);
    const char *record = (const char *)list.items + index * row->record->size;
    if (map) {
        option_append_json(out, &row->record->rows[0], record, masked);
        buf_append_lit(out, ": ");
    }
    append_record(out, row->record, map ? 1 : 0, record, masked);
}

/* A list of records, or a map of them. */
static void append_records(struct buf *out, const struct option_row *row, const void *options, bool masked)
{
    struct option_list list;
    memcpy(&list, option_member_const(row, options), sizeof list);
    buf_append_char(out, row->type == OPTION_MAP ? '{' : '[');
    for (size_t i = 0; i < list.count; i++) {
        buf_append(out, i ? STR(", ") : STR(""));
        option_append_entry(out, row, options, i, masked);
    }
    buf_append_char(out, row->type == OPTION_MAP ? '}' : ']');
}

static void append_number(struct buf *out, enum option_type type, uint64_t number)
{
    if (number == OPTION_UNSET) {
        buf_append_lit(out, "null");
        return;
    }
    if (type != OPTION_INT)
        buf_append_char(out, '"');
    option_number_append(out, type, number);
    if (type != OPTION_INT)
        buf_append_char(out, '"');
}

void option_append_json(struct buf *out, const struct option_row *row, const void *options, bool masked)
{
    const void *member = option_member_const(row, options);
    const char *text;
    uint64_t number;
    int choice;
    switch (row->type) {
    case OPTION_BOOL: buf_append(out, *(const bool *)member ? STR("true") : STR("false")); break;
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_DURATION:
        memcpy(&number, member, sizeof number);
        append_number(out, row->type, number);
        break;
    case OPTION_ENUM:
        memcpy(&choice, member, sizeof choice);
        json_append_string(out, str_from_cstr(row->choices[choice]));
        break;
    case OPTION_STRING:
    case OPTION_PATH:
    case OPTION_URL:
    case OPTION_SECRET:
        memcpy(&text, member, sizeof text);
        if (row->type == OPTION_URL)
            append_url(out, text, masked);
        else
            json_append_string(out, masked && row->type == OPTION_SECRET && *text ? STR("***") : str_from_cstr(text));
        break;
    case OPTION_STRINGS:
    case OPTION_SECRETS: append_strings(out, member, masked && row->type == OPTION_SECRETS); break;
    case OPTION_NUMBERS: append_numbers(out, member); break;
    case OPTION_JSON:
        memcpy(&text, member, sizeof text);
        buf_append(out, *text ? str_from_cstr(text) : STR("null"));
        break;
    case OPTION_RECORDS:
    case OPTION_MAP: append_records(out, row, options, masked);
    }
}
