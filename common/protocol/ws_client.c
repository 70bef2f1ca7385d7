/* ws_client.c - the handshake and the frames of a client: see ws_client.h. */
#include "common/protocol/ws_client.h"

#include <openssl/evp.h>

#include "common/base/random.h"
#include "common/protocol/ws_handshake.h"

void ws_client_key(char out[WS_KEY_LEN + 1])
{
    unsigned char nonce[16];
    random_bytes(nonce, sizeof nonce);
    EVP_EncodeBlock((unsigned char *)out, nonce, sizeof nonce);
}

static void append_field(struct buf *out, struct str name, struct str value)
{
    buf_append(out, name);
    buf_append_lit(out, ": ");
    buf_append(out, value);
    buf_append_lit(out, "\r\n");
}

void ws_client_request(struct buf *out, const struct ws_request *request, const char key[WS_KEY_LEN + 1])
{
    buf_append_lit(out, "GET ");
    buf_append(out, request->target);
    buf_append_lit(out, " HTTP/1.1\r\n");
    append_field(out, STR("Host"), request->host);
    buf_append_lit(out, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
    append_field(out, STR("Sec-WebSocket-Key"), str_from_cstr(key));
    if (request->protocols.len > 0)
        append_field(out, STR("Sec-WebSocket-Protocol"), request->protocols);
    for (size_t i = 0; i < request->field_count; i++)
        append_field(out, request->fields[i].name, request->fields[i].value);
    buf_append(out, request->lines);
    buf_append_lit(out, "\r\n");
}

enum err ws_client_check(const struct http_answer *answer, const char key[WS_KEY_LEN + 1], struct error *error)
{
    const struct http_fields *fields = &answer->fields;
    char expected[WS_ACCEPT_LEN + 1];
    struct str value;
    if (answer->status != 101 || !http_fields_have_token(fields, STR("upgrade"), STR("websocket")) ||
        !http_fields_have_token(fields, STR("connection"), STR("upgrade")))
        return error_set(error, ERR_INVALID_REQUEST, "the server did not switch to WebSocket (HTTP status %d)",
                         answer->status);
    ws_handshake_accept(str_from_cstr(key), expected);
    if (!http_fields_find(fields, STR("sec-websocket-accept"), &value) || !str_eq_cstr(value, expected))
        return error_set(error, ERR_INVALID_REQUEST, "the server's Sec-WebSocket-Accept does not fit the request");
    if (http_fields_find(fields, STR("sec-websocket-extensions"), &value))
        return error_set(error, ERR_INVALID_REQUEST, "the server chose an extension that was not offered");
    return ERR_NONE;
}

void ws_client_frame(struct buf *out, enum ws_opcode opcode, struct str payload)
{
    uint8_t header[WS_HEADER_MAX], mask[4];
    size_t len = ws_frame_header(header, opcode, payload.len);
    header[1] |= 0x80;
    random_bytes(mask, sizeof mask);
    buf_reserve(out, len + sizeof mask + payload.len);
    buf_append(out, str_from((const char *)header, len));
    buf_append(out, str_from((const char *)mask, sizeof mask));
    for (size_t i = 0; i < payload.len; i++)
        out->ptr[out->len + i] = (char)((unsigned char)payload.ptr[i] ^ mask[i % 4]);
    out->len += payload.len;
}

void ws_client_close(struct buf *out, int code, struct str reason)
{
    uint8_t frame[2 + WS_CONTROL_MAX];
    struct str payload = STR("");
    if (code) {
        size_t len = ws_frame_close(frame, code, reason);
        payload = str_from((const char *)frame + 2, len - 2);
    }
    ws_client_frame(out, WS_CLOSE, payload);
}
