/* ledger.h - records which subscriber has got which event. It finds losses, duplicates and wrong order while events are
 * delivered, and takes the times. Events have numbers from 0, belong to a channel, and go to every subscriber of it.
 * The order on a channel is the order in which its events are first seen anywhere, because with several publishers only
 * the server knows it. All subscribers of the channel must see that same order. A run is right when all counts are 0.
 * One event that is missing at the first subscriber also shows as wrong order at the others.
 *
 * Threads: one publishes (ledger_send); each thread has a part, with the subscribers that it alone serves. The parts
 * share the events, in chunks that never move. A delivery touches no shared line that others write, but for the first
 * and the last one of an event in each part. No I/O, no clock. */
#ifndef CARILLON_BENCH_LOAD_LEDGER_H
#define CARILLON_BENCH_LOAD_LEDGER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "bench/load/histogram.h"

enum {
    LEDGER_CHUNK_BITS = 14,
    LEDGER_CHUNK = 1 << LEDGER_CHUNK_BITS,
    LEDGER_CHUNKS = 1 << 16,
    LEDGER_EVENTS_MAX = LEDGER_CHUNK * (LEDGER_CHUNKS - 1), /* a thousand million: hours */
};

#define LEDGER_UNSEEN UINT32_MAX

struct ledger_event {
    uint64_t due_us; /* when it was, or should have been, sent */
    uint32_t channel;
    _Atomic uint32_t place;      /* in the channel's order; LEDGER_UNSEEN before somebody has got it */
    _Atomic uint32_t parts_left; /* parts that have yet to see it at all their subscribers */
};

struct ledger_channel {
    uint32_t seen_count; /* under `order` */
    uint32_t parts;      /* that have subscribers of it */
    uint64_t subscribers;
};

struct ledger {
    size_t channel_count;
    struct ledger_channel *channels; /* owned */
    struct ledger_event **chunks;    /* owned, as are the chunks */
    _Atomic uint32_t event_count;
    _Atomic uint32_t completed; /* events that have reached every subscriber */
    uint64_t expected;          /* deliveries; the publishing thread's */
    pthread_mutex_t order;      /* who gives an event its place */
};

struct ledger_subscriber {
    uint32_t channel;
    uint32_t next;     /* the place of the event that should come next */
    uint32_t *skipped; /* places passed over, owned */
    size_t skipped_count;
};

struct ledger_part {
    struct ledger *ledger;
    size_t subscriber_count;
    struct ledger_subscriber *subscribers; /* owned */
    uint32_t *members;                     /* owned: subscribers here, by channel */
    uint32_t **got;                        /* owned: deliveries here, by event, in chunks as the ledger's */
    uint32_t known;                        /* events that are known to be there */
    uint32_t completed;                    /* events that this part was the last to complete */
    uint64_t deliveries;                   /* right or wrong, duplicates not */
    uint64_t duplicated;
    uint64_t misordered; /* came after a later one */
    struct histogram latency;
    struct histogram first; /* of each event at the subscriber that had it first; here only if that was one of ours */
    struct histogram last;
};

void ledger_init(struct ledger *ledger, size_t channel_count);
void ledger_fini(struct ledger *ledger);

/* Adds a part whose subscriber i is subscribed to channel (first + i) % channel_count. Before the first event. */
void ledger_part_init(struct ledger_part *part, struct ledger *ledger, size_t first, size_t subscriber_count);
void ledger_part_fini(struct ledger_part *part);

/* Returns the number of an event that is sent on that channel. No more than LEDGER_EVENTS_MAX. The publishing thread's
 * alone. */
uint32_t ledger_send(struct ledger *ledger, uint32_t channel, uint64_t due_us);

/* Events that have been sent and have not reached every subscriber. */
uint32_t ledger_in_flight(const struct ledger *ledger);

/* A subscriber of the part (from 0) has got that event now. False: there is no such event, or it is on another channel.
 */
bool ledger_deliver(struct ledger_part *part, size_t subscriber, uint64_t number, uint64_t now_us);

/* Forgets the times so far, which were the warm-up. Only while nothing is in flight. */
void ledger_part_forget(struct ledger_part *part);

#endif
