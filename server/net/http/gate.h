/* gate.h - what a connection's bytes mean: requests. On the public listener a request is admitted and becomes a session
 * (ws.h), or it is refused; on the internal listener it is served (http.h). The same in plaintext and by TLS. */
#ifndef CARILLON_NET_HTTP_GATE_H
#define CARILLON_NET_HTTP_GATE_H

#include "server/net/admission/entry.h"
#include "server/net/http/connection_set.h"

/* The owner of a set's connection_ops. */
struct gate {
    struct admitter *admitter;
    struct hub *hub;                /* where sessions open */
    const struct entry_step *steps; /* between an admitted request and its session */
    size_t step_count;
};

extern const struct connection_ops gate_operations;

#endif
