/* truth.c - see truth.h. */
#include "tests/sim/truth.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "server/broker/redis/redis_keys.h"
#include "tests/sim/redis.h"
#include "tests/sim/world.h"

const struct sim_channel sim_channels[] = {
    {"room:1", {.size = 100}, {0}, false},
    {"room:2", {.size = 100}, {.kept = true, .events = true, .ttl_ms = 5000}, false},
    {"short:1", {.size = 4}, {0}, false},
    {"aging:1", {.size = 100, .ttl_ms = 3000}, {0}, false},
    {"live:1", {0}, {.kept = true, .ttl_ms = 5000}, false},
    {"turning:1", {.size = 100}, {.kept = true, .ttl_ms = 5000}, true},
    {"quiet:1", {.size = 10}, {0}, false}, /* nobody publishes on it, so its epoch begins without an event */
};
const size_t sim_channel_count = sizeof sim_channels / sizeof *sim_channels;
const size_t sim_busy_count = sizeof sim_channels / sizeof *sim_channels - 1;

/* After the last refusal: nodes may have been cut off meanwhile, and held up, and ask once a second. */
enum { LACKING_US = 20000000 };

struct sent {
    size_t channel;
    bool with_id;
    bool acknowledged;
    bool maybe;       /* some attempt's outcome is not known */
    bool deleted;     /* with its channel's history; its event_id may still be known */
    unsigned open;    /* attempts that are not answered */
    unsigned ordered; /* times that have not been lost */
};

struct ordered {
    size_t channel;
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
    char id[UUID_LEN + 1];
    uint64_t number;
    char exclude[UUID_LEN + 1]; /* the session that does not get it; "": none */
    bool lost;
    bool renamed; /* another record's event, under the epoch that was begun later */
};

static struct truth {
    struct sent *sent;
    size_t sent_count, sent_cap;
    struct ordered *ordered;
    size_t ordered_count, ordered_cap;
    uint64_t here[CHANNELS_MAX];       /* users who have been told to join and not to leave, a bit each */
    uint64_t refused_us[CHANNELS_MAX]; /* when a write to its position was refused last; 0: never */
    bool deleted[CHANNELS_MAX];        /* its keys have been deleted */
    uint64_t lost[CHANNELS_MAX];       /* users of whom nobody knows: Redis has lost data */
    bool presence_lost[CHANNELS_MAX];
} truth;

size_t sim_channel_find(struct str name)
{
    for (size_t i = 0; i < sim_channel_count; i++)
        if (str_eq_cstr(name, sim_channels[i].name))
            return i;
    return SIZE_MAX;
}

static void keep(char *out, size_t size, struct str text)
{
    snprintf(out, size, "%.*s", STR_ARG(text));
}

/* ---- publishers ---- */

uint64_t truth_publish(size_t channel, bool with_id)
{
    if (truth.sent_count == truth.sent_cap) {
        truth.sent_cap = truth.sent_cap ? truth.sent_cap * 2 : 64;
        truth.sent = xrealloc(truth.sent, truth.sent_cap * sizeof *truth.sent);
    }
    truth.sent[truth.sent_count] = (struct sent){.channel = channel, .with_id = with_id};
    return truth.sent_count++;
}

size_t truth_channel(uint64_t number)
{
    return truth.sent[number].channel;
}

struct str truth_event_id(uint64_t number)
{
    static char text[32];
    if (!truth.sent[number].with_id)
        return STR("");
    return str_from(text, (size_t)snprintf(text, sizeof text, "event-%llu", (unsigned long long)number));
}

void truth_attempt(uint64_t number)
{
    truth.sent[number].open++;
}

void truth_acknowledged(uint64_t number, struct str id, struct str epoch, uint64_t offset, bool duplicate)
{
    struct sent *sent = &truth.sent[number];
    sent->acknowledged = true;
    sent->open--;
    world_trace("publication %llu is acknowledged: %.*s %llu%s", (unsigned long long)number, STR_ARG(epoch),
                (unsigned long long)offset, duplicate ? ", known" : "");
    for (size_t i = truth.ordered_count; i-- > 0;) {
        const struct ordered *ordered = &truth.ordered[i];
        if (ordered->number == number && str_eq_cstr(epoch, ordered->epoch) && ordered->offset == offset &&
            str_eq_cstr(id, ordered->id))
            return;
    }
    world_fail("publication %llu was acknowledged as %.*s %.*s %llu, which Redis has not ordered",
               (unsigned long long)number, STR_ARG(id), STR_ARG(epoch), (unsigned long long)offset);
}

