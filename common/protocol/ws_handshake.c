/* ws_handshake.c - see ws_handshake.h. */
#include "common/protocol/ws_handshake.h"

#include <openssl/evp.h>

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
