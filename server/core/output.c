/* output.c - the write path. Messages gather in outboxes during a loop turn. The flush at the end of the turn joins
 * each dirty outbox into as few writes as possible. A write has whole frames only. */
#include <assert.h>

#include "common/base/alloc.h"
#include "server/core/hub_private.h"

void output_mark_dirty(struct hub *hub, struct session *session)
{
    if (session->dirty_at)
        return;
    if (hub->dirty_count == hub->dirty_cap) {
        hub->dirty_cap = hub->dirty_cap ? hub->dirty_cap * 2 : 64;
        hub->dirty = xrealloc(hub->dirty, hub->dirty_cap * sizeof *hub->dirty);
    }
    hub->dirty[hub->dirty_count++] = session;
    session->dirty_at = (uint32_t)hub->dirty_count;
}

void output_forget_dirty(struct hub *hub, struct session *session)
{
    if (session->dirty_at)
        hub->dirty[session->dirty_at - 1] = NULL;
    session->dirty_at = 0;
}

/* How many messages, from the oldest, one write takes. count > 0. */
static uint32_t fitting(struct outbox *outbox)
{
    uint32_t most = outbox->count < JOINED_MAX ? outbox->count : JOINED_MAX;
    if (outbox->bytes <= WRITE_CHUNK)
        return most;
    size_t len = (*outbox_at(outbox, 0))->frame_len;
    uint32_t n = 1;
    while (n < most && len + (*outbox_at(outbox, n))->frame_len <= WRITE_CHUNK)
        len += (*outbox_at(outbox, n++))->frame_len;
    return n;
}

static bool is_joined(const struct joined *joined, struct outbox *outbox, uint32_t n)
{
    if (n != joined->count)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (*outbox_at(outbox, i) != joined->messages[i])
            return false;
    return true;
}

static void release_joined(struct joined *joined)
{
    for (uint32_t i = 0; i < joined->count; i++)
        message_unref(joined->messages[i]);
    joined->count = 0;
}

/* Takes the n oldest messages from the outbox, joined. Sessions in the same channels have the same messages waiting. So
 * the bytes that were joined last often serve the next session too. */
static struct str join(struct joined *joined, struct outbox *outbox, uint32_t n)
{
    if (is_joined(joined, outbox, n)) {
        for (uint32_t i = 0; i < n; i++)
            message_unref(outbox_take(outbox));
        return str_from(joined->bytes, joined->len);
    }
    release_joined(joined);
    joined->len = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct message *message = joined->messages[i] = outbox_take(outbox);
        assert(message); /* n wait */
        memcpy(joined->bytes + joined->len, message->bytes, message->frame_len);
        joined->len += message->frame_len;
    }
    joined->count = n;
    return str_from(joined->bytes, joined->len);
}

/* n messages, and all that wait, are never written. */
static void drop(struct hub *hub, struct session *session, enum metrics_drop why, uint32_t n)
{
    metrics_add_labelled(hub->metrics, METRIC_OUTBOX_DROPPED_MESSAGES, why, session->outbox.count + n);
    outbox_clear(&session->outbox);
}

/* Writes until the outbox is empty or the kernel is full. */
static void write_out(struct hub *hub, struct session *session)
{
    while (!session->waits_writable && session->outbox.count > 0) {
        uint32_t n = fitting(&session->outbox);
        struct message *single = n == 1 ? outbox_take(&session->outbox) : NULL;
        struct str frames = single ? message_frame(single) : join(&hub->joined, &session->outbox, n);
        enum write_result result = session->ops->write(session, frames, &session->unsent_bytes);
        if (single)
            message_unref(single);
        if (result == WRITE_FAILED) {
            drop(hub, session, METRICS_DROP_CLOSED, n);
            session_break(session);
            output_finish(hub, session, true);
            return;
        }
        session->waits_writable = result == WRITE_PARTIAL;
    }
    if (session->state == SESSION_CLOSING && session->outbox.count == 0 && !session->waits_writable)
        output_finish(hub, session, false);
}

bool output_has_room(const struct hub *hub, const struct session *session, size_t frame_len)
{
    const struct outbox *outbox = &session->outbox;
    if (outbox->count == 0 && session->unsent_bytes == 0)
        return true; /* one message alone is never too much: its size has a limit of its own */
    return outbox->bytes + session->unsent_bytes + frame_len <= hub->settings.outbox_max_bytes &&
           outbox->count < hub->settings.outbox_max_messages;
}

static bool is_read(const struct hub *hub, const struct session *session, size_t unsent, size_t frame_len)
{
    return session->outbox.bytes + session->unsent_bytes <= unsent && output_has_room(hub, session, frame_len);
}

bool output_make_room(struct hub *hub, struct session *session, size_t unsent, size_t frame_len)
{
    if (is_read(hub, session, unsent, frame_len))
        return true;
    write_out(hub, session);
    return session->state != SESSION_OPEN || is_read(hub, session, unsent, frame_len);
}

static void end_slow_consumer(struct hub *hub, struct session *session)
{
    metrics_add(hub->metrics, METRIC_SLOW_CONSUMERS, 1);
    drop(hub, session, METRICS_DROP_SLOW_CONSUMER, 1);
    session_end(session, REASON_SLOW_CONSUMER);
}

