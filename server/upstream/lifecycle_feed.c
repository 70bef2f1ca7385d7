/* lifecycle_feed.c - see lifecycle_feed.h. */
#include "server/upstream/lifecycle_feed.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/core/lifecycle_event.h"
#include "server/upstream/request_lines.h"
#include "server/upstream/webhook.h"

enum {
    READER_MS = 15000,  /* another node may take over so long after the reader's last sign of life */
    KEEP_US = 3000000,  /* the reader says so often that it lives */
    POLL_US = 200000,   /* until the reader looks for new events, if there were fewer than a batch has */
    OTHER_US = 3000000, /* until a node that is not the reader asks again */
    RETRY_FIRST_US = 500000,
};

struct lifecycle_feed {
    struct lifecycle_feed_options options;
    struct mailbox mailbox;
    bool on;
    struct lifecycle_feed_settings settings; /* stream points into stream */
    char stream[LIFECYCLE_STREAM_MAX + 1];
    struct timer timer; /* the next read, or the next try of the batch */
    struct timer keep;  /* while a batch is being sent */
    bool reading;       /* a request is under way */
    bool again;         /* read once more when its answer has come */
    bool is_idle;       /* the last read has found nothing to send, and there was no more */
    bool is_behind;     /* the last read was a full one: there may be more */
    bool is_closing;
    struct outbound_call *call;   /* NULL: none is under way */
    struct lifecycle_read *batch; /* is being sent; NULL: none */
    uint64_t pause_us;            /* before the next try */
    char done[48];                /* how far it is, until the broker knows */
    uint64_t done_number;
    struct log_limit failures_said;
};

static void read_more(struct lifecycle_feed *feed);
static void post_batch(struct lifecycle_feed *feed);

/* ---- reading ---- */

static void on_due(struct timer *timer, uint64_t now_us)
{
    struct lifecycle_feed *feed = CONTAINER_OF(timer, struct lifecycle_feed, timer);
    (void)now_us;
    if (feed->batch)
        post_batch(feed);
    else
        read_more(feed);
}

static void wait_for(struct lifecycle_feed *feed, uint64_t us)
{
    turn_start_timer(feed->options.turn, &feed->timer, us, on_due);
}

static void forget_batch(struct lifecycle_feed *feed)
{
    if (feed->call)
        outbound_cancel(feed->call);
    feed->call = NULL;
    if (feed->batch)
        request_destroy(&feed->batch->base);
    feed->batch = NULL;
    turn_stop_timer(feed->options.turn, &feed->keep);
    turn_stop_timer(feed->options.turn, &feed->timer);
}

/* The stream has lost events between the last one that was sent and the first one here. */
static void tell_lost(struct lifecycle_feed *feed, struct lifecycle_read *read)
{
    uint64_t lost =
        read->last_number && read->number > read->last_number + 1 ? read->number - read->last_number - 1 : 0;
    struct buf data = {0}, event = {0};
    char id[UUID_LEN + 1];
    if (!lost)
        return;
    uuid_v7(turn_wall_ms(feed->options.turn), id);
    const struct lifecycle_head head = {.type = LIFECYCLE_DROPPED,
                                        .node = feed->options.node_id,
                                        .id = str_from(id, UUID_LEN),
                                        .subject = feed->options.node_id,
                                        .wall_ms = turn_wall_ms(feed->options.turn)};
    buf_appendf(&data, "\"count\":%llu", (unsigned long long)lost);
    lifecycle_write_json(&event, &head, buf_str(&data));
    buf_append_char(&event, ',');
    buf_append(&event, buf_str(&read->events));
    buf_fini(&read->events);
    read->events = event;
    buf_fini(&data);
    metrics_add(feed->options.metrics, METRIC_LIFECYCLE_DROPPED, lost);
    log_warn("lifecycle", "%llu events were gone from the stream before they were sent (lifecycle.max_len)",
             (unsigned long long)lost);
}

