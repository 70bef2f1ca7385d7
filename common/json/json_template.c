/* json_template.c - see json_template.h. A template is kept as its parts: text that is written as it is, and places. */
#include "common/json/json_template.h"

#include <stdio.h>

#include "common/base/alloc.h"

enum part_kind {
    PART_TEXT,
    PART_INSERTED, /* within a string */
    PART_WHOLE,    /* in the place of a string with its quotes */
};

struct part {
    enum part_kind kind;
    size_t name; /* of a place */
    size_t from; /* of a text: where in bytes */
    size_t len;
};

struct json_template {
    struct part *parts;
    size_t count;
    struct buf bytes; /* of all texts */
};

/* A template that is being made. */
struct making {
    struct json_template *template;
    const char *const *names;
    size_t name_count;
    struct error *error;
};

static void add_part(struct json_template *template, struct part part)
{
    template->parts = xrealloc(template->parts, (template->count + 1) * sizeof part);
    template->parts[template->count++] = part;
}

static void add_text(struct json_template *template, struct str text)
{
    struct part *last = template->count ? &template->parts[template->count - 1] : NULL;
    if (!last || last->kind != PART_TEXT)
        add_part(template, (struct part){.kind = PART_TEXT, .from = template->bytes.len});
    buf_append(&template->bytes, text);
    template->parts[template->count - 1].len += text.len;
}

/* The name of the place that text begins with; empty if it does not. */
static struct str place_at(struct str text)
{
    size_t len = 1;
    if (text.len == 0 || text.ptr[0] != '{')
        return STR("");
    while (len < text.len && ((text.ptr[len] >= 'a' && text.ptr[len] <= 'z') || text.ptr[len] == '_'))
        len++;
    return len > 1 && len < text.len && text.ptr[len] == '}' ? str_from(text.ptr + 1, len - 1) : STR("");
}

static enum err unknown_place(const struct making *making, struct str name)
{
    char known[200] = "";
    size_t len = 0;
    for (size_t i = 0; i < making->name_count && len < sizeof known; i++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s{%s}", i ? ", " : "", making->names[i]);
    return error_set(making->error, ERR_INVALID_REQUEST,
                     "{%.*s} is not known here; known: %s. For the text itself write \\u007b in the place of {",
                     (int)(name.len < 40 ? name.len : 40), name.ptr, known);
}

static enum err find_name(const struct making *making, struct str name, size_t *out)
{
    for (size_t i = 0; i < making->name_count; i++)
        if (str_eq(name, str_from_cstr(making->names[i]))) {
            *out = i;
            return ERR_NONE;
        }
    return unknown_place(making, name);
}

/* A string value with its quotes. */
static enum err add_string(const struct making *making, struct str raw)
{
    struct str rest = str_from(raw.ptr + 1, raw.len - 2), name = place_at(rest);
    size_t index, from = 0;
    if (name.len && name.len + 2 == rest.len) {
        enum err err = find_name(making, name, &index);
        if (!err)
            add_part(making->template, (struct part){.kind = PART_WHOLE, .name = index});
        return err;
    }
    add_text(making->template, STR("\""));
    for (size_t at = 0; at < rest.len;) {
        name = place_at(str_skip(rest, at));
        if (name.len == 0) {
            at++;
            continue;
        }
        enum err err = find_name(making, name, &index);
        if (err)
            return err;
        add_text(making->template, str_from(rest.ptr + from, at - from));
        add_part(making->template, (struct part){.kind = PART_INSERTED, .name = index});
        at = from = at + name.len + 2;
    }
    add_text(making->template, str_skip(rest, from));
    add_text(making->template, STR("\""));
    return ERR_NONE;
}

/* Depth is bounded by json_check. */
static enum err add_value(const struct making *making, struct json_value value)
{
    struct str key;
    struct json_value item;
    bool first = true;
    if (value.type == JSON_STRING)
        return add_string(making, value.raw);
    if (value.type != JSON_OBJECT && value.type != JSON_ARRAY) {
        add_text(making->template, value.raw);
        return ERR_NONE;
    }
    add_text(making->template, value.type == JSON_OBJECT ? STR("{") : STR("["));
    struct json_cursor cursor = json_walk(value);
    while (json_next(&cursor, &key, &item)) {
        if (!first)
            add_text(making->template, STR(","));
        first = false;
        if (value.type == JSON_OBJECT) {
            add_text(making->template, str_from(key.ptr - 1, key.len + 2));
            add_text(making->template, STR(":"));
        }
        enum err err = add_value(making, item);
        if (err)
            return err;
    }
    add_text(making->template, value.type == JSON_OBJECT ? STR("}") : STR("]"));
    return ERR_NONE;
}

enum err json_template_create(struct str text, const char *const *names, size_t count, struct json_template **out,
                              struct error *error)
{
    struct json_value value;
    *out = NULL;
    enum err err = json_check(text, NULL, &value, error);
    if (err)
        return err;
    struct json_template *template = xcalloc(1, sizeof *template);
    const struct making making = {template, names, count, error};
    err = add_value(&making, value);
    if (err) {
        json_template_free(template);
        return err;
    }
    *out = template;
    return ERR_NONE;
}

void json_template_free(struct json_template *template)
{
    if (!template)
        return;
    free(template->parts);
    buf_fini(&template->bytes);
    free(template);
}

bool json_template_has(const struct json_template *template, size_t name)
{
    for (size_t i = 0; i < template->count; i++)
        if (template->parts[i].kind != PART_TEXT && template->parts[i].name == name)
            return true;
    return false;
}

static void write_whole(const struct json_filling *filling, struct buf *out)
{
    if (!filling->json)
        json_append_string(out, filling->text);
    else if (filling->text.len == 0)
        buf_append_lit(out, "null");
    else
        buf_append(out, filling->text);
}

/* A string value is escaped already: it loses its quotes. */
static void write_inserted(const struct json_filling *filling, struct buf *out)
{
    if (filling->json && filling->text.len && filling->text.ptr[0] == '"')
        buf_append(out, str_from(filling->text.ptr + 1, filling->text.len - 2));
    else
        json_append_escaped(out, filling->text);
}

void json_template_write(const struct json_template *template, const struct json_filling *fillings, struct buf *out)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct part *part = &template->parts[i];
        switch (part->kind) {
        case PART_TEXT: buf_append(out, str_from(template->bytes.ptr + part->from, part->len)); break;
        case PART_INSERTED: write_inserted(&fillings[part->name], out); break;
        case PART_WHOLE: write_whole(&fillings[part->name], out); break;
        }
    }
}
