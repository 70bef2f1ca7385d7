/* json_check.c - the validator: see json.h. Every publication passes it, so it makes one pass without recursion or
 * allocation. A small stack has one bit for each depth: the kind of container that is open there. */
#include "common/json/json.h"
#include "common/json/json_scan.h"

enum { DEPTH_DEFAULT = 32, VALUES_DEFAULT = 100000 };

/* The next tokens that the grammar allows. */
enum expect { VALUE, ELEMENT_OR_END, MEMBER_OR_END, MEMBER, COMMA_OR_END, NOTHING };

struct scan {
    const char *start;
    const char *at;
    const char *end;
    struct error *error;
    enum expect expect;
    unsigned depth;
    unsigned depth_max;
    unsigned deepest;
    size_t values_left;
    size_t values_max;
    uint64_t objects[JSON_DEPTH_MAX / 64]; /* bit d: the container at depth d + 1 is an object */
};

static enum err fail_at(struct scan *scan, const char *at, const char *expected)
{
    size_t offset = (size_t)(at - scan->start);
    if (at >= scan->end)
        return error_set(scan->error, ERR_INVALID_REQUEST, "byte %zu: expected %s, found the end of the text", offset,
                         expected);
    unsigned char found = (unsigned char)*at;
    if (found > 0x20 && found < 0x7F)
        return error_set(scan->error, ERR_INVALID_REQUEST, "byte %zu: expected %s, found '%c'", offset, expected,
                         found);
    return error_set(scan->error, ERR_INVALID_REQUEST, "byte %zu: expected %s, found byte 0x%02X", offset, expected,
                     found);
}

