/* members.c - see members.h. */
#include "common/token/members.h"

#include "common/base/map.h"

enum { MEMBERS_MAX = 1024 };

static bool has_escape(struct str raw_key)
{
    return raw_key.len > 0 && memchr(raw_key.ptr, '\\', raw_key.len);
}

enum err members_are_unique(struct json_value object, struct error *error)
{
    static char present; /* any pointer that is not NULL */
    char quoted[ERROR_QUOTE_LEN];
    struct map seen = {0};
    struct buf names = {0}; /* of the escaped names; reserved at once, so that the map's keys do not move */
    enum err err = ERR_NONE;
    struct str key;
    struct json_value item;
    struct json_cursor at = json_walk(object);
    while (!err && json_next(&at, &key, &item)) {
        if (has_escape(key)) {
            struct json_value name = {.type = JSON_STRING, .raw = str_from(key.ptr - 1, key.len + 2)};
            buf_reserve(&names, names.cap ? 0 : object.raw.len);
            if (!json_text(name, &names, &key)) {
                err = error_set(error, ERR_INVALID_REQUEST, "a member's name holds a NUL");
                continue;
            }
        }
        if (map_put(&seen, key, &present))
            err = error_set(error, ERR_INVALID_REQUEST, "the member %s is given twice", error_quote(key, quoted));
        else if (seen.count > MEMBERS_MAX)
            err = error_set(error, ERR_INVALID_REQUEST, "more than %d members", MEMBERS_MAX);
    }
    map_fini(&seen);
    buf_fini(&names);
    return err;
}
