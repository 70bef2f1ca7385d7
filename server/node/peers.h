/* peers.h - the other nodes, and whether their settings agree with this node's.
 * 1. A node sends its settings digest (settings_digest.h) to all others when it comes up and when its settings change.
 * 2. It asks each node of the registry that it has not heard yet.
 * 3. A difference is logged once, counted in a gauge and shown by /api/v1/info. Both nodes go on working.
 * 4. A node that speaks another version of the nodes' protocol is refused: its messages are dropped.
 * Peers live in the broker's thread.
 *
 * A digest is a control message: "terms <protocol> ask|tell\n", followed by the lines of the digest. */
#ifndef CARILLON_NODE_PEERS_H
#define CARILLON_NODE_PEERS_H

#include "server/broker/broker.h"

/* The version of all messages between nodes, and of what they keep in Redis. */
enum { NODES_PROTOCOL = 1 };

struct peers;

/* The arguments are borrowed for the life of the peers. */
struct peers *peers_create(struct broker *broker, struct metrics *metrics, struct str node_id);
void peers_destroy(struct peers *peers);

/* The digest of this node from now on. Copied. */
void peers_set_settings(struct peers *peers, struct str digest);

/* Call about ten times a second. up: the broker is up. */
void peers_tick(struct peers *peers, bool up, uint64_t now_us);

/* Takes a control message. Returns true if the message is a digest, or comes from a node that is refused: then nobody
 * else may read it. */
bool peers_hear(struct peers *peers, struct str from, struct str bytes);

/* Appends ,"disagrees":[{"node":...,"about":...}] if there are any. */
void peers_describe(const struct peers *peers, struct buf *out);

#endif
