/* str.c - see str.h. */
#include "common/base/str.h"

#include "common/base/alloc.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

int str_compare(struct str a, struct str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

struct str str_split(struct str *rest, char separator)
{
    struct str all = *rest;
    const char *found = all.len ? memchr(all.ptr, separator, all.len) : NULL;
    if (!found) {
        *rest = (struct str){NULL, 0};
        return all;
    }
    size_t before = (size_t)(found - all.ptr);
    *rest = str_from(found + 1, all.len - before - 1);
    return str_from(all.ptr, before);
}

bool str_to_u64(struct str s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0 || s.len > 20)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

char *str_dup(struct str s)
{
    char *copy = xmalloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

/* How many continuation bytes follow this first byte, and the range of the first of them (RFC 3629, 4). */
static size_t sequence(unsigned char first, unsigned char *out_low, unsigned char *out_high)
{
    *out_low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    *out_high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (first >= 0xC2 && first <= 0xDF)
        return 1;
    if (first >= 0xE0 && first <= 0xEF)
        return 2;
    return first >= 0xF0 && first <= 0xF4 ? 3 : 0;
}

size_t str_utf8_next(struct str s, uint32_t *out_code)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (s.len == 0)
        return 0;
    if (p[0] < 0x80) {
        *out_code = p[0];
        return 1;
    }
    unsigned char low, high;
    size_t more = sequence(p[0], &low, &high);
    if (more == 0 || s.len <= more || p[1] < low || p[1] > high)
        return 0;
    uint32_t code = p[0] & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3Fu);
    }
    *out_code = code;
    return more + 1;
}

/* The length of the ASCII that s begins with. */
static size_t ascii_prefix(struct str s)
{
    size_t len = 0;
    uint64_t words[4];
    for (; s.len - len >= sizeof words; len += sizeof words) {
        memcpy(words, s.ptr + len, sizeof words);
        if ((words[0] | words[1] | words[2] | words[3]) & UINT64_C(0x8080808080808080))
            break;
    }
    while (len < s.len && !((unsigned char)s.ptr[len] & 0x80))
        len++;
    return len;
}

/* s does not begin with a whole character: is it the beginning of one? */
static bool begins_character(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    unsigned char low, high;
    size_t more = s.len ? sequence(p[0], &low, &high) : 0;
    if (s.len == 0 || more == 0 || s.len > more)
        return s.len == 0;
    for (size_t i = 1; i < s.len; i++)
        if (i == 1 ? p[1] < low || p[1] > high : (p[i] & 0xC0) != 0x80)
            return false;
    return true;
}

size_t str_utf8_prefix(struct str s, bool *out_possible)
{
    size_t at = 0;
    for (;;) {
        uint32_t code;
        struct str rest = str_skip(s, at);
        size_t len = ascii_prefix(rest); /* most text is */
        if (len == 0)
            len = str_utf8_next(rest, &code);
        if (len == 0) {
            *out_possible = begins_character(rest);
            return at;
        }
        at += len;
    }
}

bool str_is_utf8(struct str s)
{
    bool possible;
    return str_utf8_prefix(s, &possible) == s.len;
}

bool str_eq_secret(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.len; i++)
        difference = (unsigned char)(difference | (unsigned char)(a.ptr[i] ^ b.ptr[i]));
    return difference == 0;
}
