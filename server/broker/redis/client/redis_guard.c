/* redis_guard.c - see redis_guard.h. */
#include "server/broker/redis/client/redis_guard.h"

enum { LENGTH_DIGITS_MAX = 15 };

static enum err malformed(struct error *error, const char *what)
{
    return error_set(error, ERR_INVALID_REQUEST, "%s", what);
}

static enum err too_long(const struct redis_guard *guard, struct error *error)
{
    return error_set(error, ERR_INVALID_REQUEST, "a reply of more than %llu bytes",
                     (unsigned long long)guard->bytes_max);
}

/* A value has ended. The arrays in which it was the last one end with it. */
static void end_value(struct redis_guard *guard)
{
    guard->state = GUARD_TYPE;
    while (guard->depth && --guard->left[guard->depth - 1] == 0)
        guard->depth--;
    if (guard->depth)
        return;
    guard->replies++;
    guard->bytes = guard->elements = 0;
}

static enum err begin_value(struct redis_guard *guard, char type, struct error *error)
{
    guard->type = type;
    guard->negative = false;
    guard->digits = 0;
    guard->length = guard->skip = 0;
    if (type == '*' || type == '$')
        guard->state = GUARD_LENGTH;
    else if (type == '+' || type == '-' || type == ':')
        guard->state = GUARD_LINE;
    else
        return malformed(error, "a reply of no known type");
    return ERR_NONE;
}

static enum err begin_array(struct redis_guard *guard, struct error *error)
{
    if (guard->length > REDIS_ELEMENTS_MAX - guard->elements)
        return error_set(error, ERR_INVALID_REQUEST, "a reply of more than %d elements", REDIS_ELEMENTS_MAX);
    if (guard->depth == REDIS_DEPTH_MAX)
        return error_set(error, ERR_INVALID_REQUEST, "a reply of more than %d arrays within each other",
                         REDIS_DEPTH_MAX);
    guard->elements += guard->length;
    guard->left[guard->depth++] = guard->length;
    guard->state = GUARD_TYPE;
    return ERR_NONE;
}

/* Takes the length of a text or an array. */
static enum err end_length(struct redis_guard *guard, struct error *error)
{
    if (guard->digits == 0 || (guard->negative && guard->length != 1))
        return malformed(error, "a length that is no number");
    if (guard->negative || (guard->type == '*' && guard->length == 0)) {
        end_value(guard);
        return ERR_NONE;
    }
    if (guard->type == '*')
        return begin_array(guard, error);
    if (guard->length > guard->bytes_max - guard->bytes)
        return too_long(guard, error);
    guard->bytes += guard->length;
    guard->skip = guard->length + 2;
    guard->state = GUARD_TEXT;
    return ERR_NONE;
}

static enum err take_length(struct redis_guard *guard, char c, struct error *error)
{
    if (c >= '0' && c <= '9' && guard->digits < LENGTH_DIGITS_MAX) {
        guard->length = guard->length * 10 + (uint64_t)(c - '0');
        guard->digits++;
    } else if (c == '-' && !guard->digits && !guard->negative) {
        guard->negative = true;
    } else if (c == '\r') {
        guard->state = GUARD_LENGTH_END;
    } else {
        return malformed(error, "a length that is no number");
    }
    return ERR_NONE;
}

static enum err take_line(struct redis_guard *guard, char c, struct error *error)
{
    if (c == '\r')
        guard->state = GUARD_LINE_END;
    else if (c == '\n')
        return malformed(error, "a line that does not end as lines do");
    else if (++guard->skip > REDIS_LINE_MAX)
        return malformed(error, "a line that is too long");
    else if (++guard->bytes > guard->bytes_max)
        return too_long(guard, error);
    return ERR_NONE;
}

/* Takes the bytes of a text that are there, and returns how many. The last two bytes of a text end its line. */
static size_t take_text(struct redis_guard *guard, struct str bytes, struct error *error, enum err *err)
{
    size_t body = guard->skip > 2 ? (size_t)(guard->skip - 2) : 0;
    size_t taken = bytes.len < body ? bytes.len : body;
    guard->skip -= taken;
    while (taken < bytes.len && guard->skip && !*err) {
        if (bytes.ptr[taken++] != (guard->skip == 2 ? '\r' : '\n'))
            *err = malformed(error, "a text that is not as long as it says");
        else if (--guard->skip == 0)
            end_value(guard);
    }
    return taken;
}

enum err redis_guard_take(struct redis_guard *guard, struct str bytes, struct error *error)
{
    enum err err = ERR_NONE;
    for (size_t at = 0; at < bytes.len && !err;) {
        char c = bytes.ptr[at];
        switch (guard->state) {
        case GUARD_TEXT: at += take_text(guard, str_skip(bytes, at), error, &err); continue;
        case GUARD_TYPE: err = begin_value(guard, c, error); break;
        case GUARD_LENGTH: err = take_length(guard, c, error); break;
        case GUARD_LENGTH_END:
            err = c == '\n' ? end_length(guard, error) : malformed(error, "a line that does not end as lines do");
            break;
        case GUARD_LINE: err = take_line(guard, c, error); break;
        case GUARD_LINE_END:
            if (c != '\n')
                err = malformed(error, "a line that does not end as lines do");
            else
                end_value(guard);
            break;
        }
        at++;
    }
    return err;
}
