/* redis_lifecycle.c - lifecycle events in Redis (core/lifecycle_event.h). Beside the stream of the events there are:
 *
 * - prefix:{tag}:lifecycle:rounds    the rounds of all nodes, by the time of their last call
 * - prefix:{tag}:lifecycle:channels  how many rounds have each channel
 * - prefix:{tag}:lifecycle:counters  the number of the last event, and who sends the events on
 * - prefix:{tag}:lifecycle:open:<node>#<round>  what is open in a round of a node
 *
 * The tag is the stream's own hash tag, or else its whole name. So all keys are at one server of a cluster, and a
 * script appends an event and notes what it means in one step. */
#include "common/base/clock.h"
#include "server/broker/redis/lifecycle_batch.h"
#include "server/broker/redis/redis_parts.h"
#include "server/core/lifecycle_event.h"

enum { STREAM, ROUNDS, CHANNELS, COUNTERS, OPEN, EARLIER, KEYS };
enum { BATCH_ARGS_MAX = KEYS + 5 + LIFECYCLE_BATCH_ARGS_MAX };
enum { SILENT_MIN_MS = 3000, ROUND_NAME_MAX = REDIS_NAME_MAX + 24 };

/* What the cluster hashes of the key. */
static struct str tag_of(struct str stream)
{
    const char *open = memchr(stream.ptr, '{', stream.len);
    if (!open)
        return stream;
    struct str rest = str_skip(stream, (size_t)(open + 1 - stream.ptr));
    const char *close = memchr(rest.ptr, '}', rest.len);
    return close && close > rest.ptr ? str_from(rest.ptr, (size_t)(close - rest.ptr)) : stream;
}

/* Appends a key, whose name ends with these two texts. */
static void append_key(struct buf *out, const struct redis_broker *broker, struct str stream, const char *what,
                       struct str name)
{
    buf_append(out, broker->config.prefix);
    buf_append_lit(out, ":{");
    buf_append(out, tag_of(stream));
    buf_append_lit(out, "}:lifecycle:");
    buf_append(out, str_from_cstr(what));
    buf_append(out, name);
}

static struct str round_name(const struct redis_broker *broker, uint64_t round, char out[ROUND_NAME_MAX])
{
    int len = snprintf(out, ROUND_NAME_MAX, "%s#%llu", broker->node_id, (unsigned long long)round);
    return str_from(out, (size_t)len);
}

/* The first count keys. They lie in broker->head, and are valid until the next call. */
static void make_keys(struct redis_broker *broker, struct str stream, struct str round, struct str before, size_t count,
                      struct str out[KEYS])
{
    static const char *const whats[KEYS] = {"", "rounds", "channels", "counters", "open:", "open:"};
    const struct str names[KEYS] = {[OPEN] = round, [EARLIER] = before};
    struct buf *bytes = &broker->head;
    buf_clear(bytes);
    buf_reserve(bytes,
                KEYS * (2 * REDIS_NAME_MAX + LIFECYCLE_STREAM_MAX + 64)); /* so that earlier keys stay in place */
    out[STREAM] = stream;
    for (size_t i = 1; i < count; i++) {
        size_t begin = bytes->len;
        append_key(bytes, broker, stream, whats[i], names[i].ptr ? names[i] : STR(""));
        out[i] = str_from(bytes->ptr + begin, bytes->len - begin);
    }
}

static uint64_t silent_ms(const struct redis_broker *broker)
{
    uint64_t ms = redis_node_gone_ms(broker);
    return ms > SILENT_MIN_MS ? ms : SILENT_MIN_MS;
}

/* ---- a batch ---- */

static void send_batch(struct redis_request *request)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    const struct lifecycle_write *write = request->argument;
    struct str arguments[BATCH_ARGS_MAX];
    char round[ROUND_NAME_MAX], before[ROUND_NAME_MAX], number[24], max_len[24];
    struct buf texts = {0};
    size_t count = 0;
    static const int order[KEYS] = {STREAM, OPEN, EARLIER, ROUNDS, CHANNELS, COUNTERS};
    for (size_t i = 0; i < KEYS; i++)
        arguments[count++] = request->keys[order[i]];
    arguments[count++] = round_name(broker, write->round, round);
    arguments[count++] = write->before ? round_name(broker, write->before, before) : STR("");
    arguments[count++] = redis_number(write->number, number);
    arguments[count++] = redis_number(write->max_len, max_len);
    arguments[count++] = lifecycle_kept_is_reader(&broker->kept, turn_now_us(broker->config.turn)) ? STR("1") : STR("");
    count += lifecycle_batch_arguments(write, &texts, arguments + count);
    redis_request_script(request, SCRIPT_LIFECYCLE, KEYS, count, arguments);
    buf_fini(&texts);
}

