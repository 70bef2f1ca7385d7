/* option_object.c - sets members of the struct from objects: of options in groups, and of records in lists and maps.
 * Records are objects of options, whose values may be records, so this is one file. */
#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/options/option_json.h"
#include "common/options/option_text.h"

enum { SECRET_FILE_MAX = 64 * 1024 };

static void add_line(const struct option_place *place, const char *key, const char *at)
{
    struct option_lines *lines = place->lines;
    struct buf path = {0};
    if (!lines || !place->path)
        return;
    buf_appendf(&path, "%s%s", place->path, key);
    lines->items = xrealloc(lines->items, (lines->count + 1) * sizeof *lines->items);
    lines->items[lines->count++] = (struct option_line){str_dup(buf_str(&path)), option_line_at(place, at)};
    buf_fini(&path);
}

/* One walk over an object of options and its groups. */
struct object_walk {
    const struct option_table *table;
    size_t first; /* the first row that is a member */
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
    struct buf hint = {0};
    const struct option_row *near = option_nearest(walk->table, key);
    if (near && str_eq_cstr(key, near->key)) {
        buf_append_lit(&hint, "; nest it: ");
        option_enter_group(&hint, STR(""), option_group(near->key), -1);
        buf_appendf(&hint, "\"%s\": ...", option_name(near->key));
        option_enter_group(&hint, option_group(near->key), STR(""), -1);
    } else if (near) {
        buf_appendf(&hint, "; did you mean \"%s\"?", near->key);
    }
    error_quote(key, quoted);
    if (walk->place->path)
        option_complain(walk->place, at, NULL, "%.*s: unknown option %s%s", (int)strlen(walk->place->path) - 1,
                        walk->place->path, quoted, buf_cstr(&hint));
    else
        option_complain(walk->place, at, NULL, "unknown option %s%s", quoted, buf_cstr(&hint));
    buf_fini(&hint);
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
    for (i = walk->first; i < walk->table->count; i++) {
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
    add_line(walk->place, row->key, at);
    if (!set_row(walk, row, from_file, value))
        walk->good = false;
    else if (walk->sources)
        walk->sources->of[i] = (struct option_source){OPTION_FROM_FILE, option_line_at(walk->place, at), ""};
}

/* Are there rows in this group, or in groups within it? */
static bool is_group(const struct option_table *table, struct str group)
{
    for (size_t i = 0; group.len > 0 && i < table->count; i++) {
        struct str key = str_from_cstr(table->rows[i].key);
        if (key.len > group.len && key.ptr[group.len] == '.' && str_starts_with(key, group))
            return true;
    }
    return false;
}

/* The object of a group of a record has been given, which turns on what the group is about. The groups of the file
 * itself are its parts: the sample has all of them. */
static void enable_group(struct object_walk *walk, struct str group)
{
    static const bool on = true;
    struct buf key = {0};
    join_key(&key, group, STR("enabled"));
    for (size_t i = walk->first; i < walk->table->count; i++)
        if (str_eq_cstr(buf_str(&key), walk->table->rows[i].key) && !walk->seen[i])
            memcpy(option_member(&walk->table->rows[i], walk->options), &on, sizeof on);
    buf_fini(&key);
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
    if (!walk->sources)
        enable_group(walk, group);
    while (json_next(&at, &name, &value)) {
        struct buf key = {0};
        join_key(&key, group, name);
        if (memchr(name.ptr, '.', name.len)) {
            complain_unknown(walk, buf_str(&key), name.ptr); /* groups are nested, not dotted */
        } else if (is_group(walk->table, buf_str(&key))) {
            add_line(walk->place, buf_cstr(&key), name.ptr);
            if (value.type == JSON_OBJECT) {
                set_group(walk, buf_str(&key), value);
            } else {
                option_complain(walk->place, value.raw.ptr, buf_cstr(&key),
                                "an object of options is expected: { ... }");
                walk->good = false;
            }
        } else if (names_schema(walk, group, name)) {
            check_schema_name(walk, value);
        } else {
            set_member(walk, buf_str(&key), name.ptr, value);
        }
        buf_fini(&key);
    }
}

/* The members that the record's preset stands for, under those that the record gives. A wrong name of a preset is a
 * mistake of the row itself. */
static void apply_template(struct object_walk *walk, struct json_value object)
{
    struct json_value given = json_member(object, STR("preset"));
    struct json_value members;
    struct error error;
    for (size_t i = 0; given.type == JSON_STRING && i < walk->table->template_count; i++) {
        const struct option_template *template = &walk->table->templates[i];
        if (!str_eq_cstr(str_from(given.raw.ptr + 1, given.raw.len - 2), template->name))
            continue;
        const struct option_place place = {.name = template->name, .path = "", .messages = walk->place->messages};
        struct object_walk inner = {.table = walk->table, .place = &place, .options = walk->options, .good = true};
        bool valid = json_check(str_from_cstr(template->members), NULL, &members, &error) == ERR_NONE;
        if (valid)
            set_group(&inner, STR(""), members);
        assert(valid && inner.good && "a preset in the table that its own rows refuse");
    }
}

bool option_set_object(const struct option_table *table, size_t first, struct json_value object,
                       const struct option_place *place, void *options, struct option_sources *sources)
{
    struct object_walk walk = {
        .table = table, .first = first, .place = place, .options = options, .sources = sources, .good = true};
    if (table->templates)
        apply_template(&walk, object);
    set_group(&walk, STR(""), object);
    for (size_t i = first; i < table->count; i++) {
        if (table->rows[i].default_text || walk.seen[i])
            continue;
        option_complain(place, object.raw.ptr, table->rows[i].key, "is missing");
        walk.good = false;
    }
    return walk.good;
}

/* Records on their way into a list. */
struct record_list {
    const struct option_row *row;
    char *items;
    size_t count;
};

/* One more record, with the name of a map's entry or else the index for its path. */
static bool add_record(struct record_list *list, struct str name, struct json_value value,
                       const struct option_place *place)
{
    const struct option_table *record = list->row->record;
    bool map = list->row->type == OPTION_MAP;
    const char *at = map ? name.ptr : value.raw.ptr;
    char path[200];
    struct option_place inside = *place;
    bool good = true;
    list->items = xrealloc(list->items, (list->count + 1) * record->size);
    char *item = list->items + list->count * record->size;
    memset(item, 0, record->size);
    option_set_defaults(record, item);
    if (map) {
        good = option_set_plain(&record->rows[0], name, name.ptr, place, item);
        snprintf(path, sizeof path, "%s%s.%.*s", place->path ? place->path : "", list->row->key,
                 (int)(name.len < 64 ? name.len : 64), name.ptr);
    } else {
        snprintf(path, sizeof path, "%s%s[%zu]", place->path ? place->path : "", list->row->key, list->count);
    }
    inside.path = "";
    add_line(&inside, path, at);
    size_t len = strlen(path);
    memcpy(path + (len < sizeof path - 1 ? len : sizeof path - 2), ".", 2);
    inside.path = path;
    list->count++;
    if (value.type != JSON_OBJECT)
        return option_refuse_json(list->row, place, value);
    return option_set_object(record, map ? 1 : 0, value, &inside, item, NULL) && good;
}

/* Is the name of the last entry one of those before it? Complains then. */
static bool is_twice(const struct record_list *list, struct str name, const struct option_place *place)
{
    const struct option_row *row = &list->row->record->rows[0];
    for (size_t i = 0; i + 1 < list->count; i++) {
        const char *other;
        memcpy(&other, option_member_const(row, list->items + i * list->row->record->size), sizeof other);
        if (!str_eq_cstr(name, other))
            continue;
        option_complain(place, name.ptr, list->row->key, "\"%s\" is given twice", other);
        return true;
    }
    return false;
}

static bool set_records(const struct option_row *row, struct json_value value, const struct option_place *place,
                        void *options)
{
    struct record_list list = {.row = row};
    bool map = row->type == OPTION_MAP;
    bool good = true;
    struct json_value item;
    struct str name;
    if (value.type != (map ? JSON_OBJECT : JSON_ARRAY))
        return option_refuse_json(row, place, value);
    struct json_cursor at = json_walk(value);
    while (json_next(&at, &name, &item)) {
        good = add_record(&list, name, item, place) && good;
        if (map && is_twice(&list, name, place))
            good = false;
    }
    if (good) {
        option_put_list(row, list.items, list.count, options);
        return true;
    }
    for (size_t i = 0; i < list.count; i++)
        options_fini(row->record, list.items + i * row->record->size);
    free(list.items);
    return false;
}

bool option_set_json(const struct option_row *row, struct json_value value, const struct option_place *place,
                     void *options)
{
    return row->record ? set_records(row, value, place, options) : option_set_json_value(row, value, place, options);
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
    if (type == OPTION_NUMBERS || type == OPTION_RECORDS || type == OPTION_MAP || type == OPTION_JSON)
        return text.len > 0;
    return (type == OPTION_STRINGS || type == OPTION_SECRETS) && text.len > 0 && text.ptr[0] == '[';
}

bool option_set_text(const struct option_row *row, struct str text, const char *at, const struct option_place *place,
                     void *options)
{
    return is_json(row->type, text) ? set_json_text(row, text, at, place, options)
                                    : option_set_plain(row, text, at, place, options);
}

/* A preset of the command takes the place of the row's value, or of the value around it. */
static bool is_replaced(const struct option_row *row, const struct option_place *place)
{
    char key[256];
    size_t count = place->input ? place->input->preset_count : 0;
    snprintf(key, sizeof key, "%s%s", place->path ? place->path : "", row->key);
    for (size_t i = 0; i < count; i++) {
        const struct option_preset *preset = &place->input->presets[i];
        size_t len = strlen(preset->key);
        if (preset->over_file && strncmp(key, preset->key, len) == 0 && (!key[len] || strchr(".[", key[len])))
            return true;
    }
    return false;
}

bool option_set_from_file(const struct option_row *row, struct str file_name, const char *at,
                          const struct option_place *place, void *options)
{
    struct buf path = {0};
    struct buf bytes = {0};
    struct error error;
    bool good = false;
    if (is_replaced(row, place))
        return true; /* the file may be on another machine */
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
