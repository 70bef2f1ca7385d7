/* ws.h - a WebSocket connection (RFC 6455) that has been admitted: carries a session over a stream. Takes the client's
 * frames apart for the hub, and writes the hub's whole frames. */
#ifndef CARILLON_NET_WS_WS_H
#define CARILLON_NET_WS_WS_H

#include "server/net/stream/stream.h"

struct ws_start {
    struct lease lease;                  /* taken */
    struct net_settings *settings;       /* a reference is taken */
    const struct net_endpoint *endpoint; /* of these settings */
    struct claims *claims;               /* a reference is taken */
    struct str address;                  /* of the client; copied */
};

/* Takes over the stream, sends the answer that completes the upgrade, and opens the session. rest: what the client has
 * sent after its request head; it is changed in place. */
void ws_open(struct worker *worker, struct stream *stream, const struct ws_start *start, struct str answer,
             struct str rest);

/* The worker has new settings: open connections follow those of their endpoint, where it is still there. */
void ws_configure(struct worker *worker);

/* hub_ops; owner is the worker. */
enum write_result ws_write(void *owner, struct session *session, struct str frames, size_t *out_unsent);
void ws_finish(void *owner, struct session *session, bool abrupt);
enum reason ws_verify(void *owner, struct session *session, struct str token, struct claims **out_claims);

#endif
