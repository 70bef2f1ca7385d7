/* peers.h - the other nodes, and whether they agree with this one. Nodes tell each other their digest
 * (settings_digest.h) when they come up and when their settings change, and ask those in the registry that they have
 * not heard. A difference is logged once, counted in a gauge and shown by /api/v1/info; nobody is stopped for it. Only
 * a node that speaks another version of the nodes' protocol is refused: what it says is not listened to. Lives in the
 * broker's thread.
 *
 * On the wire, as a control message: "terms <protocol> ask|tell\n" and the lines. */
#ifndef CARILLON_NODE_PEERS_H
#define CARILLON_NODE_PEERS_H

#include "server/broker/broker.h"

/* Of all that nodes say to each other and keep in Redis. A node of another number is not understood. */
enum { NODES_PROTOCOL = 1 };

struct peers;

/* Borrows all for its life. */
struct peers *peers_create(struct broker *broker, struct metrics *metrics, struct str node_id);
void peers_destroy(struct peers *peers);

/* This node's digest, now or from now on. Copied. */
void peers_set_settings(struct peers *peers, struct str digest);

/* About ten times a second. up: the broker is. */
void peers_tick(struct peers *peers, bool up, uint64_t now_us);

/* A control message. True if it has been dealt with: it is about digest, or from a node that is refused. */
bool peers_hear(struct peers *peers, struct str from, struct str bytes);

/* Appends ,"disagrees":[{"node":...,"about":...}] if there are any. */
void peers_describe(const struct peers *peers, struct buf *out);

#endif
