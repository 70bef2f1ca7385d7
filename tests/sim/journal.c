/* journal.c - see journal.h. */
#include "tests/sim/journal.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "tests/sim/redis.h"
#include "tests/sim/world.h"

#define STREAM "carillon:events"

struct witness {
    char uuid[UUID_LEN + 1];
    const struct sim_node *node;
    bool open;
    bool told;      /* an event of it is in the stream */
    bool told_open; /* session.opened is, so that its end must come */
    bool told_end;  /* the last one is session.closed */
    uint64_t sequence;
};

static struct journal {
    struct map sessions; /* uuid -> struct witness */
    bool lost;
} journal;

void journal_begin(void)
{
    journal = (struct journal){0};
}

void journal_end(void)
{
    size_t cursor = 0;
    for (struct witness *witness; (witness = map_next(&journal.sessions, &cursor));)
        free(witness);
    map_fini(&journal.sessions);
}

void journal_follow(struct sim_node *node)
{
    const struct str all = STR("*");
    struct lifecycle_settings *settings = lifecycle_settings_create(1, &all);
    settings->types = UINT32_MAX;
    snprintf(settings->stream, sizeof settings->stream, "%s", STREAM);
    settings->max_len = 1000000;
    settings->waiting_events = 1000000;
    settings->waiting_bytes = 1 << 30;
    settings->vacated_after_us = 3000000;
    lifecycle_configure(node->real.lifecycle, settings);
    lifecycle_settings_unref(settings);
}

void journal_leave(struct sim_node *node)
{
    lifecycle_configure(node->real.lifecycle, NULL);
}

void journal_opened(const struct sim_node *node, const char *uuid)
{
    struct witness *witness = xcalloc(1, sizeof *witness);
    memcpy(witness->uuid, uuid, sizeof witness->uuid);
    witness->node = node;
    witness->open = true;
    if (map_put(&journal.sessions, str_from_cstr(witness->uuid), witness))
        world_fail("two sessions have the id %s", uuid);
}

void journal_closed(const char *uuid)
{
    struct witness *witness = map_get(&journal.sessions, str_from_cstr(uuid));
    witness->open = false;
}

void journal_lost(void)
{
    journal.lost = true;
}

/* The text of the string member that begins like this. */
static struct str member(struct str json, struct str begin)
{
    const char *at = memmem(json.ptr, json.len, begin.ptr, begin.len);
    if (!at)
        return STR("");
    struct str rest = str_skip(json, (size_t)(at - json.ptr) + begin.len);
    return str_split(&rest, '"');
}

static void take(struct str entry)
{
    struct str type = member(entry, STR("\"type\":\"carillon."));
    struct str uuid = member(entry, STR("\"session_id\":\""));
    struct witness *witness = map_get(&journal.sessions, uuid);
    uint64_t sequence;
    if (!uuid.len)
        return; /* of a channel or a member */
    if (!witness) {
        world_fail("lifecycle: an event tells of the session %.*s, which there has never been", STR_ARG(uuid));
        return;
    }
    if (!str_to_u64(member(entry, STR("\"sequence\":\"")), &sequence)) {
        world_fail("lifecycle: an event of %s has no sequence", witness->uuid);
        return;
    }
    bool opens = str_eq(type, STR("session.opened"));
    if (!journal.lost && !witness->told && !opens)
        world_fail("lifecycle: the first event of %s is %.*s", witness->uuid, STR_ARG(type));
    if (!journal.lost && witness->told && !witness->told_end && sequence <= witness->sequence)
        world_fail("lifecycle: event %llu of %s comes after event %llu", (unsigned long long)sequence, witness->uuid,
                   (unsigned long long)witness->sequence);
    witness->told = true;
    witness->told_open |= opens;
    witness->told_end = str_eq(type, STR("session.closed"));
    witness->sequence = sequence;
}

void journal_check(void)
{
    const struct key *stream = store_find(redis_store(), STR(STREAM), world_wall_ms());
    size_t cursor = 0;
    for (size_t i = 0; stream && i < stream->count; i++)
        take(stream->items[i].name);
    for (const struct witness *witness; (witness = map_next(&journal.sessions, &cursor));) {
        if (witness->open && (!witness->told_open || witness->told_end))
            world_fail("lifecycle: the session %s of %s is open, and %s", witness->uuid, witness->node->real.id,
                       witness->told_open ? "was told as closed" : "was never told as open");
        else if (!witness->open && witness->told_open && !witness->told_end)
            world_fail("lifecycle: the session %s of %s has ended, and its end was not told", witness->uuid,
                       witness->node->real.id);
        else if (!witness->told && !journal.lost && witness->node->alive) /* a node may end while Redis is away */
            world_fail("lifecycle: nothing was told of the session %s of %s", witness->uuid, witness->node->real.id);
    }
}
