/* ws_upstream.h - an upstream that is a backend with WebSocket: each session has one connection to it. Messages go both
 * ways as they are, text and binary, in order.
 *
 *   ws_upstream.c       the upstream: its settings, and the calls of struct upstream_ops
 *   ws_connect.c        how a connection opens: the upgrade request, the answer, failures
 *   ws_relay.c          an open connection: messages both ways, pings, the close handshake
 *   ws_session.c        what the session keeps: messages that wait; the end of a connection
 *   backend_socket.c    the connection as bytes;  ws_target.c: the backend as all sessions share it
 *
 * 1. The connection opens with the session, so that the backend may speak first. The upgrade request has the headers of
 *    a CloudEvent of the type carillon.connected, and is signed if there are secrets. It offers the subprotocol that
 *    the client has got. It has no extensions.
 * 2. Until the connection is open, messages wait. If it cannot be opened, each of them fails by hub_fail, and the next
 *    message tries again. With close_on_failure the session ends instead: with 1013 if trying again may help, otherwise
 *    with 1011 (the endpoint's code for server_error).
 * 3. Once it is open, its end is the session's end. The client gets the backend's code and reason, or 1011 where the
 *    code is none that may be sent, or none came. The end of the session closes the connection with the session's code,
 *    or 1001 if the client was lost.
 * 4. A client whose messages take more than waiting_bytes is not read until the backend has taken half of them. While
 *    the client has much to read, the backend is not read.
 * 5. A backend that neither sends nor takes anything for timeout_us gets a ping, and has that time again for the pong.
 * 6. Messages that have been taken when the session ends still go to the backend, for a few seconds at most. */
#ifndef CARILLON_UPSTREAM_WS_UPSTREAM_H
#define CARILLON_UPSTREAM_WS_UPSTREAM_H

#include "server/core/upstream.h"

struct webhook_secrets;
struct ws_target;

/* Texts are copied. */
struct ws_upstream_options {
    struct str name;
    struct ws_target *target;        /* one reference; taken */
    struct webhook_secrets *secrets; /* one reference; taken. NULL: nothing is signed */
    const struct str *claims;        /* names of the claims that the backend gets */
    size_t claim_count;
    size_t waiting_bytes;  /* of a session's messages that the backend has yet to take */
    size_t frame_bytes;    /* the largest message of the backend; a larger one ends both connections with 1009 */
    uint64_t timeout_us;   /* for opening a connection; and of silence, before a ping and after it */
    bool close_on_failure; /* a connection that cannot be opened ends the session */
};

/* One reference. */
struct upstream *ws_upstream_create(const struct ws_upstream_options *options);

#endif
