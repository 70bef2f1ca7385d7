/* options_reference.c - makes pages from the table: reference, JSON Schema, sample file. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/options/option_text.h"

/* The default as it stands in a file; "" for a row that has none. */
static void append_default(struct buf *out, const struct option_table *table, const struct option_row *row)
{
    if (!row->default_text)
        return;
    void *defaults = xcalloc(1, table->size);
    option_set_defaults(table, defaults);
    option_append_json(out, row, defaults, false);
    options_fini(table, defaults);
    free(defaults);
}

/* --- the reference page -------------------------------------------------------------------------------------- */

static void reference_row(const struct option_table *table, const struct option_row *row, struct buf *out, bool record)
{
    struct buf value = {0};
    append_default(&value, table, row);
    buf_appendf(out, "| `%s` | ", row->key);
    option_expected(out, row);
    if (!row->default_text)
        buf_append_lit(out, " | required");
    else if (!*row->default_text && option_is_optional(row))
        buf_append_lit(out, " | none");
    else
        buf_appendf(out, " | `%s`", buf_cstr(&value));
    if (!record)
        buf_append(out, row->live ? STR(" | live") : STR(" | restart"));
    buf_appendf(out, " | %s", row->text);
    if (row->example)
        buf_appendf(out, " For example `%s`.", row->example);
    buf_append_lit(out, " |\n");
    buf_fini(&value);
}

static void reference_head(const struct option_table *table, struct buf *out)
{
    buf_appendf(
        out,
        "# Options\n\nMade by `%s reference`. An option is given, each source over the one before it, in a file "
        "(JSON with comments, `--config FILE`\nor `%sCONFIG`), in the environment or by flag:\n\n"
        "| | form | example |\n| --- | --- | --- |\n"
        "| file | groups are objects | `{\"limits\": {\"message_bytes\": \"64k\"}}` |\n"
        "| environment | `%s` and the key in capitals | `%sLIMITS_MESSAGE_BYTES=64k` |\n"
        "| flag | the key with dashes or as it is | `--limits-message-bytes 64k`, `--limits.message_bytes=64k` |\n\n",
        table->program, table->env_prefix, table->env_prefix, table->env_prefix);
    buf_append_lit(out, "Lists of texts may be written `one,two` in variables and flags; lists of objects are JSON "
                        "there too. A list replaces the list of\nan earlier source as a whole. Secrets and URLs can be "
                        "read from a file: the key with `_file` after it (`--token-secret-file`, one entry\na line for "
                        "lists). Relative file names in the file start at its own folder. A size is a number of bytes "
                        "or has `k`, `m` or `g` (powers\nof 1024); a duration has `ms`, `s`, `m`, `h` or `d`. Live "
                        "options change on SIGHUP, the others on restart. Empty variables count as not set.\n");
    for (size_t i = 0; i < table->alias_count; i++) {
        const struct option_alias *alias = &table->aliases[i];
        buf_appendf(out, "%s`%s` also has the short form ", i ? " " : "\n", alias->key);
        buf_appendf(out, "%s%s%s.", alias->flag ? alias->flag : "", alias->flag && alias->env ? " and " : "",
                    alias->env ? alias->env : "");
    }
    buf_append(out, table->alias_count ? STR("\n") : STR(""));
}

static void reference_templates(const struct option_table *record, const char *key, struct buf *out)
{
    if (record->template_count == 0)
        return;
    buf_appendf(out, "\n## Presets of %s\n", key);
    buf_append_lit(out, "\nWhat each `preset` stands for. Members that are given beside it win.\n\n| preset | for | "
                        "members |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < record->template_count; i++)
        buf_appendf(out, "| `%s` | %s | `%s` |\n", record->templates[i].name, record->templates[i].text,
                    record->templates[i].members);
}

void options_reference(const struct option_table *table, struct buf *out)
{
    struct str group = STR("-");
    reference_head(table, out);
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        struct str its = option_section(row->key);
        if (!str_eq(group, its))
            buf_appendf(
                out, "\n## %.*s\n\n| option | takes | default | change | meaning |\n| --- | --- | --- | --- | --- |\n",
                its.len > 0 ? (int)its.len : 7, its.len > 0 ? its.ptr : "General");
        group = its;
        reference_row(table, row, out, false);
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct option_table *record = table->rows[i].record;
        if (!record)
            continue;
        buf_appendf(out, "\n## Entries of %s\n\n| member | takes | default | meaning |\n| --- | --- | --- | --- |\n",
                    table->rows[i].key);
        for (size_t j = table->rows[i].type == OPTION_MAP ? 1 : 0; j < record->count; j++)
            reference_row(record, &record->rows[j], out, true);
        reference_templates(record, table->rows[i].key, out);
    }
}

/* --- the sample ----------------------------------------------------------------------------------------------- */

