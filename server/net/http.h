/* http.h - HTTP/1.1 on the internal listener: bodies by Content-Length, keep-alive, one request at a time. */
#ifndef CARILLON_NET_HTTP_H
#define CARILLON_NET_HTTP_H

#include "common/protocol/http_head.h"
#include "server/net/connection.h"

/* Serves the request whose head the connection's bytes begin with. False: its body has not come whole, or the
 * connection does not take another request now. */
bool http_request(struct connection *connection, const struct http_head *head);

#endif
