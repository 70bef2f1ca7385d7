/* proxied.h - a connection from a trusted proxy whose PROXY header has not come yet (proxy_header.h). The header comes
 * before TLS. So exactly its bytes are read from the socket, and then connection.h takes over. The worker's thread. */
#ifndef CARILLON_NET_HTTP_PROXIED_H
#define CARILLON_NET_HTTP_PROXIED_H

#include "server/net/http/connection_set.h"

/* Takes fd. peer: the proxy. */
void proxied_await(struct connection_set *set, int fd, const struct address *peer);
/* Closes all of the set. */
void proxied_close_all(struct connection_set *set);

#endif
