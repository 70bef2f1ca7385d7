/* ws_relay.h - the open connection of a session to its backend: messages both ways, pings, the close handshake. Private
 * to this folder. */
#ifndef CARILLON_UPSTREAM_WS_RELAY_H
#define CARILLON_UPSTREAM_WS_RELAY_H

#include "common/base/str.h"

struct ws_session;

/* The backend has answered the upgrade request. What waits goes out. */
void ws_relay_begin(struct ws_session *state);
/* In the state WS_OPEN: one message of the client. */
void ws_relay_send(struct ws_session *state, bool binary, struct str bytes);
/* Bytes of the backend, in the state WS_OPEN or WS_CLOSING. Returns how many it takes. */
size_t ws_relay_input(struct ws_session *state, struct str bytes);
/* The connection has ended without a close frame. */
void ws_relay_lost(struct ws_session *state, const char *why);
/* The session has ended, with state->close_code: the backend is told. */
void ws_relay_end(struct ws_session *state);

#endif
