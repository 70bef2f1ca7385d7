/* redis_ingest_batch.c - see redis_ingest_batch.h. */
#include "server/broker/redis/ingest/redis_ingest_batch.h"

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/broker/redis/client/redis_reply.h"
#include "server/broker/redis/topology/redis_shard.h"

/* About so many entries stay in the dead-letter stream. */
#define DEAD_LETTERS_TEXT "10000"

void redis_ingest_batch_init(struct redis_ingest_batch *batch, const struct redis_ingest_batch_config *config,
                             void (*ended)(struct redis_ingest_batch *batch))
{
    *batch = (struct redis_ingest_batch){.config = *config, .ended = ended};
    mailbox_init(&batch->mailbox, config->topology->config.turn, batch);
}

void redis_ingest_batch_fini(struct redis_ingest_batch *batch)
{
    mailbox_close(&batch->mailbox);
}

void redis_ingest_batch_clear(struct redis_ingest_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        free(batch->items[i].entry);
    batch->count = batch->done = 0;
    batch->again_ms = 0;
    batch->paused = batch->abandoned = false;
}

static void item_done(struct redis_ingest_batch *batch, struct item *item)
{
    item->state = ITEM_DONE;
    batch->done++;
}

/* Called after each answer. */
static void go_on(struct redis_ingest_batch *batch)
{
    if (!batch->abandoned)
        redis_ingest_batch_publish(batch);
    else if (!batch->sent)
        batch->ended(batch);
}

static void try_later(struct redis_ingest_batch *batch, struct item *item, const char *why, uint64_t after_ms)
{
    item->state = ITEM_WAITING;
    batch->paused = true;
    batch->again_ms = after_ms ? after_ms : INGEST_RETRY_MS;
    if (strncmp(batch->why, why, sizeof batch->why - 1) == 0)
        return;
    snprintf(batch->why, sizeof batch->why, "%s", why);
    log_warn("broker", "the ingest stream waits: %s", why);
}

static void on_published(struct request *request, void *owner)
{
    struct redis_ingest_batch *batch = owner;
    const struct publication *publication = publication_of(request);
    struct item *item = &batch->items[publication->waiter_index];
    batch->sent--;
    if (request_code(request) == ERR_UNAVAILABLE) {
        try_later(batch, item, request->error->text, request->retry_after_ms);
    } else if (request->error) {
        item->state = ITEM_WAITING;
        item->error = *request->error;
    } else {
        metrics_add(batch->config.broker->metrics, METRIC_INGEST_TAKEN, 1);
        item_done(batch, item);
    }
    request_destroy(request);
    go_on(batch);
}

static void log_dead_letter(struct redis_ingest_batch *batch, const struct item *item)
{
    unsigned long long count;
    if (log_limit_passes(&batch->dead_letters_said, turn_now_us(batch->config.topology->config.turn), &count))
        log_warn("broker", "an entry of the ingest stream went to %.*s: %s (%.*s; %llu since this was last said)",
                 STR_ARG(batch->config.dead_letter_key), item->error.text, STR_ARG(item->entry->id), count);
}

struct dead_letter {
    struct redis_ingest_batch *batch;
    size_t index;
};

static void on_dead_letter_stored(void *owner, void *argument, const redisReply *reply)
{
    struct dead_letter *letter = argument;
    struct redis_ingest_batch *batch = letter->batch;
    struct item *item = &batch->items[letter->index];
    free(letter);
    batch->sent--;
    if (reply && reply->type == REDIS_REPLY_STRING) {
        metrics_add(batch->config.broker->metrics, METRIC_INGEST_DEAD_LETTERS, 1);
        log_dead_letter(batch, item);
        item_done(batch, item);
    } else {
        char why[200];
        snprintf(why, sizeof why, "the dead-letter stream takes no entry: %s",
                 reply && redis_is_error(reply) ? reply->str : "no answer");
        try_later(batch, item, why, 0);
    }
    go_on(batch);
}

