/* fuzz_ws_decoder.c - WebSocket frames of a client or a server. The decoder finds the same in one piece and byte by
 * byte. In the frames of a client it finds the same as libwslay. The first byte of an input says who sends, and how.
 * An input is frames as they are, or (structured) notes from which well-formed frames with chosen faults are made. */
#include <stdlib.h>
#include <wslay/wslay.h>

#include "common/protocol/ws_decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { FROM_CLIENT = 1, STRUCTURED = 2, MAX_MESSAGE = 1024 };

static void note_message(struct buf *out, int opcode, int close_code, struct str payload)
{
    buf_appendf(out, "%d %d %zu:", opcode, close_code, payload.len);
    buf_append(out, payload);
}

/* --- our own decoder -------------------------------------------------------------------------------------------- */

struct outcome {
    struct buf messages;
    enum reason reason;
    bool amid;
    bool closed; /* by a close frame or a fault: what follows is not looked at */
};

static void decode(struct str stream, bool from_client, size_t step, struct outcome *out)
{
    struct ws_decoder decoder = {.max_message = MAX_MESSAGE, .from_client = from_client};
    struct buf copy = {0};
    buf_append(&copy, stream); /* it is unmasked in place */
    for (size_t at = 0; at < copy.len && !out->closed; at += step) {
        struct str piece = str_from(copy.ptr + at, copy.len - at < step ? copy.len - at : step);
        struct ws_message message;
        enum ws_decoded result = WS_DECODED_MESSAGE;
        while (!out->closed && result == WS_DECODED_MESSAGE) {
            result = ws_decoder_next(&decoder, &piece, &message, NULL);
            if (result == WS_DECODED_MESSAGE)
                note_message(&out->messages, (int)message.opcode, message.close_code, message.payload);
            out->closed = result == WS_DECODED_BAD || (result == WS_DECODED_MESSAGE && message.opcode == WS_CLOSE);
        }
        out->reason = decoder.reason;
    }
    out->amid = out->reason == REASON_NONE && ws_decoder_is_amid(&decoder);
    ws_decoder_fini(&decoder);
    buf_fini(&copy);
}

/* --- libwslay --------------------------------------------------------------------------------------------------- */

struct wslay {
    struct str rest;
    struct buf messages;
};

