/* ledger.h - who has got which event: finds losses, duplicates and wrong order while a fan-out runs. Every event goes
 * to every subscriber, and events have numbers from 0. The order is the one in which an event is first seen anywhere
 * (with several publishers only the server knows it), and all subscribers must see that same order. So a run is right
 * when all counts are 0; when they are not, one event missing at the subscriber that is read first also shows as wrong
 * order at the others. Pure; one thread at a time. */
#ifndef CARILLON_CLI_BENCH_LEDGER_H
#define CARILLON_CLI_BENCH_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_event {
    uint64_t sent_us;
    uint32_t left;  /* subscribers that have yet to get it */
    uint32_t place; /* in the order seen; LEDGER_UNSEEN before */
};

#define LEDGER_UNSEEN UINT32_MAX

struct ledger_subscriber {
    uint32_t next;     /* the place of the event that should come next */
    uint32_t *skipped; /* places passed over, owned */
    size_t skipped_count;
};

struct ledger {
    size_t subscriber_count;
    struct ledger_subscriber *subscribers; /* owned */
    struct ledger_event *events;           /* owned */
    uint32_t event_count;
    uint32_t event_cap;
    uint32_t seen_count; /* events that somebody has got */
    uint64_t deliveries; /* right or wrong, duplicates not */
    uint64_t duplicated;
    uint64_t misordered; /* came after a later one */
};

void ledger_init(struct ledger *ledger, size_t subscriber_count);
void ledger_fini(struct ledger *ledger);

/* Returns the number of the event that is sent now. */
uint32_t ledger_send(struct ledger *ledger, uint64_t now_us);

/* The subscriber (from 0) has got that event. Returns true when it was the last one to get it. number must be one that
 * ledger_send has given. */
bool ledger_deliver(struct ledger *ledger, size_t subscriber, uint32_t number);

/* Deliveries that have not come. */
uint64_t ledger_missing(const struct ledger *ledger);

#endif
