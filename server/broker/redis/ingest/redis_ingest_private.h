/* redis_ingest_private.h - what the two files of the ingest stream share: redis_ingest.c connects, leases and reads;
 * redis_ingest_batch.c publishes what was read. */
#ifndef CARILLON_BROKER_REDIS_INGEST_REDIS_INGEST_PRIVATE_H
#define CARILLON_BROKER_REDIS_INGEST_REDIS_INGEST_PRIVATE_H

#include "server/broker/redis/redis_parts.h"

enum { INGEST_BATCH_MAX = 100, INGEST_RETRY_MS = 500 };

enum item_state {
    ITEM_WAITING, /* to be published, or copied to the dead stream */
    ITEM_SENT,    /* the answer is due */
    ITEM_DONE,
};

struct item {
    struct ingest_entry *entry;
    enum item_state state;
    struct error error; /* a code: it goes to the dead stream */
};

struct redis_ingest {
    struct redis_broker *broker;
    struct ingest_settings settings;
    uint64_t takeover_ms;
    struct redis_connection connection;
    bool connection_made;
    struct redis_endpoint endpoint; /* of the shard that had the stream when it was last connected */
    uv_timer_t timer;               /* connect; or try for the lease, and read */
    struct mailbox mailbox;         /* publications come back here */
    struct buf stream_key;
    struct buf dead_key;
    struct buf lease_key;
    struct item items[INGEST_BATCH_MAX];
    size_t count;        /* 0: no batch */
    size_t done;         /* of them */
    size_t sent;         /* of them, answers due */
    bool paused;         /* no more is sent: the rest is read again */
    uint64_t again_ms;   /* how long after */
    uint64_t asked_us;   /* when the lease was last asked for, and the batch */
    bool abandoned;      /* the connection is gone: the batch ends with the answers that are due */
    char claim_from[48]; /* what earlier readers have left: where it goes on; "": all of it is claimed */
    char last[48];       /* id of the last entry that was read */
    bool closing;
    struct log_limit dead_said;
    char why[200]; /* of the last loss or wait: said in the log once */
};

/* redis_ingest.c */
/* The timer fires after that time, for whatever is next. While closing: ends what has nothing left to do. */
void redis_ingest_wait(struct redis_ingest *ingest, uint64_t ms);
/* No answer is due any more: acknowledges what is done. If that is not all, the rest is read again after that time. */
void redis_ingest_end_batch(struct redis_ingest *ingest, uint64_t again_ms);

/* redis_ingest_batch.c */
/* Of XREADGROUP or XAUTOCLAIM; false if it is no entry. */
bool redis_ingest_add(struct redis_ingest *ingest, const redisReply *reply);
/* Sends what may be sent now. */
void redis_ingest_publish(struct redis_ingest *ingest);
/* The connection has gone: no more is sent, and the batch ends with the answers that are due. */
void redis_ingest_abandon(struct redis_ingest *ingest);
void redis_ingest_free_batch(struct redis_ingest *ingest);

#endif
