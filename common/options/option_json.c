/* option_json.c - sets one member of the struct from JSON: a value, or a list of values. A refused value changes
 * nothing, as in option_text.c. */
#include "common/options/option_json.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/options/option_text.h"

bool option_refuse_json(const struct option_row *row, const struct option_place *place, struct json_value value)
{
    char found[JSON_TYPES_LEN + ERROR_QUOTE_LEN];
    if (option_is_secret(row->type) || value.type & (JSON_ARRAY | JSON_OBJECT))
        json_types_text(value.type, found);
    else if (value.type == JSON_STRING)
        error_quote(str_from(value.raw.ptr + 1, value.raw.len - 2), found);
    else
        snprintf(found, sizeof found, "%.*s", (int)(value.raw.len < 40 ? value.raw.len : 40), value.raw.ptr);
    return option_refuse(row, place, value.raw.ptr, found);
}

/* The text of a JSON string that the row can have; false: complained. */
static bool valid_json_text(const struct option_row *row, struct json_value value, struct buf *scratch, struct str *out,
                            const struct option_place *place)
{
    if (value.type != JSON_STRING)
        return option_refuse_json(row, place, value);
    if (!json_text(value, scratch, out)) {
        option_complain(place, value.raw.ptr, row->key, "the text has a NUL character");
        return false;
    }
    return true;
}

static bool set_json_strings(const struct option_row *row, struct json_value value, const struct option_place *place,
                             void *options)
{
    struct option_strings list = {0};
    struct json_cursor at = json_walk(value);
    struct json_value item;
    struct str key, text = {0};
    bool good = true;
    while (json_next(&at, &key, &item)) {
        struct buf scratch = {0};
        bool valid =
            valid_json_text(row, item, &scratch, &text, place) && option_text_is_valid(row, text, item.raw.ptr, place);
        if (valid)
            option_add_string(&list, text);
        good = good && valid;
        buf_fini(&scratch);
    }
    if (good)
        option_put_list(row, list.items, list.count, options);
    else
        option_free_strings(&list);
    return good;
}

static bool set_json_numbers(const struct option_row *row, struct json_value value, const struct option_place *place,
                             void *options)
{
    struct option_numbers list = {0};
    struct json_cursor at = json_walk(value);
    struct json_value item;
    struct str key;
    bool good = true;
    while (json_next(&at, &key, &item)) {
        uint64_t number = 0;
        if (!option_text_is_valid(row, key, key.ptr, place)) {
            good = false;
        } else if (item.type != JSON_NUMBER || !json_u64(item, &number) || !option_in_range(row, OPTION_INT, number)) {
            good = option_refuse_json(row, place, item);
        }
        for (size_t i = 0; i < list.count; i++) {
            if (str_eq_cstr(key, list.items[i].name)) {
                option_complain(place, key.ptr, row->key, "\"%s\" is given twice", list.items[i].name);
                good = false;
            }
        }
        list.items = xrealloc(list.items, (list.count + 1) * sizeof *list.items);
        list.items[list.count++] = (struct option_number){str_dup(key), number};
    }
    if (good) {
        option_put_list(row, list.items, list.count, options);
        return true;
    }
    for (size_t i = 0; i < list.count; i++)
        free(list.items[i].name);
    free(list.items);
    return false;
}

static bool set_json_string(const struct option_row *row, struct json_value value, const struct option_place *place,
                            void *options)
{
    struct buf scratch = {0};
    struct str text = {0};
    bool good = valid_json_text(row, value, &scratch, &text, place) &&
                option_set_plain(row, text, value.raw.ptr, place, options);
    buf_fini(&scratch);
    return good;
}

/* Any JSON, kept as its text without white space. */
static bool set_json_raw(const struct option_row *row, struct json_value value, const struct option_place *place,
                         void *options)
{
    struct buf text = {0};
    option_append_compact(&text, value.raw);
    bool good = option_set_plain(row, buf_str(&text), value.raw.ptr, place, options);
    buf_fini(&text);
    return good;
}

bool option_set_json_value(const struct option_row *row, struct json_value value, const struct option_place *place,
                           void *options)
{
    uint64_t number;
    bool flag = value.raw.len > 0 && value.raw.ptr[0] == 't';
    if (value.type == JSON_NULL && option_is_optional(row))
        return option_set_plain(row, STR(""), value.raw.ptr, place, options);
    switch (row->type) {
    case OPTION_BOOL:
        if (value.type != JSON_BOOL)
            return option_refuse_json(row, place, value);
        memcpy(option_member(row, options), &flag, sizeof flag);
        return true;
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_DURATION:
        if (value.type == JSON_STRING && row->type != OPTION_INT)
            return set_json_string(row, value, place, options);
        if (value.type == JSON_NUMBER && json_u64(value, &number) && (row->type != OPTION_DURATION || number == 0) &&
            option_set_number(row, number, options))
            return true;
        return option_refuse_json(row, place, value);
    case OPTION_STRINGS:
    case OPTION_SECRETS:
        return value.type == JSON_ARRAY ? set_json_strings(row, value, place, options)
                                        : option_refuse_json(row, place, value);
    case OPTION_NUMBERS:
        return value.type == JSON_OBJECT ? set_json_numbers(row, value, place, options)
                                         : option_refuse_json(row, place, value);
    case OPTION_JSON: return set_json_raw(row, value, place, options);
    case OPTION_RECORDS:
    case OPTION_MAP: return option_refuse_json(row, place, value);
    default: return set_json_string(row, value, place, options);
    }
}
