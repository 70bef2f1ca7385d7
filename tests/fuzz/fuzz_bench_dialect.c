/* fuzz_bench_dialect.c - the bytes that servers of other protocols send to the load generator. The first byte is
 * where the rest is cut in two. A byte stream must mean the same, cut or whole. */
#include <stdlib.h>

#include "bench/load/dialects/bench_dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct heard {
    size_t items;
    size_t bytes;
    bool refused; /* the client would have left */
};

static void hear(const struct bench_dialect *dialect, struct talk *talk, struct buf *rest, struct str piece,
                 struct heard *heard)
{
    struct buf answer = {0};
    struct str out = STR("");
    buf_append(rest, piece);
    struct str message = buf_str(rest);
    while (!heard->refused) {
        enum dialect_item item = dialect->read(talk, &message, &out, &answer);
        if (item == DIALECT_MORE)
            break;
        heard->items++;
        heard->bytes += item == DIALECT_EVENT ? out.len : 0;
        heard->refused = item == DIALECT_OTHER;
    }
    buf_consume(rest, rest->len - message.len);
    buf_fini(&answer);
}

static struct heard converse(const struct bench_dialect *dialect, struct str first, struct str second)
{
    struct talk talk = {.channel = STR("a:b")};
    struct heard heard = {0};
    struct buf rest = {0};
    dialect->open(&talk, &rest);
    buf_clear(&rest);
    hear(dialect, &talk, &rest, first, &heard);
    hear(dialect, &talk, &rest, second, &heard);
    buf_fini(&rest);
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct str all = str_from((const char *)bytes + 1, len - 1);
    size_t cut = bytes[0] < all.len ? bytes[0] : all.len;
    for (size_t i = 0; dialects[i]; i++) {
        struct heard whole = converse(dialects[i], all, STR(""));
        struct heard pieces = converse(dialects[i], str_from(all.ptr, cut), str_from(all.ptr + cut, all.len - cut));
        if (dialects[i]->is_binary && /* the others' messages come whole */
            (whole.items != pieces.items || whole.bytes != pieces.bytes || whole.refused != pieces.refused))
            abort();
    }
    return 0;
}
