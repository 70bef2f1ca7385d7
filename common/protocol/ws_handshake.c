/* ws_handshake.c - see ws_handshake.h. */
#include "common/protocol/ws_handshake.h"

#include <openssl/evp.h>

/* 16 bytes in base64: 22 characters and "==". */
static bool is_websocket_key(struct str key)
{
    if (key.len != 24 || key.ptr[22] != '=' || key.ptr[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.ptr[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && c != '+' && c != '/')
            return false;
    }
    return true;
}

enum ws_handshake ws_handshake_check(const struct http_head *head, struct error *error)
{
    struct str value;
    const char *fault = NULL;
    if (!http_head_find(head, STR("upgrade"), &value))
        return WS_HANDSHAKE_NONE;
    if (!http_head_has_token(head, STR("upgrade"), STR("websocket")))
        return WS_HANDSHAKE_OTHER;
    if (!str_eq(head->method, STR("GET")) || head->minor != 1)
        fault = "a WebSocket handshake is a GET request of HTTP/1.1";
    else if (!http_head_has_token(head, STR("connection"), STR("upgrade")))
        fault = "Upgrade: websocket came without Connection: upgrade; a proxy on the way may have removed it";
    else if (head->host.len == 0) /* RFC 9110, 7.2 allows it, RFC 6455, 4.2.1 does not */
        fault = "a WebSocket handshake needs a Host that is not empty";
    else if (head->transfer != HTTP_TRANSFER_PLAIN || (head->has_content_length && head->content_length > 0))
        fault = "a WebSocket handshake has no body";
    else if (!http_head_find(head, STR("sec-websocket-version"), &value))
        fault = "Sec-WebSocket-Version is missing";
    if (fault) {
        error_set(error, ERR_INVALID_REQUEST, "%s", fault);
        return WS_HANDSHAKE_BAD;
    }
    if (!str_eq(value, STR("13"))) {
        error_set(error, ERR_INVALID_REQUEST, "only WebSocket version 13 is spoken here");
        return WS_HANDSHAKE_BAD_VERSION;
    }
    if (!http_head_find(head, STR("sec-websocket-key"), &value) || !is_websocket_key(value)) {
        error_set(error, ERR_INVALID_REQUEST, "Sec-WebSocket-Key is not 16 bytes in base64");
        return WS_HANDSHAKE_BAD;
    }
    return WS_HANDSHAKE_WEBSOCKET;
}

void ws_handshake_accept(struct str key, char out[WS_ACCEPT_LEN + 1])
{
    struct buf text = {0};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    buf_append(&text, key);
    buf_append_lit(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    /* SHA-1 is the handshake's own choice (RFC 6455, 1.3); nothing rests on its strength. It fails only where it has
     * been switched off, and then no answer will match. */
    out[0] = '\0';
    if (EVP_Digest(text.ptr, text.len, digest, &len, EVP_sha1(), NULL) == 1)
        EVP_EncodeBlock((unsigned char *)out, digest, (int)len);
    buf_fini(&text);
}

void ws_handshake_answer(struct buf *out, const struct http_head *head, struct str protocol)
{
    struct str key = STR("");
    char accept[WS_ACCEPT_LEN + 1];
    http_head_find(head, STR("sec-websocket-key"), &key);
    ws_handshake_accept(key, accept);
    buf_append_lit(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: ");
    buf_append(out, str_from_cstr(accept));
    if (protocol.len > 0) {
        buf_append_lit(out, "\r\nSec-WebSocket-Protocol: ");
        buf_append(out, protocol);
    }
    buf_append_lit(out, "\r\n\r\n");
}
