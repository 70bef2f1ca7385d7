/* json_walk.c - walks a value that json_check has passed: see json.h. The walk trusts the grammar, so it only looks for
 * the ends of values. */
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
