/* fuzz_http_chunked.c - chunked bodies. A body must decode to the same byte by byte and at once, and never to more
 * than the bound. */
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/protocol/http_chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { BODY_MAX = 1000 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

static enum http_chunked_result decode(struct str text, size_t step, struct buf *out, size_t *out_used)
{
    struct http_chunked chunked = {.max_body = BODY_MAX};
    enum http_chunked_result result = HTTP_CHUNKED_NEED_MORE;
    struct error error = {0};
    *out_used = 0;
    while (*out_used < text.len && result == HTTP_CHUNKED_NEED_MORE) {
        size_t part = text.len - *out_used < step ? text.len - *out_used : step, decoded, used;
        char *piece = str_dup(str_from(text.ptr + *out_used, part));
        result = http_chunked_decode(&chunked, piece, part, &decoded, &used, &error);
        require(decoded <= used && used <= part && (used == part || result != HTTP_CHUNKED_NEED_MORE));
        buf_append(out, str_from(piece, decoded));
        *out_used += used;
        free(piece);
    }
    require(out->len <= BODY_MAX && chunked.body == out->len);
    require((result >= HTTP_CHUNKED_BAD) == (error.text[0] != '\0'));
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str input = str_from((const char *)bytes, len);
    struct buf at_once = {0}, slowly = {0};
    size_t used, used_slowly;
    enum http_chunked_result result = decode(input, len, &at_once, &used);
    require(result == decode(input, 1, &slowly, &used_slowly));
    require(used == used_slowly && str_eq(buf_str(&at_once), buf_str(&slowly)));
    buf_fini(&at_once);
    buf_fini(&slowly);
    return 0;
}
