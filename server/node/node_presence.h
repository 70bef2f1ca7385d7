/* node_presence.h - who is on the channels of this node, for all its workers: counts the sessions of each user, and
 * tells the broker when the first one comes and the last one goes, in batches, one at a time a channel. A sign of life
 * for each channel, not for each member, keeps them there; so a node that dies leaves all its channels within their
 * ttl.
 *
 * Whatever the broker loses, or did not hear because it was away, it is told again: the members here are the truth.
 * Lives in the broker's thread. */
#ifndef CARILLON_NODE_NODE_PRESENCE_H
#define CARILLON_NODE_NODE_PRESENCE_H

#include "server/core/presence.h"
#include "server/node/router.h"

struct presence;

/* The router is borrowed; the presence gets the router's changes from here on. */
struct presence *presence_create(struct router *router);

/* As node_ops.presence: the owner is the router. Any thread. Takes the change. */
void presence_post(void *owner, struct presence_change *change);

/* When no worker posts any more and the broker is not closed yet: tells it that all have left. */
void presence_close(struct presence *presence);
/* Once the broker has closed and the router's mailbox too. The loop must run once more before its memory goes. */
void presence_destroy(struct presence *presence);

#endif
