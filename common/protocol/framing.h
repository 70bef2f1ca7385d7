/* framing.h - how messages are put on a connection, so that the other side finds where each begins and ends. Pure; any
 * thread. */
#ifndef CARILLON_PROTOCOL_FRAMING_H
#define CARILLON_PROTOCOL_FRAMING_H

#include "common/base/buf.h"

/* Each appends one whole frame, the same for every receiver. A framing without such a frame appends nothing. */
struct framing {
    void (*message)(struct buf *out, struct str text);
    /* Asks for a sign of life, or is one where the transport is one-way. */
    void (*ping)(struct buf *out);
    /* Answers a ping of the client with its payload. NULL: clients send none. */
    void (*pong)(struct buf *out, struct str payload);
    /* The last frame. code 0: none is told. */
    void (*close)(struct buf *out, int code, struct str reason);
};

#endif
