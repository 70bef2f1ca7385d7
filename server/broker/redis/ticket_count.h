/* ticket_count.h - how many tickets a node has issued whose time is not over. Redis forgets a ticket by itself, so the
 * node counts by the second in which each one ends. A longer life than TICKET_COUNT_SECONDS counts as that long. One
 * thread. */
#ifndef CARILLON_BROKER_REDIS_TICKET_COUNT_H
#define CARILLON_BROKER_REDIS_TICKET_COUNT_H

#include <stdint.h>

enum { TICKET_COUNT_SECONDS = 8192 };

/* A zeroed one is empty. */
struct ticket_count {
    uint64_t second; /* monotonic: all that ended before it have been taken off */
    uint64_t total;
    uint32_t ending[TICKET_COUNT_SECONDS]; /* by second, modulo their number */
};

/* How many there are now. */
uint64_t ticket_count_at(struct ticket_count *count, uint64_t now_us);
/* Adds one. Call ticket_count_at before, with the same time. */
void ticket_count_add(struct ticket_count *count, uint64_t ttl_ms, uint64_t now_us);

#endif
