/* snapshot_routes.c - what a server for development remembers, as one JSON document that can be put back: histories
 * with epochs, offsets and ids, revocations, rules, and the clock. Sessions are not in it, and members of channels are
 * sessions. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/protocol/channel_name.h"
#include "server/broker/memory/memory_broker.h"
#include "server/dev/dev_json.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"
#include "server/node/node.h"

#define OFFSET_MAX (((uint64_t)1 << 53) - 1) /* what all clients can count to */

enum { SNAPSHOT_VERSION = 1 };

/* --- saving ------------------------------------------------------------------------------------------------------- */

static void append_text(struct buf *out, const char *before, struct str text)
{
    buf_append(out, str_from_cstr(before));
    json_append_string(out, text);
}

static void comma_unless_first(struct buf *out)
{
    if (out->ptr[out->len - 1] != '[')
        buf_append_char(out, ',');
}

static void save_channel(void *owner, const struct memory_snapshot *snapshot)
{
    struct buf *out = owner;
    const struct history_read *read = snapshot->read;
    comma_unless_first(out);
    append_text(out, "{\"channel\":", snapshot->channel);
    buf_appendf(out, ",\"epoch\":\"%s\",\"offset\":%llu,\"id\":\"%s\",\"events\":[%.*s]}", read->epoch,
                (unsigned long long)read->offset, read->id, STR_ARG(buf_str(&read->text)));
}

static void save_revocation(void *owner, const struct revocation *revocation)
{
    struct buf *out = owner;
    comma_unless_first(out);
    append_text(out, revocation->kind == REVOCATION_JTI ? "{\"jti\":" : "{\"user\":", revocation->value);
    buf_appendf(out, ",\"issued_before_ms\":%llu,\"until_ms\":%llu}", (unsigned long long)revocation->issued_before_ms,
                (unsigned long long)revocation->until_ms);
}

static bool has_memory(struct dev *dev, struct http_call *call)
{
    struct error error;
    if (!*dev->parts.options->redis_url)
        return true;
    error_set(&error, ERR_CONFLICT, "the histories are in Redis; a snapshot needs the memory broker");
    dev_refuse(call, 409, &error);
    return false;
}

static void save(struct dev *dev, struct http_call *call, struct str rest)
{
    struct buf *out = &call->response.body;
    char now[CLOCK_RFC3339_LEN + 1];
    (void)rest;
    if (!has_memory(dev, call))
        return;
    clock_format(dev_clock_wall_ms(&dev->clock), now);
    buf_appendf(out, "{\"version\":%d,\"clock\":{\"now\":\"%s\",\"rate\":%u},\"channels\":[", SNAPSHOT_VERSION, now,
                dev_clock_rate(&dev->clock));
    memory_broker_save(dev->broker.inner, save_channel, out);
    buf_append_lit(out, "],\"revocations\":[");
    revocations_each(dev->parts.node->revocations, save_revocation, out);
    buf_append_lit(out, "],\"rules\":");
    fault_rules_print(out, &dev->lines.rules, true);
    buf_append_char(out, '}');
    dev_answer(call);
}

/* --- putting back ------------------------------------------------------------------------------------------------- */

/* What a document says, checked before anything is changed. */
struct snapshot {
    struct json_value channels, revocations, clock;
    struct fault_rules rules;
    bool has_clock;
    uint64_t now_ms;
    uint64_t rate;
};

/* One channel. The texts lie in scratch. */
struct saved_channel {
    struct str name;
    struct position position;
    struct event *events;
    struct buf *scratch; /* one for each event, and one for the rest */
    size_t count;
};

static void saved_channel_fini(struct saved_channel *channel)
{
    for (size_t i = 0; channel->scratch && i <= channel->count; i++)
        buf_fini(&channel->scratch[i]);
    free(channel->scratch);
    free(channel->events);
}

static size_t count_items(struct json_value array)
{
    struct json_cursor cursor = json_walk(array);
    struct str none;
    struct json_value item;
    size_t count = 0;
    while (json_next(&cursor, &none, &item))
        count++;
    return count;
}

