/* ws.h - a WebSocket connection (RFC 6455) carries a session over a stream. It decodes the client's frames for the hub,
 * and writes the hub's frames. One thread: the worker's. */
#ifndef CARILLON_NET_WS_WS_H
#define CARILLON_NET_WS_WS_H

#include "server/net/admission/admission.h"
#include "server/net/stream/stream.h"

struct ws_start {
    struct hub *hub;               /* borrowed, as the next, for the connection's life */
    struct admitter *admitter;     /* of the hub's worker */
    struct lease lease;            /* taken */
    struct net_endpoint *endpoint; /* a reference is taken */
    struct claims *claims;         /* a reference is taken */
    struct str address;            /* of the client; copied */
    struct session_slot *slot;     /* taken; may be NULL */
    struct texts subscriptions;    /* that the session has from the beginning; borrowed for the call */
};

/* Takes over the stream, sends the answer that completes the upgrade, and opens the session. rest: the bytes that the
 * client has sent after its request head. They are changed in place. */
void ws_open(struct stream *stream, const struct ws_start *start, struct str answer, struct str rest);

/* Appends the error frame, if the dialect has words for it, and the close frame of a refusal. */
void ws_write_refusal(struct buf *out, const struct dialect *dialect, enum reason reason, int close_code);

#endif
