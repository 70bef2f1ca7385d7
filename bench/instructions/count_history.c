/* count_history.c - an event on its way into the memory broker's log, and out of it to those who come back. */
#include <stdio.h>

#include "bench/instructions/measure.h"
#include "server/broker/memory/memory_log.h"

enum { TIMES = 2000, DATA_BYTES = 128, PAGE = 100 };

static const uint64_t NOW_US = 1;
static char data[DATA_BYTES + 1];

static void append(struct memory_logs *logs, struct memory_log *log, size_t kept, uint64_t offset)
{
    const struct history_policy history = {.size = kept, .ttl_ms = 600000};
    const struct event event = {.channel = STR("bench:room"),
                                .type = STR("note"),
                                .id = STR("0197c1a0-0000-7000-8000-000000000000"),
                                .epoch = STR("k3v9q2"),
                                .offset = offset,
                                .timestamp = STR("2026-01-15T10:30:00.000Z"),
                                .data = str_from_cstr(data)};
    memory_log_append(logs, log, &event, 0, &history, NOW_US);
}

static void read_back(struct memory_logs *logs, struct memory_log *log, uint64_t after)
{
    struct history_read *read = history_read_create(STR("bench:room"), STR(""));
    read->after = after;
    read->limit = PAGE;
    read->max_bytes = SIZE_MAX;
    memory_log_read(logs, log, read, NOW_US);
    request_destroy(&read->base);
}

static void count(size_t kept)
{
    struct memory_logs logs;
    struct memory_log log = {0};
    uint64_t offset = 0;
    memory_logs_init(&logs, SIZE_MAX, SIZE_MAX);
    while (offset < kept)
        append(&logs, &log, kept, ++offset);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (int i = 0; i < TIMES; i++)
            append(&logs, &log, kept, ++offset);
        measure_to_number("event_to_history", "events_kept", kept, TIMES);
        measure_from();
        for (int i = 0; i < TIMES / PAGE; i++)
            read_back(&logs, &log, offset - PAGE);
        measure_to_number("history_page_of_100_each_event", "events_kept", kept, TIMES);
    }
    measure_off();
    memory_log_clear(&logs, &log);
    memory_logs_fini(&logs);
}

int main(void)
{
    static const size_t kept[] = {100, 10000, 1000000};
    snprintf(data, sizeof data, "\"%0*d\"", DATA_BYTES - 2, 0);
    for (size_t i = 0; i < 3; i++)
        count(kept[i]);
    return 0;
}
