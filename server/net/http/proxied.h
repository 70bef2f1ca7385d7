/* proxied.h - a connection from a trusted proxy whose PROXY header has not come yet (proxy_header.h). The header goes
 * before TLS, so it is read from the socket itself, and not a byte more than it; then connection.h takes over. In the
 * worker's thread. */
#ifndef CARILLON_NET_HTTP_PROXIED_H
#define CARILLON_NET_HTTP_PROXIED_H

#include "server/net/worker.h"

/* Takes fd. peer: the proxy. */
void proxied_await(struct worker *worker, int fd, const struct address *peer);
/* Closes all of this worker. */
void proxied_close_all(struct worker *worker);

#endif
