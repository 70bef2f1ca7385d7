/* refusal.h - tells the hub's observers (core/observer.h) of requests to the public listener that become no session, in
 * a sentence for the developer of the client. A browser shows its page only code 1006 for most of them. Without an
 * observer nothing is done. */
#ifndef CARILLON_NET_HTTP_REFUSAL_H
#define CARILLON_NET_HTTP_REFUSAL_H

#include "server/net/http/connection.h"

/* The request has been refused. told: what the client is told. */
void refusal_tell(struct hub *hub, const struct connection *connection, const struct http_head *head,
                  const struct admission *admission, struct str told);
/* No head could be read from the bytes. status and told: of the answer. */
void refusal_tell_unreadable(struct hub *hub, const struct connection *connection, int status, const char *told);
/* The request is accepted, but a browser will not accept the answer, which selects none of the subprotocols that it has
 * offered. */
void refusal_tell_subprotocol(struct hub *hub, const struct connection *connection, const struct http_head *head,
                              const struct net_endpoint *endpoint);

#endif
