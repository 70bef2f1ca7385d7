/* json_text.c - texts and numbers from values, and into values: see json.h. */
#include "common/base/percent.h"
#include "common/json/json.h"
#include "common/json/json_scan.h"

/* \uXXXX at the beginning of s. */
static bool hex_escape(struct str s, uint32_t *out_unit)
{
    uint32_t unit = 0;
    if (s.len < 6 || s.ptr[0] != '\\' || s.ptr[1] != 'u')
        return false;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_digit(s.ptr[i]);
        if (digit < 0)
            return false;
        unit = unit << 4 | (uint32_t)digit;
    }
    *out_unit = unit;
    return true;
}

static size_t unicode_escape(struct str s, uint32_t *out_code)
{
    uint32_t unit, low;
    if (!hex_escape(s, &unit))
        return 0;
    if (unit < 0xD800 || unit > 0xDFFF) {
        *out_code = unit;
        return 6;
    }
    if (unit > 0xDBFF || !hex_escape(str_skip(s, 6), &low) || low < 0xDC00 || low > 0xDFFF)
        return 0;
    *out_code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    return 12;
}

size_t json_escape(struct str s, uint32_t *out_code)
{
    if (s.len < 2 || s.ptr[0] != '\\')
        return 0;
    switch (s.ptr[1]) {
    case '"': *out_code = '"'; return 2;
    case '\\': *out_code = '\\'; return 2;
    case '/': *out_code = '/'; return 2;
    case 'b': *out_code = '\b'; return 2;
    case 'f': *out_code = '\f'; return 2;
    case 'n': *out_code = '\n'; return 2;
    case 'r': *out_code = '\r'; return 2;
    case 't': *out_code = '\t'; return 2;
    default: return unicode_escape(s, out_code);
    }
}

static size_t encode_utf8(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)((0xF00u >> len & 0xF0) | code);
    return len;
}

/* Takes the next piece of *rest: a run without escapes, or one escape decoded into decoded. */
static struct str next_piece(struct str *rest, char decoded[4])
{
    struct str piece;
    size_t used;
    uint32_t code = 0;
    if (rest->ptr[0] == '\\') {
        used = json_escape(*rest, &code);
        piece = str_from(decoded, encode_utf8(code, decoded));
    } else {
        const char *escape = memchr(rest->ptr, '\\', rest->len);
        used = escape ? (size_t)(escape - rest->ptr) : rest->len;
        piece = str_from(rest->ptr, used);
    }
    *rest = str_skip(*rest, used);
    return piece;
}

bool json_key_is(struct str raw_key, struct str name)
{
    /* An escape is always longer than what it stands for, so most names are told apart by length alone. */
    if (raw_key.len < name.len)
        return false;
    if (raw_key.len == 0 || !memchr(raw_key.ptr, '\\', raw_key.len))
        return str_eq(raw_key, name);
    while (raw_key.len > 0) {
        char decoded[4];
        struct str piece = next_piece(&raw_key, decoded);
        if (!str_starts_with(name, piece))
            return false;
        name = str_skip(name, piece.len);
    }
    return name.len == 0;
}

bool json_text(struct json_value string, struct buf *scratch, struct str *out)
{
    if (string.type != JSON_STRING)
        return false;
    struct str inner = str_from(string.raw.ptr + 1, string.raw.len - 2);
    if (inner.len == 0 || !memchr(inner.ptr, '\\', inner.len)) {
        *out = inner;
        return true;
    }
    buf_reserve(scratch, string.raw.len); /* unescaping never makes text longer */
    size_t from = scratch->len;
    while (inner.len > 0) {
        char decoded[4];
        struct str piece = next_piece(&inner, decoded);
        if (memchr(piece.ptr, '\0', piece.len)) {
            scratch->len = from;
            return false;
        }
        buf_append(scratch, piece);
    }
    *out = str_skip(buf_str(scratch), from);
    return true;
}

bool json_u64(struct json_value number, uint64_t *out)
{
    return number.type == JSON_NUMBER && str_to_u64(number.raw, out);
}

bool json_i64(struct json_value number, int64_t *out)
{
    uint64_t magnitude;
    if (number.type != JSON_NUMBER)
        return false;
    bool negative = number.raw.ptr[0] == '-';
    struct str digits = str_skip(number.raw, negative);
    if (!str_to_u64(digits, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static void append_escaped(struct buf *out, unsigned char byte)
{
    static const char short_forms[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (byte == '"' || byte == '\\')
        buf_appendf(out, "\\%c", byte);
    else if (byte < sizeof short_forms && short_forms[byte])
        buf_appendf(out, "\\%c", short_forms[byte]);
    else
        buf_appendf(out, "\\u%04x", byte);
}

void json_append_escaped(struct buf *out, struct str text)
{
    while (text.len > 0) {
        size_t len = (size_t)(json_plain_end(text.ptr, text.ptr + text.len) - text.ptr);
        uint32_t code;
        if (len > 0) {
            buf_append(out, str_from(text.ptr, len));
        } else if ((unsigned char)text.ptr[0] < 0x80) {
            append_escaped(out, (unsigned char)text.ptr[0]);
            len = 1;
        } else if ((len = str_utf8_next(text, &code)) > 0) {
            buf_append(out, str_from(text.ptr, len));
        } else {
            buf_append_lit(out, "\xEF\xBF\xBD"); /* U+FFFD */
            len = 1;
        }
        text = str_skip(text, len);
    }
}

void json_append_string(struct buf *out, struct str text)
{
    buf_append_char(out, '"');
    json_append_escaped(out, text);
    buf_append_char(out, '"');
}

/* --- numbers in all forms -------------------------------------------------------------------------------------- */

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
