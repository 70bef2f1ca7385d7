/* output.c - the write path. Messages gather in outboxes during a loop turn; the flush at its end joins each dirty
 * outbox into as few writes as it takes. Whole frames only: nothing of libwebsockets' own can land inside one. */
#include "common/base/alloc.h"
#include "server/core/hub_private.h"

void output_mark_dirty(struct hub *hub, struct session *session)
{
    if (!list_is_linked(&session->dirty_link))
        list_append(&hub->dirty, &session->dirty_link);
}

/* What the next write takes from the outbox: one message as it is, or several joined in the chunk. */
static struct str gather(struct hub *hub, struct outbox *outbox, struct message **out_single)
{
    struct message *first = outbox_take(outbox);
    struct message *next = outbox_first(outbox);
    if (!next || first->frame_len + next->frame_len > WRITE_CHUNK) {
        *out_single = first;
        return message_frame(first);
    }
    size_t len = 0;
    for (struct message *message = first; message; message = outbox_take(outbox)) {
        memcpy(hub->chunk + len, message->bytes, message->frame_len);
        len += message->frame_len;
        message_unref(message);
        next = outbox_first(outbox);
        if (!next || len + next->frame_len > WRITE_CHUNK)
            break;
    }
    *out_single = NULL;
    return str_from(hub->chunk, len);
}

/* Writes until the outbox is empty or the kernel is full. */
static void write_out(struct hub *hub, struct session *session)
{
    while (!session->waits_writable && session->outbox.count > 0) {
        struct message *single;
        struct str frames = gather(hub, &session->outbox, &single);
        enum write_result result = hub->ops->write(hub->owner, session, frames, &session->unsent_bytes);
        if (single)
            message_unref(single);
        if (result == WRITE_FAILED) {
            outbox_clear(&session->outbox);
            output_finish(hub, session, true);
            return;
        }
        session->waits_writable = result == WRITE_PARTIAL;
    }
    if (session->state == SESSION_CLOSING && session->outbox.count == 0 && !session->waits_writable)
        output_finish(hub, session, false);
}

static bool is_over_limit(const struct hub *hub, const struct session *session, const struct message *message)
{
    const struct outbox *outbox = &session->outbox;
    if (outbox->count == 0 && session->unsent_bytes == 0)
        return false; /* one message alone is never too much: its size has a limit of its own */
    return outbox->bytes + session->unsent_bytes + message->frame_len > hub->settings.outbox_max_bytes ||
           outbox->count >= hub->settings.outbox_max_messages;
}

void output_queue(struct hub *hub, struct session *session, struct message *message)
{
    if (session->state != SESSION_OPEN)
        return;
    if (is_over_limit(hub, session, message)) {
        /* Much in one turn is not slowness: what the kernel takes at once does not count. */
        write_out(hub, session);
        if (is_over_limit(hub, session, message)) {
            metrics_add_labelled(hub->metrics, METRIC_OUTBOX_DROPPED_MESSAGES, METRICS_DROP_SLOW_CONSUMER,
                                 session->outbox.count + 1);
            hub_close(hub, session, REASON_SLOW_CONSUMER);
            return;
        }
    }
    outbox_append(&session->outbox, message);
    output_mark_dirty(hub, session);
}

void output_queue_scratch(struct hub *hub, struct session *session)
{
    struct message *message = message_create(WS_TEXT, buf_str(&hub->scratch));
    buf_clear(&hub->scratch);
    output_queue(hub, session, message);
    message_unref(message);
}

void output_close(struct hub *hub, struct session *session, int code, struct str reason_text)
{
    uint8_t frame[2 + WS_CONTROL_MAX];
    size_t len = ws_frame_close(frame, code, reason_text);
    struct message *message = message_create(WS_CLOSE, str_from((char *)frame + 2, len - 2));
    outbox_append(&session->outbox, message);
    message_unref(message);
    session->state = SESSION_CLOSING;
    channel_unsubscribe_all(hub, session);
    liveness_bound_closing(hub, session);
    output_mark_dirty(hub, session);
}

void output_finish(struct hub *hub, struct session *session, bool abrupt)
{
    if (session->finished && !abrupt)
        return;
    session->finished = true;
    hub->ops->finish(hub->owner, session, abrupt);
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

void hub_writable(struct hub *hub, struct session *session, size_t unsent)
{
    session->unsent_bytes = unsent;
    session->waits_writable = false;
    session->heard = true;
    output_mark_dirty(hub, session);
}

void hub_flush(struct hub *hub)
{
    for (struct list_link *link; (link = list_take_first(&hub->dirty));)
        write_out(hub, CONTAINER_OF(link, struct session, dirty_link));
    measure_deliveries(hub);
    for (struct list_link *link; (link = list_take_first(&hub->reaped));)
        session_free(CONTAINER_OF(link, struct session, reaped_link));
}
