/* memory_presence.c - see memory_presence.h. */
#include "server/broker/memory/memory_presence.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/sorted.h"

/* Owned by crowd.people. */
struct person {
    struct sorted_link link;   /* in crowd.by_user: a page costs its length, not the crowd's */
    struct shared_text *entry; /* a reference */
    struct str user;
    char bytes[];
};

struct memory_crowd {
    struct map people; /* user -> struct person */
    struct sorted by_user;
    uint64_t connections;
    struct str channel;
    char bytes[];
};

static struct person *person_of(struct sorted_link *link)
{
    return link ? CONTAINER_OF(link, struct person, link) : NULL;
}

static void free_person(struct memory_presence *presence, struct person *person)
{
    shared_text_drop(&presence->entries, person->entry);
    free(person);
}

static struct str user_of(struct sorted_link *link)
{
    return person_of(link)->user;
}

static struct memory_crowd *find_or_create(struct memory_presence *presence, struct str channel)
{
    struct memory_crowd *crowd = map_get(&presence->channels, channel);
    if (crowd)
        return crowd;
    crowd = xcalloc(1, sizeof *crowd + channel.len);
    memcpy(crowd->bytes, channel.ptr, channel.len);
    crowd->channel = str_from(crowd->bytes, channel.len);
    sorted_init(&crowd->by_user, user_of);
    map_put(&presence->channels, crowd->channel, crowd);
    return crowd;
}

static void tell(const struct broker *broker, struct presence_update *update, bool here, const struct person *person,
                 uint64_t wall_ms)
{
    char timestamp[CLOCK_RFC3339_LEN + 1];
    presence_note_changed(&update->changed, here, person->user);
    if (!update->policy.events)
        return;
    clock_format(wall_ms, timestamp);
    const struct event event = {.channel = update->base.channel,
                                .type = here ? STR("join") : STR("leave"),
                                .id = STR(""),
                                .epoch = STR(""),
                                .timestamp = str_from(timestamp, CLOCK_RFC3339_LEN),
                                .data = person->entry->text};
    broker->sink->event(broker->owner, &event);
}

/* False if the user is there already. */
static bool add(struct memory_presence *presence, struct memory_crowd *crowd, const struct presence_item *item)
{
    if (map_get(&crowd->people, item->user))
        return false;
    struct person *person = xcalloc(1, sizeof *person + item->user.len);
    memcpy(person->bytes, item->user.ptr, item->user.len);
    person->user = str_from(person->bytes, item->user.len);
    person->entry = shared_text_take(&presence->entries, item->entry);
    map_put(&crowd->people, person->user, person);
    sorted_put(&crowd->by_user, &person->link);
    return true;
}

void memory_presence_update(struct memory_presence *presence, const struct broker *broker,
                            struct presence_update *update, uint64_t wall_ms)
{
    struct memory_crowd *crowd = find_or_create(presence, update->base.channel);
    crowd->connections = update->connections;
    update->known = true;
    for (size_t i = 0; i < update->count; i++) {
        const struct presence_item *item = &update->items[i];
        if (item->here) {
            if (add(presence, crowd, item))
                tell(broker, update, true, map_get(&crowd->people, item->user), wall_ms);
            continue;
        }
        struct person *person = map_remove(&crowd->people, item->user);
        if (!person)
            continue;
        sorted_remove(&crowd->by_user, &person->link);
        tell(broker, update, false, person, wall_ms);
        free_person(presence, person);
    }
    if (crowd->people.count)
        return;
    map_remove(&presence->channels, crowd->channel);
    map_fini(&crowd->people);
    free(crowd);
}

void memory_presence_read(const struct memory_presence *presence, struct presence_read *read)
{
    const struct memory_crowd *crowd = map_get(&presence->channels, read->base.channel);
    if (!crowd)
        return;
    struct person *last = NULL, *person = person_of(sorted_after(&crowd->by_user, read->after));
    for (size_t shown = 0; person && shown < read->limit; shown++) {
        if (last && read->members.len + person->entry->text.len >= PRESENCE_PAGE_BYTES)
            break;
        presence_read_add(read, person->entry->text);
        last = person;
        person = person_of(sorted_next(&person->link));
    }
    if (person && last)
        buf_append(&read->next, last->user);
    read->users = crowd->people.count;
    read->connections = crowd->connections;
}

void memory_presence_fini(struct memory_presence *presence)
{
    size_t cursor = 0;
    for (struct memory_crowd *crowd; (crowd = map_next(&presence->channels, &cursor));) {
        size_t at = 0;
        for (struct person *person; (person = map_next(&crowd->people, &at));)
            free_person(presence, person);
        map_fini(&crowd->people);
        free(crowd);
    }
    map_fini(&presence->channels);
    shared_texts_fini(&presence->entries);
}
