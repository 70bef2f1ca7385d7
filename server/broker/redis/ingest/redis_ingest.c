/* redis_ingest.c - see redis_ingest.h. The reader goes from step to step. Each answer of Redis leads to the next step:
 *
 *   1. connect, and create the consumer group
 *   2. take or renew the lease, and read a batch: first pending entries, then new ones (step)
 *   3. with a batch: publish it (redis_ingest_batch.c), acknowledge it, go to 2
 *   4. without a batch: wait for entries, go to 2
 *   5. without the lease: wait for a while, go to 2
 *
 * Entries that cannot be published now are read again after a pause. An error ends the connection, and the reader
 * begins with 1 again. */
#include "server/broker/redis/ingest/redis_ingest.h"

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "server/broker/redis/client/redis_reply.h"
#include "server/broker/redis/ingest/redis_ingest_batch.h"
#include "server/broker/redis/scripts/redis_scripts.h"
#include "server/broker/redis/topology/redis_shard.h"

enum { BLOCK_MAX_MS = 1000 };

/* The longest answer with a batch. Nothing bounds the entries that backends write. */
static const uint64_t BATCH_BYTES_MAX = UINT64_C(2) << 30;

static const struct str group = {"carillon", 8};

static const struct redis_scripts no_hashes; /* calls of the scripts contain their texts */

struct redis_ingest {
    struct redis_ingest_config config;
    struct ingest_settings settings;
    struct redis_ingest_batch batch;
    struct redis_connection connection;
    bool connection_made;
    struct redis_endpoint endpoint; /* of the shard that had the stream when it was last connected */
    struct timer timer;             /* connect; or try for the lease, and read */
    struct buf stream_key;
    struct buf dead_letter_key;
    struct buf lease_key;
    char claim_from[48]; /* where claiming the entries of earlier readers goes on; "": all are claimed */
    char last[48];       /* id of the last entry that was read */
    bool closing;
};

static struct turn *turn_of(const struct redis_ingest *ingest)
{
    return ingest->config.topology->config.turn;
}

static void step(struct redis_ingest *ingest);
static void wait(struct redis_ingest *ingest, uint64_t ms);

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
        metrics_set(ingest->config.broker->metrics, METRIC_INGEST_WAITING, (uint64_t)reply->integer);
}

/* Acknowledges the entries that are done. The others are read again after a pause. */
static void acknowledge(struct redis_ingest *ingest)
{
    struct redis_ingest_batch *batch = &ingest->batch;
    struct str argv[INGEST_BATCH_MAX + 3] = {STR("XACK"), buf_str(&ingest->stream_key), group};
    size_t done = 0;
    bool all_done = batch->done == batch->count;
    uint64_t again_ms = batch->again_ms;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].state == ITEM_DONE)
            argv[3 + done++] = batch->items[i].entry->id;
    if (done) {
        redis_connection_send(&ingest->connection, 3 + done, argv, on_acknowledged, ingest);
        argv[1] = STR("XDEL");
        argv[2] = buf_str(&ingest->stream_key);
        redis_connection_send(&ingest->connection, 2 + done, argv + 1, on_acknowledged, ingest);
    }
    redis_ingest_batch_clear(batch);
    if (all_done) {
        batch->why[0] = '\0';
        step(ingest);
    } else {
        strcpy(ingest->claim_from, "0-0");
        wait(ingest, again_ms);
    }
}

static void on_batch_ended(struct redis_ingest_batch *batch)
{
    struct redis_ingest *ingest = CONTAINER_OF(batch, struct redis_ingest, batch);
    if (batch->abandoned) {
        redis_ingest_batch_clear(batch);
        wait(ingest, INGEST_RETRY_MS);
    } else {
        acknowledge(ingest);
    }
}

/* The stream has new entries, or the time to wait for them is over. */
static void on_entries(void *owner, void *argument, const redisReply *reply)
{
    if (reply && redis_is_error(reply))
        fail(argument, reply);
    else if (reply)
        step(argument);
}

