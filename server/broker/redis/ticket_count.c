/* ticket_count.c - see ticket_count.h. */
#include "server/broker/redis/ticket_count.h"

uint64_t ticket_count_at(struct ticket_count *count, uint64_t now_us)
{
    uint64_t second = now_us / 1000000;
    if (second - count->second > TICKET_COUNT_SECONDS)
        count->second = second - TICKET_COUNT_SECONDS;
    for (; count->second < second; count->second++) {
        uint32_t *ending = &count->ending[count->second % TICKET_COUNT_SECONDS];
        count->total -= *ending;
        *ending = 0;
    }
    return count->total;
}

void ticket_count_add(struct ticket_count *count, uint64_t ttl_ms, uint64_t now_us)
{
    uint64_t seconds = ttl_ms / 1000;
    if (seconds > TICKET_COUNT_SECONDS - 1)
        seconds = TICKET_COUNT_SECONDS - 1;
    count->ending[(now_us / 1000000 + seconds) % TICKET_COUNT_SECONDS]++;
    count->total++;
}
