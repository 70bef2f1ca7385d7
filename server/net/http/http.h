/* http.h - HTTP/1.1 on the internal listener, and for the few paths of the public one that are served so: bodies by
 * Content-Length or in chunks, keep-alive, one request at a time. The handler sees the head before the body is read.
 * All bodies in memory count under one limit. */
#ifndef CARILLON_NET_HTTP_HTTP_H
#define CARILLON_NET_HTTP_HTTP_H

#include "common/protocol/http_head.h"
#include "server/net/http/connection.h"

/* Serves the request whose head is at the beginning of the connection's bytes. False: the rest of the body has yet to
 * come, or the connection takes no other request now. */
bool http_request(struct connection *connection, const struct http_head *head);

/* More bytes of a chunked body (chunks_from > 0) have come. True: the body is whole and lies decoded behind the head;
 * request_len is set, and the caller parses the head again. False: more must come, or the request has been refused. */
bool http_take_chunks(struct connection *connection);

/* Refuses the request whose head is at the beginning of the connection's bytes, and takes no other. */
void http_refuse_body(struct connection *connection, int status, enum err code, const char *message);

#endif
