/* ws_decoder.c - see ws_decoder.h. Section numbers are those of RFC 6455. */
#include "common/protocol/ws_decoder.h"

enum {
    OPCODE_CONTINUATION = 0,
    LEN_16 = 126,
    LEN_64 = 127,
};

void ws_decoder_fini(struct ws_decoder *decoder)
{
    buf_fini(&decoder->message);
    buf_fini(&decoder->part);
}

bool ws_decoder_is_amid(const struct ws_decoder *decoder)
{
    return decoder->in_frame || decoder->message_opcode || (decoder->part.len > 0 && !decoder->lent);
}

static enum ws_decoded bad(struct ws_decoder *decoder, enum reason reason, struct error *error, const char *text)
{
    decoder->reason = reason;
    error_set(error, reason_err(reason), "the %s broke the WebSocket protocol: %s",
              decoder->from_client ? "client" : "server", text);
    return WS_DECODED_BAD;
}

static enum ws_decoded broken(struct ws_decoder *decoder, struct error *error, const char *text)
{
    return bad(decoder, REASON_PROTOCOL_ERROR, error, text);
}

static bool is_control(int opcode)
{
    return opcode >= WS_CLOSE;
}

/* --- headers ---------------------------------------------------------------------------------------------------- */

/* The two bytes that every header begins with (5.2). */
static enum ws_decoded check_start(struct ws_decoder *decoder, const unsigned char *p, struct error *error)
{
    int opcode = p[0] & 15;
    bool fin = p[0] & 0x80;
    bool masked = p[1] & 0x80;
    if (p[0] & 0x70)
        return broken(decoder, error, "reserved bits are set, and no extension was agreed on");
    if (opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE))
        return broken(decoder, error, "an unknown opcode");
    if (masked != decoder->from_client)
        return broken(decoder, error, masked ? "a masked frame" : "a frame that is not masked");
    if (is_control(opcode))
        return fin && (p[1] & 0x7F) <= WS_CONTROL_MAX
                   ? WS_DECODED_MESSAGE
                   : broken(decoder, error, "a control frame that is fragmented or over 125 bytes");
    if ((opcode == OPCODE_CONTINUATION) != (decoder->message_opcode != 0))
        return broken(decoder, error,
                      opcode ? "a new message inside a fragmented one" : "a continuation of no message");
    return WS_DECODED_MESSAGE;
}

static bool is_over_limit(const struct ws_decoder *decoder, uint64_t more)
{
    return decoder->max_message &&
           (decoder->message.len > decoder->max_message || more > decoder->max_message - decoder->message.len);
}

/* The header that `in` begins with. WS_DECODED_MORE: *out_len bytes are needed before looking again.
 * WS_DECODED_MESSAGE: it is *out_len bytes long, and the decoder is in its frame. */
static enum ws_decoded read_header(struct ws_decoder *decoder, struct str in, size_t *out_len, struct error *error)
{
    const unsigned char *p = (const unsigned char *)in.ptr;
    *out_len = 2;
    if (in.len < 2)
        return WS_DECODED_MORE;
    enum ws_decoded result = check_start(decoder, p, error);
    if (result != WS_DECODED_MESSAGE)
        return result;
    unsigned form = p[1] & 0x7F;
    size_t extended = form == LEN_64 ? 8 : form == LEN_16 ? 2 : 0;
    size_t mask_len = decoder->from_client ? sizeof decoder->mask : 0;
    *out_len = 2 + extended + mask_len;
    if (in.len < 2 + extended)
        return WS_DECODED_MORE;
    uint64_t len = extended ? 0 : form;
    for (size_t i = 0; i < extended; i++)
        len = len << 8 | p[2 + i];
    if (len >> 63 || (extended == 2 && len < LEN_16) || (extended == 8 && len <= UINT16_MAX))
        return broken(decoder, error, "a length that is not in its shortest form, or over 63 bits");
    if (!is_control(p[0] & 15) && is_over_limit(decoder, len))
        return bad(decoder, REASON_MESSAGE_TOO_BIG, error, "a message over the size limit");
    if (in.len < *out_len)
        return WS_DECODED_MORE;
    if (mask_len)
        memcpy(decoder->mask, p + 2 + extended, mask_len);
    decoder->in_frame = true;
    decoder->fin = p[0] & 0x80;
    decoder->opcode = p[0] & 15;
    decoder->left = len;
    bool control = is_control(decoder->opcode);
    if (control || ((!decoder->fin || decoder->message_opcode) && len <= WS_CONTROL_MAX))
        decoder->beside += *out_len + (control ? len : 0);
    return WS_DECODED_MESSAGE;
}

