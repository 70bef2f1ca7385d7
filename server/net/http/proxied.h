/* proxied.h - a connection from a trusted proxy whose PROXY header has not come yet (proxy_header.h). The header goes
 * before TLS, so it is read from the socket itself, and not a byte more than it; then connection.h takes over. In the
 * worker's thread. */
#ifndef CARILLON_NET_HTTP_PROXIED_H
#define CARILLON_NET_HTTP_PROXIED_H

#include "server/net/http/connection_set.h"

/* Takes fd. peer: the proxy. */
void proxied_await(struct connection_set *set, int fd, const struct address *peer);
/* Closes all of the set. */
void proxied_close_all(struct connection_set *set);

#endif
