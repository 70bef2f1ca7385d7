/* option_file.c - reads a file of JSON with comments into the struct. Spaces overwrite comments, and commas after a
 * last item. So every byte keeps its place, and positions give line numbers. */
#include "common/options/option_file.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/alloc.h"

enum err option_read_file(const char *path, size_t max, struct buf *out, struct error *error)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return error_set(error, ERR_NOT_FOUND, "cannot read %s: %s", path, strerror(errno));
    size_t got = 1;
    errno = 0;
    while (got > 0 && out->len <= max) {
        buf_reserve(out, 4096);
        got = fread(out->ptr + out->len, 1, 4096, file);
        out->len += got;
    }
    bool failed = ferror(file) != 0;
    int reason = errno;
    fclose(file);
    if (failed)
        return error_set(error, ERR_NOT_FOUND, "cannot read %s: %s", path, strerror(reason));
    if (out->len > max)
        return error_set(error, ERR_TOO_LARGE, "%s has more than %zu bytes", path, max);
    return ERR_NONE;
}

/* Overwrites with spaces up to end, keeping the ends of lines. */
static void blank(char *from, const char *end)
{
    for (; from < end; from++)
        if (*from != '\n')
            *from = ' ';
}

static char *string_end(char *at, const char *end)
{
    for (at++; at < end && *at != '"' && *at != '\n'; at++)
        if (*at == '\\' && at + 1 < end)
            at++;
    return at < end ? at + 1 : at;
}

/* The end of the comment that starts at at; NULL if it has none. */
static char *comment_end(char *at, char *end)
{
    if (at[1] == '/') {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        return newline ? newline : end;
    }
    for (char *c = at + 2; c + 1 < end; c++)
        if (c[0] == '*' && c[1] == '/')
            return c + 2;
    return NULL;
}

/* Makes plain JSON of the text, in place. NULL, or where a comment begins that does not end. */
static const char *strip(char *text, size_t len)
{
    char *end = text + len;
    char *comma = NULL; /* the last thing seen was this comma, after an item */
    char before = '[';  /* the last byte that means something, commas apart */
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        blank(text, text + 3);
    for (char *at = text; at < end;) {
        char c = *at;
        if (c == '/' && at + 1 < end && (at[1] == '/' || at[1] == '*')) {
            char *after = comment_end(at, end);
            if (!after)
                return at;
            blank(at, after);
            at = after;
        } else if (c == '"') {
            at = string_end(at, end);
            before = c;
            comma = NULL;
        } else {
            if (c == ',') {
                comma = !comma && !strchr("[{:", before) ? at : NULL;
                before = comma ? before : ':'; /* a comma in a wrong place stays, and is refused */
            } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
                if (comma && (c == ']' || c == '}'))
                    *comma = ' ';
                before = c ? c : ':';
                comma = NULL;
            }
            at++;
        }
    }
    return NULL;
}

/* json_check names a byte; people want the line. */
static void complain_syntax(const struct option_place *place, const struct error *error)
{
    size_t offset = 0;
    int used = 0;
    if (sscanf(error->text, "byte %zu: %n", &offset, &used) != 1 || used == 0 || offset > place->text.len)
        option_complain(place, NULL, NULL, "%s", error->text);
    else
        option_complain(place, place->text.ptr + offset, NULL, "%s", error->text + used);
}

bool option_set_file(const struct option_table *table, const char *name, struct str text, void *options,
                     struct option_sources *sources, struct buf *messages)
{
    char *plain = str_dup(text);
    char *folder = xstrdup(name);
    char *slash = strrchr(folder, '/');
    struct option_place place = {.name = name, .text = str_from(plain, text.len), .messages = messages};
    struct json_value value;
    struct error error;
    bool good = false;
    if (slash) {
        slash[slash == folder] = '\0'; /* "/x" is in "/" */
        place.folder = folder;
    }
    const char *open = strip(plain, text.len);
    if (open)
        option_complain(&place, open, NULL, "this comment has no end");
    else if (json_check(place.text, NULL, &value, &error) != ERR_NONE)
        complain_syntax(&place, &error);
    else if (value.type != JSON_OBJECT)
        option_complain(&place, value.raw.ptr, NULL, "a configuration is one object: { ... }");
    else
        good = option_set_object(table, value, &place, options, sources);
    free(folder);
    free(plain);
    return good;
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
        from_file = option_has_file_form(row->type) && str_eq_cstr(stem, row->key) &&
                    memcmp(key.ptr + stem.len, "_file", 5) == 0;
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
