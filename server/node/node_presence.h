/* node_presence.h - who is on the channels of this node, for all its workers.
 * 1. It counts the sessions of each user on each channel.
 * 2. When a user's first session comes and when the last one goes, it tells the broker. Changes are sent in batches. A
 *    channel has one batch under way at a time.
 * 3. It sends a sign of life for each channel, not for each member. When a node dies, its members leave within the
 *    presence_ttl of the channel.
 * 4. When the broker has lost members, or was away, it is told all of them again.
 * It lives in the broker's thread. */
#ifndef CARILLON_NODE_NODE_PRESENCE_H
#define CARILLON_NODE_NODE_PRESENCE_H

#include "server/core/presence.h"
#include "server/node/router.h"

struct presence;

/* The router is borrowed. From here on the router's presence changes come here. */
struct presence *presence_create(struct router *router);

/* As node_ops.presence: the owner is the router. Any thread may call it. Takes the change. */
void presence_post(void *owner, struct presence_change *change);

/* Tells the broker now what would be gathered for a while. For a server for development. */
void presence_hurry(struct presence *presence);

/* Forgets the members, and tells nobody. Call where the broker is made to forget them too. A channel whose update is
 * under way stays. For a server for development. */
void presence_forget(struct presence *presence);

/* Call when no worker posts any more, and before the broker closes. The broker is told that all members have left. */
void presence_close(struct presence *presence);
/* Call once the broker and the router's mailbox have closed. */
void presence_destroy(struct presence *presence);

#endif