/* Copies the entry to the dead-letter stream, with the reason. */
static void send_dead_letter(struct redis_ingest_batch *batch, size_t index)
{
    struct item *item = &batch->items[index];
    const struct ingest_entry *entry = item->entry;
    struct redis_shard *shard = redis_topology_shard_of(batch->config.topology, batch->config.dead_letter_key);
    if (!redis_shard_is_up(shard)) {
        try_later(batch, item, "the server that has the dead-letter stream cannot be reached", 0);
        return;
    }
    const struct str head[] = {
        STR("XADD"),   batch->config.dead_letter_key,   STR("MAXLEN"), STR("~"), STR(DEAD_LETTERS_TEXT), STR("*"),
        STR("reason"), str_from_cstr(item->error.text), STR("entry"),  entry->id};
    enum { HEAD = sizeof head / sizeof *head };
    struct str *argv = xmalloc((HEAD + entry->field_count) * sizeof *argv);
    struct dead_letter *letter = xmalloc(sizeof *letter);
    *letter = (struct dead_letter){batch, index};
    memcpy(argv, head, sizeof head);
    memcpy(argv + HEAD, entry->fields, entry->field_count * sizeof *argv);
    item->state = ITEM_SENT;
    batch->sent++;
    redis_connection_send(&shard->commands, HEAD + entry->field_count, argv, on_dead_letter_stored, letter);
    free(argv);
}

static void publish_item(struct redis_ingest_batch *batch, size_t index)
{
    struct item *item = &batch->items[index];
    struct publication *publication;
    struct metrics *metrics = batch->config.broker->metrics;
    if (item->error.code || ingest_entry_read(item->entry, batch->config.settings, &publication, &item->error)) {
        send_dead_letter(batch, index);
        return;
    }
    publication->accepted_us = turn_now_us(batch->config.topology->config.turn);
    publication->base.reply_to = &batch->mailbox;
    publication->base.done = on_published;
    publication->waiter_index = index;
    metrics_add_labelled(metrics, METRIC_EVENTS_IN, METRICS_SOURCE_INGEST, 1);
    metrics_add(metrics, METRIC_EVENTS_IN_BYTES, publication->data.len);
    item->state = ITEM_SENT;
    batch->sent++;
    batch->config.broker->ops->ask(batch->config.broker, &publication->base);
}

static struct str channel_of(const struct ingest_entry *entry)
{
    for (size_t i = 0; i + 1 < entry->field_count; i += 2)
        if (str_eq(entry->fields[i], STR("channel")))
            return entry->fields[i + 1];
    return STR("");
}

/* An earlier entry of the same channel is not done yet. */
static bool has_to_wait(const struct redis_ingest_batch *batch, size_t index)
{
    struct str channel = channel_of(batch->items[index].entry);
    for (size_t i = 0; i < index; i++)
        if (batch->items[i].state != ITEM_DONE && str_eq(channel_of(batch->items[i].entry), channel))
            return true;
    return false;
}

/* The lease that the batch was read with is over for sure. */
static bool is_old(const struct redis_ingest_batch *batch)
{
    return turn_now_us(batch->config.topology->config.turn) - batch->asked_us > batch->config.age_max_ms * 1000;
}

void redis_ingest_batch_publish(struct redis_ingest_batch *batch)
{
    batch->paused = batch->paused || is_old(batch);
    for (size_t i = 0; i < batch->count && !batch->paused; i++)
        if (batch->items[i].state == ITEM_WAITING && !has_to_wait(batch, i))
            publish_item(batch, i);
    if (batch->done == batch->count || (batch->paused && !batch->sent))
        batch->ended(batch);
}

bool redis_ingest_batch_add(struct redis_ingest_batch *batch, const redisReply *reply)
{
    struct str fields[128];
    size_t count = 0;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return false;
    const redisReply *values = reply->element[1]; /* nil: the entry was deleted meanwhile, and is only acknowledged */
    size_t given = values->type == REDIS_REPLY_ARRAY ? values->elements : 0;
    for (; count < given && count < sizeof fields / sizeof *fields; count++)
        fields[count] = redis_text(values->element[count]);
    struct item *item = &batch->items[batch->count++];
    *item = (struct item){.entry = ingest_entry_create(redis_text(reply->element[0]), fields, count)};
    if (given == 0)
        item_done(batch, item);
    return true;
}

void redis_ingest_batch_abandon(struct redis_ingest_batch *batch)
{
    batch->abandoned = true;
    go_on(batch);
}