/* Text as comment lines of about 100 columns. */
static void append_comment(struct buf *out, const char *indent, struct str text)
{
    size_t column = 1000;
    while (text.ptr) {
        struct str word = str_split(&text, ' ');
        if (column + word.len > 100) {
            buf_appendf(out, "%s%s//", column < 1000 ? "\n" : "", indent);
            column = strlen(indent) + 2;
        }
        buf_append_char(out, ' ');
        buf_append(out, word);
        column += word.len + 1;
    }
    buf_append_char(out, '\n');
}

static void sample_members(const struct option_table *record, size_t first, struct buf *out)
{
    for (size_t i = first; i < record->count; i++) {
        const struct option_row *row = &record->rows[i];
        struct buf line = {0};
        buf_appendf(&line, "  %s: %s (", row->key, row->text);
        option_expected(&line, row);
        if (row->default_text) {
            buf_append_lit(&line, "; ");
            append_default(&line, record, row);
        }
        buf_append_char(&line, ')');
        append_comment(out, "    ", buf_str(&line));
        buf_fini(&line);
    }
}

static void sample_row(const struct option_table *table, const struct option_row *row, struct buf *out)
{
    char indent[32];
    snprintf(indent, sizeof indent, "%*s", 4 + 4 * (int)option_depth(option_group(row->key)), "");
    struct buf text = {0};
    buf_appendf(&text, "%s Takes ", row->text);
    option_expected(&text, row);
    buf_append(&text, row->live ? STR(".") : STR("; changes on restart."));
    append_comment(out, indent, buf_str(&text));
    if (row->record)
        sample_members(row->record, row->type == OPTION_MAP ? 1 : 0, out);
    if (row->example)
        buf_appendf(out, row->type == OPTION_MAP ? "%s// For example: {%s}\n" : "%s// For example: [%s]\n", indent,
                    row->example);
    buf_appendf(out, "%s//\"%s\": ", indent, option_name(row->key));
    append_default(out, table, row);
    buf_append_lit(out, ",\n");
    buf_fini(&text);
}

void options_sample(const struct option_table *table, struct buf *out)
{
    struct str group = STR("");
    buf_appendf(out,
                "// Every option of %s with its default, commented out. JSON with comments; a comma may follow the "
                "last item.\n// Check a changed file with: %s check --config FILE\n{\n",
                table->program, table->program);
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        struct str its = option_group(row->key);
        option_enter_group(out, group, option_shared_group(group, its), 4);
        buf_append(out, i > 0 ? STR("\n") : STR(""));
        option_enter_group(out, option_shared_group(group, its), its, 4);
        group = its;
        sample_row(table, row, out);
    }
    option_enter_group(out, group, STR(""), 4);
    buf_append_lit(out, "}\n");
}

/* --- the schema ----------------------------------------------------------------------------------------------- */

static cJSON *schema_object(const struct option_table *table, size_t first);

static void add_choices(cJSON *schema, const struct option_row *row)
{
    cJSON *list = cJSON_AddArrayToObject(schema, "enum");
    for (size_t i = 0; row->choices[i]; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(row->choices[i]));
}

/* min and max of the row under the names that this kind of schema has for them. */
static void add_range(cJSON *schema, const struct option_row *row, const char *min_name, const char *max_name)
{
    uint64_t bound;
    if (row->min && option_number_parse(OPTION_INT, str_from_cstr(row->min), &bound))
        cJSON_AddNumberToObject(schema, min_name, (double)bound);
    if (row->max && option_number_parse(OPTION_INT, str_from_cstr(row->max), &bound))
        cJSON_AddNumberToObject(schema, max_name, (double)bound);
}

static void add_texts(cJSON *schema, const struct option_row *row)
{
    cJSON *items = cJSON_AddObjectToObject(schema, "items");
    cJSON_AddStringToObject(items, "type", "string");
    if (row->choices)
        add_choices(items, row);
    else
        add_range(items, row, "minLength", "maxLength");
}

/* A number with a unit is a text, or without one a number. null unsets what can be without a value. */
static void add_types(cJSON *schema, const struct option_row *row, const char *first, const char *second)
{
    if (!second && !option_is_optional(row)) {
        cJSON_AddStringToObject(schema, "type", first);
        return;
    }
    cJSON *either = cJSON_AddArrayToObject(schema, "type");
    cJSON_AddItemToArray(either, cJSON_CreateString(first));
    if (second)
        cJSON_AddItemToArray(either, cJSON_CreateString(second));
    if (option_is_optional(row))
        cJSON_AddItemToArray(either, cJSON_CreateString("null"));
}

/* The objects of a map: the name is outside of them. */
static void add_map(cJSON *schema, const struct option_table *record)
{
    cJSON *names = cJSON_AddObjectToObject(schema, "propertyNames");
    add_range(names, &record->rows[0], "minLength", "maxLength");
    cJSON_AddItemToObject(schema, "additionalProperties", schema_object(record, 1));
}

