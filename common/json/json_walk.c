/* json_walk.c - walks a value that json_check has passed, and binds an object's members to a table of fields: see
 * json.h. The walk trusts the grammar, so it only looks for the ends of values. */
#include <assert.h>
#include <stdio.h>

#include "common/json/json.h"
#include "common/json/json_scan.h"

struct json_value json_value_of(struct str raw)
{
    if (raw.len == 0)
        return (struct json_value){0};
    enum json_type type;
    switch (raw.ptr[0]) {
    case '{': type = JSON_OBJECT; break;
    case '[': type = JSON_ARRAY; break;
    case '"': type = JSON_STRING; break;
    case 't':
    case 'f': type = JSON_BOOL; break;
    case 'n': type = JSON_NULL; break;
    default: type = JSON_NUMBER; break;
    }
    return (struct json_value){.type = type, .raw = raw};
}

/* Past the space and the one separator that can stand before the next name or value. */
static const char *skip_between(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t' || *at == ',' || *at == ':'))
        at++;
    return at;
}

/* at is at the opening quote; returns what comes after the closing one. */
static const char *skip_string(const char *at, const char *end)
{
    at++;
    for (;;) {
        at = json_plain_end(at, end);
        if (at >= end)
            return end;
        if (*at == '"')
            return at + 1;
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    }
}

static const char *skip_container(const char *at, const char *end, unsigned *out_depth)
{
    unsigned depth = 0, deepest = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        if (*at == '{' || *at == '[') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        } else if ((*at == '}' || *at == ']') && --depth == 0) {
            at++;
            break;
        }
        at++;
    }
    *out_depth = deepest;
    return at;
}

static const char *skip_value(const char *at, const char *end, unsigned *out_depth)
{
    *out_depth = 0;
    if (*at == '"')
        return skip_string(at, end);
    if (*at == '{' || *at == '[')
        return skip_container(at, end, out_depth);
    while (at < end && *at != ',' && *at != ' ' && *at != '\n' && *at != '\r' && *at != '\t')
        at++;
    return at;
}

struct json_cursor json_walk(struct json_value container)
{
    if (container.type != JSON_OBJECT && container.type != JSON_ARRAY)
        return (struct json_cursor){0};
    return (struct json_cursor){
        .at = container.raw.ptr + 1,
        .end = container.raw.ptr + container.raw.len - 1, /* without the closing bracket */
        .object = container.type == JSON_OBJECT,
    };
}

bool json_next(struct json_cursor *cursor, struct str *out_key, struct json_value *out_value)
{
    const char *at = skip_between(cursor->at, cursor->end);
    if (at == cursor->end)
        return false;
    struct str key = STR("");
    if (cursor->object) {
        const char *name = at + 1;
        at = skip_string(at, cursor->end);
        key = str_from(name, (size_t)(at - name) - 1);
        at = skip_between(at, cursor->end);
    }
    const char *value = at;
    unsigned depth;
    at = skip_value(at, cursor->end, &depth);
    cursor->at = at;
    *out_key = key;
    *out_value = json_value_of(str_from(value, (size_t)(at - value)));
    out_value->depth = depth;
    return true;
}

struct json_value json_member(struct json_value object, struct str name)
{
    if (object.type != JSON_OBJECT)
        return (struct json_value){0};
    struct str key;
    struct json_value value;
    struct json_cursor cursor = json_walk(object);
    while (json_next(&cursor, &key, &value))
        if (json_key_is(key, name))
            return value;
    return (struct json_value){0};
}

/* --- binding --------------------------------------------------------------------------------------------------- */

enum { FIELDS_MAX = 64 };

const char *json_types_text(unsigned types, char out[JSON_TYPES_LEN])
{
    static const struct {
        unsigned type;
        const char *text;
    } names[] = {
        {JSON_STRING, "a string"},  {JSON_NUMBER, "a number"}, {JSON_BOOL, "a boolean"},
        {JSON_OBJECT, "an object"}, {JSON_ARRAY, "an array"},  {JSON_NULL, "null"},
    };
    if (types == 0 || types == JSON_ANY) {
        snprintf(out, JSON_TYPES_LEN, "%s", types ? "any value" : "nothing");
        return out;
    }
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!(types & names[i].type))
            continue;
        types &= ~names[i].type;
        const char *glue = len == 0 ? "" : types ? ", " : " or ";
        len += (size_t)snprintf(out + len, JSON_TYPES_LEN - len, "%s%s", glue, names[i].text);
    }
    return out;
}

/* where and name with a dot between them where both are there. */
static enum err fail(const char *where, const char *name, const char *what, struct error *error)
{
    const char *dot = where[0] && name[0] ? "." : "";
    const char *colon = where[0] || name[0] ? ": " : "";
    return error_set(error, ERR_INVALID_REQUEST, "%s%s%s%s%s", where, dot, name, colon, what);
}

static enum err wrong_type(const char *where, const char *name, unsigned expected, enum json_type found,
                           struct error *error)
{
    char expected_text[JSON_TYPES_LEN], found_text[JSON_TYPES_LEN], what[2 * JSON_TYPES_LEN + 32];
    snprintf(what, sizeof what, "expected %s, found %s", json_types_text(expected, expected_text),
             json_types_text(found, found_text));
    return fail(where, name, what, error);
}

/* The index of the field for this key, or count. */
static size_t find_field(const struct json_field *fields, size_t count, struct str key)
{
    size_t i = 0;
    while (i < count && !json_key_is(key, str_from_cstr(fields[i].name)))
        i++;
    return i;
}

/* A member that nobody knows is the missing one with a slip, more often than not. */
static enum err missing(const char *where, const char *name, struct str unknown, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN], what[ERROR_QUOTE_LEN + 40];
    if (unknown.len == 0)
        return fail(where, name, "is missing", error);
    snprintf(what, sizeof what, "is missing; the member %s is unknown", error_quote(unknown, quoted));
    return fail(where, name, what, error);
}

static enum err bind(struct json_value value, const char *where, const struct json_field *fields, size_t count,
                     bool null_is_absent, struct error *error)
{
    assert(count <= FIELDS_MAX);
    if (value.type != JSON_OBJECT)
        return wrong_type(where, "", JSON_OBJECT, value.type, error);
    uint64_t seen = 0;
    struct str key, unknown = STR("");
    struct json_value item;
    struct json_cursor cursor = json_walk(value);
    while (json_next(&cursor, &key, &item)) {
        size_t i = find_field(fields, count, key);
        if (i == count) {
            if (null_is_absent && unknown.len == 0)
                unknown = key;
            continue;
        }
        if (seen >> i & 1)
            return fail(where, fields[i].name, "given twice", error);
        seen |= (uint64_t)1 << i;
        if (null_is_absent && item.type == JSON_NULL && !fields[i].required)
            continue;
        if (!(fields[i].types & item.type))
            return wrong_type(where, fields[i].name, fields[i].types, item.type, error);
        *fields[i].out = item;
    }
    for (size_t i = 0; i < count; i++)
        if (fields[i].required && !(seen >> i & 1))
            return missing(where, fields[i].name, unknown, error);
    return ERR_NONE;
}

enum err json_bind(struct json_value value, const char *where, const struct json_field *fields, size_t count,
                   struct error *error)
{
    return bind(value, where, fields, count, false, error);
}

enum err json_bind_given(struct json_value value, const char *where, const struct json_field *fields, size_t count,
                         struct error *error)
{
    return bind(value, where, fields, count, true, error);
}
