/* buf.h - a buffer of bytes that grows. A zeroed struct buf is empty and needs no init. The buffer owns its bytes, and
 * buf_fini frees them. One thread at a time. */
#ifndef CARILLON_BASE_BUF_H
#define CARILLON_BASE_BUF_H

#include <stdarg.h>
#include <string.h>

#include "common/base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
};

void buf_fini(struct buf *buf);
/* The same for secrets: the bytes are overwritten first. Reserve the room before the first append, since growing leaves
 * a copy behind. */
void buf_wipe(struct buf *buf);

/* Makes room: `more` bytes may then be written at ptr + len. */
void buf_reserve(struct buf *buf, size_t more);

/* Inline, so that the compiler copies a literal by a few moves. */
static inline void buf_append(struct buf *buf, struct str bytes)
{
    if (bytes.len == 0)
        return;
    if (buf->cap - buf->len < bytes.len)
        buf_reserve(buf, bytes.len);
    memcpy(buf->ptr + buf->len, bytes.ptr, bytes.len);
    buf->len += bytes.len;
}

static inline void buf_append_char(struct buf *buf, char c)
{
    if (buf->cap == buf->len)
        buf_reserve(buf, 1);
    buf->ptr[buf->len++] = c;
}

void buf_append_u64(struct buf *buf, uint64_t value);
void buf_appendf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends literal text. Its length is known at compile time. */
#define buf_append_lit(buf, literal) buf_append((buf), STR(literal))

/* Removes the first len bytes (at most all), and moves the rest to the front. */
void buf_consume(struct buf *buf, size_t len);

static inline void buf_clear(struct buf *buf)
{
    buf->len = 0;
}

/* The same for a buffer that lives long, such as one of a connection. The memory is freed if it is more than `keep`
 * bytes: otherwise the memory of one burst would stay for ever. */
static inline void buf_clear_above(struct buf *buf, size_t keep)
{
    if (buf->cap > keep)
        buf_fini(buf);
    buf->len = 0;
}

enum { BUF_KEEP_BYTES = 65536 };

static inline void buf_clear_burst(struct buf *buf)
{
    buf_clear_above(buf, BUF_KEEP_BYTES);
}

/* Valid until the buffer changes. */
static inline struct str buf_str(const struct buf *buf)
{
    return str_from(buf->ptr ? buf->ptr : "", buf->len);
}

/* The bytes with a NUL after them, which len does not count. Valid until the buffer changes. */
const char *buf_cstr(struct buf *buf);

#endif
