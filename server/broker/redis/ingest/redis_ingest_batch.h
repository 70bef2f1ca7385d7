/* redis_ingest_batch.h - a batch of entries that were read from the ingest stream, and how they are published.
 *
 * - The entries of a channel are published one after the other.
 * - An entry that cannot be published is copied to the dead-letter stream, with the reason.
 * - An entry that cannot be published now ends the batch. The owner reads the rest again, if it still has the lease.
 * - A batch that is too old ends, too: this node stood still. Another node has published the entries by now, and their
 *   event_ids may be forgotten.
 *
 * One thread. Embedded in its owner, which reads the entries and acknowledges them. */
#ifndef CARILLON_BROKER_REDIS_INGEST_REDIS_INGEST_BATCH_H
#define CARILLON_BROKER_REDIS_INGEST_REDIS_INGEST_BATCH_H

#include "common/base/log.h"
#include "server/broker/broker.h"
#include "server/broker/redis/ingest/ingest_entry.h"
#include "server/broker/redis/topology/redis_topology.h"

enum { INGEST_BATCH_MAX = 100, INGEST_RETRY_MS = 500 };

enum item_state {
    ITEM_WAITING, /* is to be published, or copied to the dead-letter stream */
    ITEM_SENT,    /* waits for the answer */
    ITEM_DONE,
};

struct item {
    struct ingest_entry *entry;
    enum item_state state;
    struct error error; /* with a code: the reason why the entry goes to the dead-letter stream */
};

/* Everything is borrowed for life. */
struct redis_ingest_batch_config {
    struct broker *broker; /* publishes the entries, and has the metrics */
    struct redis_topology *topology;
    const struct ingest_settings *settings;
    struct str dead_letter_key; /* of the dead-letter stream */
    uint64_t age_max_ms;        /* of a batch: by then the lease that it was read with is over for sure */
};

struct redis_ingest_batch {
    struct redis_ingest_batch_config config;
    void (*ended)(struct redis_ingest_batch *batch);
    struct mailbox mailbox; /* publications come back here */
    struct item items[INGEST_BATCH_MAX];
    size_t count;      /* of items; 0: there is no batch */
    size_t done;       /* items in ITEM_DONE */
    size_t sent;       /* items in ITEM_SENT */
    bool paused;       /* no item is sent any more: the rest is read again */
    uint64_t again_ms; /* the pause before that */
    uint64_t asked_us; /* when the lease and the batch were asked for; set by the owner */
    bool abandoned;    /* nothing can be acknowledged: the batch ends after the answers to sent items */
    struct log_limit dead_letters_said;
    char why[200]; /* the reason of the last loss or wait, which the log says once */
};

/* ended is called when no item is under way and none is sent any more. The owner then acknowledges the items that are
 * done, unless the batch was abandoned, and clears the batch. */
void redis_ingest_batch_init(struct redis_ingest_batch *batch, const struct redis_ingest_batch_config *config,
                             void (*ended)(struct redis_ingest_batch *batch));
void redis_ingest_batch_fini(struct redis_ingest_batch *batch);

/* Adds an entry as XREADGROUP or XAUTOCLAIM tell it. False if the reply is no entry. */
bool redis_ingest_batch_add(struct redis_ingest_batch *batch, const struct redisReply *reply);
/* Publishes the items that need not wait for others. */
void redis_ingest_batch_publish(struct redis_ingest_batch *batch);
/* The connection of the owner is lost: no item is sent any more. The batch ends after the answers to sent items. */
void redis_ingest_batch_abandon(struct redis_ingest_batch *batch);
void redis_ingest_batch_clear(struct redis_ingest_batch *batch);

#endif