static enum err read_event(struct json_value value, struct buf *scratch, struct event *out, struct error *error)
{
    struct json_value ignored;
    const struct json_field fields[] = {
        {"type", JSON_STRING, true, &ignored},      {"channel", JSON_STRING, true, &ignored},
        {"id", JSON_STRING, true, &ignored},        {"offset", JSON_NUMBER, true, &ignored},
        {"timestamp", JSON_STRING, true, &ignored}, {"user", JSON_STRING, false, &ignored},
        {"session", JSON_STRING, false, &ignored},  {"data", JSON_ANY, true, &ignored}};
    enum err err = dev_json_bind_object(value, "events", fields, sizeof fields / sizeof *fields, error);
    if (err == ERR_NONE)
        event_decode(value.raw, scratch, out);
    return err;
}

static enum err read_events(struct json_value events, struct saved_channel *out, struct error *error)
{
    struct json_cursor cursor = json_walk(events);
    struct str none;
    struct json_value item;
    enum err err = ERR_NONE;
    for (size_t i = 0; err == ERR_NONE && json_next(&cursor, &none, &item); i++) {
        err = read_event(item, &out->scratch[i], &out->events[i], error);
        uint64_t expected = out->position.offset - out->count + 1 + i;
        if (err == ERR_NONE && (out->events[i].offset != expected || !str_eq(out->events[i].channel, out->name)))
            err = error_set(
                error, ERR_INVALID_REQUEST,
                "events: those of one channel, oldest first, without holes and up to its offset are expected");
    }
    return err;
}

static enum err read_channel(struct json_value value, struct saved_channel *out, struct error *error)
{
    struct json_value name = {0}, epoch = {0}, offset = {0}, id = {0}, events = {0};
    const struct json_field fields[] = {{"channel", JSON_STRING, true, &name},
                                        {"epoch", JSON_STRING, true, &epoch},
                                        {"offset", JSON_NUMBER, true, &offset},
                                        {"id", JSON_STRING, true, &id},
                                        {"events", JSON_ARRAY, true, &events}};
    *out = (struct saved_channel){0};
    enum err err = dev_json_bind_object(value, "channels", fields, sizeof fields / sizeof *fields, error);
    if (err != ERR_NONE)
        return err;
    out->count = count_items(events);
    out->events = xcalloc(out->count + 1, sizeof *out->events);
    out->scratch = xcalloc(out->count + 1, sizeof *out->scratch);
    struct buf *scratch = &out->scratch[out->count];
    buf_reserve(scratch, value.raw.len);
    if (!json_text(name, scratch, &out->name) || !json_text(epoch, scratch, &out->position.epoch) ||
        !json_text(id, scratch, &out->position.id) || out->position.epoch.len == 0 ||
        out->position.epoch.len > EPOCH_MAX || out->position.id.len > UUID_LEN)
        return error_set(error, ERR_INVALID_REQUEST, "channels: epoch or id is none that this server gives");
    if (channel_check(out->name, error))
        return error->code;
    if (!json_u64(offset, &out->position.offset) || out->position.offset < out->count ||
        out->position.offset > OFFSET_MAX)
        return error_set(error, ERR_INVALID_REQUEST,
                         "offset: expected a whole number, that of the last event, at most 2^53 - 1");
    return read_events(events, out, error);
}

static enum err read_revocation(struct json_value value, struct buf *scratch, struct revocation *out,
                                struct error *error)
{
    struct json_value jti = {0}, user = {0}, before = {0}, until = {0};
    const struct json_field fields[] = {{"jti", JSON_STRING, false, &jti},
                                        {"user", JSON_STRING, false, &user},
                                        {"issued_before_ms", JSON_NUMBER, true, &before},
                                        {"until_ms", JSON_NUMBER, true, &until}};
    *out = (struct revocation){0};
    enum err err = dev_json_bind_object(value, "revocations", fields, sizeof fields / sizeof *fields, error);
    if (err != ERR_NONE)
        return err;
    out->kind = jti.type ? REVOCATION_JTI : REVOCATION_USER;
    buf_clear(scratch);
    if (!jti.type == !user.type || !json_text(jti.type ? jti : user, scratch, &out->value) ||
        !json_u64(before, &out->issued_before_ms) || !json_u64(until, &out->until_ms))
        return error_set(error, ERR_INVALID_REQUEST,
                         "revocations: expected jti or user, and times in whole milliseconds");
    return ERR_NONE;
}

