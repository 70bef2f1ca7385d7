/* fuzz_json.c - the validator, and everything that trusts what it has passed. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "common/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* cJSON copies a number into 64 bytes before it reads it, and refuses longer ones: no rule of the grammar. */
static bool has_long_number;

static void check_text(struct json_value value)
{
    struct buf scratch = {0}, again = {0};
    struct str text, text_again;
    if (json_text(value, &scratch, &text)) {
        must(str_is_utf8(text) && (text.len == 0 || !memchr(text.ptr, 0, text.len)));
        must(json_key_is(str_from(value.raw.ptr + 1, value.raw.len - 2), text));
        json_append_string(&again, text);
        struct json_value back;
        must(json_check(buf_str(&again), NULL, &back, NULL) == ERR_NONE);
        struct buf other = {0};
        must(json_text(back, &other, &text_again) && str_eq(text, text_again));
        buf_fini(&other);
    }
    buf_fini(&again);
    buf_fini(&scratch);
}

static void check_number(struct json_value value)
{
    uint64_t whole;
    int64_t integer;
    if (value.raw.len > 63)
        has_long_number = true;
    if (value.type == JSON_NUMBER && json_u64(value, &whole)) {
        uint64_t scaled;
        must(json_scale(value, 0, &scaled) == JSON_SCALED_EXACT && scaled == whole);
    } else if (value.type == JSON_NUMBER) {
        json_scale(value, 3, &whole);
    }
    if (json_u64(value, &whole) && whole <= INT64_MAX)
        must(json_i64(value, &integer) && integer >= 0 && (uint64_t)integer == whole);
}

/* Every part of a valid value is a valid value itself. */
static void walk(struct json_value value)
{
    struct json_value alone, item;
    struct str key;
    must(json_check(value.raw, NULL, &alone, NULL) == ERR_NONE);
    must(alone.type == value.type && str_eq(alone.raw, value.raw));
    if (value.type == JSON_STRING)
        check_text(value);
    if (value.type == JSON_NUMBER)
        check_number(value);
    struct json_cursor cursor = json_walk(value);
    while (json_next(&cursor, &key, &item)) {
        if (value.type == JSON_OBJECT)
            check_text(json_value_of(str_from(key.ptr - 1, key.len + 2)));
        walk(item);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = str_from((const char *)bytes, len);
    struct json_value value;
    struct error error = {0};
    has_long_number = false;
    if (len > 4096 || json_check(text, NULL, &value, &error) != ERR_NONE) {
        must(str_is_utf8(str_from_cstr(error.text)));
        return 0;
    }
    must(str_is_utf8(text));
    walk(value);
    if (!has_long_number) {
        cJSON *tree = cJSON_ParseWithLength(text.ptr, text.len);
        must(tree != NULL);
        cJSON_Delete(tree);
    }
    return 0;
}
