/* option_set.c - sets one member of the struct, from text or from JSON. It makes the whole value first and then puts it
 * in place, so a refused value changes nothing. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/options/option_value.h"

enum { SECRET_FILE_MAX = 64 * 1024 };

static bool is_secret(enum option_type type)
{
    return type == OPTION_SECRET || type == OPTION_SECRETS || type == OPTION_URL;
}

bool option_has_file_form(enum option_type type)
{
    return is_secret(type);
}

/* Complains "found X, expected Y". Secrets are not repeated. */
static bool refuse(const struct option_row *row, const struct option_place *place, const char *at, const char *found)
{
    struct buf expected = {0};
    option_expected(&expected, row);
    option_complain(place, at, row->key, "found %s, expected %s", found, buf_cstr(&expected));
    buf_fini(&expected);
    return false;
}

static bool refuse_text(const struct option_row *row, const struct option_place *place, const char *at, struct str text)
{
    char quoted[ERROR_QUOTE_LEN];
    char length[48];
    snprintf(length, sizeof length, "a text of %zu bytes", text.len);
    return refuse(row, place, at, is_secret(row->type) ? length : error_quote(text, quoted));
}

static bool refuse_json(const struct option_row *row, const struct option_place *place, struct json_value value)
{
    char found[JSON_TYPES_LEN + ERROR_QUOTE_LEN];
    if (is_secret(row->type) || value.type & (JSON_ARRAY | JSON_OBJECT))
        json_types_text(value.type, found);
    else if (value.type == JSON_STRING)
        error_quote(str_from(value.raw.ptr + 1, value.raw.len - 2), found);
    else
        snprintf(found, sizeof found, "%.*s", (int)(value.raw.len < 40 ? value.raw.len : 40), value.raw.ptr);
    return refuse(row, place, value.raw.ptr, found);
}

/* Is number between the row's min and max? Those are written as values of type. */
static bool in_range(const struct option_row *row, enum option_type type, uint64_t number)
{
    uint64_t bound;
    if (row->min && option_number_parse(type, str_from_cstr(row->min), &bound) && number < bound)
        return false;
    return !(row->max && option_number_parse(type, str_from_cstr(row->max), &bound) && number > bound);
}

/* One text, as a value or as an item of a list. Empty is allowed as "not set" for a single value. */
static bool text_is_valid(const struct option_row *row, struct str text, const char *at,
                          const struct option_place *place)
{
    struct error error;
    bool item = row->type == OPTION_STRINGS || row->type == OPTION_SECRETS || row->type == OPTION_NUMBERS;
    if (memchr(text.ptr, '\0', text.len)) {
        option_complain(place, at, row->key, "the text has a NUL byte");
        return false;
    }
    if (row->choices) {
        for (size_t i = 0; row->choices[i]; i++)
            if (str_eq_cstr(text, row->choices[i]))
                return true;
        return refuse_text(row, place, at, text);
    }
    if (text.len == 0 && !item && row->default_text)
        return true;
    if (row->type != OPTION_NUMBERS && !in_range(row, OPTION_INT, text.len))
        return refuse_text(row, place, at, text);
    if (row->check && row->check(text, &error) != ERR_NONE) {
        option_complain(place, at, row->key, "%s", error.text);
        return false;
    }
    return true;
}

static void put_text(const struct option_row *row, struct str text, const struct option_place *place, void *options)
{
    char **member = option_member(row, options);
    struct buf path = {0};
    if (row->type == OPTION_PATH && text.len > 0 && text.ptr[0] != '/' && place->folder)
        buf_appendf(&path, "%s/", place->folder);
    buf_append(&path, text);
    free(*member);
    *member = str_dup(buf_str(&path));
    buf_fini(&path);
}

static void put_list(const struct option_row *row, void *items, size_t count, void *options)
{
    struct option_list list = {items, count};
    option_free(row, options);
    memcpy(option_member(row, options), &list, sizeof list);
}

static bool set_number(const struct option_row *row, uint64_t number, void *options)
{
    if (!in_range(row, row->type, number))
        return false;
    memcpy(option_member(row, options), &number, sizeof number);
    return true;
}

