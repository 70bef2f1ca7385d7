/* arrival.h - how a socket comes from a listener's thread to the connections of a worker. */
#ifndef CARILLON_NET_HTTP_ARRIVAL_H
#define CARILLON_NET_HTTP_ARRIVAL_H

#include "server/net/http/connection_set.h"

/* Call in the listener's thread. Sends an accepted socket to the set. Takes fd. */
void arrival_post(struct connection_set *set, int fd, bool internal, const struct address *peer);

#endif
