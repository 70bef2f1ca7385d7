/* http_chunked.h - the chunked transfer coding of HTTP/1.1 (RFC 9112, 7.1), decoded in place as its bytes arrive. Chunk
 * extensions and trailer fields are bounded and ignored. Lines must end in CR LF. Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_HTTP_CHUNKED_H
#define CARILLON_PROTOCOL_HTTP_CHUNKED_H

#include "common/base/error.h"

/* Bytes of extensions and trailers, together, that one body may have. */
enum { HTTP_CHUNKED_IGNORED_MAX = 16384 };

enum http_chunked_result {
    HTTP_CHUNKED_NEED_MORE,
    HTTP_CHUNKED_DONE,
    HTTP_CHUNKED_BAD,      /* 400: the end of the body cannot be found */
    HTTP_CHUNKED_TOO_LARGE /* 413: the sizes are over max_body, or the ignored bytes are over their bound */
};

/* A body that is being decoded. A zeroed struct with max_body set is at the beginning. The rest is private. */
struct http_chunked {
    size_t max_body; /* bytes, decoded */
    size_t body;     /* bytes decoded so far */
    uint64_t left;   /* of the present chunk; its size while that is read */
    size_t ignored;
    unsigned digits;
    int state;
};

/* Decodes the next len bytes of the coded body, wherever they begin and end. The decoded bytes are moved to the front
 * of bytes: *out_decoded of them. *out_used is the number of coded bytes that were taken: all of them, except after
 * DONE, when the rest belongs to the next request. Both are written in any case. BAD and TOO_LARGE fill *error, and the
 * body cannot be read further. */
enum http_chunked_result http_chunked_decode(struct http_chunked *chunked, char *bytes, size_t len, size_t *out_decoded,
                                             size_t *out_used, struct error *error);

#endif
