/* str.h - text and bytes as pointer and length. A str never owns its bytes. The bytes are not NUL-terminated unless a
 * function says so. Pure, for any thread. */
#ifndef CARILLON_BASE_STR_H
#define CARILLON_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

/* A str of a string literal. Its length is known at compile time. */
#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})

/* For printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline struct str str_from(const char *ptr, size_t len)
{
    return (struct str){ptr, len};
}

/* The rest of s after its first n bytes. s has at least n bytes. With n 0 nothing is added to ptr, which may be NULL:
 * arithmetic on NULL is undefined (C11 6.5.6p8). */
static inline struct str str_skip(struct str s, size_t n)
{
    return n == 0 ? s : str_from(s.ptr + n, s.len - n);
}

/* NULL gives the empty str. */
static inline struct str str_from_cstr(const char *text)
{
    return (struct str){text ? text : "", text ? strlen(text) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_eq_cstr(struct str a, const char *b)
{
    return str_eq(a, str_from_cstr(b));
}

static inline bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* ASCII only: the letters of HTTP header names and tokens. */
bool str_eq_nocase(struct str a, struct str b);

/* Bytewise order. A text comes before a longer text that begins with it. */
int str_compare(struct str a, struct str b);

/* s without spaces and tabs at both ends. */
struct str str_trim(struct str s);

/* Cuts *rest at the first separator. Returns the part before it, and leaves the part after it in *rest. Without a
 * separator it returns all and sets rest->ptr to NULL. A walk: while (rest.ptr) part = str_split(&rest, ','). */
struct str str_split(struct str *rest, char separator);

/* Reads decimal digits: no sign, no space, no overflow. Otherwise returns false and leaves *out untouched. */
bool str_to_u64(struct str s, uint64_t *out);

/* A NUL-terminated copy on the heap; the caller frees it. */
char *str_dup(struct str s) __attribute__((returns_nonnull));

/* Copies text to *at, which has room for it, and moves *at behind it. The copy has no NUL. For structs whose texts
 * follow them in one allocation. */
static inline struct str str_pack(char **at, struct str text)
{
    struct str packed = {*at, text.len};
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return packed;
}

/* True if the bytes are well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF). */
bool str_is_utf8(struct str s);

/* The length of the whole UTF-8 characters that s begins with. *out_possible: the bytes after them may be the beginning
 * of another character, or there are none. For text that comes in pieces. */
size_t str_utf8_prefix(struct str s, bool *out_possible);

/* The length, 1 to 4, of the well-formed UTF-8 sequence that s begins with, and its code point. 0 if s is empty or does
 * not begin with one. */
size_t str_utf8_next(struct str s, uint32_t *out_code);

/* Compares keys and other secrets: it takes the same time for any two texts of equal length. */
bool str_eq_secret(struct str a, struct str b);

#endif