void truth_refused(uint64_t number)
{
    world_trace("publication %llu is refused", (unsigned long long)number);
    struct sent *sent = &truth.sent[number];
    if (--sent->open == 0 && !sent->maybe && !sent->acknowledged && sent->ordered)
        world_fail("publication %llu was refused, and Redis has ordered it", (unsigned long long)number);
}

void truth_unknown(uint64_t number)
{
    world_trace("publication %llu: nobody knows", (unsigned long long)number);
    truth.sent[number].open--;
    truth.sent[number].maybe = true;
}

void truth_note_stored(uint64_t number, bool stored)
{
    struct sent *sent = &truth.sent[number];
    if (!stored && sent->ordered)
        return;
    sent->acknowledged = stored;
    sent->maybe = false;
}

size_t truth_position(uint64_t number)
{
    for (size_t i = 0; i < truth.ordered_count; i++)
        if (truth.ordered[i].number == number && !truth.ordered[i].lost && !truth.ordered[i].renamed)
            return i;
    return SIZE_MAX;
}

bool truth_is_settled(uint64_t number)
{
    return truth.sent[number].acknowledged || !truth.sent[number].with_id;
}

/* ---- Redis ---- */

static bool read_event(struct str message, struct ordered *out)
{
    struct json_value whole, epoch = {0}, offset = {0}, id = {0}, data = {0}, exclude = {0};
    const struct json_field fields[] = {{"epoch", JSON_STRING, false, &epoch},
                                        {"offset", JSON_NUMBER, false, &offset},
                                        {"exclude_session", JSON_STRING, false, &exclude},
                                        {"id", JSON_STRING, true, &id},
                                        {"data", JSON_OBJECT, true, &data}};
    struct buf scratch = {0};
    struct str text = STR("");
    bool good = json_check(message, NULL, &whole, NULL) == ERR_NONE &&
                json_bind(whole, "", fields, 5, NULL) == ERR_NONE &&
                json_u64(json_member(data, STR("n")), &out->number) && out->number < truth.sent_count;
    out->offset = 0;
    if (good && offset.type)
        good = json_u64(offset, &out->offset) && json_text(epoch, &scratch, &text);
    keep(out->epoch, sizeof out->epoch, text);
    good = good && json_text(id, &scratch, &text);
    keep(out->id, sizeof out->id, text);
    if (good && exclude.type)
        good = json_text(exclude, &scratch, &text);
    keep(out->exclude, sizeof out->exclude, exclude.type ? text : STR(""));
    buf_fini(&scratch);
    return good;
}

static size_t channel_of_key(struct str key, const char *suffix)
{
    struct buf name = {0};
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < sim_channel_count && found == SIZE_MAX; i++) {
        buf_clear(&name);
        redis_key_append(&name, STR("carillon"), str_from_cstr(sim_channels[i].name), str_from_cstr(suffix));
        if (str_eq(key, buf_str(&name)))
            found = i;
    }
    buf_fini(&name);
    return found;
}

static void add_record(const struct ordered *record)
{
    if (truth.ordered_count == truth.ordered_cap) {
        truth.ordered_cap = truth.ordered_cap ? truth.ordered_cap * 2 : 64;
        truth.ordered = xrealloc(truth.ordered, truth.ordered_cap * sizeof *truth.ordered);
    }
    truth.ordered[truth.ordered_count++] = *record;
}

/* A node has been told "position OFFSET EPOCH ID KEY". If that epoch is a new one, what is still there is of it now. */
static void note_epoch(struct str message)
{
    struct str rest = message;
    uint64_t last;
    (void)str_split(&rest, ' ');
    str_to_u64(str_split(&rest, ' '), &last);
    struct str epoch = str_split(&rest, ' ');
    (void)str_split(&rest, ' ');
    size_t channel = channel_of_key(rest, "live"), count = truth.ordered_count, latest = count;
    while (latest-- > 0 &&
           (truth.ordered[latest].channel != channel || truth.ordered[latest].lost || !truth.ordered[latest].offset))
        ;
    if (latest == SIZE_MAX || !epoch.len || str_eq_cstr(epoch, truth.ordered[latest].epoch))
        return;
    char before[EPOCH_MAX + 1];
    memcpy(before, truth.ordered[latest].epoch, sizeof before);
    for (size_t i = 0; i < count; i++) {
        struct ordered record = truth.ordered[i];
        if (record.channel != channel || record.lost || record.offset > last || strcmp(record.epoch, before) != 0)
            continue;
        keep(record.epoch, sizeof record.epoch, epoch);
        record.renamed = true;
        add_record(&record);
    }
}

