/* redis_ingest.h - the reader of the ingest stream. Backends write events to this stream of Redis, without HTTP
 * (ingest_entry.h). Each entry is published at least once. The entries of a channel are published in the stream's
 * order.
 *
 * One node reads at a time: the node that holds the lease, a key that expires. A new reader first takes over the
 * entries that earlier readers have read and not acknowledged. The entries of a channel are published one after the
 * other. The event_id of an entry is the same on every node. So two readers do no harm when a paused reader comes back:
 * both publish the same entries in the same order, and Redis ignores the second event with the same event_id.
 *
 * An entry is acknowledged and deleted after it was published. An entry that cannot be published is first copied to the
 * dead-letter stream, with the reason. The reader waits for entries on a connection of its own. */
#ifndef CARILLON_BROKER_REDIS_INGEST_REDIS_INGEST_H
#define CARILLON_BROKER_REDIS_INGEST_REDIS_INGEST_H

#include "server/broker/broker.h"
#include "server/broker/redis/ingest/ingest_entry.h"
#include "server/broker/redis/topology/redis_topology.h"

struct redis_ingest;

/* Everything is borrowed for life. */
struct redis_ingest_config {
    struct broker *broker;           /* publishes the entries */
    struct redis_topology *topology; /* knows which server has the stream; its closing waits for the reader */
    struct str prefix;               /* of the stream's key and those beside it */
    struct str node_id;
    uint64_t takeover_ms; /* of the lease: so long after a reader's death another node reads */
};

/* Begins to read when the server of the stream is up. Takes a reference to the rules. */
struct redis_ingest *redis_ingest_create(const struct redis_ingest_config *config,
                                         const struct ingest_settings *settings);
void redis_ingest_configure(struct redis_ingest *ingest, const struct ingest_settings *settings);
/* Gives the lease back and ends the reader, which frees itself. */
void redis_ingest_close(struct redis_ingest *ingest);

#endif
