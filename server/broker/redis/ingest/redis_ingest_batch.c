/* redis_ingest_batch.c - what was read of the ingest stream: published entry by entry, those of a channel one after the
 * other, and what cannot be published copied to the dead stream. What fails for now ends the batch: the rest is read
 * again, by whoever has the lease then. So does a batch that is too old, as when this node stood still: a successor has
 * published its entries by now, and their ids may be forgotten. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/broker/redis/ingest/redis_ingest_private.h"

/* Entries that the dead stream keeps, about. */
#define DEAD_TEXT "10000"

void redis_ingest_free_batch(struct redis_ingest *ingest)
{
    for (size_t i = 0; i < ingest->count; i++)
        free(ingest->items[i].entry);
    ingest->count = ingest->done = 0;
    ingest->again_ms = 0;
    ingest->paused = ingest->abandoned = false;
}

static void item_done(struct redis_ingest *ingest, struct item *item)
{
    item->state = ITEM_DONE;
    ingest->done++;
}

/* After an answer, good or bad. */
static void go_on(struct redis_ingest *ingest)
{
    if (ingest->abandoned) {
        if (ingest->sent)
            return;
        redis_ingest_free_batch(ingest);
        redis_ingest_wait(ingest, INGEST_RETRY_MS);
    } else {
        redis_ingest_publish(ingest);
    }
}

static void try_later(struct redis_ingest *ingest, struct item *item, const char *why, uint64_t after_ms)
{
    item->state = ITEM_WAITING;
    ingest->paused = true;
    ingest->again_ms = after_ms ? after_ms : INGEST_RETRY_MS;
    if (strncmp(ingest->why, why, sizeof ingest->why - 1) == 0)
        return;
    snprintf(ingest->why, sizeof ingest->why, "%s", why);
    log_warn("broker", "the ingest stream waits: %s", why);
}

static void on_published(struct publication *publication, void *owner)
{
    struct redis_ingest *ingest = owner;
    struct item *item = &ingest->items[publication->waiter_index];
    ingest->sent--;
    if (publication->error.code == ERR_UNAVAILABLE) {
        try_later(ingest, item, publication->error.text, publication->retry_after_ms);
    } else if (publication->error.code) {
        item->state = ITEM_WAITING;
        item->error = publication->error;
    } else {
        metrics_add(ingest->broker->broker.metrics, METRIC_INGEST_TAKEN, 1);
        item_done(ingest, item);
    }
    publication_destroy(publication);
    go_on(ingest);
}

static void log_dead(struct redis_ingest *ingest, const struct item *item)
{
    unsigned long long count;
    if (log_limit_passes(&ingest->dead_said, clock_now_us(), &count))
        log_warn("broker", "an entry of the ingest stream went to %.*s: %s (%.*s; %llu since this was last said)",
                 STR_ARG(buf_str(&ingest->dead_key)), item->error.text, STR_ARG(item->entry->id), count);
}

struct burial {
    struct redis_ingest *ingest;
    size_t index;
};

static void on_buried(void *owner, void *argument, const redisReply *reply)
{
    struct burial *burial = argument;
    struct redis_ingest *ingest = burial->ingest;
    struct item *item = &ingest->items[burial->index];
    free(burial);
    ingest->sent--;
    if (reply && reply->type == REDIS_REPLY_STRING) {
        metrics_add(ingest->broker->broker.metrics, METRIC_INGEST_DEAD, 1);
        log_dead(ingest, item);
        item_done(ingest, item);
    } else {
        char why[200];
        snprintf(why, sizeof why, "the dead stream takes no entry: %s",
                 reply && redis_is_error(reply) ? reply->str : "no answer");
        try_later(ingest, item, why, 0);
    }
    go_on(ingest);
}