/* Checks that a user who leaves has come before, and leaves once. False if it is another message. */
static bool note_presence(size_t channel, struct str message)
{
    static const struct str join = {"{\"type\":\"join\"", 14}, leave = {"{\"type\":\"leave\"", 15};
    bool joins = str_starts_with(message, join);
    const char *user = memmem(message.ptr, message.len, "\"user\":\"user", 12);
    if ((!joins && !str_starts_with(message, leave)) || !user)
        return false;
    uint64_t bit = UINT64_C(1) << (user[12] - '0');
    world_trace("presence of %s: %.*s", sim_channels[channel].name, STR_ARG(message));
    if (!joins && !(truth.here[channel] & bit) && !(truth.lost[channel] & bit))
        world_fail("a user leaves who is not there: %.*s", STR_ARG(message));
    truth.lost[channel] &= ~bit;
    truth.here[channel] = joins ? truth.here[channel] | bit : truth.here[channel] & ~bit;
    return true;
}

void truth_ordered(struct str key, struct str message)
{
    struct ordered ordered = {.channel = channel_of_key(key, "live")};
    if (str_starts_with(message, STR("position ")))
        note_epoch(message);
    if (str_starts_with(message, STR("{\"type\":\"gap\"")))
        return; /* who has begun the epoch says so to all; the position, in the same script, says the same */
    if (ordered.channel == SIZE_MAX || note_presence(ordered.channel, message))
        return;
    if (!read_event(message, &ordered)) {
        world_fail("what was published on %.*s is not an event: %.*s", STR_ARG(key), STR_ARG(message));
        return;
    }
    struct sent *sent = &truth.sent[ordered.number];
    world_trace("ordered: %llu on %s at %s %llu", (unsigned long long)ordered.number,
                sim_channels[ordered.channel].name, ordered.epoch, (unsigned long long)ordered.offset);
    if (sent->ordered++ > 0)
        world_fail("publication %llu has been ordered twice", (unsigned long long)ordered.number);
    add_record(&ordered);
}

size_t truth_mark(void)
{
    return truth.ordered_count;
}

static void lose(struct ordered *ordered)
{
    if (ordered->lost)
        return;
    ordered->lost = true;
    if (ordered->renamed)
        return;
    truth.sent[ordered->number].ordered--;
    truth.sent[ordered->number].maybe = true;
}

void truth_lost_since(size_t mark)
{
    memset(truth.lost, 0xff, sizeof truth.lost);
    for (size_t i = mark; i < truth.ordered_count; i++)
        lose(&truth.ordered[i]);
}

void truth_deleted(size_t channel)
{
    truth.deleted[channel] = true;
    for (size_t i = 0; i < truth.ordered_count; i++)
        if (truth.ordered[i].channel == channel && truth.ordered[i].offset) {
            lose(&truth.ordered[i]);
            truth.sent[truth.ordered[i].number].deleted = true;
        }
}

void truth_deleted_all(void)
{
    truth_lost_since(0);
    memset(truth.deleted, true, sizeof truth.deleted);
}

bool truth_is_deleted(size_t channel)
{
    return truth.deleted[channel];
}

void truth_presence_lost(size_t channel)
{
    truth.presence_lost[channel] = true;
}

bool truth_is_presence_lost(size_t channel)
{
    return truth.presence_lost[channel];
}

void truth_write_refused(struct str key)
{
    size_t channel = channel_of_key(key, "meta");
    if (channel != SIZE_MAX)
        truth.refused_us[channel] = world_now_us();
}

/* ---- subscribers ---- */

unsigned truth_count(size_t channel, struct str epoch, uint64_t offset, uint64_t number)
{
    unsigned count = 0;
    for (size_t i = truth.ordered_count; i-- > 0;) {
        const struct ordered *ordered = &truth.ordered[i];
        count += ordered->number == number && ordered->channel == channel && ordered->offset == offset &&
                 (epoch.len == 0 || str_eq_cstr(epoch, ordered->epoch));
    }
    return count;
}

size_t truth_record(size_t channel, struct str epoch, uint64_t offset, uint64_t number)
{
    for (size_t i = truth.ordered_count; i-- > 0;)
        if (truth.ordered[i].channel == channel && truth.ordered[i].offset == offset &&
            (number == ANY_NUMBER || truth.ordered[i].number == number) && str_eq_cstr(epoch, truth.ordered[i].epoch))
            return i + 1;
    return 0;
}

bool truth_follows(size_t channel, struct str epoch, uint64_t offset, uint64_t number, size_t record)
{
    for (size_t i = record; record && i < truth.ordered_count; i++) {
        const struct ordered *ordered = &truth.ordered[i];
        if (ordered->channel != channel || !str_eq_cstr(epoch, ordered->epoch))
            continue;
        if (ordered->offset == offset && ordered->number == number)
            return true;
        if (ordered->offset == offset - 1 && ordered->number != truth.ordered[record - 1].number)
            return false;
    }
    return true;
}

