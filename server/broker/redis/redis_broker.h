/* redis_broker.h - the broker of several nodes. Redis orders and stores events by scripts, and carries them to the
 * nodes by pub/sub (docs/protocol.md, "Redis layout"). The broker connects by itself, and again when a connection is
 * lost.
 *
 * Guarantees beyond broker.h:
 * - A publication is acknowledged after Redis has run the script. If the connection is lost before, the answer is
 *   ERR_UNAVAILABLE and says that the outcome is unknown. With an event_id a retry is safe.
 * - While the broker is not up, publications are refused at once, with retry_after_ms.
 * - Events of a channel come in the order of Redis. subscribed comes before the first event. No event after the
 *   position that subscribed tells is lost while the connection lives.
 * - After a lost connection the channels are subscribed again.
 * - When subscribed reports an error, the channel is not subscribed. The node may subscribe it again.
 * - Operations are called from mail and from loop callbacks, not from hooks of the turn.
 * - A message on a live channel that is no event is counted and dropped. */
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
    struct redis_tls_settings tls; /* for rediss URLs; read by redis_broker_create and not kept */
    uint64_t connect_timeout_ms;
    uint64_t command_timeout_ms; /* for each answer, and for each canary */
    uint64_t retry_max_ms;       /* longest pause between attempts to connect; the first pauses are about 100 ms */
    /* The interval of canaries. A node that is silent for three intervals is forgotten. */
    uint64_t canary_interval_ms;
    uint64_t idempotency_window_ms;
    uint64_t empty_ttl_ms; /* a position without an event stays so long after its last subscriber */
    unsigned keepalive_s;  /* TCP keepalive; 0: off */
    size_t pending_max;    /* publications without an answer of Redis; more are refused */
    size_t pending_bytes_max;
    bool custom_events; /* backends that publish directly may use other types than the built-in ones */
    size_t event_bytes; /* largest data of events that backends publish directly */
    const struct ingest_settings *ingest; /* of the ingest stream; NULL: this node does not read it */
    uint64_t ingest_takeover_ms;          /* so long after a reader's death another node reads */
};

/* Starts to connect. NULL if url, prefix or node_id is malformed, or if a file of tls cannot be used. The error names
 * which one. */
struct broker *redis_broker_create(const struct redis_broker_config *config, const struct broker_sink *sink,
                                   void *owner, struct metrics *metrics, struct error *error);

/* Sets what holds from now on for events that backends publish directly or write to the ingest stream. */
void redis_broker_configure(struct broker *broker, const struct ingest_settings *settings);

#endif
