/* ws_client.h - the client side of RFC 6455, without I/O: each function appends to a buf. ws_decoder.h reads the
 * server's frames. For upstreams, the command line client, the load generator and tests. No extensions. One thread at a
 * time for each object. */
#ifndef CARILLON_PROTOCOL_WS_CLIENT_H
#define CARILLON_PROTOCOL_WS_CLIENT_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/protocol/http_answer.h"
#include "common/protocol/ws_decoder.h"

enum { WS_KEY_LEN = 24 };

/* A fresh Sec-WebSocket-Key and a NUL. */
void ws_client_key(char out[WS_KEY_LEN + 1]);

/* All borrowed. The caller makes sure that they hold no CR or LF but those of lines. */
struct ws_request {
    struct str host;                 /* with the port, unless it is the scheme's own */
    struct str target;               /* path and query */
    struct str protocols;            /* the value of Sec-WebSocket-Protocol; empty for none */
    const struct http_field *fields; /* more headers */
    size_t field_count;
    struct str lines; /* still more, as lines "name: value" with CR LF */
};

void ws_client_request(struct buf *out, const struct ws_request *request, const char key[WS_KEY_LEN + 1]);

/* Does this answer complete the handshake that began with key (RFC 6455, 4.1)? The caller has parsed the answer and
 * seen its status 101. ERR_INVALID_REQUEST says what is wrong. */
enum err ws_client_check(const struct http_answer *answer, const char key[WS_KEY_LEN + 1], struct error *error);

/* Appends one whole frame, masked with a fresh key. */
void ws_client_frame(struct buf *out, enum ws_opcode opcode, struct str payload);

/* Appends a close frame; code 0 sends none. The reason is cut to 123 bytes. */
void ws_client_close(struct buf *out, int code, struct str reason);

#endif
