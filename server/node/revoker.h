/* revoker.h - what becomes of a revocation on this node: the table that all workers verify tokens with has it at once,
 * and each worker then closes the open sessions it covers, looking at some of them in each turn. What Redis has lost
 * meanwhile it gets back, from every node that knows it, and however often that is refused. What is over is forgotten
 * within minutes. Lives in the broker's thread, but for the walks through the
 * sessions, each in its worker's. */
#ifndef CARILLON_NODE_REVOKER_H
#define CARILLON_NODE_REVOKER_H

#include "server/node/router.h"

struct revoker;

/* Before the broker: it is the router's on_revoked from here on. Both are borrowed. */
struct revoker *revoker_create(struct router *router, struct revocations *revocations);
/* When the router and its workers are over. */
void revoker_destroy(struct revoker *revoker);

/* About ten times a second: looks at a part of the table, and what could not be given back is tried again. */
void revoker_tick(struct revoker *revoker, uint64_t now_us);

#endif
