/* json_number.c - numbers in all forms of JSON: see json.h. */
#include "common/json/json.h"

enum { EXPONENT_MAX = 1000000000 }; /* beyond it nothing changes: texts are shorter */

/* The digits after 'e', with their sign; large ones as EXPONENT_MAX. */
static int64_t read_exponent(struct str text)
{
    int64_t exponent = 0;
    size_t at = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
    bool negative = at && text.ptr[0] == '-';
    for (; at < text.len && exponent < EXPONENT_MAX; at++)
        exponent = exponent * 10 + (text.ptr[at] - '0');
    return negative ? -exponent : exponent;
}

static bool append_digit(uint64_t *value, unsigned digit)
{
    return !__builtin_mul_overflow(*value, 10, value) && !__builtin_add_overflow(*value, digit, value);
}

enum json_scaled json_scale(struct json_value number, unsigned places, uint64_t *out)
{
    struct str text = number.raw;
    bool negative = text.len > 0 && text.ptr[0] == '-', cut = false;
    size_t digits_end = 0, dot;
    while (digits_end < text.len && text.ptr[digits_end] != 'e' && text.ptr[digits_end] != 'E')
        digits_end++;
    for (dot = negative; dot < digits_end && text.ptr[dot] != '.'; dot++)
        ;
    int64_t exponent = 0;
    if (digits_end < text.len)
        exponent = read_exponent(str_from(text.ptr + digits_end + 1, text.len - digits_end - 1));
    /* How many digits stand before the decimal point once it has moved. */
    int64_t whole = (int64_t)(dot - negative) + exponent + places, at = 0;
    uint64_t value = 0;
    for (size_t i = negative; i < digits_end; i++) {
        if (i == dot)
            continue;
        unsigned digit = (unsigned)(text.ptr[i] - '0');
        if (at++ >= whole)
            cut |= digit > 0;
        else if (!append_digit(&value, digit))
            return negative ? JSON_SCALED_NEGATIVE : JSON_SCALED_TOO_LARGE;
    }
    for (; at < whole && value > 0; at++)
        if (!append_digit(&value, 0))
            return negative ? JSON_SCALED_NEGATIVE : JSON_SCALED_TOO_LARGE;
    if (negative && (value > 0 || cut))
        return JSON_SCALED_NEGATIVE;
    *out = value;
    return cut ? JSON_SCALED_CUT : JSON_SCALED_EXACT;
}