static void add_string(struct option_strings *list, struct str text)
{
    list->items = xrealloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = str_dup(text);
}

static void free_strings(struct option_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

/* Items between separators; spaces around them and empty ones do not count. */
static bool set_split(const struct option_row *row, struct str text, char separator, const char *at,
                      const struct option_place *place, void *options)
{
    struct option_strings list = {0};
    bool good = true;
    while (text.ptr) {
        struct str item = str_split(&text, separator);
        while (item.len > 0 && strchr(" \t\r\n", item.ptr[item.len - 1]))
            item.len--;
        item = str_trim(item);
        if (item.len == 0)
            continue;
        good = text_is_valid(row, item, at, place) && good;
        add_string(&list, item);
    }
    if (good)
        put_list(row, list.items, list.count, options);
    else
        free_strings(&list);
    return good;
}

static bool set_json_text(const struct option_row *row, struct str text, const char *at,
                          const struct option_place *place, void *options)
{
    struct json_value value;
    struct error error;
    struct option_place inside = *place;
    inside.text = str_from("", 0); /* positions are in the value, not in a file */
    if (json_check(text, NULL, &value, &error) != ERR_NONE) {
        option_complain(place, at, row->key, "not JSON: %s", error.text);
        return false;
    }
    return option_set_json(row, value, &inside, options);
}

static bool parse_bool(struct str text, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"on", true}, {"off", false}, {"1", true}, {"0", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_eq_nocase(text, str_from_cstr(words[i].word))) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

static bool set_choice(const struct option_row *row, struct str text, void *options)
{
    for (int i = 0; row->choices[i]; i++) {
        if (str_eq_cstr(text, row->choices[i])) {
            memcpy(option_member(row, options), &i, sizeof i);
            return true;
        }
    }
    return false;
}

bool option_set_text(const struct option_row *row, struct str text, const char *at, const struct option_place *place,
                     void *options)
{
    uint64_t number;
    switch (row->type) {
    case OPTION_BOOL: return parse_bool(text, option_member(row, options)) || refuse_text(row, place, at, text);
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_DURATION:
        return (option_number_parse(row->type, text, &number) && set_number(row, number, options)) ||
               refuse_text(row, place, at, text);
    case OPTION_ENUM: return set_choice(row, text, options) || refuse_text(row, place, at, text);
    case OPTION_STRING:
    case OPTION_PATH:
    case OPTION_URL:
    case OPTION_SECRET:
        if (!text_is_valid(row, text, at, place))
            return false;
        put_text(row, text, place, options);
        return true;
    case OPTION_STRINGS:
    case OPTION_SECRETS:
        if (text.len > 0 && text.ptr[0] == '[')
            return set_json_text(row, text, at, place, options);
        return set_split(row, text, ',', at, place, options);
    case OPTION_NUMBERS:
    case OPTION_RECORDS:
        if (text.len > 0)
            return set_json_text(row, text, at, place, options);
        put_list(row, NULL, 0, options);
        return true;
    }
    return false;
}

/* The text of a JSON string that the row can have; false: complained. */
static bool valid_json_text(const struct option_row *row, struct json_value value, struct buf *scratch, struct str *out,
                            const struct option_place *place)
{
    if (value.type != JSON_STRING)
        return refuse_json(row, place, value);
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
    struct str key, text;
    bool good = true;
    while (json_next(&at, &key, &item)) {
        struct buf scratch = {0};
        bool valid =
            valid_json_text(row, item, &scratch, &text, place) && text_is_valid(row, text, item.raw.ptr, place);
        if (valid)
            add_string(&list, text);
        good = good && valid;
        buf_fini(&scratch);
    }
    if (good)
        put_list(row, list.items, list.count, options);
    else
        free_strings(&list);
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
        if (!text_is_valid(row, key, key.ptr, place)) {
            good = false;
        } else if (item.type != JSON_NUMBER || !json_u64(item, &number) || !in_range(row, OPTION_INT, number)) {
            good = refuse_json(row, place, item);
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
        put_list(row, list.items, list.count, options);
        return true;
    }
    for (size_t i = 0; i < list.count; i++)
        free(list.items[i].name);
    free(list.items);
    return false;
}

static bool set_json_records(const struct option_row *row, struct json_value value, const struct option_place *place,
                             void *options)
{
    const struct option_table *record = row->record;
    struct json_cursor at = json_walk(value);
    struct json_value item;
    struct str key;
    char *items = NULL;
    size_t count = 0;
    bool good = true;
    while (json_next(&at, &key, &item)) {
        char path[160];
        struct option_place inside = *place;
        items = xrealloc(items, (count + 1) * record->size);
        memset(items + count * record->size, 0, record->size);
        option_set_defaults(record, items + count * record->size);
        snprintf(path, sizeof path, "%s%s[%zu].", place->path ? place->path : "", row->key, count);
        inside.path = path;
        if (item.type != JSON_OBJECT)
            good = refuse_json(row, place, item);
        else
            good = option_set_object(record, item, &inside, items + count * record->size, NULL) && good;
        count++;
    }
    if (good) {
        put_list(row, items, count, options);
        return true;
    }
    for (size_t i = 0; i < count; i++)
        options_fini(record, items + i * record->size);
    free(items);
    return false;
}

static bool set_json_string(const struct option_row *row, struct json_value value, const struct option_place *place,
                            void *options)
{
    struct buf scratch = {0};
    struct str text;
    bool good = valid_json_text(row, value, &scratch, &text, place) &&
                option_set_text(row, text, value.raw.ptr, place, options);
    buf_fini(&scratch);
    return good;
}

bool option_set_json(const struct option_row *row, struct json_value value, const struct option_place *place,
                     void *options)
{
    uint64_t number;
    bool flag = value.raw.len > 0 && value.raw.ptr[0] == 't';
    switch (row->type) {
    case OPTION_BOOL:
        if (value.type != JSON_BOOL)
            return refuse_json(row, place, value);
        memcpy(option_member(row, options), &flag, sizeof flag);
        return true;
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_DURATION:
        if (value.type == JSON_STRING && row->type != OPTION_INT)
            return set_json_string(row, value, place, options);
        if (value.type == JSON_NUMBER && json_u64(value, &number) && (row->type != OPTION_DURATION || number == 0) &&
            set_number(row, number, options))
            return true;
        return refuse_json(row, place, value);
    case OPTION_STRINGS:
    case OPTION_SECRETS:
        return value.type == JSON_ARRAY ? set_json_strings(row, value, place, options) : refuse_json(row, place, value);
    case OPTION_NUMBERS:
        return value.type == JSON_OBJECT ? set_json_numbers(row, value, place, options)
                                         : refuse_json(row, place, value);
    case OPTION_RECORDS:
        return value.type == JSON_ARRAY ? set_json_records(row, value, place, options) : refuse_json(row, place, value);
    default: return set_json_string(row, value, place, options);
    }
}

bool option_set_from_file(const struct option_row *row, struct str file_name, const char *at,
                          const struct option_place *place, void *options)
{
    struct buf path = {0};
    struct buf bytes = {0};
    struct error error;
    bool good = false;
    if (place->folder && (file_name.len == 0 || file_name.ptr[0] != '/'))
        buf_appendf(&path, "%s/", place->folder);
    buf_append(&path, file_name);
    if (memchr(path.ptr ? path.ptr : "", '\0', path.len)) {
        option_complain(place, at, row->key, "the file name has a NUL character");
    } else if (option_read_file(buf_cstr(&path), SECRET_FILE_MAX, &bytes, &error) != ERR_NONE) {
        option_complain(place, at, row->key, "%s", error.text);
    } else if (row->type == OPTION_SECRETS) {
        good = set_split(row, buf_str(&bytes), '\n', at, place, options);
    } else {
        while (bytes.len > 0 && (bytes.ptr[bytes.len - 1] == '\n' || bytes.ptr[bytes.len - 1] == '\r'))
            bytes.len--;
        good = option_set_text(row, buf_str(&bytes), at, place, options);
    }
    buf_fini(&path);
    buf_fini(&bytes);
    return good;
}
