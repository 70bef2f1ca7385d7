/* redis_ingest.h - the ingest stream: events that backends write to Redis without HTTP (ingest_entry.h), each published
 * at least once, and in the stream's order a channel.
 *
 * One node at a time reads: the one whose lease, a key that expires, says so. Before anything new a new reader takes
 * over all that earlier readers have read and not acknowledged. A channel's entries are published one after the other,
 * each under an event_id that is the same whoever publishes it. So a reader that was paused and comes back may publish
 * along with its successor for a moment: it walks the same entries in the same order, and what one of them has
 * published is no event of the other's any more.
 *
 * An entry is acknowledged and deleted after it was published, or, if it cannot be, after it was copied to the dead
 * stream with the reason. It has a connection of its own, on which it waits for entries. */
#ifndef CARILLON_BROKER_REDIS_INGEST_REDIS_INGEST_H
#define CARILLON_BROKER_REDIS_INGEST_REDIS_INGEST_H

#include "server/broker/redis/ingest/ingest_entry.h"

struct redis_broker;
struct redis_ingest;

/* Begins when the broker is up. Takes a reference to the rules. */
struct redis_ingest *redis_ingest_create(struct redis_broker *broker, const struct ingest_settings *settings,
                                         uint64_t takeover_ms);
void redis_ingest_configure(struct redis_ingest *ingest, const struct ingest_settings *settings);
/* Gives the lease back. It is one of broker->parts until it has closed, and is then freed. */
void redis_ingest_close(struct redis_ingest *ingest);

#endif
