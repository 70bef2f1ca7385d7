/* ws_handshake.h - the opening handshake of RFC 6455: the request that a server takes, the part that both sides share,
 * and the server's answer. Pure. */
#ifndef CARILLON_PROTOCOL_WS_HANDSHAKE_H
#define CARILLON_PROTOCOL_WS_HANDSHAKE_H

#include "common/base/buf.h"
#include "common/protocol/http_head.h"

/* What a request head asks for. */
enum ws_handshake {
    WS_HANDSHAKE_NONE,        /* an ordinary request */
    WS_HANDSHAKE_WEBSOCKET,   /* a good WebSocket opening handshake (RFC 6455, 4.2.1) */
    WS_HANDSHAKE_OTHER,       /* to something else, such as h2c: may be served as an ordinary request */
    WS_HANDSHAKE_BAD_VERSION, /* answer 426 with Sec-WebSocket-Version: 13 */
    WS_HANDSHAKE_BAD,         /* answer 400 */
};

/* The last two fill *error. */
enum ws_handshake ws_handshake_check(const struct http_head *head, struct error *error);

enum { WS_ACCEPT_LEN = 28 };

/* Writes the Sec-WebSocket-Accept of a Sec-WebSocket-Key, and a NUL (RFC 6455, 4.2.2). */
void ws_handshake_accept(struct str key, char out[WS_ACCEPT_LEN + 1]);

/* Appends the answer that completes an upgrade (RFC 6455, 4.2.2). ws_handshake_check must have accepted the head.
 * protocol: the selected subprotocol; empty for none. */
void ws_handshake_answer(struct buf *out, const struct http_head *head, struct str protocol);

#endif