static void take(struct str *bytes, size_t len)
{
    *bytes = str_skip(*bytes, len);
}

/* WS_DECODED_MESSAGE: the decoder is in a frame. */
static enum ws_decoded enter_frame(struct ws_decoder *decoder, struct str *bytes, struct error *error)
{
    while (!decoder->in_frame) {
        bool gathering = decoder->part.len > 0;
        size_t len;
        enum ws_decoded result = read_header(decoder, gathering ? buf_str(&decoder->part) : *bytes, &len, error);
        if (result == WS_DECODED_BAD)
            return result;
        if (result == WS_DECODED_MESSAGE) {
            if (gathering)
                buf_fini(&decoder->part);
            else
                take(bytes, len);
            break;
        }
        if (bytes->len == 0)
            return WS_DECODED_MORE;
        size_t missing = len - decoder->part.len;
        size_t n = bytes->len < missing ? bytes->len : missing;
        buf_append(&decoder->part, str_from(bytes->ptr, n));
        take(bytes, n);
    }
    return WS_DECODED_MESSAGE;
}

/* --- payloads --------------------------------------------------------------------------------------------------- */

/* 5.3: octet i of the payload is combined with octet i modulo 4 of the key. */
static void unmask(struct ws_decoder *decoder, struct str part)
{
    char *p = (char *)(uintptr_t)part.ptr; /* writable: see the header */
    uint64_t eight, key;
    size_t i = 0;
    memcpy(&key, decoder->mask, sizeof decoder->mask);
    memcpy((char *)&key + sizeof decoder->mask, decoder->mask, sizeof decoder->mask);
    for (; part.len - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, p + i, sizeof eight);
        eight ^= key;
        memcpy(p + i, &eight, sizeof eight);
    }
    for (; i < part.len; i++)
        p[i] = (char)(p[i] ^ decoder->mask[i & 3]);
    uint8_t turned[4];
    for (size_t k = 0; k < sizeof turned; k++)
        turned[k] = decoder->mask[(part.len + k) & 3];
    memcpy(decoder->mask, turned, sizeof turned);
}

/* Takes the part of the frame's payload that has come, and unmasks it. */
static struct str take_payload(struct ws_decoder *decoder, struct str *bytes)
{
    struct str part = str_from(bytes->ptr, bytes->len < decoder->left ? bytes->len : (size_t)decoder->left);
    take(bytes, part.len);
    decoder->left -= part.len;
    if (decoder->from_client && part.len > 0)
        unmask(decoder, part);
    return part;
}

static enum ws_decoded read_close(struct ws_decoder *decoder, struct str payload, struct ws_message *out,
                                  struct error *error)
{
    out->payload = STR("");
    out->close_code = WS_CLOSE_NO_CODE;
    if (payload.len == 0)
        return WS_DECODED_MESSAGE;
    if (payload.len == 1)
        return broken(decoder, error, "a close frame with half a code");
    const unsigned char *p = (const unsigned char *)payload.ptr;
    out->close_code = p[0] << 8 | p[1];
    out->payload = str_skip(payload, 2);
    if (!close_code_may_be_sent((uint64_t)out->close_code))
        return broken(decoder, error, "a close code that must not be sent");
    if (!str_is_utf8(out->payload))
        return bad(decoder, REASON_NOT_UTF8, error, "a close reason that is not UTF-8");
    return WS_DECODED_MESSAGE;
}

