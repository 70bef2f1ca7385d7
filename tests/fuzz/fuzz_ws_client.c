/* fuzz_ws_client.c - a server's bytes, as our own client reads them: the same messages come out in one piece and byte
 * by byte. */
#include <stdlib.h>

#include "common/protocol/ws_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool decode(struct ws_decoder *decoder, struct str bytes, struct buf *out)
{
    struct ws_message message;
    enum ws_decoded result;
    while ((result = ws_decoder_next(decoder, &bytes, &message, NULL)) == WS_DECODED_MESSAGE) {
        buf_appendf(out, "%d %d %zu:", (int)message.opcode, message.close_code, message.payload.len);
        buf_append(out, message.payload);
    }
    return result == WS_DECODED_MORE;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct ws_decoder whole = {.max_message = 1024}, pieces = {.max_message = 1024};
    struct buf out = {0}, out_pieces = {0};
    bool good = decode(&whole, str_from((const char *)bytes, len), &out), good_pieces = true;
    for (size_t i = 0; i < len && good_pieces; i++)
        good_pieces = decode(&pieces, str_from((const char *)bytes + i, 1), &out_pieces);
    if (good != good_pieces || !str_eq(buf_str(&out), buf_str(&out_pieces)))
        abort();
    ws_decoder_fini(&whole);
    ws_decoder_fini(&pieces);
    buf_fini(&out);
    buf_fini(&out_pieces);
    return 0;
}
