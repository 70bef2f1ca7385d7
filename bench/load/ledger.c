/* ledger.c - see ledger.h. */
#include "bench/load/ledger.h"

#include <string.h>

#include "common/base/alloc.h"

void ledger_init(struct ledger *ledger, size_t channel_count)
{
    *ledger = (struct ledger){.channel_count = channel_count};
    ledger->channels = xcalloc(channel_count, sizeof *ledger->channels);
    ledger->chunks = xcalloc(LEDGER_CHUNKS, sizeof(struct ledger_event *));
    pthread_mutex_init(&ledger->order, NULL);
}

void ledger_fini(struct ledger *ledger)
{
    for (size_t i = 0; i < LEDGER_CHUNKS && ledger->chunks[i]; i++)
        free(ledger->chunks[i]);
    free(ledger->chunks);
    free(ledger->channels);
    pthread_mutex_destroy(&ledger->order);
}

void ledger_part_init(struct ledger_part *part, struct ledger *ledger, size_t first, size_t subscriber_count)
{
    *part = (struct ledger_part){.ledger = ledger, .subscriber_count = subscriber_count};
    part->subscribers = xcalloc(subscriber_count, sizeof *part->subscribers);
    part->members = xcalloc(ledger->channel_count, sizeof *part->members);
    part->got = xcalloc(LEDGER_CHUNKS, sizeof(uint32_t *));
    for (size_t i = 0; i < subscriber_count; i++) {
        uint32_t channel = (uint32_t)((first + i) % ledger->channel_count);
        part->subscribers[i].channel = channel;
        ledger->channels[channel].subscribers++;
        if (part->members[channel]++ == 0)
            ledger->channels[channel].parts++;
    }
}

void ledger_part_fini(struct ledger_part *part)
{
    for (size_t i = 0; i < part->subscriber_count; i++)
        free(part->subscribers[i].skipped);
    for (size_t i = 0; part->got && i < LEDGER_CHUNKS; i++)
        free(part->got[i]);
    free(part->subscribers);
    free(part->members);
    free(part->got);
}

static struct ledger_event *event_at(const struct ledger *ledger, uint32_t number)
{
    return &ledger->chunks[number >> LEDGER_CHUNK_BITS][number & (LEDGER_CHUNK - 1)];
}

uint32_t ledger_send(struct ledger *ledger, uint32_t channel, uint64_t due_us)
{
    uint32_t number = atomic_load_explicit(&ledger->event_count, memory_order_relaxed);
    struct ledger_event **chunk = &ledger->chunks[number >> LEDGER_CHUNK_BITS];
    if (!*chunk)
        *chunk = xcalloc(LEDGER_CHUNK, sizeof **chunk);
    struct ledger_event *event = event_at(ledger, number);
    event->due_us = due_us;
    event->channel = channel;
    atomic_store_explicit(&event->place, LEDGER_UNSEEN, memory_order_relaxed);
    atomic_store_explicit(&event->parts_left, ledger->channels[channel].parts, memory_order_relaxed);
    ledger->expected += ledger->channels[channel].subscribers;
    /* A thread that sees the new count also sees the event, and the earlier work of ledger_part_forget. */
    atomic_store_explicit(&ledger->event_count, number + 1, memory_order_release);
    return number;
}

uint32_t ledger_in_flight(const struct ledger *ledger)
{
    return atomic_load_explicit(&ledger->event_count, memory_order_relaxed) -
           atomic_load_explicit(&ledger->completed, memory_order_acquire);
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

/* The event's place, which it gets now unless another part has been faster. */
static uint32_t see_first(struct ledger_part *part, struct ledger_event *event, uint64_t late_us)
{
    struct ledger *ledger = part->ledger;
    pthread_mutex_lock(&ledger->order);
    uint32_t place = atomic_load_explicit(&event->place, memory_order_relaxed);
    bool is_first = place == LEDGER_UNSEEN;
    if (is_first) {
        place = ledger->channels[event->channel].seen_count++;
        atomic_store_explicit(&event->place, place, memory_order_release);
    }
    pthread_mutex_unlock(&ledger->order);
    if (is_first)
        histogram_record(&part->first, late_us);
    return place;
}

/* False: the subscriber has had it before. */
static bool check_order(struct ledger_part *part, struct ledger_subscriber *subscriber, uint32_t place)
{
    if (place == subscriber->next) {
        subscriber->next++;
    } else if (place > subscriber->next) {
        while (subscriber->next < place)
            skip(subscriber, subscriber->next++);
        subscriber->next++;
    } else if (unskip(subscriber, place)) {
        part->misordered++;
    } else {
        part->duplicated++;
        return false;
    }
    return true;
}

static void count(struct ledger_part *part, uint32_t number, struct ledger_event *event, uint64_t late_us)
{
    uint32_t **chunk = &part->got[number >> LEDGER_CHUNK_BITS];
    if (!*chunk)
        *chunk = xcalloc(LEDGER_CHUNK, sizeof **chunk);
    part->deliveries++;
    histogram_record(&part->latency, late_us);
    if (++(*chunk)[number & (LEDGER_CHUNK - 1)] < part->members[event->channel])
        return;
    if (atomic_fetch_sub_explicit(&event->parts_left, 1, memory_order_acq_rel) == 1) {
        histogram_record(&part->last, late_us);
        part->completed++;
        atomic_fetch_add_explicit(&part->ledger->completed, 1, memory_order_release);
    }
}

bool ledger_deliver(struct ledger_part *part, size_t index, uint64_t number, uint64_t now_us)
{
    struct ledger_subscriber *subscriber = &part->subscribers[index];
    if (number >= part->known) {
        part->known = atomic_load_explicit(&part->ledger->event_count, memory_order_acquire);
        if (number >= part->known)
            return false;
    }
    struct ledger_event *event = event_at(part->ledger, (uint32_t)number);
    if (event->channel != subscriber->channel)
        return false;
    uint64_t late_us = now_us > event->due_us ? now_us - event->due_us : 0;
    uint32_t place = atomic_load_explicit(&event->place, memory_order_acquire);
    if (place == LEDGER_UNSEEN)
        place = see_first(part, event, late_us);
    if (check_order(part, subscriber, place))
        count(part, (uint32_t)number, event, late_us);
    return true;
}

void ledger_part_forget(struct ledger_part *part)
{
    histogram_clear(&part->latency);
    histogram_clear(&part->first);
    histogram_clear(&part->last);
}
