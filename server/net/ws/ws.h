/* ws.h - a WebSocket connection (RFC 6455) carries a session over a stream. It decodes the client's frames for the hub,
 * and writes the hub's frames. One thread: the worker's. */
#ifndef CARILLON_NET_WS_WS_H
#define CARILLON_NET_WS_WS_H

#include "server/net/admission/net_transport.h"

extern const struct net_transport ws_transport;

#endif
