/* buf.c - see buf.h. */
#include "common/base/buf.h"

#include <stdio.h>

#include "common/base/alloc.h"

void buf_fini(struct buf *buf)
{
    free(buf->ptr);
    *buf = (struct buf){0};
}

void buf_wipe(struct buf *buf)
{
    if (buf->ptr)
        explicit_bzero(buf->ptr, buf->cap);
    buf_fini(buf);
}

void buf_reserve(struct buf *buf, size_t more)
{
    if (buf->cap - buf->len >= more)
        return;
    size_t cap = buf->cap ? buf->cap : 64;
    while (cap - buf->len < more)
        cap *= 2;
    buf->ptr = xrealloc(buf->ptr, cap);
    buf->cap = cap;
}

static size_t count_digits(uint64_t value)
{
    size_t count = 1;
    for (; value >= 10; value /= 10)
        count++;
    return count;
}

/* In place: most numbers are short, and a copy of a few bytes would cost more than to make them. */
void buf_append_u64(struct buf *buf, uint64_t value)
{
    size_t count = count_digits(value);
    if (buf->cap - buf->len < count)
        buf_reserve(buf, count);
    buf->len += count;
    for (char *at = buf->ptr + buf->len; count--; value /= 10)
        *--at = (char)('0' + value % 10);
}

void buf_appendf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return;
    buf_reserve(buf, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(buf->ptr + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void buf_consume(struct buf *buf, size_t len)
{
    if (len >= buf->len) {
        buf->len = 0;
        return;
    }
    memmove(buf->ptr, buf->ptr + len, buf->len - len);
    buf->len -= len;
}

const char *buf_cstr(struct buf *buf)
{
    buf_reserve(buf, 1);
    buf->ptr[buf->len] = '\0';
    return buf->ptr;
}