static ssize_t give(wslay_event_context_ptr context, uint8_t *into, size_t len, int flags, void *user)
{
    struct wslay *wslay = user;
    size_t n = wslay->rest.len < len ? wslay->rest.len : len;
    (void)flags;
    if (n == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(into, wslay->rest.ptr, n);
    wslay->rest = str_from(wslay->rest.ptr + n, wslay->rest.len - n);
    return (ssize_t)n;
}

static ssize_t swallow(wslay_event_context_ptr context, const uint8_t *bytes, size_t len, int flags, void *user)
{
    (void)context, (void)bytes, (void)flags, (void)user;
    return (ssize_t)len;
}

static void take(wslay_event_context_ptr context, const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
    struct wslay *wslay = user;
    struct str payload = str_from((const char *)arg->msg, arg->msg_length);
    (void)context;
    if (arg->opcode != WSLAY_CONNECTION_CLOSE)
        note_message(&wslay->messages, arg->opcode, 0, payload);
    else
        note_message(&wslay->messages, WS_CLOSE, arg->status_code ? arg->status_code : WS_CLOSE_NO_CODE,
                     payload.len >= 2 ? str_from(payload.ptr + 2, payload.len - 2) : STR(""));
}

/* Did libwslay refuse what it read? */
static bool decode_by_wslay(struct str stream, struct wslay *wslay)
{
    const struct wslay_event_callbacks callbacks = {
        .recv_callback = give,
        .send_callback = swallow,
        .on_msg_recv_callback = take,
    };
    wslay_event_context_ptr context;
    if (wslay_event_context_server_init(&context, &callbacks, wslay))
        abort();
    wslay_event_config_set_max_recv_msg_length(context, MAX_MESSAGE);
    wslay->rest = stream;
    bool failed = wslay_event_recv(context) != 0; /* by a malformed header; all else is told by a close frame */
    wslay_event_send(context);
    int code = wslay_event_get_close_sent(context) ? wslay_event_get_status_code_sent(context) : 0;
    wslay_event_context_free(context);
    return failed || code == 1002 || code == 1007 || code == 1009;
}

/* Codes that were registered after libwslay's list was made. */
static bool has_new_code(const struct outcome *outcome)
{
    const char *messages = outcome->messages.ptr;
    for (size_t i = 0; i + 6 < outcome->messages.len; i++)
        if (memcmp(messages + i, "8 101", 5) == 0 && strchr("234", messages[i + 5]))
            return true;
    return false;
}

/* A close frame with one byte, which RFC 6455, 5.5.1 forbids. */
static bool took_half_a_code(const struct outcome *ours, const struct wslay *wslay)
{
    static const char close[] = "8 1005 0:";
    return ours->reason == REASON_PROTOCOL_ERROR && wslay->messages.len == ours->messages.len + sizeof close - 1 &&
           memcmp(wslay->messages.ptr + ours->messages.len, close, sizeof close - 1) == 0;
}

/* Once ours has refused the bytes, libwslay gets some more. It checks a header when all of it has come, and a size with
 * the first byte of the payload. */
static void compare(struct buf *stream, const struct outcome *ours)
{
    static const char more[16] = {0};
    struct wslay wslay = {0};
    if (ours->reason != REASON_NONE)
        buf_append(stream, str_from(more, sizeof more));
    bool refused = decode_by_wslay(buf_str(stream), &wslay);
    if (!has_new_code(ours) && !took_half_a_code(ours, &wslay)) {
        if (!str_eq(buf_str(&ours->messages), buf_str(&wslay.messages)))
            abort();
        bool echoed = ours->closed && ours->reason == REASON_NONE; /* the client's own code */
        bool looked_ahead = ours->amid;                            /* into half a close frame */
        if (refused != (ours->reason != REASON_NONE) && !echoed && !looked_ahead)
            abort();
    }
    buf_fini(&wslay.messages);
}

/* --- structured inputs ------------------------------------------------------------------------------------------ */

/* A frame takes three bytes: the first byte of its header, the change to its length, and the length of its payload.
 * The payload is taken from the bytes that follow. */
static void make_frames(struct buf *out, const uint8_t *notes, size_t len, bool masked)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    while (len >= 3) {
        uint8_t first = notes[0], how = notes[1], header[WS_HEADER_MAX];
        size_t payload = notes[2];
        notes += 3, len -= 3;
        payload = payload < len ? payload : len;
        size_t repeat = how & 0x10 ? 3 : 1;
        size_t header_len = ws_frame_header(header, WS_BINARY, payload * repeat);
        header[0] = first;
        if ((how & 0xE0) == 0xE0 && header_len == 2) { /* a longer form than there need be */
            buf_appendf(out, "%c%c%c%c", first, masked ? 0xFE : 0x7E, 0, (int)(payload * repeat));
        } else {
            header[1] = (uint8_t)(header[1] | (masked != ((how & 0x0F) == 0x0F) ? 0x80 : 0));
            buf_append(out, str_from((char *)header, header_len));
        }
        if (masked)
            buf_append(out, str_from((const char *)key, sizeof key));
        for (size_t i = 0; i < payload * repeat; i++)
            buf_append_char(out, (char)(notes[i % (payload ? payload : 1)] ^ (masked ? key[i % 4] : 0)));
        notes += payload, len -= payload;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    bool from_client = bytes[0] & FROM_CLIENT;
    struct buf stream = {0};
    if (bytes[0] & STRUCTURED)
        make_frames(&stream, bytes + 1, len - 1, from_client);
    else
        buf_append(&stream, str_from((const char *)bytes + 1, len - 1));
    struct outcome whole = {0}, pieces = {0};
    decode(buf_str(&stream), from_client, stream.len + 1, &whole);
    decode(buf_str(&stream), from_client, 1 + (bytes[0] >> 2) % 8, &pieces);
    if (whole.reason != pieces.reason || whole.closed != pieces.closed ||
        !str_eq(buf_str(&whole.messages), buf_str(&pieces.messages)))
        abort();
    if (from_client) /* libwslay does not mind a server's masked frames */
        compare(&stream, &whole);
    buf_fini(&whole.messages);
    buf_fini(&pieces.messages);
    buf_fini(&stream);
    return 0;
}
