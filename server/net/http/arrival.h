/* arrival.h - the way of a socket from a listener to a worker's connections. */
#ifndef CARILLON_NET_HTTP_ARRIVAL_H
#define CARILLON_NET_HTTP_ARRIVAL_H

#include "server/net/http/connection_set.h"

/* The listener's thread: it has accepted a socket, which is on its way now. Takes fd. */
void arrival_post(struct connection_set *set, int fd, bool internal, const struct address *peer);

#endif
