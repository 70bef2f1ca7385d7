/* json_match.c - see json_match.h. */
#include "server/dev/json_match.h"

#include <stdlib.h>

static double number_of(struct json_value value)
{
    char text[64];
    size_t len = value.raw.len < sizeof text - 1 ? value.raw.len : sizeof text - 1;
    memcpy(text, value.raw.ptr, len);
    text[len] = '\0';
    return strtod(text, NULL);
}

static bool same_text(struct json_value a, struct json_value b)
{
    struct buf scratch[2] = {{0}, {0}};
    struct str text[2];
    bool same = str_eq(a.raw, b.raw) || (json_text(a, &scratch[0], &text[0]) && json_text(b, &scratch[1], &text[1]) &&
                                         str_eq(text[0], text[1]));
    buf_fini(&scratch[0]);
    buf_fini(&scratch[1]);
    return same;
}

static struct json_value member_named(struct json_value object, struct str raw_name)
{
    struct json_cursor cursor = json_walk(object);
    struct str name;
    struct json_value value;
    while (json_next(&cursor, &name, &value))
        if (str_eq(name, raw_name))
            return value;
    return (struct json_value){0};
}

static bool objects_match(struct json_value pattern, struct json_value value)
{
    struct json_cursor cursor = json_walk(pattern);
    struct str name;
    struct json_value wanted;
    while (json_next(&cursor, &name, &wanted)) {
        struct json_value found = member_named(value, name);
        if (!found.type || !json_matches(wanted, found))
            return false;
    }
    return true;
}

static bool arrays_match(struct json_value pattern, struct json_value value)
{
    struct json_cursor wanted_at = json_walk(pattern), found_at = json_walk(value);
    struct str none;
    struct json_value wanted, found;
    for (;;) {
        bool more = json_next(&wanted_at, &none, &wanted);
        if (json_next(&found_at, &none, &found) != more)
            return false;
        if (!more)
            return true;
        if (!json_matches(wanted, found))
            return false;
    }
}

bool json_matches(struct json_value pattern, struct json_value value)
{
    if (pattern.type != value.type)
        return false;
    switch (pattern.type) {
    case JSON_OBJECT: return objects_match(pattern, value);
    case JSON_ARRAY: return arrays_match(pattern, value);
    case JSON_NUMBER: return str_eq(pattern.raw, value.raw) || number_of(pattern) == number_of(value);
    case JSON_STRING: return same_text(pattern, value);
    default: return str_eq(pattern.raw, value.raw);
    }
}
