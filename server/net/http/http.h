/* http.h - HTTP/1.1 on the internal listener: bodies by Content-Length or in chunks, keep-alive, one request at a time.
 * Before a body is waited for, the handler has seen the head, and all bodies that are held count under one limit. */
#ifndef CARILLON_NET_HTTP_HTTP_H
#define CARILLON_NET_HTTP_HTTP_H

#include "common/protocol/http_head.h"
#include "server/net/http/connection.h"

/* Serves the request whose head the connection's bytes begin with. False: its body has not come whole, or the
 * connection does not take another request now. */
bool http_request(struct connection *connection, const struct http_head *head);

/* More bytes of a chunked body (chunks_from > 0) have come. True: it is whole, decoded in its place behind the head,
 * and request_len is known; the head is to be parsed again. False: not yet, or it has been refused. */
bool http_take_chunks(struct connection *connection);

#endif
