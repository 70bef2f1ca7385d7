/* option_json.c - sets members of the struct from JSON: one value, a list, or an object of options. A refused value
 * changes nothing, as in option_text.c. Records are objects of options in a list, so lists and objects are one file. */
#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/options/option_text.h"

enum { SECRET_FILE_MAX = 64 * 1024 };

/* Complains about a value of the wrong kind. Secrets are not repeated. */
static bool refuse_json(const struct option_row *row, const struct option_place *place, struct json_value value)
{
    char found[JSON_TYPES_LEN + ERROR_QUOTE_LEN];
    if (option_is_secret(row->type) || value.type & (JSON_ARRAY | JSON_OBJECT))
        json_types_text(value.type, found);
    else if (value.type == JSON_STRING)
        error_quote(str_from(value.raw.ptr + 1, value.raw.len - 2), found);
    else
        snprintf(found, sizeof found, "%.*s", (int)(value.raw.len < 40 ? value.raw.len : 40), value.raw.ptr);
    return option_refuse(row, place, value.raw.ptr, found);
}

/* The text of a JSON string that the row can have; false: complained. */
static bool valid_json_text(const struct option_row *row, struct json_value value, struct buf *scratch, struct str *out,
                            const struct option_place *place)
{
    if (value.type != JSON_STRING)
        return refuse_json(row, place, value);
    if (!json_text(value, scratch, out)) {
        option_complain(place, value.raw.ptr, row->key, "the text has a NUL character");
        return false;
    }
    return true;
}

static bool set_json_strings(const struct option_row *row, struct json_value value, const struct option_place *place,
                             void *options)
{
    struct option_strings list = {0};
    struct json_cursor at = json_walk(value);
    struct json_value item;
    struct str key, text = {0};
    bool good = true;
    while (json_next(&at, &key, &item)) {
        struct buf scratch = {0};
        bool valid =
            valid_json_text(row, item, &scratch, &text, place) && option_text_is_valid(row, text, item.raw.ptr, place);
        if (valid)
            option_add_string(&list, text);
        good = good && valid;
        buf_fini(&scratch);
    }
    if (good)
        option_put_list(row, list.items, list.count, options);
    else
        option_free_strings(&list);
    return good;
}

static bool set_json_numbers(const struct option_row *row, struct json_value value, const struct option_place *place,
                             void *options)
{
    struct option_numbers list = {0};
    struct json_cursor at = json_walk(value);
    struct json_value item;
    struct str key;
    bool good = true;
    while (json_next(&at, &key, &item)) {
        uint64_t number = 0;
        if (!option_text_is_valid(row, key, key.ptr, place)) {
            good = false;
        } else if (item.type != JSON_NUMBER || !json_u64(item, &number) || !option_in_range(row, OPTION_INT, number)) {
            good = refuse_json(row, place, item);
        }
        for (size_t i = 0; i < list.count; i++) {
            if (str_eq_cstr(key, list.items[i].name)) {
                option_complain(place, key.ptr, row->key, "\"%s\" is given twice", list.items[i].name);
                good = false;
            }
        }
        list.items = xrealloc(list.items, (list.count + 1) * sizeof *list.items);
        list.items[list.count++] = (struct option_number){str_dup(key), number};
    }
    if (good) {
        option_put_list(row, list.items, list.count, options);
        return true;
    }
    for (size_t i = 0; i < list.count; i++)
        free(list.items[i].name);
    free(list.items);
    return false;
}

static bool set_json_records(const struct option_row *row, struct json_value value, const struct option_place *place,
                             void *options)
{
    const struct option_table *record = row->record;
    struct json_cursor at = json_walk(value);
    struct json_value item;
    struct str key;
    char *items = NULL;
    size_t count = 0;
    bool good = true;
    while (json_next(&at, &key, &item)) {
        char path[160];
        struct option_place inside = *place;
        items = xrealloc(items, (count + 1) * record->size);
        memset(items + count * record->size, 0, record->size);
        option_set_defaults(record, items + count * record->size);
        snprintf(path, sizeof path, "%s%s[%zu].", place->path ? place->path : "", row->key, count);
        inside.path = path;
        if (item.type != JSON_OBJECT)
            good = refuse_json(row, place, item);
        else
            good = option_set_object(record, item, &inside, items + count * record->size, NULL) && good;
        count++;
    }
    if (good) {
        option_put_list(row, items, count, options);
        return true;
    }
    for (size_t i = 0; i < count; i++)
        options_fini(record, items + i * record->size);
    free(items);
    return false;
}

static bool set_json_string(const struct option_row *row, struct json_value value, const struct option_place *place,
                            void *options)
{
    struct buf scratch = {0};
    struct str text = {0};
    bool good = valid_json_text(row, value, &scratch, &text, place) &&
                option_set_plain(row, text, value.raw.ptr, place, options);
    buf_fini(&scratch);
    return good;
}