/* The answer to a read while no batch is being sent. Takes it. */
static void take_read(struct lifecycle_feed *feed, struct lifecycle_read *read)
{
    bool more = read->is_reader && read->count;
    if (read->is_reader && !read->count && read->last[0]) { /* entries that are no events */
        memcpy(feed->done, read->last, sizeof feed->done);
        feed->done_number = read->last_number;
    }
    feed->is_behind = read->is_reader && read->entries >= feed->settings.batch;
    feed->is_idle = !more && !feed->is_behind;
    if (!more) {
        bool asks_again = read->base.error || read->is_reader;
        request_destroy(&read->base);
        if (feed->is_behind)
            read_more(feed);
        else
            wait_for(feed, asks_again ? POLL_US : OTHER_US);
        return;
    }
    tell_lost(feed, read);
    feed->batch = read;
    feed->pause_us = RETRY_FIRST_US;
    post_batch(feed);
}

static void on_read(struct request *request, void *owner)
{
    struct lifecycle_feed *feed = owner;
    struct lifecycle_read *read = lifecycle_read_of(request);
    bool again = feed->again;
    feed->reading = feed->again = false;
    if (!request->error && read->is_reader && strcmp(feed->done, read->asked) == 0)
        feed->done[0] = '\0'; /* the broker knows how far it is */
    if (!feed->on) {
        request_destroy(request);
    } else if (!feed->batch) {
        take_read(feed, read);
    } else {
        if (!request->error && !read->is_reader) { /* the other node sends it */
            forget_batch(feed);
            wait_for(feed, OTHER_US);
        }
        request_destroy(request);
    }
    if (again && feed->on && !feed->batch)
        read_more(feed);
}

/* While a batch is being sent, only to stay the reader. */
static void read_more(struct lifecycle_feed *feed)
{
    if (feed->reading) {
        feed->again = true;
        return;
    }
    struct lifecycle_read *read = lifecycle_read_create(feed->settings.stream);
    read->base.reply_to = &feed->mailbox;
    read->base.done = on_read;
    read->reader_ms = READER_MS;
    read->limit = feed->batch ? 0 : feed->settings.batch;
    memcpy(read->done, feed->done, sizeof read->done);
    memcpy(read->asked, feed->done, sizeof read->asked);
    read->done_number = feed->done_number;
    feed->reading = true;
    feed->options.node->ask(feed->options.node_owner, &read->base);
}

static void on_keep(struct timer *timer, uint64_t now_us)
{
    struct lifecycle_feed *feed = CONTAINER_OF(timer, struct lifecycle_feed, keep);
    (void)now_us;
    turn_start_timer(feed->options.turn, timer, KEEP_US, on_keep);
    if (!feed->reading)
        read_more(feed);
}

/* ---- sending ---- */

static void fail(struct lifecycle_feed *feed, const char *why)
{
    unsigned long long count;
    metrics_add(feed->options.metrics, METRIC_LIFECYCLE_RETRIES, 1);
    if (log_limit_passes(&feed->failures_said, turn_now_us(feed->options.turn), &count))
        log_warn("lifecycle",
                 "events were not accepted: %s; they are sent again (failures since this was last said: %llu)", why,
                 count);
    wait_for(feed, feed->pause_us);
    feed->pause_us *= 2;
    if (feed->pause_us > feed->settings.retry_max_us)
        feed->pause_us = feed->settings.retry_max_us;
}

static void note_accepted(struct lifecycle_feed *feed)
{
    metrics_add(feed->options.metrics, METRIC_LIFECYCLE_SENT, feed->batch->count);
    memcpy(feed->done, feed->batch->last, sizeof feed->done);
    feed->done_number = feed->batch->done_number;
    forget_batch(feed);
    if (feed->is_behind || feed->is_closing)
        read_more(feed);
    else
        wait_for(feed, POLL_US);
}

static void on_body(struct outbound_call *call, void *owner, struct str part)
{
    (void)owner;
    outbound_more(call, part.len);
}

