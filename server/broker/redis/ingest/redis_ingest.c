/* redis_ingest.c - see redis_ingest.h. The steps, each an answer of Redis that leads to the next:
 *
 *   connect, create the group, step, where a step takes or renews the lease and reads a batch: first what is pending,
 *   then what is new. A batch: publish, acknowledge, step. No batch: wait for entries, step.
 *
 * What cannot be published now is not kept but read again, after a pause, if the lease is still this node's. Without
 * the lease: the timer tries again. Any error ends the connection, and the timer begins anew. */
#include "server/broker/redis/ingest/redis_ingest.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "server/broker/redis/ingest/redis_ingest_private.h"

enum { BLOCK_MAX_MS = 1000 };

/* Of the entries of a batch, which backends have made as long as they like. */
static const uint64_t BATCH_BYTES_MAX = UINT64_C(2) << 30;

#define BATCH_TEXT "100" /* INGEST_BATCH_MAX, for Redis */

static const struct str group = {"carillon", 8};

static void step(struct redis_ingest *ingest);

static void fail(struct redis_ingest *ingest, const redisReply *reply)
{
    if (reply)
        redis_connection_drop(&ingest->connection, "the ingest stream: %.120s",
                              redis_is_error(reply) ? reply->str : "an answer that makes no sense");
}

/* ---- before and after a batch ---- */

static void on_acknowledged(void *owner, void *argument, const redisReply *reply)
{
    if (reply && redis_is_error(reply))
        fail(argument, reply);
}

static void on_length(void *owner, void *argument, const redisReply *reply)
{
    struct redis_ingest *ingest = argument;
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        metrics_set(ingest->broker->broker.metrics, METRIC_INGEST_WAITING, (uint64_t)reply->integer);
}

void redis_ingest_end_batch(struct redis_ingest *ingest, uint64_t again_ms)
{
    struct str argv[INGEST_BATCH_MAX + 3] = {STR("XACK"), buf_str(&ingest->stream_key), group};
    size_t done = 0;
    bool all_done = ingest->done == ingest->count;
    for (size_t i = 0; i < ingest->count; i++)
        if (ingest->items[i].state == ITEM_DONE)
            argv[3 + done++] = ingest->items[i].entry->id;
    if (done) {
        redis_connection_send(&ingest->connection, 3 + done, argv, on_acknowledged, ingest);
        argv[1] = STR("XDEL");
        argv[2] = buf_str(&ingest->stream_key);
        redis_connection_send(&ingest->connection, 2 + done, argv + 1, on_acknowledged, ingest);
    }
    redis_ingest_free_batch(ingest);
    if (all_done) {
        ingest->why[0] = '\0';
        step(ingest);
    } else {
        strcpy(ingest->claim_from, "0-0");
        redis_ingest_wait(ingest, again_ms);
    }
}

/* Something has come, or the time is over. */
static void on_doorbell(void *owner, void *argument, const redisReply *reply)
{
    if (reply && redis_is_error(reply))
        fail(argument, reply);
    else if (reply)
        step(argument);
}

/* Reading itself cannot wait, since it happens in a script. */
static void wait_for_entries(struct redis_ingest *ingest)
{
    char block[24];
    uint64_t block_ms = ingest->broker->config.command_timeout_ms / 2;
    if (block_ms > ingest->takeover_ms / 3)
        block_ms = ingest->takeover_ms / 3;
    if (block_ms > BLOCK_MAX_MS)
        block_ms = BLOCK_MAX_MS;
    struct str argv[] = {STR("XREAD"),
                         STR("COUNT"),
                         STR("1"),
                         STR("BLOCK"),
                         redis_number(block_ms, block),
                         STR("STREAMS"),
                         buf_str(&ingest->stream_key),
                         str_from_cstr(ingest->last)};
    redis_connection_send(&ingest->connection, sizeof argv / sizeof *argv, argv, on_doorbell, ingest);
}

static void take_entries(struct redis_ingest *ingest, const redisReply *reply)
{
    const redisReply *entries = reply->element[2];
    bool fine = entries->type == REDIS_REPLY_ARRAY && entries->elements <= INGEST_BATCH_MAX;
    for (size_t i = 0; fine && i < entries->elements; i++)
        fine = redis_ingest_add(ingest, entries->element[i]);
    if (!fine) {
        redis_ingest_free_batch(ingest);
        fail(ingest, reply);
    } else if (ingest->count) {
        struct str last = ingest->items[ingest->count - 1].entry->id;
        snprintf(ingest->last, sizeof ingest->last, "%.*s", STR_ARG(last));
        redis_ingest_publish(ingest);
    } else if (ingest->claim_from[0]) {
        step(ingest);
    } else {
        wait_for_entries(ingest);
    }
}

/* ---- the lease ---- */

