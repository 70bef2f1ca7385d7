/* ws_handshake.h - the opening handshake of RFC 6455: the part that both sides share, and the server's answer. Pure. */
#ifndef CARILLON_PROTOCOL_WS_HANDSHAKE_H
#define CARILLON_PROTOCOL_WS_HANDSHAKE_H

#include "common/base/buf.h"
#include "common/protocol/http_head.h"

enum { WS_ACCEPT_LEN = 28 };

/* Writes the Sec-WebSocket-Accept of a Sec-WebSocket-Key, and a NUL (RFC 6455, 4.2.2). */
void ws_handshake_accept(struct str key, char out[WS_ACCEPT_LEN + 1]);

/* Appends the answer that completes an upgrade (RFC 6455, 4.2.2). http_head_upgrade must have accepted the head.
 * protocol: the selected subprotocol; empty for none. */
void ws_handshake_answer(struct buf *out, const struct http_head *head, struct str protocol);

#endif
