/* lifecycle.h - the lifecycle events of one node (core/lifecycle_event.h), on their way from its workers to the broker.
 *
 * 1. Each worker has a watcher (lifecycle_watch.h), which posts its events to the node.
 * 2. The node gives them to the broker in batches, one after the other. So the order of each session stays, whatever
 *    fails meanwhile. A batch that fails is tried again, until the broker has it.
 * 3. What waits is bounded. Over the bound new events are dropped. Once there is room, an event `lifecycle.dropped`
 *    tells how many, and a new round begins.
 * 4. In a round the node tells all its open sessions and channels anew, with "again":true. A round begins also when the
 *    broker has lost what is open here, or took this node for dead. A session that is not told again has ended: then
 *    its end is told as that of a dead node's session.
 * 5. The node asks the broker each second for the ends of other nodes.
 *
 * Lifecycle lives in the broker's thread. It costs nothing while it is off. */
#ifndef CARILLON_NODE_LIFECYCLE_H
#define CARILLON_NODE_LIFECYCLE_H

#include "server/node/lifecycle_watch.h"
#include "server/node/router.h"

struct lifecycle;

/* Both are borrowed. It is off. */
struct lifecycle *lifecycle_create(struct router *router, struct str node_id);
/* When the router's mailbox and the workers are over. */
void lifecycle_destroy(struct lifecycle *lifecycle);

/* From now on these settings. NULL: off, and what waits is forgotten. Takes a reference of its own. */
void lifecycle_configure(struct lifecycle *lifecycle, struct lifecycle_settings *settings);

bool lifecycle_is_on(const struct lifecycle *lifecycle);

/* The broker has answered this request of a worker: tells what it has done. The request is borrowed. */
void lifecycle_hear(struct lifecycle *lifecycle, struct request *request);

/* Call about ten times a second. */
void lifecycle_tick(struct lifecycle *lifecycle, uint64_t now_us);

/* The node ends: nothing new is begun, and what waits is sent. Call until it returns true: nothing waits any more, or
 * the broker cannot be reached. */
bool lifecycle_flush(struct lifecycle *lifecycle);

#endif