static void on_written(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct lifecycle_write *write = request->argument;
    bool has_places = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3;
    write->known = has_places || (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1);
    if (has_places && lifecycle_kept_is_reader(&broker->kept, turn_now_us(broker->config.turn)))
        lifecycle_kept_add(&broker->kept, write, (uint64_t)reply->element[0]->integer, redis_text(reply->element[1]),
                           redis_text(reply->element[2]));
    if (!has_places && (!reply || reply->type != REDIS_REPLY_INTEGER))
        redis_broker_request_fail(broker, &write->base, reply);
    broker_answer(&broker->broker, &write->base);
}

void redis_lifecycle_write(struct redis_broker *broker, struct lifecycle_write *write)
{
    static const struct redis_request_kind kind = {.send = send_batch, .done = on_written};
    char round[ROUND_NAME_MAX], before[ROUND_NAME_MAX];
    struct str keys[KEYS];
    struct str now = round_name(broker, write->round, round);
    make_keys(broker, str_from_cstr(write->stream), now,
              write->before ? round_name(broker, write->before, before) : now, KEYS, keys);
    redis_broker_request_start(broker, &write->base, &kind, KEYS, keys);
}

/* ---- nodes that are dead ---- */

static void send_lost(struct redis_request *request)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    const struct lifecycle_lost *lost = request->argument;
    char silent[24], max_len[24], time[CLOCK_RFC3339_LEN + 1];
    struct buf open = {0};
    append_key(&open, broker, str_from_cstr(lost->stream), "open:", STR(""));
    clock_format(turn_wall_ms(broker->config.turn), time);
    struct str arguments[] = {request->keys[STREAM],
                              request->keys[ROUNDS],
                              request->keys[CHANNELS],
                              request->keys[COUNTERS],
                              buf_str(&open),
                              redis_number(silent_ms(broker), silent),
                              redis_number(lost->max_len, max_len),
                              str_from(time, CLOCK_RFC3339_LEN)};
    redis_request_script(request, SCRIPT_LIFECYCLE_LOST, 4, 8, arguments);
    buf_fini(&open);
}

static void on_lost(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct lifecycle_lost *lost = request->argument;
    bool fine = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    if (fine) {
        lost->told = (uint64_t)reply->element[0]->integer;
        lost->more = reply->element[1]->integer != 0;
    } else {
        redis_broker_request_fail(broker, &lost->base, reply);
    }
    broker_answer(&broker->broker, &lost->base);
}

void redis_lifecycle_lost(struct redis_broker *broker, struct lifecycle_lost *lost)
{
    static const struct redis_request_kind kind = {.send = send_lost, .done = on_lost};
    struct str keys[KEYS];
    make_keys(broker, str_from_cstr(lost->stream), STR(""), STR(""), COUNTERS + 1, keys);
    redis_broker_request_start(broker, &lost->base, &kind, COUNTERS + 1, keys);
}

/* ---- reading ----
 *
 * What this node has written itself is kept here (lifecycle_kept.h). The rest is read from Redis. */

static void send_read(struct redis_request *request)
{
    const struct redis_broker *broker = redis_broker_of_request(request);
    const struct lifecycle_read *read = request->argument;
    char reader_ms[24], limit[24], number[24];
    struct str arguments[] = {request->keys[STREAM],
                              request->keys[COUNTERS],
                              broker->config.node_id,
                              redis_number(read->reader_ms, reader_ms),
                              redis_number(read->limit, limit),
                              str_from_cstr(read->done),
                              redis_number(read->done_number, number)};
    redis_request_script(request, SCRIPT_LIFECYCLE_READ, 2, 7, arguments);
}

