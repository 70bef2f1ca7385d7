/* base64url.c - see base64url.h. */
#include "common/token/base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_append(struct buf *out, struct str bytes)
{
    uint32_t bits = 0;
    int pending = 0;
    buf_reserve(out, bytes.len / 3 * 4 + 4);
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.ptr[i];
        for (pending += 8; pending >= 6; pending -= 6)
            buf_append_char(out, alphabet[bits >> (pending - 6) & 63]);
    }
    if (pending > 0)
        buf_append_char(out, alphabet[bits << (6 - pending) & 63]);
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

bool base64url_decode(struct str text, struct buf *out)
{
    uint32_t bits = 0;
    int pending = 0;
    size_t before = out->len;
    if (text.len % 4 == 1)
        return false;
    buf_reserve(out, text.len / 4 * 3 + BASE64URL_SPARE);
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0) {
            out->len = before;
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        pending += 6;
        if (pending >= 8) {
            pending -= 8;
            out->ptr[out->len++] = (char)(bits >> pending & 0xff);
        }
    }
    if (bits & ((1U << pending) - 1)) {
        out->len = before;
        return false;
    }
    return true;
}