static enum err fail(struct scan *scan, const char *expected)
{
    return fail_at(scan, scan->at, expected);
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

static bool in_object(const struct scan *scan)
{
    unsigned top = scan->depth - 1;
    return scan->objects[top / 64] >> (top % 64) & 1;
}

static enum err open_container(struct scan *scan, bool object)
{
    if (scan->depth == scan->depth_max)
        return error_set(scan->error, ERR_INVALID_REQUEST, "byte %zu: nested more than %u deep",
                         (size_t)(scan->at - scan->start), scan->depth_max);
    unsigned top = scan->depth++;
    if (scan->depth > scan->deepest)
        scan->deepest = scan->depth;
    uint64_t bit = (uint64_t)1 << (top % 64);
    if (object)
        scan->objects[top / 64] |= bit;
    else
        scan->objects[top / 64] &= ~bit;
    scan->at++;
    scan->expect = object ? MEMBER_OR_END : ELEMENT_OR_END;
    return ERR_NONE;
}

static void value_ended(struct scan *scan)
{
    scan->expect = scan->depth ? COMMA_OR_END : NOTHING;
}

static void close_container(struct scan *scan)
{
    scan->depth--;
    scan->at++;
    value_ended(scan);
}

/* at is at the opening quote; afterwards behind the closing one. */
static enum err scan_string(struct scan *scan)
{
    const char *at = scan->at + 1;
    for (;;) {
        at = json_plain_end(at, scan->end);
        if (at == scan->end)
            return fail_at(scan, at, "'\"' at the end of the string");
        uint32_t code;
        size_t len;
        if (*at == '"')
            break;
        if (*at == '\\') {
            len = json_escape(str_from(at, (size_t)(scan->end - at)), &code);
            if (len == 0)
                return error_set(scan->error, ERR_INVALID_REQUEST, "byte %zu: not a valid escape",
                                 (size_t)(at - scan->start));
        } else if ((unsigned char)*at < 0x20) {
            return error_set(scan->error, ERR_INVALID_REQUEST,
                             "byte %zu: control character 0x%02X in a string must be escaped",
                             (size_t)(at - scan->start), (unsigned)*at);
        } else {
            len = str_utf8_next(str_from(at, (size_t)(scan->end - at)), &code);
            if (len == 0)
                return error_set(scan->error, ERR_INVALID_REQUEST, "byte %zu: not valid UTF-8",
                                 (size_t)(at - scan->start));
        }
        at += len;
    }
    scan->at = at + 1;
    return ERR_NONE;
}

static bool skip_digits(struct scan *scan)
{
    const char *from = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > from;
}

static bool skip_char(struct scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static enum err scan_number(struct scan *scan)
{
    skip_char(scan, '-');
    if (!skip_char(scan, '0') && !skip_digits(scan))
        return fail(scan, "a digit");
    if (skip_char(scan, '.') && !skip_digits(scan))
        return fail(scan, "a digit");
    if (skip_char(scan, 'e') || skip_char(scan, 'E')) {
        if (!skip_char(scan, '+'))
            skip_char(scan, '-');
        if (!skip_digits(scan))
            return fail(scan, "a digit");
    }
    return ERR_NONE;
}

static enum err scan_word(struct scan *scan, struct str word, const char *expected)
{
    for (size_t i = 0; i < word.len; i++)
        if (!skip_char(scan, word.ptr[i]))
            return fail(scan, expected);
    return ERR_NONE;
}

static enum err scan_scalar(struct scan *scan)
{
    switch (*scan->at) {
    case '"': return scan_string(scan);
    case 't': return scan_word(scan, STR("true"), "true");
    case 'f': return scan_word(scan, STR("false"), "false");
    case 'n': return scan_word(scan, STR("null"), "null");
    default: break;
    }
    if (*scan->at == '-' || (*scan->at >= '0' && *scan->at <= '9'))
        return scan_number(scan);
    return fail(scan, "a value");
}

static enum err scan_value(struct scan *scan)
{
    if (scan->at == scan->end)
        return fail(scan, "a value");
    if (scan->values_left-- == 0)
        return error_set(scan->error, ERR_INVALID_REQUEST, "byte %zu: more than %zu values",
                         (size_t)(scan->at - scan->start), scan->values_max);
    if (*scan->at == '{' || *scan->at == '[')
        return open_container(scan, *scan->at == '{');
    enum err err = scan_scalar(scan);
    value_ended(scan);
    return err;
}

/* A member's name and colon. */
static enum err scan_name(struct scan *scan, const char *expected)
{
    if (scan->at == scan->end || *scan->at != '"')
        return fail(scan, expected);
    enum err err = scan_string(scan);
    if (err)
        return err;
    skip_space(scan);
    if (!skip_char(scan, ':'))
        return fail(scan, "':'");
    scan->expect = VALUE;
    return ERR_NONE;
}

static enum err step(struct scan *scan)
{
    char next = scan->at < scan->end ? *scan->at : '\0';
    switch (scan->expect) {
    case ELEMENT_OR_END:
        if (next == ']') {
            close_container(scan);
            return ERR_NONE;
        }
        return scan_value(scan);
    case MEMBER_OR_END:
        if (next == '}') {
            close_container(scan);
            return ERR_NONE;
        }
        return scan_name(scan, "a member name or '}'");
    case MEMBER: return scan_name(scan, "a member name");
    case COMMA_OR_END:
        if (next == ',') {
            scan->at++;
            scan->expect = in_object(scan) ? MEMBER : VALUE;
            return ERR_NONE;
        }
        if (next != (in_object(scan) ? '}' : ']'))
            return fail(scan, in_object(scan) ? "',' or '}'" : "',' or ']'");
        close_container(scan);
        return ERR_NONE;
    default: return scan_value(scan);
    }
}

enum err json_check(struct str text, const struct json_limits *limits, struct json_value *out, struct error *error)
{
    struct scan scan = {.start = text.ptr, .at = text.ptr, .end = text.ptr + text.len, .error = error, .expect = VALUE};
    scan.depth_max = limits && limits->depth ? limits->depth : DEPTH_DEFAULT;
    if (scan.depth_max > JSON_DEPTH_MAX)
        scan.depth_max = JSON_DEPTH_MAX;
    scan.values_max = limits && limits->values ? limits->values : VALUES_DEFAULT;
    scan.values_left = scan.values_max;
    skip_space(&scan);
    const char *first = scan.at;
    while (scan.expect != NOTHING) {
        skip_space(&scan);
        enum err err = step(&scan);
        if (err)
            return err;
    }
    struct str raw = str_from(first, (size_t)(scan.at - first));
    skip_space(&scan);
    if (scan.at != scan.end)
        return fail(&scan, "the end of the text");
    *out = json_value_of(raw);
    out->depth = scan.deepest;
    return ERR_NONE;
}
