/* ws_decoder.c - what a server sends, taken apart; see ws_client.h. */
#include "common/protocol/ws_client.h"

enum { OPCODE_CONTINUATION = 0 };

struct frame {
    bool fin;
    int opcode;
    size_t header_len;
    uint64_t payload_len;
};

void ws_decoder_fini(struct ws_decoder *decoder)
{
    buf_fini(&decoder->frame);
    buf_fini(&decoder->joined);
}

static enum ws_decoded bad(struct error *error, const char *text)
{
    error_set(error, ERR_INVALID_REQUEST, "the server broke the WebSocket protocol: %s", text);
    return WS_DECODED_BAD;
}

static bool is_control(int opcode)
{
    return opcode >= WS_CLOSE;
}

static enum ws_decoded check_header(const struct ws_decoder *decoder, const struct frame *frame, unsigned first,
                                    struct error *error)
{
    int opcode = frame->opcode;
    if (first & 0x70)
        return bad(error, "reserved bits are set");
    if (opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE))
        return bad(error, "unknown opcode");
    if (is_control(opcode)) {
        if (!frame->fin || frame->payload_len > WS_CONTROL_MAX)
            return bad(error, "a control frame that is fragmented or over 125 bytes");
        return WS_DECODED_MESSAGE;
    }
    if ((opcode == OPCODE_CONTINUATION) != (decoder->joined_opcode != 0))
        return bad(error, opcode ? "a new message inside a fragmented one" : "a continuation of no message");
    if (decoder->max_message &&
        (frame->payload_len > decoder->max_message || decoder->joined.len > decoder->max_message - frame->payload_len))
        return bad(error, "a message over this client's size limit");
    return WS_DECODED_MESSAGE;
}

/* Reads the header that `in` begins with. WS_DECODED_MORE: *out_need bytes are needed before looking again. Else
 * *out_need is the length of the whole frame. */
static enum ws_decoded read_header(const struct ws_decoder *decoder, struct str in, struct frame *out, size_t *out_need,
                                   struct error *error)
{
    const unsigned char *p = (const unsigned char *)in.ptr;
    *out_need = 2;
    if (in.len < 2)
        return WS_DECODED_MORE;
    if (p[1] & 0x80)
        return bad(error, "a masked frame");
    size_t extended = p[1] == 127 ? 8 : p[1] == 126 ? 2 : 0;
    *out_need = 2 + extended;
    if (in.len < 2 + extended)
        return WS_DECODED_MORE;
    uint64_t len = extended ? 0 : p[1];
    for (size_t i = 0; i < extended; i++)
        len = len << 8 | p[2 + i];
    /* RFC 6455, 5.2: the shortest form, and the most significant bit is 0. */
    if ((extended == 2 && len < 126) || (extended == 8 && len <= 0xFFFF) || len >> 62)
        return bad(error, "a malformed length");
    *out = (struct frame){.fin = p[0] & 0x80, .opcode = p[0] & 15, .header_len = 2 + extended, .payload_len = len};
    enum ws_decoded result = check_header(decoder, out, p[0], error);
    *out_need = out->header_len + (size_t)len;
    return result;
}

/* The next whole frame: in place in *bytes, or gathered in decoder->frame. */
static enum ws_decoded next_frame(struct ws_decoder *decoder, struct str *bytes, struct frame *out,
                                  struct str *out_payload, struct error *error)
{
    for (;;) {
        bool gathering = decoder->frame.len > 0;
        struct str in = gathering ? buf_str(&decoder->frame) : *bytes;
        size_t need;
        enum ws_decoded result = read_header(decoder, in, out, &need, error);
        if (result == WS_DECODED_BAD)
            return result;
        if (result == WS_DECODED_MESSAGE && in.len >= need) {
            *out_payload = str_from(in.ptr + out->header_len, (size_t)out->payload_len);
            if (gathering)
                decoder->frame_lent = true;
            else
                *bytes = str_from(bytes->ptr + need, bytes->len - need);
            return WS_DECODED_MESSAGE;
        }
        if (bytes->len == 0)
            return WS_DECODED_MORE;
        size_t missing = need - decoder->frame.len;
        size_t take = bytes->len < missing ? bytes->len : missing;
        buf_append(&decoder->frame, str_from(bytes->ptr, take));
        *bytes = str_from(bytes->ptr + take, bytes->len - take);
    }
}

static enum ws_decoded close_message(struct str payload, struct ws_message *out, struct error *error)
{
    if (payload.len == 1)
        return bad(error, "a close frame with half a code");
    out->close_code = 1005;
    out->payload = STR("");
    if (payload.len >= 2) {
        const unsigned char *p = (const unsigned char *)payload.ptr;
        out->close_code = p[0] << 8 | p[1];
        out->payload = str_from(payload.ptr + 2, payload.len - 2);
        if (!str_is_utf8(out->payload))
            return bad(error, "a close reason that is not UTF-8");
    }
    return WS_DECODED_MESSAGE;
}

static void clear_lent(struct ws_decoder *decoder)
{
    if (decoder->frame_lent)
        buf_clear(&decoder->frame);
    if (decoder->joined_lent)
        buf_clear(&decoder->joined);
    decoder->frame_lent = decoder->joined_lent = false;
}

enum ws_decoded ws_decoder_next(struct ws_decoder *decoder, struct str *bytes, struct ws_message *out,
                                struct error *error)
{
    struct frame frame;
    struct str payload;
    for (;;) {
        clear_lent(decoder);
        enum ws_decoded result = next_frame(decoder, bytes, &frame, &payload, error);
        if (result != WS_DECODED_MESSAGE)
            return result;
        if (is_control(frame.opcode))
            break;
        if (frame.fin && !decoder->joined_opcode)
            break;
        if (!decoder->joined_opcode)
            decoder->joined_opcode = frame.opcode;
        buf_append(&decoder->joined, payload);
        if (frame.fin) {
            frame.opcode = decoder->joined_opcode;
            payload = buf_str(&decoder->joined);
            decoder->joined_opcode = 0;
            decoder->joined_lent = true;
            break;
        }
    }
    *out = (struct ws_message){.opcode = (enum ws_opcode)frame.opcode, .payload = payload};
    if (frame.opcode == WS_CLOSE)
        return close_message(payload, out, error);
    if (frame.opcode == WS_TEXT && !str_is_utf8(payload))
        return bad(error, "text that is not UTF-8");
    return WS_DECODED_MESSAGE;
}
