/* ws.h - a WebSocket connection (RFC 6455) carries a session over a stream. It decodes the client's frames for the hub,
 * and writes the hub's frames. One thread: the worker's. */
#ifndef CARILLON_NET_WS_WS_H
#define CARILLON_NET_WS_WS_H

#include "server/net/admission/net_transport.h"

struct stream;
struct stream_ops;

extern const struct net_transport ws_transport;
/* What its sessions get, unless struct net_start names a table that stands in front of this one. */
extern const struct transport_ops ws_transport_ops;

/* The stream of a session by this transport, also behind another table. Borrowed for the session's life. */
struct stream *ws_stream(struct session *session);

/* The session has gone (hub_gone), and `to` has its connection. Bytes that were written before are still sent. */
void ws_part(struct session *session, struct stream *to, const struct stream_ops *ops);

#endif
