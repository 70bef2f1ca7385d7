/* count_presence.c - who is on a channel, in the memory broker: pages, and users who leave and come again. */
#include <stdio.h>

#include "bench/instructions/measure.h"
#include "common/base/alloc.h"
#include "server/broker/memory/memory_presence.h"

enum { TIMES = 1000, PAGE = 100 };

static const struct presence_policy policy = {.kept = true};

static void change(struct memory_presence *presence, size_t first, size_t step, size_t count, bool here)
{
    static struct presence_update *update;
    char names[PRESENCE_BATCH_MAX][16], entries[PRESENCE_BATCH_MAX][40];
    if (!update)
        update = presence_update_create(PRESENCE_BATCH_MAX);
    update->policy = policy;
    update->base.channel = STR("bench:room");
    update->connections = 1;
    update->count = count;
    for (size_t i = 0; i < count; i++) {
        int name = snprintf(names[i], sizeof names[i], "user-%08zu", first + i * step);
        int entry = snprintf(entries[i], sizeof entries[i], "{\"user\":\"%s\"}", names[i]);
        update->items[i] = (struct presence_item){
            .here = here, .user = str_from(names[i], (size_t)name), .entry = str_from(entries[i], (size_t)entry)};
    }
    memory_presence_update(presence, NULL, update, 0);
}

static void read_page(const struct memory_presence *presence, size_t after, size_t limit)
{
    char name[16];
    int len = snprintf(name, sizeof name, "user-%08zu", after);
    struct presence_read *read =
        presence_read_create(&policy, STR("bench:room"), str_from(name, (size_t)len), limit, STR(""));
    memory_presence_read(presence, read);
    request_destroy(&read->base);
}

static void count(size_t members)
{
    struct memory_presence presence = {0};
    for (size_t i = 0; i < members; i += PRESENCE_BATCH_MAX)
        change(&presence, i, 1, PRESENCE_BATCH_MAX, true);
    measure_on();
    for (int round = 0; round < 2; round++) {
        measure_from();
        for (int i = 0; i < TIMES; i++)
            read_page(&presence, measure_random(members - PAGE), 1);
        measure_to_number("presence_page_of_1", "members", members, TIMES);
        measure_from();
        for (int i = 0; i < TIMES / PAGE; i++)
            read_page(&presence, measure_random(members - PAGE), PAGE);
        measure_to_number("presence_page_of_100_each_member", "members", members, TIMES);
        measure_from();
        for (int i = 0; i < TIMES / 10; i++) {
            size_t first = measure_random(members / 10);
            change(&presence, first, members / 10, 10, false);
            change(&presence, first, members / 10, 10, true);
        }
        measure_to_number("presence_leave_and_join", "members", members, TIMES);
    }
    measure_off();
    memory_presence_fini(&presence);
}

int main(void)
{
    static const size_t members[] = {1000, 10000, 100000};
    for (size_t i = 0; i < 3; i++)
        count(members[i]);
    return 0;
}
