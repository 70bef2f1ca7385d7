/* ws_decoder.h - decodes WebSocket frames (RFC 6455, 5) as their bytes come, without I/O. Messages and control frames
 * come out. The decoder is strict: it refuses bytes that the RFC forbids as soon as the first of them shows it. No
 * extensions. One thread at a time for each object. */
#ifndef CARILLON_PROTOCOL_WS_DECODER_H
#define CARILLON_PROTOCOL_WS_DECODER_H

#include "common/base/buf.h"
#include "common/protocol/reason.h"
#include "common/protocol/ws_frame.h"

/* A whole message or control frame. */
struct ws_message {
    enum ws_opcode opcode;
    struct str payload; /* for WS_CLOSE the reason alone, UTF-8; for WS_TEXT UTF-8 */
    int close_code;     /* of WS_CLOSE; WS_CLOSE_NO_CODE when the frame had none */
};

enum { WS_CLOSE_NO_CODE = 1005 };

/* Set the first two members and zero the rest. The decoder holds memory only while a frame or a message is half read.
 */
struct ws_decoder {
    size_t max_message; /* bytes of one message, fragments joined; 0 for no limit; may change between calls */
    bool from_client;   /* the peer is a client, so all its frames are masked; a server's are not (RFC 6455, 5.1) */
    /* of the frame whose payload is being read */
    bool in_frame;
    bool fin;
    uint8_t opcode;
    uint8_t mask[4]; /* turned so that its first byte is for the next byte of the payload */
    uint64_t left;   /* bytes of its payload that are still to come */
    enum reason reason;
    bool lent; /* the last message lies in `message` or `part`, which the next call frees */
    /* of the message whose frames are being joined */
    uint8_t message_opcode; /* 0 between messages */
    size_t utf8_len;        /* bytes of `message` that are known to be whole characters */
    struct buf message;
    struct buf part; /* the beginning of a header, or of a control frame's payload */
    uint64_t beside; /* bytes so far of control frames, and of the headers of fragments as small as those. Its user may
                        set it back */
};

void ws_decoder_fini(struct ws_decoder *decoder);

/* Is a frame or a message half read? */
bool ws_decoder_is_amid(const struct ws_decoder *decoder);

enum ws_decoded {
    WS_DECODED_MORE,    /* *bytes is used up */
    WS_DECODED_MESSAGE, /* *out is filled; call again with what is left in *bytes */
    WS_DECODED_BAD,     /* The peer broke the protocol, or a limit: decoder->reason is PROTOCOL_ERROR, NOT_UTF8 or
                           MESSAGE_TOO_BIG, *error (may be NULL) says how. The decoder is of no more use. */
};

/* Takes bytes from the front of *bytes until a message is whole.
 * - The bytes of a client are unmasked in place. So they must be writable, and must not be given twice.
 * - *out borrows from the decoder or from the bytes, until the next call.
 * - Fragments are joined. Control frames between them come out in their place. A message that came whole is not copied.
 * - Text is checked as it comes: a byte that cannot be UTF-8 is refused before the rest of its message. */
enum ws_decoded ws_decoder_next(struct ws_decoder *decoder, struct str *bytes, struct ws_message *out,
                                struct error *error);

#endif
