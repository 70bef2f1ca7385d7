/* line.h - the lines stand in front of the WebSocket transport: every frame of every session passes here, in both
 * directions. One thread. */
#ifndef CARILLON_DEV_LINE_H
#define CARILLON_DEV_LINE_H

#include "server/dev/journal.h"
#include "server/net/admission/net_transport.h"

struct line_set {
    struct net_transport transport; /* of all endpoints; its sessions have ops */
    struct transport_ops ops;
    struct journal *journal;
};

/* The journal is borrowed. The lines stay where they are. */
void lines_init(struct line_set *lines, struct journal *journal);

#endif
