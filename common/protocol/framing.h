/* framing.h - how messages are put on a connection, so that the other side finds where each begins and ends. Pure; any
 * thread. */
#ifndef CARILLON_PROTOCOL_FRAMING_H
#define CARILLON_PROTOCOL_FRAMING_H

#include "common/base/buf.h"

/* Each function appends one whole frame, the same for every receiver. NULL: the framing has no such frame. Only message
 * is always there. */
struct framing {
    void (*message)(struct buf *out, struct str text);
    /* The same for bytes that are no text. */
    void (*binary)(struct buf *out, struct str bytes);
    /* Asks for a sign of life, or is one where the transport is one-way. NULL: nothing is asked, and no session ends
     * because its client is silent. */
    void (*ping)(struct buf *out);
    /* Answers a ping of the client with its payload. */
    void (*pong)(struct buf *out, struct str payload);
    /* The last frame. code 0: none is told. */
    void (*close)(struct buf *out, int code, struct str reason);
};

#endif
