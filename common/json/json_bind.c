/* json_bind.c - fills a table of fields from an object: see json.h. */
#include <assert.h>
#include <stdio.h>

#include "common/json/json.h"

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

static enum err bind(struct json_value value, const char *where, const struct json_field *fields, size_t count,
                     bool null_is_absent, struct error *error)
{
    assert(count <= FIELDS_MAX);
    if (value.type != JSON_OBJECT)
        return wrong_type(where, "", JSON_OBJECT, value.type, error);
    uint64_t seen = 0;
    struct str key;
    struct json_value item;
    struct json_cursor cursor = json_walk(value);
    while (json_next(&cursor, &key, &item)) {
        size_t i = find_field(fields, count, key);
        if (i == count)
            continue;
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
            return fail(where, fields[i].name, "is missing", error);
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
