/* revoker.h - what becomes of a revocation on this node:
 * 1. The table that all workers verify tokens with has the revocation at once.
 * 2. Each worker closes the open sessions that it covers. It looks at that user's sessions, or for a jti at all.
 * 3. Redis gets back a revocation that it has lost. Each node that knows the revocation tries until Redis takes it.
 * 4. The revocation is forgotten some minutes after its end.
 * The revoker lives in the broker's thread. It looks at sessions in the thread of their worker. */
#ifndef CARILLON_NODE_REVOKER_H
#define CARILLON_NODE_REVOKER_H

#include "server/node/router.h"

struct revoker;

/* Before the broker is made. Both arguments are borrowed. */
struct revoker *revoker_create(struct router *router, struct revocations *revocations);
/* When the router and its workers are over. */
void revoker_destroy(struct revoker *revoker);

/* The revoker's part of broker_sink: revoked, and revocations. */
void revoker_hear(struct revoker *revoker, const struct revocation *revocation);
void revoker_hear_all(struct revoker *revoker, bool begin);

/* Call about ten times a second. A tick looks at a part of the table, and tries again what Redis has not taken. */
void revoker_tick(struct revoker *revoker, uint64_t now_us);

#endif
