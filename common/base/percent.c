/* percent.c - see percent.h. */
#include "common/base/percent.h"

int percent_unescape(struct str text)
{
    int high = text.len > 2 ? hex_digit(text.ptr[1]) : -1;
    int low = text.len > 2 ? hex_digit(text.ptr[2]) : -1;
    int byte = high * 16 + low;
    return high < 0 || low < 0 || byte == 0 ? -1 : byte;
}

bool percent_decode(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.ptr[i];
        if (c == '%') {
            c = percent_unescape(str_skip(text, i));
            if (c < 0)
                return false;
            i += 2;
        }
        buf_append_char(out, (char)c);
    }
    return true;
}
