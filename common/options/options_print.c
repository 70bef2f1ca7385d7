/* options_print.c - the settings with their sources, and the columns of --help. */
#include <stdio.h>

#include "common/options/option_value.h"

/* The entries of a list or map, each on a line with its own source. */
static void print_entries(const struct option_table *table, const struct option_row *row, const void *options,
                          const struct option_sources *sources, const char *indent, struct buf *out)
{
    bool map = row->type == OPTION_MAP;
    struct option_list list;
    char source[512];
    memcpy(&list, option_member_const(row, options), sizeof list);
    buf_appendf(out, "%c // %s\n", map ? '{' : '[', option_source_text(table, sources, row->key, source));
    for (size_t i = 0; i < list.count; i++) {
        struct buf key = {0};
        const char *name;
        if (map) {
            memcpy(&name, (const char *)list.items + i * row->record->size + row->record->rows[0].offset, sizeof name);
            buf_appendf(&key, "%s.%s", row->key, name);
        } else {
            buf_appendf(&key, "%s[%zu]", row->key, i);
        }
        buf_appendf(out, "%s    ", indent);
        option_append_entry(out, row, options, i, true);
        buf_appendf(out, ", // %s\n", option_source_text(table, sources, buf_cstr(&key), source));
        buf_fini(&key);
    }
    buf_appendf(out, "%s%c,\n", indent, map ? '}' : ']');
}

static bool has_entries(const struct option_row *row, const void *options)
{
    struct option_list list;
    if (!row->record)
        return false;
    memcpy(&list, option_member_const(row, options), sizeof list);
    return list.count > 0;
}

void options_print(const struct option_table *table, const void *options, const struct option_sources *sources,
                   struct buf *out)
{
    struct str group = STR("");
    buf_append_lit(out, "{\n");
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        struct str its = option_group(row->key);
        char source[512];
        option_enter_group(out, group, its, 4);
        group = its;
        char indent[32];
        snprintf(indent, sizeof indent, "%*s", 4 + 4 * (int)option_depth(its), "");
        buf_appendf(out, "%s\"%s\": ", indent, option_name(row->key));
        if (has_entries(row, options)) {
            print_entries(table, row, options, sources, indent, out);
            continue;
        }
        option_append_json(out, row, options, true);
        buf_appendf(out, ", // %s\n", option_source_text(table, sources, row->key, source));
    }
    option_enter_group(out, group, STR(""), 4);
    buf_append_lit(out, "}\n");
}

enum { HELP_WIDTH = 100, HELP_INDENT = 36 };

/* Words from column HELP_INDENT on, broken at HELP_WIDTH; the cursor is at column. */
static void append_wrapped(struct buf *out, struct str text, size_t column)
{
    while (text.ptr) {
        struct str word = str_split(&text, ' ');
        if (column + word.len + 1 > HELP_WIDTH) {
            buf_appendf(out, "\n%*s", HELP_INDENT, "");
            column = HELP_INDENT;
        } else if (column > HELP_INDENT) {
            buf_append_char(out, ' ');
            column++;
        }
        buf_append(out, word);
        column += word.len;
    }
    buf_append_char(out, '\n');
}

static const char *placeholder(enum option_type type)
{
    static const char *const names[] = {
        [OPTION_BOOL] = "true|false", [OPTION_INT] = "N",        [OPTION_BYTES] = "SIZE",   [OPTION_DURATION] = "TIME",
        [OPTION_STRING] = "TEXT",     [OPTION_PATH] = "FILE",    [OPTION_URL] = "URL",      [OPTION_SECRET] = "SECRET",
        [OPTION_ENUM] = "CHOICE",     [OPTION_STRINGS] = "LIST", [OPTION_SECRETS] = "LIST", [OPTION_NUMBERS] = "JSON",
        [OPTION_JSON] = "JSON",       [OPTION_RECORDS] = "JSON", [OPTION_MAP] = "JSON"};
    return names[type];
}

static void help_row(const struct option_row *row, const char *preset, struct buf *out)
{
    size_t start = out->len;
    struct buf text = {0};
    buf_append_lit(out, "  --");
    option_flag_name(out, row->key);
    buf_appendf(out, " %s", placeholder(row->type));
    size_t column = out->len - start;
    if (column + 2 > HELP_INDENT) {
        buf_append_char(out, '\n');
        column = 0;
    }
    buf_appendf(out, "%*s", (int)(HELP_INDENT - column), "");
    buf_appendf(&text, "%s", row->text);
    if (row->type == OPTION_ENUM) {
        buf_append_lit(&text, " Expects ");
        option_expected(&text, row);
        buf_append_char(&text, '.');
    }
    const char *value = preset && option_is_secret(row->type) ? "set by the command" : preset;
    if (!value)
        value = row->default_text;
    if (value && *value)
        buf_appendf(&text, " [%s]", value);
    append_wrapped(out, buf_str(&text), HELP_INDENT);
    buf_fini(&text);
}

static const char *preset_of(const struct option_row *row, const struct option_preset *presets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(presets[i].key, row->key) == 0)
            return presets[i].text;
    return NULL;
}

void options_help(const struct option_table *table, const struct option_preset *presets, size_t preset_count,
                  struct buf *out)
{
    struct str group = STR("-");
    for (size_t i = 0; i < table->count; i++) {
        struct str its = option_section(table->rows[i].key);
        if (!str_eq(group, its)) {
            if (its.len > 0)
                buf_appendf(out, "\n%.*s\n", STR_ARG(its));
            else
                buf_append(out, i == 0 ? STR("general\n") : STR("\ngeneral\n"));
        }
        group = its;
        help_row(&table->rows[i], preset_of(&table->rows[i], presets, preset_count), out);
    }
    for (size_t i = 0; i < table->alias_count; i++) {
        const struct option_alias *alias = &table->aliases[i];
        buf_appendf(out, "%s%s%s%s is %s", i ? "; " : "\nShort: ", alias->flag ? alias->flag : "",
                    alias->flag && alias->env ? " and variable " : "", alias->env ? alias->env : "", alias->key);
    }
    buf_appendf(out, "%sEvery option is also a variable: limits.connections is %sLIMITS_CONNECTIONS.\n",
                table->alias_count ? ".\n" : "\n", table->env_prefix);
}
