/* percent.h - hexadecimal digits, and the percent-encoding of URLs (RFC 3986, 2.1). Pure, for any thread. */
#ifndef CARILLON_BASE_PERCENT_H
#define CARILLON_BASE_PERCENT_H

#include "common/base/buf.h"

/* 0 to 15, -1 if c is no hexadecimal digit. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that the escape at the beginning of text stands for. -1 if it is malformed or stands for NUL. Borrows text,
 * which begins with '%'; the escape is three bytes long. */
int percent_unescape(struct str text);

/* Appends the decoded text; '+' is itself. False if an escape is malformed or stands for NUL: out then has a part. */
bool percent_decode(struct str text, struct buf *out);

#endif