/* Earlier readers have nothing pending any more. */
static void on_consumers(void *owner, void *argument, const redisReply *reply)
{
    struct redis_ingest *ingest = argument;
    for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const redisReply *one = reply->element[i];
        struct str name = one->type == REDIS_REPLY_ARRAY && one->elements >= 2 ? redis_text(one->element[1]) : STR("");
        struct str argv[] = {STR("XGROUP"), STR("DELCONSUMER"), buf_str(&ingest->stream_key), group, name};
        if (name.len && !str_eq(name, ingest->broker->config.node_id))
            redis_connection_send(&ingest->connection, 5, argv, on_acknowledged, ingest);
    }
}

static void forget_consumers(struct redis_ingest *ingest)
{
    struct str argv[] = {STR("XINFO"), STR("CONSUMERS"), buf_str(&ingest->stream_key), group};
    redis_connection_send(&ingest->connection, 4, argv, on_consumers, ingest);
}

static void on_step(void *owner, void *argument, const redisReply *reply)
{
    struct redis_ingest *ingest = argument;
    if (!reply)
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) {
        fail(ingest, reply);
        return;
    }
    if (reply->element[0]->integer == 0) {
        metrics_set(ingest->broker->broker.metrics, METRIC_INGEST_WAITING, 0); /* the reader tells it */
        redis_ingest_wait(ingest, ingest->takeover_ms / 6 + random_below(ingest->takeover_ms / 6));
        return;
    }
    struct str cursor = redis_text(reply->element[1]);
    bool all_claimed = str_eq(cursor, STR("0-0"));
    snprintf(ingest->claim_from, sizeof ingest->claim_from, "%.*s", all_claimed ? 0 : (int)cursor.len, cursor.ptr);
    struct str argv[] = {STR("XLEN"), buf_str(&ingest->stream_key)};
    redis_connection_send(&ingest->connection, 2, argv, on_length, ingest);
    if (all_claimed)
        forget_consumers(ingest);
    take_entries(ingest, reply);
}

/* KEYS: lease, stream. ARGV: the node, ms of the lease, where claiming goes on (empty: nothing is to be claimed).
 * Answer: 0 if another node has the lease; else 1, where claiming goes on then ("0-0": nowhere), the entries. Whoever
 * takes the lease claims everything first. Lease and reading are one step, so that a node that was paused between them
 * does not read what is another's. */
static const char step_text[] =
    "local holder = redis.call('GET', KEYS[1])\n"
    "if holder and holder ~= ARGV[1] then return {0, '', {}} end\n"
    "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
    "local from = holder and ARGV[3] or '0-0'\n"
    "if from ~= '' then\n"
    "  local part = redis.call('XAUTOCLAIM', KEYS[2], 'carillon', ARGV[1], 0, from, 'COUNT', " BATCH_TEXT ")\n"
    "  return {1, part[1], part[2]}\n"
    "end\n"
    "local read = redis.call('XREADGROUP', 'GROUP', 'carillon', ARGV[1], 'COUNT', " BATCH_TEXT
    ", 'STREAMS', KEYS[2], '>')\n"
    "return {1, '', read and read[1][2] or {}}\n";

static void step(struct redis_ingest *ingest)
{
    char ttl[24];
    struct str argv[] = {STR("EVAL"),
                         str_from(step_text, sizeof step_text - 1),
                         STR("2"),
                         buf_str(&ingest->lease_key),
                         buf_str(&ingest->stream_key),
                         ingest->broker->config.node_id,
                         redis_number(ingest->takeover_ms, ttl),
                         str_from_cstr(ingest->claim_from)};
    ingest->asked_us = clock_now_us();
    redis_connection_send(&ingest->connection, sizeof argv / sizeof *argv, argv, on_step, ingest);
}

/* ---- connecting ---- */

static void on_group(void *owner, void *argument, const redisReply *reply)
{
    struct redis_ingest *ingest = argument;
    if (reply && redis_is_error(reply) && strncmp(reply->str, "BUSYGROUP", 9) != 0)
        fail(ingest, reply);
    else if (reply)
        step(ingest);
}

static void on_up(struct redis_connection *connection)
{
    struct redis_ingest *ingest = CONTAINER_OF(connection, struct redis_ingest, connection);
    struct str argv[] = {STR("XGROUP"), STR("CREATE"), buf_str(&ingest->stream_key), group, STR("0"), STR("MKSTREAM")};
    strcpy(ingest->claim_from, "0-0"); /* also what this node itself had read when the connection was lost */
    strcpy(ingest->last, "0-0");
    redis_connection_send(connection, 6, argv, on_group, ingest);
}

static void on_down(struct redis_connection *connection, const char *why)
{
    struct redis_ingest *ingest = CONTAINER_OF(connection, struct redis_ingest, connection);
    if (!ingest->closing && strcmp(ingest->why, why) != 0) {
        snprintf(ingest->why, sizeof ingest->why, "%s", why);
        log_warn("broker", "%s; the ingest stream is read again when it is back", why);
    }
    if (ingest->count)
        redis_ingest_abandon(ingest);
    else
        redis_ingest_wait(ingest, INGEST_RETRY_MS);
}

