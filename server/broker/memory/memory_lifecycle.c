/* memory_lifecycle.c - see memory_lifecycle.h. */
#include "server/broker/memory/memory_lifecycle.h"

#include <stdio.h>
#include <stdlib.h>

void memory_lifecycle_init(struct memory_lifecycle *lifecycle)
{
    list_init(&lifecycle->events);
}

static void forget_oldest(struct memory_lifecycle *lifecycle)
{
    struct lifecycle_event *event = CONTAINER_OF(list_take_first(&lifecycle->events), struct lifecycle_event, link);
    lifecycle->count--;
    lifecycle->bytes -= lifecycle_event_cost(event);
    free(event);
}

void memory_lifecycle_fini(struct memory_lifecycle *lifecycle)
{
    while (lifecycle->count)
        forget_oldest(lifecycle);
}

/* The request is not asked for twice, as the answer is never lost. */
void memory_lifecycle_write(struct memory_lifecycle *lifecycle, struct lifecycle_write *write)
{
    for (size_t i = 0; i < write->count; i++) {
        const struct lifecycle_event *event = write->events[i];
        if (!event->json.len)
            continue;
        struct lifecycle_event *kept =
            lifecycle_event_create(event->type, LIFECYCLE_TELL, STR(""), event->json, STR(""));
        kept->sequence = ++lifecycle->number;
        list_append(&lifecycle->events, &kept->link);
        lifecycle->count++;
        lifecycle->bytes += lifecycle_event_cost(kept);
        while (lifecycle->count > write->max_len || lifecycle->bytes > write->max_bytes)
            forget_oldest(lifecycle);
    }
    write->known = true;
}

/* An event's place is its number. */
void memory_lifecycle_read(struct memory_lifecycle *lifecycle, struct lifecycle_read *read)
{
    uint64_t done;
    if (str_to_u64(str_from_cstr(read->done), &done))
        lifecycle->sent = done;
    while (lifecycle->count &&
           CONTAINER_OF(lifecycle->events.next, struct lifecycle_event, link)->sequence <= lifecycle->sent)
        forget_oldest(lifecycle);
    read->is_reader = true;
    read->last_number = lifecycle->sent;
    for (struct list_link *link = lifecycle->events.next; link != &lifecycle->events && read->count < read->limit;
         link = link->next) {
        const struct lifecycle_event *event = CONTAINER_OF(link, struct lifecycle_event, link);
        if (!read->count++)
            read->number = event->sequence;
        else
            buf_append_char(&read->events, ',');
        buf_append(&read->events, event->json);
        read->done_number = event->sequence;
        snprintf(read->last, sizeof read->last, "%llu", (unsigned long long)event->sequence);
    }
    read->entries = read->count;
}
