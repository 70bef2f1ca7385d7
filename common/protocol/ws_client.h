/* ws_client.h - the client side of RFC 6455, without I/O: bytes to send are appended to a buf, bytes that came are fed
 * in. For the command line client, the load generator and tests. No extensions. One thread at a time per object. */
#ifndef CARILLON_PROTOCOL_WS_CLIENT_H
#define CARILLON_PROTOCOL_WS_CLIENT_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/protocol/http_answer.h"
#include "common/protocol/ws_frame.h"

enum { WS_KEY_LEN = 24, WS_ACCEPT_LEN = 28 };

/* A fresh Sec-WebSocket-Key and a NUL. */
void ws_client_key(char out[WS_KEY_LEN + 1]);

/* The Sec-WebSocket-Accept that belongs to a key, and a NUL (RFC 6455, 4.2.2). */
void ws_client_accept(struct str key, char out[WS_ACCEPT_LEN + 1]);

/* All borrowed. The caller answers for these being free of CR and LF. */
struct ws_request {
    struct str host;                 /* with the port where it is not the scheme's own */
    struct str target;               /* path and query */
    struct str protocols;            /* the value of Sec-WebSocket-Protocol; empty for none */
    const struct http_field *fields; /* more headers */
    size_t field_count;
};

void ws_client_request(struct buf *out, const struct ws_request *request, const char key[WS_KEY_LEN + 1]);

/* Is this the answer that completes the handshake begun with key (RFC 6455, 4.1)? The caller has parsed the answer
 * and seen its status 101. ERR_INVALID_REQUEST says what is wrong. */
enum err ws_client_check(const struct http_answer *answer, const char key[WS_KEY_LEN + 1], struct error *error);

/* Appends one whole frame, masked with a fresh key. */
void ws_client_frame(struct buf *out, enum ws_opcode opcode, struct str payload);

/* Appends a close frame; code 0 sends none. The reason is cut to 123 bytes. */
void ws_client_close(struct buf *out, int code, struct str reason);

/* A whole message or control frame from the server. */
struct ws_message {
    enum ws_opcode opcode;
    struct str payload; /* for WS_CLOSE the reason alone */
    int close_code;     /* WS_CLOSE: 1005 when the frame had none */
};

/* Takes the server's byte stream apart. Zeroed but for max_message, it is ready. */
struct ws_decoder {
    size_t max_message; /* bytes of one message, fragments joined; 0 for no limit */
    struct buf frame;   /* header and payload of a frame that came in pieces */
    struct buf joined;  /* the fragments of a message so far */
    int joined_opcode;  /* of the fragments' message; 0 outside one */
    bool frame_lent;    /* the last message lies in frame, which is cleared by the next call */
    bool joined_lent;   /* and so for joined */
};

void ws_decoder_fini(struct ws_decoder *decoder);

enum ws_decoded {
    WS_DECODED_MORE,    /* *bytes is used up */
    WS_DECODED_MESSAGE, /* *out is filled; call again with what is left in *bytes */
    WS_DECODED_BAD,     /* the server broke the protocol; *error says how. The decoder is of no more use. */
};

/* Takes bytes from the front of *bytes until a message is whole. *out borrows from the decoder or from the bytes, until
 * the next call. Fragments are joined; control frames between them come out in their place. A whole frame in one piece
 * is not copied. */
enum ws_decoded ws_decoder_next(struct ws_decoder *decoder, struct str *bytes, struct ws_message *out,
                                struct error *error);

#endif