bool option_set_json(const struct option_row *row, struct json_value value, const struct option_place *place,
                     void *options)
{
    uint64_t number;
    bool flag = value.raw.len > 0 && value.raw.ptr[0] == 't';
    switch (row->type) {
    case OPTION_BOOL:
        if (value.type != JSON_BOOL)
            return refuse_json(row, place, value);
        memcpy(option_member(row, options), &flag, sizeof flag);
        return true;
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_DURATION:
        if (value.type == JSON_STRING && row->type != OPTION_INT)
            return set_json_string(row, value, place, options);
        if (value.type == JSON_NUMBER && json_u64(value, &number) && (row->type != OPTION_DURATION || number == 0) &&
            option_set_number(row, number, options))
            return true;
        return refuse_json(row, place, value);
    case OPTION_STRINGS:
    case OPTION_SECRETS:
        return value.type == JSON_ARRAY ? set_json_strings(row, value, place, options) : refuse_json(row, place, value);
    case OPTION_NUMBERS:
        return value.type == JSON_OBJECT ? set_json_numbers(row, value, place, options)
                                         : refuse_json(row, place, value);
    case OPTION_RECORDS:
        return value.type == JSON_ARRAY ? set_json_records(row, value, place, options) : refuse_json(row, place, value);
    default: return set_json_string(row, value, place, options);
    }
}

static bool set_json_text(const struct option_row *row, struct str text, const char *at,
                          const struct option_place *place, void *options)
{
    struct json_value value;
    struct error error;
    struct option_place inside = *place;
    inside.text = str_from("", 0); /* positions are in the value, not in a file */
    if (json_check(text, NULL, &value, &error) != ERR_NONE) {
        option_complain(place, at, row->key, "not JSON: %s", error.text);
        return false;
    }
    return option_set_json(row, value, &inside, options);
}

/* Lists and objects can be written as JSON in a text. */
static bool is_json(enum option_type type, struct str text)
{
    if (type == OPTION_NUMBERS || type == OPTION_RECORDS)
        return text.len > 0;
    return (type == OPTION_STRINGS || type == OPTION_SECRETS) && text.len > 0 && text.ptr[0] == '[';
}

bool option_set_text(const struct option_row *row, struct str text, const char *at, const struct option_place *place,
                     void *options)
{
    return is_json(row->type, text) ? set_json_text(row, text, at, place, options)
                                    : option_set_plain(row, text, at, place, options);
}

bool option_set_from_file(const struct option_row *row, struct str file_name, const char *at,
                          const struct option_place *place, void *options)
{
    struct buf path = {0};
    struct buf bytes = {0};
    struct error error;
    bool good = false;
    if (place->folder && (file_name.len == 0 || file_name.ptr[0] != '/'))
        buf_appendf(&path, "%s/", place->folder);
    buf_append(&path, file_name);
    if (memchr(path.ptr ? path.ptr : "", '\0', path.len)) {
        option_complain(place, at, row->key, "the file name has a NUL character");
    } else if (option_read_file(buf_cstr(&path), SECRET_FILE_MAX, &bytes, &error) != ERR_NONE) {
        option_complain(place, at, row->key, "%s", error.text);
    } else if (row->type == OPTION_SECRETS) {
        good = option_set_split(row, buf_str(&bytes), '\n', at, place, options);
    } else {
        while (bytes.len > 0 && (bytes.ptr[bytes.len - 1] == '\n' || bytes.ptr[bytes.len - 1] == '\r'))
            bytes.len--;
        good = option_set_text(row, buf_str(&bytes), at, place, options);
    }
    buf_fini(&path);
    buf_fini(&bytes);
    return good;
}

void option_set_defaults(const struct option_table *table, void *options)
{
    struct buf messages = {0};
    struct option_place place = {.name = "default", .messages = &messages};
    memset(options, 0, table->size);
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        if (row->default_text)
            option_set_text(row, str_from_cstr(row->default_text), NULL, &place, options);
        else
            *(char **)option_member(row, options) = str_dup(STR("")); /* only texts can be without a default */
    }
    assert(messages.len == 0 && "a default in the table that its own row refuses");
    buf_fini(&messages);
}

/* One walk over an object of options and its groups. */
struct object_walk {
    const struct option_table *table;
    const struct option_place *place;
    void *options;
    struct option_sources *sources;
    bool seen[OPTIONS_MAX];
    bool good;
};

/* "limits.connections" from the group and the name in it. */
static void join_key(struct buf *out, struct str group, struct str name)
{
    buf_append(out, group);
    if (group.len > 0)
        buf_append_char(out, '.');
    buf_append(out, name);
}

