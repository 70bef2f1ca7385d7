/* ingest.c - see ingest.h. */
#include "tests/sim/ingest.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "tests/sim/redis.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

#define STREAM "carillon:ingest"
#define DEAD   "carillon:ingest:dead"

struct entry {
    bool bad;
    bool repeated;         /* its event_id had been in the stream before */
    bool lost;             /* by Redis, before it was dealt with */
    uint64_t number;       /* of the publication; of a bad one, its own */
    uint64_t major, minor; /* its id */
};

static struct ingest {
    struct entry *entries; /* in the order of the stream */
    size_t count, cap;
    uint64_t bad_count;
} ingest;

static const struct key *find_stream(const char *name)
{
    return store_find(redis_store(), str_from_cstr(name), world_wall_ms());
}

/* ---- writing ---- */

/* XADD with the fields, of which those without a value are left out. False: refused. */
static bool add(struct entry *entry, const char *const fields[][2], size_t count)
{
    struct buf command = {0}, answer = {0};
    size_t given = 0;
    for (size_t i = 0; i < count; i++)
        given += fields[i][1] != NULL;
    resp_array(&command, 3 + 2 * given);
    resp_text(&command, STR("XADD"));
    resp_text(&command, STR(STREAM));
    resp_text(&command, STR("*"));
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; fields[i][1] && k < 2; k++)
            resp_text(&command, str_from_cstr(fields[i][k]));
    redis_talk(buf_str(&command), &answer);
    struct str text = buf_str(&answer);
    bool done = text.ptr[0] == '$';
    if (done) {
        (void)str_split(&text, '\n');
        struct str id = str_split(&text, '\r');
        struct str major = str_split(&id, '-');
        done = str_to_u64(major, &entry->major) && str_to_u64(id, &entry->minor);
    }
    buf_fini(&command);
    buf_fini(&answer);
    return done;
}

static void keep(const struct entry *entry)
{
    if (ingest.count == ingest.cap) {
        ingest.cap = ingest.cap ? ingest.cap * 2 : 64;
        ingest.entries = xrealloc(ingest.entries, ingest.cap * sizeof *ingest.entries);
    }
    ingest.entries[ingest.count++] = *entry;
    world_trace("the ingest stream gets %s %llu%s", entry->bad ? "bad" : "publication",
                (unsigned long long)entry->number, entry->repeated ? ", again" : "");
}

/* Each is wrong in another way. The data tell which one it is. */
static void write_bad(void)
{
    char data[40], unfinished[40];
    struct entry entry = {.bad = true, .number = ++ingest.bad_count};
    snprintf(data, sizeof data, "{\"bad\":%llu}", (unsigned long long)entry.number);
    snprintf(unfinished, sizeof unfinished, "{\"bad\":%llu}{", (unsigned long long)entry.number);
    const char *const kinds[][5][2] = {
        {{"type", "note"}, {"data", data}},                                       /* no channel */
        {{"channel", "room 1"}, {"type", "note"}, {"data", data}},                /* no name of a channel */
        {{"channel", "room:1"}, {"type", "note"}, {"data", unfinished}},          /* no JSON */
        {{"channel", "room:1"}, {"type", "join"}, {"data", data}},                /* a reserved type */
        {{"channel", "room:1"}, {"type", "note"}, {"data", data}, {"more", "x"}}, /* an unknown field */
    };
    if (add(&entry, kinds[world_below(CHANCE_PLAN, 5)], 5))
        keep(&entry);
}

static void write_good(struct entry entry, size_t channel)
{
    char data[32], id[32] = "";
    struct str event_id = truth_event_id(entry.number);
    snprintf(data, sizeof data, "{\"n\":%llu}", (unsigned long long)entry.number);
    snprintf(id, sizeof id, "%.*s", STR_ARG(event_id));
    const char *const fields[][2] = {{"channel", sim_channels[channel].name},
                                     {"type", "note"},
                                     {"data", data},
                                     {"event_id", event_id.len ? id : NULL}};
    if (!add(&entry, fields, 4))
        return;
    keep(&entry);
    truth_note_stored(entry.number, true);
}

void ingest_write(void)
{
    if (world_below(CHANCE_PLAN, 8) == 0) {
        write_bad();
        return;
    }
    for (uint64_t left = 1 + world_below(CHANCE_PLAN, 4); left > 0; left--) {
        size_t channel = world_below(CHANCE_PLAN, sim_busy_count);
        bool with_id = world_below(CHANCE_PLAN, 2);
        struct entry entry = {.number = truth_publish(channel, with_id)};
        write_good(entry, channel);
        entry.repeated = true;
        if (with_id && world_below(CHANCE_PLAN, 4) == 0)
            write_good(entry, channel);
    }
}

/* ---- checks ---- */

static bool is_in_stream(const struct entry *entry)
{
    const struct key *key = find_stream(STREAM);
    for (size_t i = 0; key && i < key->count; i++)
        if (key->items[i].major == entry->major && key->items[i].minor == entry->minor)
            return true;
    return false;
}

static bool is_dead(const struct entry *entry)
{
    const struct key *key = find_stream(DEAD);
    char data[40];
    int len = snprintf(data, sizeof data, "{\"bad\":%llu}", (unsigned long long)entry->number);
    for (size_t i = 0; key && i < key->count; i++) {
        struct str fields = key->items[i].name;
        if (memmem(fields.ptr, fields.len, "reason", 6) && memmem(fields.ptr, fields.len, data, (size_t)len))
            return true;
    }
    return false;
}

void ingest_note_loss(void)
{
    for (size_t i = 0; i < ingest.count; i++) {
        struct entry *entry = &ingest.entries[i];
        if (entry->lost) /* its id may be that of another entry now: an empty stream counts anew within a millisecond */
            continue;
        bool kept = is_in_stream(entry);
        if (entry->bad) {
            entry->lost = !kept && !is_dead(entry);
        } else {
            entry->lost = !kept && truth_position(entry->number) == SIZE_MAX;
            if (!entry->repeated || kept)
                truth_note_stored(entry->number, kept);
        }
    }
}

bool ingest_is_quiet(void)
{
    const struct key *key = find_stream(STREAM);
    return !key || key->count == 0;
}

static void check_order(size_t channel)
{
    size_t last = 0;
    for (size_t i = 0; i < ingest.count; i++) {
        const struct entry *entry = &ingest.entries[i];
        size_t position = entry->bad ? SIZE_MAX : truth_position(entry->number);
        if (position == SIZE_MAX || entry->repeated || entry->lost || truth_channel(entry->number) != channel)
            continue;
        if (position < last)
            world_fail("publication %llu overtook one before it in the ingest stream",
                       (unsigned long long)entry->number);
        last = position;
    }
}

void ingest_check(void)
{
    const struct key *key = find_stream(STREAM);
    for (size_t i = 0; i < sim_channel_count; i++)
        check_order(i);
    for (size_t i = 0; i < ingest.count; i++)
        if (ingest.entries[i].bad && !ingest.entries[i].lost && !is_dead(&ingest.entries[i]))
            world_fail("bad entry %llu is not in the dead-letter stream", (unsigned long long)ingest.entries[i].number);
    if (key && store_count_pending(key))
        world_fail("%zu entries of the ingest stream are pending, and it is empty", store_count_pending(key));
}

/* ---- life ---- */

void ingest_begin(void)
{
    memset(&ingest, 0, sizeof ingest);
}

void ingest_end(void)
{
    free(ingest.entries);
}