/* Calls `use` for each channel and revocation, or only checks them. */
static enum err walk(struct dev *dev, const struct snapshot *snapshot, bool use, struct error *error)
{
    struct json_cursor cursor = json_walk(snapshot->channels);
    struct str none;
    struct json_value item;
    enum err err = ERR_NONE;
    while (err == ERR_NONE && snapshot->channels.type && json_next(&cursor, &none, &item)) {
        struct saved_channel channel;
        err = read_channel(item, &channel, error);
        if (err == ERR_NONE && use) {
            struct history_policy history = rules_keeping(hub_rules(dev->parts.hub), channel.name).history;
            if (history.size)
                memory_broker_restore(dev->broker.inner, channel.name, &channel.position, &history, channel.events,
                                      channel.count);
        }
        saved_channel_fini(&channel);
    }
    struct buf scratch = {0};
    cursor = json_walk(snapshot->revocations);
    while (err == ERR_NONE && snapshot->revocations.type && json_next(&cursor, &none, &item)) {
        struct revocation revocation;
        err = read_revocation(item, &scratch, &revocation, error);
        if (err == ERR_NONE && use)
            revocations_add(dev->parts.node->revocations, &revocation, dev_clock_wall_ms(&dev->clock));
    }
    buf_fini(&scratch);
    return err;
}

static enum err read_clock(struct snapshot *snapshot, struct error *error)
{
    struct json_value now = {0}, rate = {0};
    const struct json_field fields[] = {{"now", JSON_STRING, true, &now}, {"rate", JSON_NUMBER, true, &rate}};
    snapshot->has_clock = snapshot->clock.type != 0;
    if (!snapshot->has_clock)
        return ERR_NONE;
    enum err err = dev_json_bind_object(snapshot->clock, "clock", fields, sizeof fields / sizeof *fields, error);
    if (!err)
        err = dev_json_time(now, "now", &snapshot->now_ms, error);
    if (!err && (!json_u64(rate, &snapshot->rate) || snapshot->rate > DEV_CLOCK_RATE_MAX))
        err = error_set(error, ERR_INVALID_REQUEST, "rate: expected a whole number up to %d", DEV_CLOCK_RATE_MAX);
    return err;
}

static enum err read_snapshot(struct dev *dev, struct str body, struct snapshot *out, struct error *error)
{
    struct json_value version = {0}, rules = {0};
    uint64_t number = 0;
    const struct json_field fields[] = {{"version", JSON_NUMBER, true, &version},
                                        {"clock", JSON_OBJECT, false, &out->clock},
                                        {"channels", JSON_ARRAY, false, &out->channels},
                                        {"revocations", JSON_ARRAY, false, &out->revocations},
                                        {"rules", JSON_ARRAY, false, &rules}};
    enum err err = dev_json_bind(body, fields, sizeof fields / sizeof *fields, error);
    if (!err && (!json_u64(version, &number) || number != SNAPSHOT_VERSION))
        err = error_set(error, ERR_INVALID_REQUEST, "version: this server reads snapshots of version %d",
                        SNAPSHOT_VERSION);
    if (!err)
        err = read_clock(out, error);
    if (!err)
        err = walk(dev, out, false, error);
    return err ? err : fault_rules_read(&out->rules, rules, error);
}

static void put_back(struct dev *dev, struct http_call *call, struct str rest)
{
    struct snapshot snapshot = {0};
    struct error error;
    (void)rest;
    if (!has_memory(dev, call))
        return;
    fault_rules_init(&snapshot.rules);
    if (read_snapshot(dev, call->request.body, &snapshot, &error)) {
        dev_refuse(call, 400, &error);
        return;
    }
    memory_broker_empty(dev->broker.inner);
    revocations_clear(dev->parts.node->revocations);
    if (snapshot.has_clock) {
        dev_clock_set_wall(&dev->clock, snapshot.now_ms);
        dev_clock_set_rate(&dev->clock, (unsigned)snapshot.rate);
    }
    walk(dev, &snapshot, true, &error);
    fault_rules_replace(&dev->lines.rules, &snapshot.rules);
    dev_answer(call);
}

const struct dev_route snapshot_routes[] = {
    {"GET", "/dev/v1/snapshot", save}, {"PUT", "/dev/v1/snapshot", put_back}, {0}};