/* Into the dead stream: the reason and the entry as it was. */
static void bury(struct redis_ingest *ingest, size_t index)
{
    struct item *item = &ingest->items[index];
    const struct ingest_entry *entry = item->entry;
    struct redis_shard *shard = redis_topology_shard_of(&ingest->broker->topology, buf_str(&ingest->dead_key));
    if (!redis_shard_is_up(shard)) {
        try_later(ingest, item, "the server that has the dead stream cannot be reached", 0);
        return;
    }
    const struct str head[] = {
        STR("XADD"),   buf_str(&ingest->dead_key),      STR("MAXLEN"), STR("~"), STR(DEAD_TEXT), STR("*"),
        STR("reason"), str_from_cstr(item->error.text), STR("entry"),  entry->id};
    enum { HEAD = sizeof head / sizeof *head };
    struct str *argv = xmalloc((HEAD + entry->field_count) * sizeof *argv);
    struct burial *burial = xmalloc(sizeof *burial);
    *burial = (struct burial){ingest, index};
    memcpy(argv, head, sizeof head);
    memcpy(argv + HEAD, entry->fields, entry->field_count * sizeof *argv);
    item->state = ITEM_SENT;
    ingest->sent++;
    redis_connection_send(&shard->commands, HEAD + entry->field_count, argv, on_buried, burial);
    free(argv);
}

static void publish_item(struct redis_ingest *ingest, size_t index)
{
    struct item *item = &ingest->items[index];
    struct publication *publication;
    struct metrics *metrics = ingest->broker->broker.metrics;
    if (item->error.code || ingest_entry_read(item->entry, &ingest->settings, &publication, &item->error)) {
        bury(ingest, index);
        return;
    }
    publication->accepted_us = clock_now_us();
    publication->reply_to = &ingest->mailbox;
    publication->done = on_published;
    publication->waiter_index = index;
    metrics_add_labelled(metrics, METRIC_EVENTS_IN, METRICS_SOURCE_INGEST, 1);
    metrics_add(metrics, METRIC_EVENTS_IN_BYTES, publication->data.len);
    item->state = ITEM_SENT;
    ingest->sent++;
    ingest->broker->broker.ops->publish(&ingest->broker->broker, publication);
}

static struct str channel_of(const struct ingest_entry *entry)
{
    for (size_t i = 0; i + 1 < entry->field_count; i += 2)
        if (str_eq(entry->fields[i], STR("channel")))
            return entry->fields[i + 1];
    return STR("");
}

/* An earlier entry of the same channel is not done yet. */
static bool has_to_wait(const struct redis_ingest *ingest, size_t index)
{
    struct str channel = channel_of(ingest->items[index].entry);
    for (size_t i = 0; i < index; i++)
        if (ingest->items[i].state != ITEM_DONE && str_eq(channel_of(ingest->items[i].entry), channel))
            return true;
    return false;
}

/* The lease that it was read with is over for sure. */
static bool is_old(const struct redis_ingest *ingest)
{
    uint64_t lease_ms = ingest->takeover_ms + ingest->broker->config.command_timeout_ms;
    return clock_now_us() - ingest->asked_us > lease_ms * 1000;
}

void redis_ingest_publish(struct redis_ingest *ingest)
{
    ingest->paused = ingest->paused || is_old(ingest);
    for (size_t i = 0; i < ingest->count && !ingest->paused; i++)
        if (ingest->items[i].state == ITEM_WAITING && !has_to_wait(ingest, i))
            publish_item(ingest, i);
    if (ingest->done == ingest->count || (ingest->paused && !ingest->sent))
        redis_ingest_end_batch(ingest, ingest->again_ms);
}

bool redis_ingest_add(struct redis_ingest *ingest, const redisReply *reply)
{
    struct str fields[128];
    size_t count = 0;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return false;
    const redisReply *values = reply->element[1]; /* nil: deleted by somebody; then it is only acknowledged */
    size_t given = values->type == REDIS_REPLY_ARRAY ? values->elements : 0;
    for (; count < given && count < sizeof fields / sizeof *fields; count++)
        fields[count] = redis_text(values->element[count]);
    struct item *item = &ingest->items[ingest->count++];
    *item = (struct item){.entry = ingest_entry_create(redis_text(reply->element[0]), fields, count)};
    if (given == 0)
        item_done(ingest, item);
    return true;
}

void redis_ingest_abandon(struct redis_ingest *ingest)
{
    ingest->abandoned = true;
    go_on(ingest);
}
