/* json_scan.h - bytes inside strings: helpers that the files of this folder share. Not for use outside common/json. */
#ifndef CARILLON_JSON_JSON_SCAN_H
#define CARILLON_JSON_JSON_SCAN_H

#include "common/base/str.h"

/* True for the bytes that stand for themselves in a string: ASCII without controls, quote and backslash. */
static inline bool json_is_plain(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* The first byte of [at, end) that is not plain. Takes eight bytes at once. (word - 0x20...) has a byte's high bit set
 * where the byte was below 0x20. XOR makes the quote and the backslash zero, so that they are found in the same way. A
 * borrow can only blur bytes after a true find, so the answer for the whole word is exact. The loop below then finds
 * the place. */
static inline const char *json_plain_end(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101;
    for (uint64_t word; end - at >= 8; at += 8) {
        memcpy(&word, at, 8);
        uint64_t found = (word - ones * 0x20) | ((word ^ ones * '"') - ones) | ((word ^ ones * '\\') - ones) | word;
        if (found & ones * 0x80)
            break;
    }
    while (at < end && json_is_plain(*at))
        at++;
    return at;
}

/* The escape that s begins with (RFC 8259, 7), a surrogate pair taken as one: its length and code point. 0 if it is not
 * a valid one, also for a lone surrogate. */
size_t json_escape(struct str s, uint32_t *out_code);

#endif