static void add_type(cJSON *schema, const struct option_row *row)
{
    static const char *const types[] = {
        [OPTION_BOOL] = "boolean",  [OPTION_INT] = "integer",    [OPTION_STRING] = "string", [OPTION_PATH] = "string",
        [OPTION_URL] = "string",    [OPTION_SECRET] = "string",  [OPTION_ENUM] = "string",   [OPTION_STRINGS] = "array",
        [OPTION_SECRETS] = "array", [OPTION_NUMBERS] = "object", [OPTION_RECORDS] = "array", [OPTION_MAP] = "object"};
    if (row->type == OPTION_JSON)
        return;
    if (row->type == OPTION_BYTES || row->type == OPTION_DURATION) {
        add_types(schema, row, "string", "integer");
        cJSON_AddStringToObject(schema, "pattern",
                                row->type == OPTION_BYTES ? "^[0-9]+[kKmMgG]?$" : "^(0|[0-9]+(ms|s|m|h|d))$");
        cJSON_AddNumberToObject(schema, "minimum", 0);
        if (row->type == OPTION_DURATION)
            cJSON_AddNumberToObject(schema, "maximum", 0);
        return;
    }
    add_types(schema, row, types[row->type], NULL);
    if (row->type == OPTION_INT)
        add_range(schema, row, "minimum", "maximum");
    else if (row->type == OPTION_ENUM)
        add_choices(schema, row);
    else if (row->type == OPTION_STRINGS || row->type == OPTION_SECRETS)
        add_texts(schema, row);
    else if (row->type == OPTION_RECORDS)
        cJSON_AddItemToObject(schema, "items", schema_object(row->record, 0));
    else if (row->type == OPTION_MAP)
        add_map(schema, row->record);
    else if (row->type == OPTION_NUMBERS) {
        cJSON *item = cJSON_AddObjectToObject(schema, "additionalProperties");
        cJSON_AddStringToObject(item, "type", "integer");
        add_range(item, row, "minimum", "maximum");
    }
}

static void add_row(cJSON *properties, const struct option_table *table, const struct option_row *row)
{
    cJSON *schema = cJSON_AddObjectToObject(properties, option_name(row->key));
    struct buf value = {0};
    cJSON_AddStringToObject(schema, "description", row->text);
    add_type(schema, row);
    append_default(&value, table, row);
    if (value.len > 0)
        cJSON_AddItemToObject(schema, "default", cJSON_Parse(buf_cstr(&value)));
    buf_fini(&value);
    if (option_is_secret(row->type)) {
        char name[96];
        snprintf(name, sizeof name, "%s_file", option_name(row->key));
        cJSON *file = cJSON_AddObjectToObject(properties, name);
        cJSON_AddStringToObject(file, "description", "A file that has the value.");
        cJSON_AddStringToObject(file, "type", "string");
    }
}

/* The properties of the object that a group is, within those of the table. */
static cJSON *group_properties(cJSON *properties, struct str group)
{
    while (group.len > 0) {
        struct str part = str_split(&group, '.');
        char name[64];
        snprintf(name, sizeof name, "%.*s", STR_ARG(part));
        cJSON *object = cJSON_GetObjectItemCaseSensitive(properties, name);
        if (!object) {
            object = cJSON_AddObjectToObject(properties, name);
            cJSON_AddStringToObject(object, "type", "object");
            cJSON_AddFalseToObject(object, "additionalProperties");
            cJSON_AddObjectToObject(object, "properties");
        }
        properties = cJSON_GetObjectItemCaseSensitive(object, "properties");
    }
    return properties;
}

/* An object of the table's rows from first on. */
static cJSON *schema_object(const struct option_table *table, size_t first)
{
    cJSON *schema = cJSON_CreateObject();
    cJSON_AddStringToObject(schema, "type", "object");
    cJSON_AddFalseToObject(schema, "additionalProperties");
    cJSON *properties = cJSON_AddObjectToObject(schema, "properties");
    cJSON *required = cJSON_CreateArray();
    for (size_t i = first; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        add_row(group_properties(properties, option_group(row->key)), table, row);
        if (!row->default_text)
            cJSON_AddItemToArray(required, cJSON_CreateString(row->key));
    }
    cJSON_AddItemToObject(schema, "required", required);
    return schema;
}

void options_schema(const struct option_table *table, struct buf *out)
{
    cJSON *schema = schema_object(table, 0);
    cJSON_AddStringToObject(schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
    char title[96];
    snprintf(title, sizeof title, "Configuration of %s", table->program);
    cJSON_AddStringToObject(schema, "title", title);
    cJSON *own = cJSON_AddObjectToObject(cJSON_GetObjectItemCaseSensitive(schema, "properties"), "$schema");
    cJSON_AddStringToObject(own, "description", "Where this schema is, for editors.");
    cJSON_AddStringToObject(own, "type", "string");
    char *text = cJSON_Print(schema);
    buf_append(out, str_from_cstr(text));
    buf_append_char(out, '\n');
    cJSON_free(text);
    cJSON_Delete(schema);
}
