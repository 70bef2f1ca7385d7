/* gate.h - what a connection's bytes mean: requests. On the public listener a request is admitted and becomes a session
 * (ws.h), or it is refused; on the internal listener it is served (http.h). The same in plaintext and by TLS. */
#ifndef CARILLON_NET_HTTP_GATE_H
#define CARILLON_NET_HTTP_GATE_H

#include "common/protocol/http_head.h"
#include "server/net/http/connection.h"

/* There are new bytes, or it is time for the next request. The connection may be closed afterwards. */
void gate_input(struct connection *connection);

/* The deadline of a request has passed. True when the connection has been given an answer instead of being closed. */
bool gate_timed_out(struct connection *connection);

/* Answers with an error and ends the connection politely. message: NULL for the code's general text. */
void gate_refuse(struct connection *connection, int status, enum err code, const char *message);

#endif