static enum ws_decoded read_control(struct ws_decoder *decoder, struct str *bytes, struct ws_message *out,
                                    struct error *error)
{
    struct str payload = take_payload(decoder, bytes);
    if (decoder->left > 0 || decoder->part.len > 0) {
        buf_append(&decoder->part, payload);
        if (decoder->left > 0)
            return WS_DECODED_MORE;
        payload = buf_str(&decoder->part);
        decoder->lent = true;
    }
    decoder->in_frame = false;
    *out = (struct ws_message){.opcode = decoder->opcode, .payload = payload};
    return decoder->opcode == WS_CLOSE ? read_close(decoder, payload, out, error) : WS_DECODED_MESSAGE;
}

/* Has the text so far been UTF-8 (8.1)? Its last character may be incomplete until the message ends. */
static enum ws_decoded check_text(struct ws_decoder *decoder, bool ended, struct error *error)
{
    struct str text = buf_str(&decoder->message);
    bool possible = true;
    if (decoder->message_opcode != WS_TEXT)
        return WS_DECODED_MESSAGE;
    decoder->utf8_len += str_utf8_prefix(str_skip(text, decoder->utf8_len), &possible);
    if (!possible || (ended && decoder->utf8_len < text.len))
        return bad(decoder, REASON_NOT_UTF8, error, "text that is not UTF-8");
    return WS_DECODED_MESSAGE;
}

/* WS_DECODED_MORE: the message goes on, in these bytes or in those to come. */
static enum ws_decoded read_data(struct ws_decoder *decoder, struct str *bytes, struct ws_message *out,
                                 struct error *error)
{
    bool whole = decoder->fin && !decoder->message_opcode && bytes->len >= decoder->left;
    struct str payload = take_payload(decoder, bytes);
    decoder->in_frame = decoder->left > 0;
    if (whole) {
        *out = (struct ws_message){.opcode = decoder->opcode, .payload = payload};
        if (out->opcode == WS_TEXT && !str_is_utf8(payload))
            return bad(decoder, REASON_NOT_UTF8, error, "text that is not UTF-8");
        return WS_DECODED_MESSAGE;
    }
    if (!decoder->message_opcode)
        decoder->message_opcode = decoder->opcode;
    buf_append(&decoder->message, payload);
    bool ended = decoder->fin && !decoder->in_frame;
    enum ws_decoded result = check_text(decoder, ended, error);
    if (result == WS_DECODED_BAD || !ended)
        return result == WS_DECODED_BAD ? result : WS_DECODED_MORE;
    *out = (struct ws_message){.opcode = decoder->message_opcode, .payload = buf_str(&decoder->message)};
    decoder->message_opcode = 0;
    decoder->utf8_len = 0;
    decoder->lent = true;
    return WS_DECODED_MESSAGE;
}

static void free_lent(struct ws_decoder *decoder)
{
    if (!decoder->lent)
        return;
    decoder->lent = false;
    buf_fini(&decoder->part);
    if (!decoder->message_opcode) /* else a control frame was lent, between the fragments of a message */
        buf_fini(&decoder->message);
}

enum ws_decoded ws_decoder_next(struct ws_decoder *decoder, struct str *bytes, struct ws_message *out,
                                struct error *error)
{
    free_lent(decoder);
    for (;;) {
        enum ws_decoded result = enter_frame(decoder, bytes, error);
        if (result != WS_DECODED_MESSAGE)
            return result;
        result = is_control(decoder->opcode) ? read_control(decoder, bytes, out, error)
                                             : read_data(decoder, bytes, out, error);
        if (result != WS_DECODED_MORE || bytes->len == 0)
            return result;
    }
}
