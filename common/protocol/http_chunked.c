/* http_chunked.c - see http_chunked.h. */
#include "common/protocol/http_chunked.h"

#include <string.h>

#include "common/base/percent.h"

enum state {
    AT_SIZE,       /* digits of a chunk's size */
    AT_EXT_START,  /* white space after the size: an extension must follow */
    AT_EXT,        /* the rest of the size's line */
    AT_SIZE_LF,    /* its CR has come */
    AT_DATA,       /* left bytes of it */
    AT_DATA_CR,    /* the CR LF that ends the data */
    AT_DATA_LF,    /* */
    AT_LINE,       /* the first byte of a trailer field, or of the empty line */
    AT_TRAILER,    /* within a trailer field */
    AT_TRAILER_LF, /* its CR has come */
    AT_LAST_LF,    /* the CR of the empty line has come */
};

static enum http_chunked_result bad(struct error *error, const char *text)
{
    error_set(error, ERR_INVALID_REQUEST, "the chunked body is malformed: %s", text);
    return HTTP_CHUNKED_BAD;
}

static enum http_chunked_result go_to(struct http_chunked *chunked, enum state state)
{
    chunked->state = (int)state;
    return HTTP_CHUNKED_NEED_MORE;
}

/* Sixteen digits are all that 64 bits hold, and more zeros before them than anybody needs. */
static enum http_chunked_result take_size(struct http_chunked *chunked, char c, struct error *error)
{
    int digit = hex_digit(c);
    if (digit >= 0 && chunked->digits < 16) {
        chunked->left = chunked->left << 4 | (unsigned)digit;
        chunked->digits++;
        return HTTP_CHUNKED_NEED_MORE;
    }
    if (digit >= 0)
        return bad(error, "a chunk size has more than 16 digits");
    if (chunked->digits == 0)
        return bad(error, "a chunk must begin with its size in hexadecimal digits");
    switch (c) {
    case '\r': return go_to(chunked, AT_SIZE_LF);
    case ';': return go_to(chunked, AT_EXT);
    case ' ':
    case '\t': return go_to(chunked, AT_EXT_START);
    default: return bad(error, "a chunk size has a character that is not a hexadecimal digit");
    }
}

/* A byte of an extension or a trailer field, which a CR ends. */
static enum http_chunked_result ignore(struct http_chunked *chunked, char c, enum state after_cr, struct error *error)
{
    if (c == '\r')
        return go_to(chunked, after_cr);
    if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7F)
        return bad(error, "a control character, or a line that does not end in CR LF");
    if (++chunked->ignored > HTTP_CHUNKED_IGNORED_MAX) {
        error_set(error, ERR_TOO_LARGE, "the chunked body has over %d bytes of extensions and trailers",
                  HTTP_CHUNKED_IGNORED_MAX);
        return HTTP_CHUNKED_TOO_LARGE;
    }
    return HTTP_CHUNKED_NEED_MORE;
}

static enum http_chunked_result end_size_line(struct http_chunked *chunked, struct error *error)
{
    chunked->digits = 0;
    if (chunked->left == 0)
        return go_to(chunked, AT_LINE);
    if (chunked->left > chunked->max_body - chunked->body) {
        error_set(error, ERR_TOO_LARGE, "the request body is over the size limit");
        return HTTP_CHUNKED_TOO_LARGE;
    }
    return go_to(chunked, AT_DATA);
}

/* One byte that is not data. */
static enum http_chunked_result take_byte(struct http_chunked *chunked, char c, struct error *error)
{
    static const char no_lf[] = "CR without LF";
    switch ((enum state)chunked->state) {
    case AT_SIZE: return take_size(chunked, c, error);
    case AT_EXT_START:
        if (c != ';' && c != ' ' && c != '\t')
            return bad(error, "white space after a chunk size");
        if (c == ';')
            chunked->state = AT_EXT;
        return ignore(chunked, c, AT_SIZE_LF, error);
    case AT_EXT: return ignore(chunked, c, AT_SIZE_LF, error);
    case AT_SIZE_LF: return c == '\n' ? end_size_line(chunked, error) : bad(error, no_lf);
    case AT_DATA_CR: return c == '\r' ? go_to(chunked, AT_DATA_LF) : bad(error, "a chunk is longer than its size");
    case AT_DATA_LF: return c == '\n' ? go_to(chunked, AT_SIZE) : bad(error, no_lf);
    case AT_LINE:
        if (c == '\r')
            return go_to(chunked, AT_LAST_LF);
        chunked->state = AT_TRAILER;
        return ignore(chunked, c, AT_TRAILER_LF, error);
    case AT_TRAILER: return ignore(chunked, c, AT_TRAILER_LF, error);
    case AT_TRAILER_LF: return c == '\n' ? go_to(chunked, AT_LINE) : bad(error, no_lf);
    case AT_LAST_LF: return c == '\n' ? HTTP_CHUNKED_DONE : bad(error, no_lf);
    case AT_DATA: break;
    }
    return bad(error, "no state"); /* data is not taken here */
}

enum http_chunked_result http_chunked_decode(struct http_chunked *chunked, char *bytes, size_t len, size_t *out_decoded,
                                             size_t *out_used, struct error *error)
{
    enum http_chunked_result result = HTTP_CHUNKED_NEED_MORE;
    size_t used = 0, decoded = 0;
    while (used < len && result == HTTP_CHUNKED_NEED_MORE) {
        if (chunked->state != AT_DATA) {
            result = take_byte(chunked, bytes[used++], error);
            continue;
        }
        size_t part = chunked->left < len - used ? (size_t)chunked->left : len - used;
        memmove(bytes + decoded, bytes + used, part);
        used += part;
        decoded += part;
        chunked->body += part;
        chunked->left -= part;
        if (chunked->left == 0)
            chunked->state = AT_DATA_CR;
    }
    *out_decoded = decoded;
    *out_used = used;
    return result;
}
