/* dev_json.c - see dev_json.h. */
#include "server/dev/dev_json.h"

#include "common/base/clock.h"
#include "common/options/option_value.h"

static bool is_field(struct str name, const struct json_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (json_key_is(name, str_from_cstr(fields[i].name)))
            return true;
    return false;
}

static enum err refuse_name(const char *where, struct str name, const struct json_field *fields, size_t count,
                            struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    struct buf names = {0};
    for (size_t i = 0; i < count; i++)
        buf_appendf(&names, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", fields[i].name);
    error_set(error, ERR_INVALID_REQUEST, "%s%s%s is not known here; expected %s", where, *where ? ": " : "",
              error_quote(name, quoted), count ? buf_cstr(&names) : "no members");
    buf_fini(&names);
    return ERR_INVALID_REQUEST;
}

enum err dev_json_bind_object(struct json_value object, const char *where, const struct json_field *fields,
                              size_t count, struct error *error)
{
    enum err err = json_bind_given(object, where, fields, count, error);
    if (err != ERR_NONE)
        return err;
    struct json_cursor cursor = json_walk(object);
    struct str name;
    struct json_value value;
    while (json_next(&cursor, &name, &value))
        if (!is_field(name, fields, count))
            return refuse_name(where, name, fields, count, error);
    return ERR_NONE;
}

enum err dev_json_bind(struct str body, const struct json_field *fields, size_t count, struct error *error)
{
    struct json_value object;
    enum err err = json_check(body.len ? body : STR("{}"), NULL, &object, error);
    return err ? err : dev_json_bind_object(object, "", fields, count, error);
}

/* The text of a string without escapes, which times have none of; empty for any other value. */
static struct str plain_text(struct json_value value)
{
    return value.type == JSON_STRING ? str_from(value.raw.ptr + 1, value.raw.len - 2) : value.raw;
}

enum err dev_json_duration(struct json_value value, const char *name, uint64_t *out_ms, struct error *error)
{
    if (option_number_parse(OPTION_DURATION, plain_text(value), out_ms))
        return ERR_NONE;
    char quoted[ERROR_QUOTE_LEN];
    return error_set(error, ERR_INVALID_REQUEST,
                     "%s: expected a duration such as \"250ms\", \"31s\" or \"5m\"; found %s", name,
                     error_quote(value.raw, quoted));
}

enum err dev_json_time(struct json_value value, const char *name, uint64_t *out_ms, struct error *error)
{
    if (clock_parse(plain_text(value), out_ms))
        return ERR_NONE;
    char quoted[ERROR_QUOTE_LEN];
    return error_set(error, ERR_INVALID_REQUEST, "%s: expected a time such as \"2026-01-15T10:30:00Z\"; found %s", name,
                     error_quote(value.raw, quoted));
}
