/* json_pointer.c - see json_pointer.h. */
#include "common/json/json_pointer.h"

#include "common/base/alloc.h"

struct json_pointer {
    size_t count;
    struct str tokens[]; /* without ~ escapes; their bytes follow in the same allocation */
};

static enum err check(struct str text, size_t *out_count, struct error *error)
{
    *out_count = 0;
    if (text.len > 0 && text.ptr[0] != '/')
        return error_set(error, ERR_INVALID_REQUEST, "a JSON pointer begins with \"/\", such as \"/headers/id\"");
    if (!str_is_utf8(text))
        return error_set(error, ERR_INVALID_REQUEST, "a JSON pointer must be UTF-8");
    for (size_t i = 0; i < text.len; i++) {
        *out_count += text.ptr[i] == '/';
        if (text.ptr[i] == '~' && (i + 1 == text.len || (text.ptr[i + 1] != '0' && text.ptr[i + 1] != '1')))
            return error_set(error, ERR_INVALID_REQUEST,
                             "in a JSON pointer \"~\" is written ~0, and \"/\" in a name ~1");
    }
    return ERR_NONE;
}

enum err json_pointer_create(struct str text, struct json_pointer **out, struct error *error)
{
    size_t count;
    *out = NULL;
    enum err err = check(text, &count, error);
    if (err)
        return err;
    struct json_pointer *pointer = xcalloc(1, sizeof *pointer + count * sizeof(struct str) + text.len);
    char *to = (char *)&pointer->tokens[count];
    pointer->count = count;
    struct str *token = pointer->tokens;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '/') {
            token = &pointer->tokens[pointer->count - count--];
            token->ptr = to;
            continue;
        }
        char c = text.ptr[i];
        if (c == '~')
            c = text.ptr[++i] == '0' ? '~' : '/';
        *to++ = c;
        token->len++;
    }
    *out = pointer;
    return ERR_NONE;
}

/* The element of an array: digits without leading zeros (RFC 6901, 4). */
static struct json_value element(struct json_value array, struct str token)
{
    uint64_t index;
    struct str key;
    struct json_value item;
    if (!str_to_u64(token, &index) || (token.len > 1 && token.ptr[0] == '0'))
        return (struct json_value){0};
    struct json_cursor cursor = json_walk(array);
    while (json_next(&cursor, &key, &item))
        if (index-- == 0)
            return item;
    return (struct json_value){0};
}

struct json_value json_pointer_find(const struct json_pointer *pointer, struct json_value document)
{
    struct json_value at = document;
    for (size_t i = 0; i < pointer->count; i++)
        at = at.type == JSON_ARRAY ? element(at, pointer->tokens[i]) : json_member(at, pointer->tokens[i]);
    return at;
}