static void on_end(struct outbound_call *call, void *owner, const struct outbound_end *end)
{
    struct lifecycle_feed *feed = outbound_call_owner(call);
    char why[200];
    (void)owner;
    feed->call = NULL;
    if (end->result == OUTBOUND_OK && end->status >= 200 && end->status < 300) {
        note_accepted(feed);
        return;
    }
    if (end->result == OUTBOUND_OK)
        snprintf(why, sizeof why, "the answer was %d", end->status);
    else
        snprintf(why, sizeof why, "%.*s", STR_ARG(end->text));
    fail(feed, why);
}

static void on_head(struct outbound_call *call, void *owner, const struct outbound_head *head)
{
    /* The end has the status. */
}

static void post_batch(struct lifecycle_feed *feed)
{
    static const struct outbound_ops ops = {.head = on_head, .body = on_body, .end = on_end};
    struct buf body = {0}, lines = {0};
    size_t field_count;
    struct error error;
    char id[64];
    int len = snprintf(id, sizeof id, "lifecycle.%llu-%llu", (unsigned long long)feed->batch->number,
                       (unsigned long long)feed->batch->done_number);
    buf_append_char(&body, '[');
    buf_append(&body, buf_str(&feed->batch->events));
    buf_append_char(&body, ']');
    buf_append_lit(&lines, "content-type: application/cloudevents-batch+json; charset=utf-8\r\n");
    webhook_write(&lines, feed->settings.secrets, str_from(id, (size_t)len), turn_wall_ms(feed->options.turn) / 1000,
                  buf_str(&body));
    struct outbound_field *fields = request_lines_split(buf_str(&lines), &field_count);
    const struct outbound_request request = {
        .target = feed->settings.target,
        .method = STR("POST"),
        .fields = fields,
        .field_count = field_count,
        .body = buf_str(&body),
        .id = str_from(id, (size_t)len),
        .reply_to = &feed->mailbox,
        .ops = &ops,
        .owner = feed,
    };
    if (!timer_is_running(&feed->keep))
        turn_start_timer(feed->options.turn, &feed->keep, KEEP_US, on_keep);
    if (outbound_start(feed->options.outbound, &request, &feed->call, &error))
        fail(feed, error.text);
    free(fields);
    buf_fini(&body);
    buf_fini(&lines);
}

/* ---- life ---- */

struct lifecycle_feed *lifecycle_feed_create(const struct lifecycle_feed_options *options)
{
    struct lifecycle_feed *feed = xcalloc(1, sizeof *feed);
    feed->options = *options;
    mailbox_init(&feed->mailbox, options->turn, feed);
    return feed;
}

static void turn_off(struct lifecycle_feed *feed)
{
    forget_batch(feed);
    webhook_secrets_unref(feed->settings.secrets);
    outbound_target_unref(feed->settings.target);
    feed->settings = (struct lifecycle_feed_settings){0};
    feed->on = false;
}

void lifecycle_feed_configure(struct lifecycle_feed *feed, const struct lifecycle_feed_settings *settings)
{
    turn_off(feed);
    if (!settings)
        return;
    feed->settings = *settings;
    snprintf(feed->stream, sizeof feed->stream, "%.*s", STR_ARG(settings->stream));
    feed->settings.stream = str_from_cstr(feed->stream);
    feed->on = true;
    feed->is_idle = false;
    wait_for(feed, POLL_US);
}

bool lifecycle_feed_flush(struct lifecycle_feed *feed)
{
    if (!feed->on)
        return true;
    if (!feed->is_closing) {
        feed->is_closing = true;
        feed->is_idle = false;
        if (!feed->batch)
            read_more(feed);
    }
    return feed->is_idle && !feed->batch && !feed->reading;
}

bool lifecycle_feed_is_sending(const struct lifecycle_feed *feed)
{
    return feed->call != NULL;
}

void lifecycle_feed_destroy(struct lifecycle_feed *feed)
{
    turn_off(feed);
    mailbox_close(&feed->mailbox);
    free(feed);
}