/* A script reads the entries, and a script cannot wait. So the reader waits for them here. */
static void wait_for_entries(struct redis_ingest *ingest)
{
    char block[24];
    uint64_t block_ms = ingest->config.topology->config.command_timeout_ms / 2;
    if (block_ms > ingest->config.takeover_ms / 3)
        block_ms = ingest->config.takeover_ms / 3;
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
    redis_connection_send(&ingest->connection, sizeof argv / sizeof *argv, argv, on_entries, ingest);
}

static void take_entries(struct redis_ingest *ingest, const redisReply *reply)
{
    const redisReply *entries = reply->element[2];
    bool fine = entries->type == REDIS_REPLY_ARRAY && entries->elements <= INGEST_BATCH_MAX;
    for (size_t i = 0; fine && i < entries->elements; i++)
        fine = redis_ingest_batch_add(&ingest->batch, entries->element[i]);
    if (!fine) {
        redis_ingest_batch_clear(&ingest->batch);
        fail(ingest, reply);
    } else if (ingest->batch.count) {
        struct str last = ingest->batch.items[ingest->batch.count - 1].entry->id;
        snprintf(ingest->last, sizeof ingest->last, "%.*s", STR_ARG(last));
        redis_ingest_batch_publish(&ingest->batch);
    } else if (ingest->claim_from[0]) {
        step(ingest);
    } else {
        wait_for_entries(ingest);
    }
}

/* ---- the lease ---- */

