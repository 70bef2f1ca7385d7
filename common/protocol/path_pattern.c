/* path_pattern.c - see path_pattern.h. */
#include "common/protocol/path_pattern.h"

#include "common/base/percent.h"
#include "common/protocol/channel_name.h"

/* A walk over segments: struct str rest = segments(path); while (rest.ptr) segment = str_split(&rest, '/'). */
static struct str segments(struct str path)
{
    return path.len > 0 && path.ptr[0] == '/' ? str_skip(path, 1) : str_from(NULL, 0);
}

static bool is_name(struct str segment)
{
    return segment.len > 0 && segment.ptr[0] == '{';
}

/* Of a segment that is_name. */
static struct str name_of(struct str segment)
{
    return str_from(segment.ptr + 1, segment.len - 2);
}

/* Appends the value that a segment gives to a name. False: it cannot be one. */
static bool decode(struct str segment, struct buf *out)
{
    size_t before = out->len;
    if (segment.len > 3 * CHANNEL_NAME_MAX || !percent_decode(segment, out))
        return false;
    struct str value = str_skip(buf_str(out), before);
    return channel_name_check(value, NULL) == ERR_NONE && !memchr(value.ptr, '/', value.len) &&
           !str_eq(value, STR(".")) && !str_eq(value, STR(".."));
}

static bool can_be_value(struct str segment)
{
    struct buf value = {0};
    bool fits = decode(segment, &value);
    buf_fini(&value);
    return fits;
}

/* --- the check -------------------------------------------------------------------------------------------------- */

static bool has_only(struct str text, const char *more)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && !strchr(more, c))
            return false;
    }
    return true;
}

static const char *what_is_wrong_with_name(struct str name, const struct str *names, size_t count)
{
    if (name.len == 0 || !has_only(name, "_-"))
        return "a name in braces is letters, digits, _ and -";
    if (str_eq(name, STR("sub")) || str_eq(name, STR("session_id")))
        return "the names sub and session_id are taken: templates fill them from the token and the session";
    for (size_t i = 0; i < count; i++)
        if (str_eq(name, names[i]))
            return "the same name is there twice";
    return count == PATH_NAMES_MAX ? "a path has at most 8 names" : NULL;
}

static const char *what_is_wrong(struct str pattern)
{
    struct str names[PATH_NAMES_MAX];
    size_t count = 0;
    if (pattern.len == 0 || pattern.ptr[0] != '/')
        return "a path begins with /";
    for (size_t i = 0; i < pattern.len; i++)
        if (pattern.ptr[i] <= ' ' || pattern.ptr[i] >= 0x7F || strchr("?#%\"\\", pattern.ptr[i]))
            return "a path has no ?, #, %, quotes, backslashes, spaces or characters that are not ASCII";
    for (struct str rest = segments(pattern); rest.ptr;) {
        struct str segment = str_split(&rest, '/');
        bool open = memchr(segment.ptr, '{', segment.len), close = memchr(segment.ptr, '}', segment.len);
        if (!open && !close)
            continue;
        if (!is_name(segment) || segment.ptr[segment.len - 1] != '}')
            return "a name in braces takes a whole segment, such as /chat/{id}";
        const char *wrong = what_is_wrong_with_name(name_of(segment), names, count);
        if (wrong)
            return wrong;
        names[count++] = name_of(segment);
    }
    return NULL;
}

enum err path_pattern_check(struct str pattern, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    const char *wrong = what_is_wrong(pattern);
    return wrong ? error_set(error, ERR_INVALID_REQUEST, "found %s, but %s", error_quote(pattern, quoted), wrong)
                 : ERR_NONE;
}

/* --- the match -------------------------------------------------------------------------------------------------- */

bool path_pattern_has_names(struct str pattern)
{
    return memchr(pattern.ptr, '{', pattern.len) != NULL;
}

bool path_pattern_fits(struct str pattern, struct str path)
{
    struct str left = segments(pattern), right = segments(path);
    while (left.ptr && right.ptr) {
        struct str wanted = str_split(&left, '/'), found = str_split(&right, '/');
        if (is_name(wanted) ? !can_be_value(found) : !str_eq(wanted, found))
            return false;
    }
    return !left.ptr && !right.ptr;
}

size_t path_pattern_values(struct str pattern, struct str path, struct buf *scratch,
                           struct path_value out[PATH_NAMES_MAX])
{
    size_t count = 0;
    buf_clear(scratch);
    buf_reserve(scratch, path.len); /* the values do not move */
    for (struct str left = segments(pattern), right = segments(path); left.ptr && right.ptr;) {
        struct str wanted = str_split(&left, '/'), found = str_split(&right, '/');
        size_t before = scratch->len;
        if (is_name(wanted) && decode(found, scratch))
            out[count++] = (struct path_value){name_of(wanted), str_skip(buf_str(scratch), before)};
    }
    return count;
}

static bool overlap(struct str a, struct str b)
{
    if (is_name(a))
        return is_name(b) || can_be_value(b);
    return is_name(b) ? can_be_value(a) : str_eq(a, b);
}

bool path_patterns_overlap(struct str a, struct str b)
{
    struct str left = segments(a), right = segments(b);
    while (left.ptr && right.ptr) {
        struct str one = str_split(&left, '/'), other = str_split(&right, '/');
        if (!overlap(one, other))
            return false;
    }
    return !left.ptr && !right.ptr;
}
