/* ws_frame.c - see ws_frame.h. */
#include "common/protocol/ws_frame.h"

#include <assert.h>

enum { FIN = 0x80, LEN_16 = 126, LEN_64 = 127 };

static void put_big_endian(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

size_t ws_frame_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, size_t len)
{
    assert(opcode < WS_CLOSE || len <= WS_CONTROL_MAX); /* RFC 6455, 5.5 */
    out[0] = (uint8_t)(FIN | opcode);
    if (len < LEN_16) {
        out[1] = (uint8_t)len;
        return 2;
    }
    if (len <= UINT16_MAX) {
        out[1] = LEN_16;
        put_big_endian(out + 2, len, 2);
        return 4;
    }
    out[1] = LEN_64;
    put_big_endian(out + 2, len, 8);
    return 10;
}

size_t ws_frame_close(uint8_t out[2 + WS_CONTROL_MAX], int code, struct str reason)
{
    const size_t longest = WS_CONTROL_MAX - 2;
    if (code == 0)
        return ws_frame_header(out, WS_CLOSE, 0);
    if (reason.len > longest) {
        reason.len = longest;
        while (reason.len > 0 && !str_is_utf8(reason)) /* the cut must not fall inside a character */
            reason.len--;
    }
    size_t header = ws_frame_header(out, WS_CLOSE, 2 + reason.len);
    put_big_endian(out + header, (uint64_t)code, 2);
    if (reason.len)
        memcpy(out + header + 2, reason.ptr, reason.len);
    return header + 2 + reason.len;
}

static void append_frame(struct buf *out, enum ws_opcode opcode, struct str payload)
{
    uint8_t header[WS_HEADER_MAX];
    size_t len = ws_frame_header(header, opcode, payload.len);
    buf_reserve(out, len + payload.len);
    buf_append(out, str_from((const char *)header, len));
    buf_append(out, payload);
}

static void append_message(struct buf *out, struct str text)
{
    append_frame(out, WS_TEXT, text);
}

static void append_binary(struct buf *out, struct str bytes)
{
    append_frame(out, WS_BINARY, bytes);
}

static void append_ping(struct buf *out)
{
    append_frame(out, WS_PING, STR("c"));
}

static void append_pong(struct buf *out, struct str payload)
{
    append_frame(out, WS_PONG, payload);
}

static void append_close(struct buf *out, int code, struct str reason)
{
    uint8_t frame[2 + WS_CONTROL_MAX];
    buf_append(out, str_from((const char *)frame, ws_frame_close(frame, code, reason)));
}

const struct framing ws_framing = {
    .message = append_message,
    .binary = append_binary,
    .ping = append_ping,
    .pong = append_pong,
    .close = append_close,
};
