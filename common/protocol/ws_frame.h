/* ws_frame.h - the frames of a server (RFC 6455, 5.2). They are not masked and never fragmented, so every receiver gets
 * the same bytes. Pure, for any thread. */
#ifndef CARILLON_PROTOCOL_WS_FRAME_H
#define CARILLON_PROTOCOL_WS_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "common/protocol/framing.h"

enum ws_opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

enum { WS_HEADER_MAX = 10, WS_CONTROL_MAX = 125 };

/* Writes the header of a final frame with len bytes of payload; returns its length: 2, 4 or 10. */
size_t ws_frame_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, size_t len);

/* Writes a whole close frame (RFC 6455, 5.5.1), and cuts the reason to 123 bytes. With code 0 the frame is empty, and
 * the reason is left out. Returns its length. */
size_t ws_frame_close(uint8_t out[2 + WS_CONTROL_MAX], int code, struct str reason);

/* The frames above as a framing: a message is a text frame. */
extern const struct framing ws_framing;

#endif