/* To the server that has the stream now. */
static void reconnect(struct redis_ingest *ingest)
{
    static const struct redis_connection_events events = {.up = on_up, .down = on_down};
    struct redis_broker *broker = ingest->broker;
    struct redis_shard *shard = redis_topology_shard_of(&broker->topology, buf_str(&ingest->stream_key));
    if (!redis_shard_is_up(shard)) {
        redis_ingest_wait(ingest, INGEST_RETRY_MS);
        return;
    }
    redis_endpoint_fini(&ingest->endpoint);
    ingest->endpoint = redis_endpoint_copy(str_from_cstr(shard->endpoint.host), str_from_cstr(shard->endpoint.port));
    if (!ingest->connection_made) {
        struct redis_connection_config config = shard->commands.config;
        config.endpoint = &ingest->endpoint;
        config.reply_bytes_max = BATCH_BYTES_MAX;
        redis_connection_init(&ingest->connection, &config, &events, broker, broker->config.turn);
        ingest->connection_made = true;
    }
    redis_connection_start(&ingest->connection);
}

static void on_timer(uv_timer_t *timer)
{
    struct redis_ingest *ingest = timer->data;
    if (!ingest->connection_made || ingest->connection.state == REDIS_IDLE)
        reconnect(ingest);
    else
        step(ingest);
}

/* ---- life ---- */

static void on_timer_closed(uv_handle_t *timer)
{
    struct redis_ingest *ingest = timer->data;
    struct redis_broker *broker = ingest->broker;
    if (ingest->connection_made)
        redis_connection_fini(&ingest->connection);
    redis_endpoint_fini(&ingest->endpoint);
    mailbox_close(&ingest->mailbox);
    rules_unref(ingest->settings.rules);
    buf_fini(&ingest->stream_key);
    buf_fini(&ingest->dead_key);
    buf_fini(&ingest->lease_key);
    free(ingest);
    closing_part_closed(&broker->parts);
}

/* While it closes, this is where everything ends that was under way. */
void redis_ingest_wait(struct redis_ingest *ingest, uint64_t ms)
{
    bool idle = !ingest->connection_made || ingest->connection.state == REDIS_IDLE;
    if (!ingest->closing)
        uv_timer_start(&ingest->timer, on_timer, ms, 0);
    else if (idle && !ingest->count && !uv_is_closing((uv_handle_t *)&ingest->timer))
        uv_close((uv_handle_t *)&ingest->timer, on_timer_closed);
}

struct redis_ingest *redis_ingest_create(struct redis_broker *broker, const struct ingest_settings *settings,
                                         uint64_t takeover_ms)
{
    struct redis_ingest *ingest = xcalloc(1, sizeof *ingest);
    ingest->broker = broker;
    ingest->settings = *settings;
    rules_ref(settings->rules);
    ingest->takeover_ms = takeover_ms;
    buf_appendf(&ingest->stream_key, "%s:ingest", broker->prefix);
    buf_appendf(&ingest->dead_key, "%s:ingest:dead", broker->prefix);
    buf_appendf(&ingest->lease_key, "%s:{%s:ingest}:reader", broker->prefix, broker->prefix); /* in the stream's slot */
    mailbox_init(&ingest->mailbox, broker->config.turn, ingest);
    uv_timer_init(broker->config.turn->wake.loop, &ingest->timer);
    ingest->timer.data = ingest;
    closing_add(&broker->parts);
    redis_ingest_wait(ingest, 0);
    return ingest;
}

void redis_ingest_configure(struct redis_ingest *ingest, const struct ingest_settings *settings)
{
    rules_ref(settings->rules);
    rules_unref(ingest->settings.rules);
    ingest->settings = *settings;
}

static void on_released(void *owner, void *argument, const redisReply *reply)
{
    /* Best effort: it ends by itself. */
}

/* Only its own lease. */
static void release(struct redis_ingest *ingest)
{
    struct str argv[] = {STR("EVAL"),
                         STR("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"), STR("1"),
                         buf_str(&ingest->lease_key), ingest->broker->config.node_id};
    struct redis_shard *shard = redis_request_shard(&ingest->broker->topology, buf_str(&ingest->lease_key));
    if (shard)
        redis_connection_send(&shard->commands, 5, argv, on_released, NULL);
}

void redis_ingest_close(struct redis_ingest *ingest)
{
    ingest->closing = true;
    uv_timer_stop(&ingest->timer);
    release(ingest);
    if (ingest->connection_made && ingest->connection.state != REDIS_IDLE)
        redis_connection_finish(&ingest->connection, "this node is stopping");
    else
        redis_ingest_wait(ingest, 0);
}