/* No earlier reader has pending entries any more: their consumers are deleted. */
static void on_consumers(void *owner, void *argument, const redisReply *reply)
{
    struct redis_ingest *ingest = argument;
    for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const redisReply *one = reply->element[i];
        struct str name = one->type == REDIS_REPLY_ARRAY && one->elements >= 2 ? redis_text(one->element[1]) : STR("");
        struct str argv[] = {STR("XGROUP"), STR("DELCONSUMER"), buf_str(&ingest->stream_key), group, name};
        if (name.len && !str_eq(name, ingest->config.node_id))
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
        metrics_set(ingest->config.broker->metrics, METRIC_INGEST_WAITING,
                    0); /* the node that reads tells the number */
        wait(ingest, ingest->config.takeover_ms / 6 + random_below(ingest->config.takeover_ms / 6));
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

static void step(struct redis_ingest *ingest)
{
    char lease[24], batch[24];
    const struct str arguments[] = {
        buf_str(&ingest->lease_key),
        buf_str(&ingest->stream_key),
        ingest->config.node_id,
        redis_number(ingest->config.takeover_ms, lease),
        str_from_cstr(ingest->claim_from),
        redis_number(INGEST_BATCH_MAX, batch),
    };
    ingest->batch.asked_us = turn_now_us(turn_of(ingest));
    redis_scripts_send(&no_hashes, &ingest->connection, SCRIPT_INGEST_READ, true, 2,
                       sizeof arguments / sizeof *arguments, arguments, on_step, ingest);
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
    strcpy(ingest->claim_from, "0-0"); /* this node may have pending entries itself, from before a lost connection */
    strcpy(ingest->last, "0-0");
    redis_connection_send(connection, 6, argv, on_group, ingest);
}

static void on_down(struct redis_connection *connection, const char *why)
{
    struct redis_ingest *ingest = CONTAINER_OF(connection, struct redis_ingest, connection);
    if (!ingest->closing && strcmp(ingest->batch.why, why) != 0) {
        snprintf(ingest->batch.why, sizeof ingest->batch.why, "%s", why);
        log_warn("broker", "%s; the ingest stream is read again when it is back", why);
    }
    if (ingest->batch.count)
        redis_ingest_batch_abandon(&ingest->batch);
    else
        wait(ingest, INGEST_RETRY_MS);
}

/* Connects to the server that has the stream now. */
static void reconnect(struct redis_ingest *ingest)
{
    static const struct redis_connection_events events = {.up = on_up, .down = on_down};
    struct redis_topology *topology = ingest->config.topology;
    struct redis_shard *shard = redis_topology_shard_of(topology, buf_str(&ingest->stream_key));
    if (!redis_shard_is_up(shard)) {
        wait(ingest, INGEST_RETRY_MS);
        return;
    }
    redis_endpoint_fini(&ingest->endpoint);
    ingest->endpoint = redis_endpoint_copy(str_from_cstr(shard->endpoint.host), str_from_cstr(shard->endpoint.port));
    if (!ingest->connection_made) {
        struct redis_connection_config config = shard->commands.config;
        config.endpoint = &ingest->endpoint;
        config.reply_bytes_max = BATCH_BYTES_MAX;
        redis_connection_init(&ingest->connection, &config, &events, ingest, topology->config.turn);
        ingest->connection_made = true;
    }
    redis_connection_start(&ingest->connection);
}

static void on_timer(struct timer *timer, uint64_t now_us)
{
    struct redis_ingest *ingest = CONTAINER_OF(timer, struct redis_ingest, timer);
    (void)now_us;
    if (!ingest->connection_made || ingest->connection.state == REDIS_IDLE)
        reconnect(ingest);
    else
        step(ingest);
}

/* ---- life ---- */

static void on_closed(struct timer *timer, uint64_t now_us)
{
    struct redis_ingest *ingest = CONTAINER_OF(timer, struct redis_ingest, timer);
    (void)now_us;
    struct closing *closing = ingest->config.topology->config.closing;
    if (ingest->connection_made)
        redis_connection_fini(&ingest->connection);
    redis_endpoint_fini(&ingest->endpoint);
    redis_ingest_batch_fini(&ingest->batch);
    rules_unref(ingest->settings.rules);
    buf_fini(&ingest->stream_key);
    buf_fini(&ingest->dead_letter_key);
    buf_fini(&ingest->lease_key);
    free(ingest);
    closing_part_closed(closing);
}

/* Lets the timer fire after that time, for the next step. A reader that closes ends here, once nothing is under way. */
static void wait(struct redis_ingest *ingest, uint64_t ms)
{
    bool idle = !ingest->connection_made || ingest->connection.state == REDIS_IDLE;
    if (!ingest->closing)
        turn_start_timer(turn_of(ingest), &ingest->timer, ms * 1000, on_timer);
    else if (idle && !ingest->batch.count) /* when no call of this turn holds it any more */
        turn_start_timer(turn_of(ingest), &ingest->timer, 0, on_closed);
}

struct redis_ingest *redis_ingest_create(const struct redis_ingest_config *config,
                                         const struct ingest_settings *settings)
{
    struct redis_ingest *ingest = xcalloc(1, sizeof *ingest);
    const struct redis_topology_config *servers = &config->topology->config;
    ingest->config = *config;
    ingest->settings = *settings;
    rules_ref(settings->rules);
    buf_append(&ingest->stream_key, config->prefix);
    buf_append_lit(&ingest->stream_key, ":ingest");
    buf_append(&ingest->dead_letter_key, buf_str(&ingest->stream_key));
    buf_append_lit(&ingest->dead_letter_key, ":dead");
    buf_appendf(&ingest->lease_key, "%.*s:{%.*s:ingest}:reader", STR_ARG(config->prefix),
                STR_ARG(config->prefix)); /* in the stream's slot */
    const struct redis_ingest_batch_config batch = {
        .broker = config->broker,
        .topology = config->topology,
        .settings = &ingest->settings,
        .dead_letter_key = buf_str(&ingest->dead_letter_key),
        .age_max_ms = config->takeover_ms + servers->command_timeout_ms,
    };
    redis_ingest_batch_init(&ingest->batch, &batch, on_batch_ended);
    closing_add(servers->closing);
    wait(ingest, 0);
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
    /* The lease ends by itself if this has failed. */
}

/* Deletes the lease if it is this node's. */
static void release(struct redis_ingest *ingest)
{
    const struct str arguments[] = {buf_str(&ingest->lease_key), ingest->config.node_id};
    struct redis_shard *shard = redis_topology_shard_of(ingest->config.topology, buf_str(&ingest->lease_key));
    if (redis_shard_is_ready(shard))
        redis_scripts_send(&no_hashes, &shard->commands, SCRIPT_INGEST_RELEASE, true, 1, 2, arguments, on_released,
                           NULL);
}

void redis_ingest_close(struct redis_ingest *ingest)
{
    ingest->closing = true;
    turn_stop_timer(turn_of(ingest), &ingest->timer);
    release(ingest);
    if (ingest->connection_made && ingest->connection.state != REDIS_IDLE)
        redis_connection_finish(&ingest->connection, "this node is stopping");
    else
        wait(ingest, 0);
}
