/* http_field.c - see http_field.h. */
#include "common/protocol/http_field.h"

bool http_is_token_char(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7F;
}

enum http_head_result http_head_end(struct str bytes, size_t *scanned, size_t *out_length, struct error *error)
{
    const char *p = bytes.ptr;
    for (size_t i = *scanned; i < bytes.len; i++) {
        bool after_cr = i > 0 && p[i - 1] == '\r';
        if (after_cr != (p[i] == '\n')) {
            error_set(error, ERR_INVALID_REQUEST, "%s at byte %zu of the head: lines must end in CR LF",
                      after_cr ? "CR without LF" : "LF without CR", i);
            return HTTP_HEAD_BAD;
        }
        if (is_control(p[i]) && p[i] != '\r' && p[i] != '\n') {
            error_set(error, ERR_INVALID_REQUEST, "control character 0x%02x at byte %zu of the head",
                      (unsigned char)p[i], i);
            return HTTP_HEAD_BAD;
        }
        if (p[i] == '\n' && i >= 3 && p[i - 2] == '\n') {
            *scanned = i + 1;
            *out_length = i + 1;
            return HTTP_HEAD_DONE;
        }
    }
    *scanned = bytes.len;
    return HTTP_HEAD_NEED_MORE;
}

/* One line without its CRLF. */
static bool parse_line(struct str line, struct http_field *out, struct error *error)
{
    char quoted[ERROR_QUOTE_LEN];
    size_t len = 0;
    while (len < line.len && http_is_token_char(line.ptr[len]))
        len++;
    if (len == 0 || len == line.len || line.ptr[len] != ':') {
        error_set(error, ERR_INVALID_REQUEST, "malformed header line %s: expected a name and, without a space, a colon",
                  error_quote(str_from(line.ptr, len < line.len ? len + 1 : len), quoted));
        return false;
    }
    out->name = str_from(line.ptr, len);
    out->value = str_trim(str_from(line.ptr + len + 1, line.len - len - 1));
    return true;
}

enum http_fields_result http_fields_parse(struct str lines, struct http_fields *out, struct error *error)
{
    out->count = 0;
    while (lines.len > 0) {
        const char *end = memchr(lines.ptr, '\r', lines.len);
        size_t len = end ? (size_t)(end - lines.ptr) : lines.len;
        if (out->count == HTTP_FIELDS_MAX) {
            error_set(error, ERR_TOO_LARGE, "more than %d header lines", HTTP_FIELDS_MAX);
            return HTTP_FIELDS_TOO_MANY;
        }
        if (!parse_line(str_from(lines.ptr, len), &out->items[out->count], error))
            return HTTP_FIELDS_BAD;
        out->count++;
        size_t used = len + 2 < lines.len ? len + 2 : lines.len;
        lines = str_skip(lines, used);
    }
    return HTTP_FIELDS_OK;
}

bool http_fields_find(const struct http_fields *fields, struct str name, struct str *out_value)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (str_eq_nocase(fields->items[i].name, name)) {
            *out_value = fields->items[i].value;
            return true;
        }
    }
    return false;
}

bool http_fields_next(const struct http_fields *fields, struct str name, struct http_list *at, struct str *out_item)
{
    for (;;) {
        while (at->rest.ptr) {
            struct str item = str_trim(str_split(&at->rest, ','));
            if (item.len > 0) {
                *out_item = item;
                return true;
            }
        }
        while (at->field < fields->count && !str_eq_nocase(fields->items[at->field].name, name))
            at->field++;
        if (at->field == fields->count)
            return false;
        at->rest = fields->items[at->field++].value;
    }
}

bool http_fields_have_token(const struct http_fields *fields, struct str name, struct str token)
{
    struct http_list at = {0};
    struct str item;
    while (http_fields_next(fields, name, &at, &item))
        if (str_eq_nocase(item, token))
            return true;
    return false;
}
