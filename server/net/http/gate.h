/* gate.h - the gate reads the request of a connection and decides what follows. On the public listener the request is
 * admitted, passes the entry steps and becomes a session (net_transport.h), or it is refused. On the internal listener
 * it is served (http.h). Plaintext and TLS make no difference here. */
#ifndef CARILLON_NET_HTTP_GATE_H
#define CARILLON_NET_HTTP_GATE_H

#include "server/net/entry/entry.h"
#include "server/net/http/connection_set.h"

/* The owner of a set's connection_ops. */
struct gate {
    struct admitter *admitter;
    struct hub *hub;                /* where sessions open */
    struct str node_id;             /* the ids of its sessions name it */
    const struct entry_step *steps; /* between an admitted request and its session */
    size_t step_count;
};

extern const struct connection_ops gate_operations;

#endif