unsigned truth_times(size_t channel, uint64_t number)
{
    unsigned times = 0;
    for (size_t i = truth.ordered_count; i-- > 0;) {
        const struct ordered *ordered = &truth.ordered[i];
        times += ordered->number == number && ordered->channel == channel && !ordered->renamed;
    }
    return times;
}

bool truth_may_lack_epoch(size_t channel)
{
    return truth.refused_us[channel] && world_now_us() < truth.refused_us[channel] + LACKING_US;
}

size_t truth_excluded(size_t channel, struct str epoch, uint64_t offset, uint64_t number, const char *session)
{
    for (size_t i = truth.ordered_count; i-- > 0;) {
        const struct ordered *ordered = &truth.ordered[i];
        if (ordered->channel == channel && ordered->offset == offset && str_eq_cstr(epoch, ordered->epoch) &&
            (number == ANY_NUMBER || ordered->number == number) && *session && strcmp(ordered->exclude, session) == 0)
            return i + 1;
    }
    return 0;
}

size_t truth_count_missing(size_t channel, size_t mark, const char *session, const unsigned char *seen,
                           size_t seen_count, uint64_t *out_number)
{
    size_t count = 0;
    for (size_t i = mark; i < truth.ordered_count; i++) {
        uint64_t number = truth.ordered[i].number;
        if (truth.ordered[i].channel != channel || (number < seen_count && seen[number]) ||
            (*session && strcmp(truth.ordered[i].exclude, session) == 0))
            continue;
        *out_number = number;
        count++;
    }
    return count;
}

/* ---- the end ---- */

static const struct key *find_key(size_t channel, const char *suffix)
{
    struct buf name = {0};
    redis_key_append(&name, STR("carillon"), str_from_cstr(sim_channels[channel].name), str_from_cstr(suffix));
    const struct key *key = store_find(redis_store(), buf_str(&name), world_wall_ms());
    buf_fini(&name);
    return key;
}

bool truth_head(size_t channel, struct str *out_epoch, uint64_t *out_offset)
{
    const struct key *meta = find_key(channel, "meta");
    const struct str *epoch = meta ? store_field(meta, STR("epoch")) : NULL;
    if (!epoch || !str_to_u64(*store_field(meta, STR("offset")), out_offset))
        return false;
    *out_epoch = *epoch;
    return true;
}

bool truth_can_recover(size_t channel, struct str epoch, uint64_t offset, size_t record, bool provably)
{
    struct str now;
    uint64_t last;
    const struct key *log = find_key(channel, "log");
    if (!truth_head(channel, &now, &last) || !str_eq(now, epoch) || offset > last)
        return false;
    if (record && truth.ordered[record - 1].lost)
        return false;
    return offset == last || (log && log->count && log->items[0].major <= (provably ? offset : offset + 1));
}

/* The log of a channel that does not age holds the last events in their order. */
static void check_log(size_t channel)
{
    const struct key *log = find_key(channel, "log");
    struct str epoch;
    uint64_t last;
    if (!sim_channels[channel].history.size || !truth_head(channel, &epoch, &last))
        return;
    uint64_t oldest = last > sim_channels[channel].history.size ? last - sim_channels[channel].history.size : 0;
    if (sim_channels[channel].history.ttl_ms && !log)
        return;
    for (size_t i = 0; i < truth.ordered_count; i++) {
        const struct ordered *ordered = &truth.ordered[i];
        bool kept = false;
        if (ordered->channel != channel || ordered->lost || !str_eq_cstr(epoch, ordered->epoch) ||
            ordered->offset <= oldest)
            continue;
        for (size_t k = 0; log && !kept && k < log->count; k++)
            kept = log->items[k].major == ordered->offset &&
                   memmem(log->items[k].name.ptr, log->items[k].name.len, ordered->id, strlen(ordered->id));
        if (!kept)
            world_fail("%s: event %llu at %llu is missing from its history", sim_channels[channel].name,
                       (unsigned long long)ordered->number, (unsigned long long)ordered->offset);
    }
}

void truth_check(void)
{
    for (size_t i = 0; i < truth.sent_count; i++)
        if (truth.sent[i].acknowledged && !truth.sent[i].maybe && !truth.sent[i].deleted && truth.sent[i].ordered != 1)
            world_fail("publication %zu was acknowledged and is not there", i);
    for (size_t i = 0; i < sim_channel_count; i++)
        check_log(i);
}

void truth_begin(void)
{
    memset(&truth, 0, sizeof truth);
}

void truth_end(void)
{
    free(truth.sent);
    free(truth.ordered);
}