static void complain_unknown(struct object_walk *walk, struct str key, const char *at)
{
    char quoted[ERROR_QUOTE_LEN];
    char hint[160] = "";
    const struct option_row *near = option_nearest(walk->table, key);
    if (near && str_eq_cstr(key, near->key))
        snprintf(hint, sizeof hint, "; nest it: \"%.*s\": {\"%s\": ...}", STR_ARG(option_group(near->key)),
                 option_name(near->key));
    else if (near)
        snprintf(hint, sizeof hint, "; did you mean \"%s\"?", near->key);
    error_quote(key, quoted);
    if (walk->place->path)
        option_complain(walk->place, at, NULL, "%.*s: unknown option %s%s", (int)strlen(walk->place->path) - 1,
                        walk->place->path, quoted, hint);
    else
        option_complain(walk->place, at, NULL, "unknown option %s%s", quoted, hint);
    walk->good = false;
}

static bool set_row(struct object_walk *walk, const struct option_row *row, bool from_file, struct json_value value)
{
    if (!from_file)
        return option_set_json(row, value, walk->place, walk->options);
    struct buf scratch = {0};
    struct str name = {0};
    bool good = value.type == JSON_STRING && json_text(value, &scratch, &name);
    if (!good)
        option_complain(walk->place, value.raw.ptr, row->key, "the name of a file is expected");
    else
        good = option_set_from_file(row, name, value.raw.ptr, walk->place, walk->options);
    buf_fini(&scratch);
    return good;
}

static void set_member(struct object_walk *walk, struct str key, const char *at, struct json_value value)
{
    size_t i;
    bool from_file = false;
    struct str stem = str_from(key.ptr, key.len > 5 ? key.len - 5 : 0);
    for (i = 0; i < walk->table->count; i++) {
        const struct option_row *row = &walk->table->rows[i];
        from_file =
            option_is_secret(row->type) && str_eq_cstr(stem, row->key) && memcmp(key.ptr + stem.len, "_file", 5) == 0;
        if (from_file || str_eq_cstr(key, row->key))
            break;
    }
    if (i == walk->table->count) {
        complain_unknown(walk, key, at);
        return;
    }
    const struct option_row *row = &walk->table->rows[i];
    if (walk->seen[i]) {
        option_complain(walk->place, at, row->key, "given twice");
        walk->good = false;
        return;
    }
    walk->seen[i] = true;
    if (!set_row(walk, row, from_file, value))
        walk->good = false;
    else if (walk->sources)
        walk->sources->of[i] = (struct option_source){OPTION_FROM_FILE, option_line(walk->place, at), ""};
}

static bool is_group(const struct option_table *table, struct str name)
{
    for (size_t i = 0; name.len > 0 && i < table->count; i++)
        if (str_eq(option_group(table->rows[i].key), name))
            return true;
    return false;
}

/* Editors complete and check a file that names its schema. It says nothing to us. */
static bool names_schema(const struct object_walk *walk, struct str group, struct str name)
{
    return !walk->place->path && group.len == 0 && str_eq_cstr(name, "$schema");
}

static void check_schema_name(struct object_walk *walk, struct json_value value)
{
    if (value.type == JSON_STRING)
        return;
    option_complain(walk->place, value.raw.ptr, "$schema", "the address of a schema is expected, as text");
    walk->good = false;
}

static void set_group(struct object_walk *walk, struct str group, struct json_value object)
{
    struct json_cursor at = json_walk(object);
    struct json_value value;
    struct str name;
    while (json_next(&at, &name, &value)) {
        struct buf key = {0};
        join_key(&key, group, name);
        if (group.len == 0 && is_group(walk->table, name)) {
            if (value.type == JSON_OBJECT) {
                set_group(walk, name, value);
            } else {
                option_complain(walk->place, value.raw.ptr, buf_cstr(&key),
                                "an object of options is expected: { ... }");
                walk->good = false;
            }
        } else if (names_schema(walk, group, name)) {
            check_schema_name(walk, value);
        } else if (memchr(name.ptr, '.', name.len)) {
            complain_unknown(walk, buf_str(&key), name.ptr); /* groups are nested, not dotted */
        } else {
            set_member(walk, buf_str(&key), name.ptr, value);
        }
        buf_fini(&key);
    }
}

bool option_set_object(const struct option_table *table, struct json_value object, const struct option_place *place,
                       void *options, struct option_sources *sources)
{
    struct object_walk walk = {.table = table, .place = place, .options = options, .sources = sources, .good = true};
    set_group(&walk, STR(""), object);
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].default_text || walk.seen[i])
            continue;
        option_complain(place, object.raw.ptr, table->rows[i].key, "is missing");
        walk.good = false;
    }
    return walk.good;
}