void output_queue(struct hub *hub, struct session *session, struct message *message)
{
    if (session->state != SESSION_OPEN)
        return;
    if (!output_has_room(hub, session, message->frame_len)) {
        /* Much in one turn is not slowness: what the kernel takes at once does not count. */
        write_out(hub, session);
        if (session->state != SESSION_OPEN) /* broken */
            return;
        if (!output_has_room(hub, session, message->frame_len)) {
            end_slow_consumer(hub, session);
            return;
        }
    }
    outbox_append(&session->outbox, message);
    output_mark_dirty(hub, session);
}

size_t output_encoded(struct hub *hub, struct session *session, struct message *event)
{
    struct message *message = format_encode(&hub->formats, session->format, event);
    if (!message)
        return 0;
    output_queue(hub, session, message);
    return message->frame_len;
}

void output_message(struct hub *hub, struct session *session, struct message *message)
{
    if (!message)
        return;
    output_queue(hub, session, message);
    message_unref(message);
}

void output_reply(struct hub *hub, struct session *session, const struct reply *reply)
{
    output_message(hub, session, format_reply(&hub->formats, session->format, reply));
}

static void reply_in(struct hub *hub, struct channel *channel, const struct format *format, const struct reply *reply)
{
    struct message *message = format_reply(&hub->formats, format, reply);
    for (uint32_t i = 0; message && i < channel->count; i++)
        if (channel->subscribers[i].session->format == format)
            output_queue(hub, channel->subscribers[i].session, message);
    if (message)
        message_unref(message);
}

void output_reply_all(struct hub *hub, struct channel *channel, const struct reply *reply)
{
    for (size_t i = 0; i < hub->formats.count; i++)
        reply_in(hub, channel, hub->formats.all[i], reply);
}

void output_error(struct hub *hub, struct session *session, struct str id, struct str channel, enum err code,
                  struct str message)
{
    const struct reply reply = {.type = REPLY_ERROR, .id = id, .channel = channel, .error = {code, message}};
    output_reply(hub, session, &reply);
}

void output_subscribed(struct hub *hub, struct session *session, struct str id, struct str channel,
                       const struct position *position, bool recovered)
{
    const struct reply reply = {
        .type = REPLY_SUBSCRIBED, .id = id, .channel = channel, .subscribed = {*position, recovered}};
    output_reply(hub, session, &reply);
}

void output_unsubscribed(struct hub *hub, struct session *session, struct str id, struct str channel)
{
    const struct reply reply = {.type = REPLY_UNSUBSCRIBED, .id = id, .channel = channel};
    output_reply(hub, session, &reply);
}

void output_gap(struct hub *hub, struct session *session, struct str channel, enum gap gap,
                const struct position *position)
{
    const struct reply reply = {.type = REPLY_GAP, .channel = channel, .gap = {gap, *position}};
    output_reply(hub, session, &reply);
}

void output_finish(struct hub *hub, struct session *session, bool abrupt)
{
    if (session->cut || (session->finished && !abrupt))
        return;
    session->finished = true;
    session->cut = abrupt;
    session->ops->finish(session, abrupt);
}

void output_note_delivery(struct hub *hub, uint64_t accepted_us)
{
    if (hub->accepted_count == hub->accepted_cap) {
        hub->accepted_cap = hub->accepted_cap ? hub->accepted_cap * 2 : 64;
        hub->accepted_us = xrealloc(hub->accepted_us, hub->accepted_cap * sizeof *hub->accepted_us);
    }
    hub->accepted_us[hub->accepted_count++] = accepted_us;
}

static void measure_deliveries(struct hub *hub)
{
    if (hub->accepted_count == 0)
        return;
    uint64_t now_us = hub->ops->clock_us(hub->owner);
    for (size_t i = 0; i < hub->accepted_count; i++)
        metrics_observe(hub->metrics, METRIC_DELIVERY_LATENCY, now_us - hub->accepted_us[i]);
    hub->accepted_count = 0;
}

void hub_writable(struct hub *hub, struct session *session, uint32_t unsent)
{
    session->unsent_bytes = unsent;
    session->waits_writable = false;
    session->heard = true;
    output_mark_dirty(hub, session);
}

/* Between two sessions the kernel has swept the caches. So the memory that a write reads is fetched some writes ahead:
 * first the session, then the transport that it points to. */
static void fetch_ahead(const struct hub *hub, size_t at)
{
    enum { SESSION_AHEAD = 6, TRANSPORT_AHEAD = 3 };
    if (at + SESSION_AHEAD < hub->dirty_count)
        __builtin_prefetch(hub->dirty[at + SESSION_AHEAD]);
    const struct session *session = at + TRANSPORT_AHEAD < hub->dirty_count ? hub->dirty[at + TRANSPORT_AHEAD] : NULL;
    if (session)
        __builtin_prefetch(session->transport);
}

static void write_dirty(struct hub *hub)
{
    for (size_t i = 0; i < hub->dirty_count; i++) {
        struct session *session = hub->dirty[i];
        fetch_ahead(hub, i);
        if (!session) /* gone meanwhile */
            continue;
        session->dirty_at = 0;
        write_out(hub, session);
    }
    hub->dirty_count = 0;
    release_joined(&hub->joined);
}

void output_flush(struct hub *hub)
{
    write_dirty(hub);
    measure_deliveries(hub);
}
