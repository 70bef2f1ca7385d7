/* ledger.c - see ledger.h. */
#include "server/cli/bench/ledger.h"

#include "common/base/alloc.h"

void ledger_init(struct ledger *ledger, size_t subscriber_count)
{
    *ledger = (struct ledger){.subscriber_count = subscriber_count};
    ledger->subscribers = xcalloc(subscriber_count, sizeof *ledger->subscribers);
}

void ledger_fini(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->subscriber_count; i++)
        free(ledger->subscribers[i].skipped);
    free(ledger->subscribers);
    free(ledger->events);
}

uint32_t ledger_send(struct ledger *ledger, uint64_t now_us)
{
    if (ledger->event_count == ledger->event_cap) {
        ledger->event_cap = ledger->event_cap ? ledger->event_cap * 2 : 1024;
        ledger->events = xrealloc(ledger->events, ledger->event_cap * sizeof *ledger->events);
    }
    ledger->events[ledger->event_count] = (struct ledger_event){
        .sent_us = now_us,
        .left = (uint32_t)ledger->subscriber_count,
        .place = LEDGER_UNSEEN,
    };
    return ledger->event_count++;
}

static void skip(struct ledger_subscriber *subscriber, uint32_t place)
{
    subscriber->skipped = xrealloc(subscriber->skipped, (subscriber->skipped_count + 1) * sizeof *subscriber->skipped);
    subscriber->skipped[subscriber->skipped_count++] = place;
}

/* False: it had not been skipped. */
static bool unskip(struct ledger_subscriber *subscriber, uint32_t place)
{
    for (size_t i = 0; i < subscriber->skipped_count; i++) {
        if (subscriber->skipped[i] == place) {
            subscriber->skipped[i] = subscriber->skipped[--subscriber->skipped_count];
            return true;
        }
    }
    return false;
}

bool ledger_deliver(struct ledger *ledger, size_t index, uint32_t number)
{
    struct ledger_subscriber *subscriber = &ledger->subscribers[index];
    struct ledger_event *event = &ledger->events[number];
    if (event->place == LEDGER_UNSEEN)
        event->place = ledger->seen_count++;
    if (event->place < subscriber->next) {
        if (!unskip(subscriber, event->place)) {
            ledger->duplicated++;
            return false;
        }
        ledger->misordered++;
    } else {
        while (subscriber->next < event->place)
            skip(subscriber, subscriber->next++);
        subscriber->next++;
    }
    ledger->deliveries++;
    return --event->left == 0;
}

uint64_t ledger_missing(const struct ledger *ledger)
{
    return (uint64_t)ledger->event_count * ledger->subscriber_count - ledger->deliveries;
}
