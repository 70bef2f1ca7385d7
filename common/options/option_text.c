/* option_text.c - sets one member of the struct from plain text. It makes the whole value first and then puts it in
 * place, so a refused value changes nothing. */
#include "common/options/option_text.h"

#include <stdio.h>

#include "common/base/alloc.h"

bool option_refuse(const struct option_row *row, const struct option_place *place, const char *at, const char *found)
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
    return option_refuse(row, place, at, option_is_secret(row->type) ? length : error_quote(text, quoted));
}

bool option_in_range(const struct option_row *row, enum option_type type, uint64_t number)
{
    uint64_t bound;
    if (row->min && option_number_parse(type, str_from_cstr(row->min), &bound) && number < bound)
        return false;
    return !(row->max && option_number_parse(type, str_from_cstr(row->max), &bound) && number > bound);
}

bool option_text_is_valid(const struct option_row *row, struct str text, const char *at,
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
    if (row->type != OPTION_NUMBERS && !option_in_range(row, OPTION_INT, text.len))
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

bool option_is_optional(const struct option_row *row)
{
    bool number = row->type == OPTION_INT || row->type == OPTION_BYTES || row->type == OPTION_DURATION;
    return row->type == OPTION_JSON || (number && row->default_text && !*row->default_text);
}

void option_put_list(const struct option_row *row, void *items, size_t count, void *options)
{
    struct option_list list = {items, count};
    option_free(row, options);
    memcpy(option_member(row, options), &list, sizeof list);
}

bool option_set_number(const struct option_row *row, uint64_t number, void *options)
{
    if (!option_in_range(row, row->type, number))
        return false;
    memcpy(option_member(row, options), &number, sizeof number);
    return true;
}

void option_append_compact(struct buf *out, struct str json)
{
    bool in_string = false;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        if (in_string || !strchr(" \t\r\n", c))
            buf_append_char(out, c);
        if (in_string && c == '\\' && i + 1 < json.len)
            buf_append_char(out, json.ptr[++i]);
        else if (c == '"')
            in_string = !in_string;
    }
}

void option_add_string(struct option_strings *list, struct str text)
{
    list->items = xrealloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = str_dup(text);
}

void option_free_strings(struct option_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

bool option_set_split(const struct option_row *row, struct str text, char separator, const char *at,
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
        good = option_text_is_valid(row, item, at, place) && good;
        option_add_string(&list, item);
    }
    if (good)
        option_put_list(row, list.items, list.count, options);
    else
        option_free_strings(&list);
    return good;
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

bool option_set_plain(const struct option_row *row, struct str text, const char *at, const struct option_place *place,
                      void *options)
{
    uint64_t number;
    switch (row->type) {
    case OPTION_BOOL: return parse_bool(text, option_member(row, options)) || refuse_text(row, place, at, text);
    case OPTION_INT:
    case OPTION_BYTES:
    case OPTION_DURATION:
        if (text.len == 0 && option_is_optional(row)) {
            number = OPTION_UNSET;
            memcpy(option_member(row, options), &number, sizeof number);
            return true;
        }
        return (option_number_parse(row->type, text, &number) && option_set_number(row, number, options)) ||
               refuse_text(row, place, at, text);
    case OPTION_ENUM: return set_choice(row, text, options) || refuse_text(row, place, at, text);
    case OPTION_STRING:
    case OPTION_PATH:
    case OPTION_URL:
    case OPTION_SECRET:
    case OPTION_JSON:
        if (!option_text_is_valid(row, text, at, place))
            return false;
        put_text(row, text, place, options);
        return true;
    case OPTION_STRINGS:
    case OPTION_SECRETS: return option_set_split(row, text, ',', at, place, options);
    case OPTION_NUMBERS:
    case OPTION_RECORDS:
    case OPTION_MAP:
        if (text.len > 0)
            return refuse_text(row, place, at, text);
        option_put_list(row, NULL, 0, options);
        return true;
    }
    return false;
}