/* Redis has said that this node is the reader, or that it is not. */
static void learn(struct redis_broker *broker, const struct lifecycle_read *read, uint64_t asked_us)
{
    struct lifecycle_kept *kept = &broker->kept;
    bool was_said = read->done[0];
    if (!read->is_reader || (was_said && read->last_number != read->done_number)) /* or Redis has lost it */
        lifecycle_kept_forget(kept);
    else if (was_said && strcmp(kept->sent.id, read->done) == 0)
        kept->is_unsaved = false;
    if (read->is_reader)
        kept->reader_until_us = asked_us + read->reader_ms * 1000;
}

/* The number of the last event that is sent; the place of the last entry; how many entries there were; then number and
 * JSON of each event. */
static bool take_events(struct redis_request *request, const redisReply *reply)
{
    struct lifecycle_read *read = request->argument;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return false;
    read->is_reader = str_to_u64(redis_text(reply->element[0]), &read->last_number);
    learn(redis_broker_of_request(request), read, request->since_us);
    if (reply->elements > 1)
        snprintf(read->last, sizeof read->last, "%.*s", STR_ARG(redis_text(reply->element[1])));
    if (reply->elements > 2)
        read->entries = (uint64_t)reply->element[2]->integer;
    for (size_t i = 3; i + 1 < reply->elements; i += 2) {
        struct str json = redis_text(reply->element[i + 1]);
        uint64_t number;
        if (!str_to_u64(redis_text(reply->element[i]), &number) || !lifecycle_is_event(json))
            continue;
        if (!read->count++)
            read->number = number;
        else
            buf_append_char(&read->events, ',');
        buf_append(&read->events, json);
        read->done_number = number;
    }
    return true;
}

static void on_read(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct lifecycle_read *read = request->argument;
    if (!take_events(request, reply))
        redis_broker_request_fail(broker, &read->base, reply);
    broker_answer(&broker->broker, &read->base);
}

static void on_saved(struct redis_request *request, const redisReply *reply)
{
    struct lifecycle_read *read = request->argument;
    take_events(request, reply);
    redis_broker_of_request(request)->is_saving = false;
    request_destroy(&read->base);
}

/* Tells Redis how far the events have been sent on, and that this node stays the reader. */
static void save(struct redis_broker *broker, const struct lifecycle_read *asked)
{
    static const struct redis_request_kind kind = {.send = send_read, .done = on_saved};
    struct str keys[KEYS];
    make_keys(broker, str_from_cstr(asked->stream), STR(""), STR(""), COUNTERS + 1, keys);
    struct redis_shard *shard = redis_topology_shard_of(&broker->topology, keys[0]);
    if (broker->is_saving || !broker->kept.is_unsaved || !redis_shard_is_up(shard))
        return;
    struct lifecycle_read *read = lifecycle_read_create(str_from_cstr(asked->stream));
    read->reader_ms = asked->reader_ms;
    memcpy(read->done, broker->kept.sent.id, sizeof read->done);
    read->done_number = broker->kept.sent.number;
    broker->is_saving = true;
    redis_request_start(&broker->requests, &kind, read, shard, COUNTERS + 1, keys, turn_now_us(broker->config.turn));
}

void redis_lifecycle_read(struct redis_broker *broker, struct lifecycle_read *read)
{
    static const struct redis_request_kind kind = {.send = send_read, .done = on_read};
    struct lifecycle_kept *kept = &broker->kept;
    struct str keys[KEYS];
    bool is_reader = lifecycle_kept_is_reader(kept, turn_now_us(broker->config.turn));
    if (read->done[0])
        lifecycle_kept_set_sent(kept, read->done, read->done_number);
    if (is_reader && lifecycle_kept_take(kept, read)) {
        save(broker, read);
        redis_broker_request_answer(broker, &read->base);
        return;
    }
    if (kept->is_unsaved) {
        memcpy(read->done, kept->sent.id, sizeof read->done);
        read->done_number = kept->sent.number;
    }
    make_keys(broker, str_from_cstr(read->stream), STR(""), STR(""), COUNTERS + 1, keys);
    redis_broker_request_start(broker, &read->base, &kind, COUNTERS + 1, keys);
}
