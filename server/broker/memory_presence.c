/* memory_presence.c - see memory_presence.h. */
#include "server/broker/memory_presence.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

struct person {
    struct str user;
    struct str entry;
    char bytes[];
};

struct crowd {
    struct map people; /* user -> struct person */
    uint64_t connections;
    struct str channel;
    char bytes[];
};

static struct crowd *find_or_create(struct memory_presence *presence, struct str channel)
{
    struct crowd *crowd = map_get(&presence->channels, channel);
    if (crowd)
        return crowd;
    crowd = xcalloc(1, sizeof *crowd + channel.len);
    memcpy(crowd->bytes, channel.ptr, channel.len);
    crowd->channel = str_from(crowd->bytes, channel.len);
    map_put(&presence->channels, crowd->channel, crowd);
    return crowd;
}

static void tell(const struct broker *broker, const struct presence_update *update, struct str type, struct str entry,
                 uint64_t wall_ms)
{
    char timestamp[CLOCK_RFC3339_LEN + 1];
    if (!update->policy.events)
        return;
    clock_format(wall_ms, timestamp);
    const struct event event = {.channel = update->channel,
                                .type = type,
                                .id = STR(""),
                                .epoch = STR(""),
                                .timestamp = str_from(timestamp, CLOCK_RFC3339_LEN),
                                .data = entry};
    broker->sink->event(broker->owner, &event);
}

/* False if the user is there already. */
static bool add(struct crowd *crowd, const struct presence_item *item)
{
    if (map_get(&crowd->people, item->user))
        return false;
    struct person *person = xmalloc(sizeof *person + item->user.len + item->entry.len);
    memcpy(person->bytes, item->user.ptr, item->user.len);
    memcpy(person->bytes + item->user.len, item->entry.ptr, item->entry.len);
    person->user = str_from(person->bytes, item->user.len);
    person->entry = str_from(person->bytes + item->user.len, item->entry.len);
    map_put(&crowd->people, person->user, person);
    return true;
}

void memory_presence_update(struct memory_presence *presence, const struct broker *broker,
                            struct presence_update *update, uint64_t wall_ms)
{
    struct crowd *crowd = find_or_create(presence, update->channel);
    crowd->connections = update->connections;
    update->known = true;
    for (size_t i = 0; i < update->count; i++) {
        const struct presence_item *item = &update->items[i];
        if (item->here) {
            if (add(crowd, item))
                tell(broker, update, STR("join"), item->entry, wall_ms);
            continue;
        }
        struct person *person = map_remove(&crowd->people, item->user);
        if (person)
            tell(broker, update, STR("leave"), person->entry, wall_ms);
        free(person);
    }
    if (crowd->people.count)
        return;
    map_remove(&presence->channels, crowd->channel);
    map_fini(&crowd->people);
    free(crowd);
}

static int compare(const void *a, const void *b)
{
    return str_compare((*(const struct person *const *)a)->user, (*(const struct person *const *)b)->user);
}

void memory_presence_read(const struct memory_presence *presence, struct presence_read *read)
{
    const struct crowd *crowd = map_get(&presence->channels, read->channel);
    if (!crowd)
        return;
    const struct person **people = xcalloc(crowd->people.count, sizeof *people);
    size_t cursor = 0, count = 0;
    for (const struct person *person; (person = map_next(&crowd->people, &cursor));)
        if (str_compare(person->user, read->after) > 0)
            people[count++] = person;
    qsort(people, count, sizeof *people, compare);
    size_t shown = 0;
    while (shown < count && shown < read->limit &&
           (shown == 0 || read->members.len + people[shown]->entry.len < PRESENCE_PAGE_BYTES))
        presence_read_add(read, people[shown++]->entry);
    if (shown < count)
        buf_append(&read->next, people[shown - 1]->user);
    read->users = crowd->people.count;
    read->connections = crowd->connections;
    free(people);
}

void memory_presence_fini(struct memory_presence *presence)
{
    size_t cursor = 0;
    for (struct crowd *crowd; (crowd = map_next(&presence->channels, &cursor));) {
        size_t at = 0;
        for (struct person *person; (person = map_next(&crowd->people, &at));)
            free(person);
        map_fini(&crowd->people);
        free(crowd);
    }
    map_fini(&presence->channels);
}
