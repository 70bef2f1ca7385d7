/* redis_broker.h - the broker of several nodes: Redis orders and stores events by scripts, and carries them over
 * pub/sub (docs/protocol.md, "Redis layout"). Two connections: one for commands, one that subscribes. It comes up, and
 * back, by itself.
 *
 * What can be relied on, beyond broker.h:
 * - A publication is acknowledged after Redis has run the script. When the connection is lost between, the answer is
 *   ERR_UNAVAILABLE and says that the outcome is unknown; with an event_id a retry is safe. While the broker is not
 *   up, publications are refused at once, with retry_after_ms.
 * - Events of a channel come in the order of Redis; subscribed comes before the first, and no event above the
 *   offset it names is lost while the connection lives. When it is made again, channels are subscribed again
 *   without another call of subscribed.
 * - When subscribed reports an error, the channel is not subscribed, and may be asked for again.
 * - Operations are called from mail and from loop callbacks, not from hooks of the turn.
 * - A message on a live channel that is not an event is counted and dropped. */
#ifndef CARILLON_BROKER_REDIS_REDIS_BROKER_H
#define CARILLON_BROKER_REDIS_REDIS_BROKER_H

#include "common/base/mailbox.h"
#include "server/broker/broker.h"
#include "server/broker/redis/client/redis_tls.h"
#include "server/broker/redis/ingest/ingest_entry.h"

/* Texts are copied. */
struct redis_broker_config {
    struct turn *turn; /* borrowed; outlives the broker */
    struct str url;
    struct str prefix;             /* of all keys: 1 to 64 bytes of A-Z a-z 0-9 . _ - : */
    struct str node_id;            /* unique: 1 to 64 bytes of A-Z a-z 0-9 . _ - */
    struct redis_tls_settings tls; /* for URLs that ask for TLS; read by redis_broker_create and not kept */
    uint64_t connect_timeout_ms;
    uint64_t command_timeout_ms; /* for each answer, and for the canary's way round */
    uint64_t retry_max_ms;       /* longest pause between attempts to connect; the first ones are about 100 ms */
    uint64_t
        canary_interval_ms; /* how often the way through Redis is tried; silent nodes are forgotten after 3 times */
    uint64_t idempotency_window_ms;
    uint64_t empty_ttl_ms; /* a position without any event outlives its last subscriber by it */
    unsigned keepalive_s;  /* TCP keepalive; 0: off */
    size_t pending_max;    /* publications unanswered by Redis before more are refused */
    size_t pending_bytes_max;
    bool custom_events; /* for events that backends publish directly: types other than the built-in ones */
    size_t event_bytes; /* for the same: the most that their data may have */
    const struct ingest_settings *ingest; /* of the ingest stream; NULL: this node does not read it */
    uint64_t ingest_takeover_ms;          /* after a reader's death, until another node reads in its place */
};

/* Starts to connect. NULL if url, prefix or node_id is malformed or a file of tls cannot be used; the error names
 * which.
 */
struct broker *redis_broker_create(const struct redis_broker_config *config, const struct broker_sink *sink,
                                   void *owner, struct metrics *metrics, struct error *error);

/* What holds from now on for events that backends publish directly, and for those of the ingest stream, if it is read.
 */
void redis_broker_configure(struct broker *broker, const struct ingest_settings *settings);

#endif
