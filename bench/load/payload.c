/* payload.c - see payload.h. */
#include "bench/load/payload.h"

static const char mark[] = "{\"n\":";

enum { MARK_LEN = sizeof mark - 1 };

void payload_append(struct buf *out, uint32_t number, size_t data_bytes)
{
    size_t start = out->len;
    buf_append(out, str_from(mark, MARK_LEN));
    buf_append_u64(out, number);
    buf_append_lit(out, ",\"pad\":\"");
    size_t pad = data_bytes - (out->len - start) - 2;
    buf_reserve(out, pad);
    memset(out->ptr + out->len, 'x', pad);
    out->len += pad;
    buf_append_lit(out, "\"}");
}

bool payload_number(struct str text, size_t data_bytes, size_t *hint, uint64_t *out)
{
    if (text.len < data_bytes)
        return false;
    size_t at = *hint;
    if (at > text.len - MARK_LEN || memcmp(text.ptr + at, mark, MARK_LEN) != 0) {
        const char *found = memmem(text.ptr, text.len, mark, MARK_LEN);
        if (!found)
            return false;
        at = (size_t)(found - text.ptr);
    }
    if (text.len - at < data_bytes)
        return false;
    uint64_t number = 0;
    size_t digit = at + MARK_LEN;
    for (; digit < text.len && text.ptr[digit] >= '0' && text.ptr[digit] <= '9'; digit++)
        number = number * 10 + (uint64_t)(text.ptr[digit] - '0');
    if (digit == at + MARK_LEN || digit == text.len || text.ptr[digit] != ',')
        return false;
    *hint = at;
    *out = number;
    return true;
}
