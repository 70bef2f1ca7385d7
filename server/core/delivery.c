/* delivery.c - what the broker says of a channel, and which subscribers are told. A recovering subscriber is told once
 * it has had its `subscribed`. To queue a message ends no session before the turn is over, so each walk is a plain
 * loop. */
#include "server/core/hub_private.h"

/* A subscriber who waits gets the text as the answer. One who was told `subscribed` is told that this is over. */
static void refuse(struct hub *hub, struct session *session, struct subscription *subscription, struct str text)
{
    struct channel *channel = subscription->channel;
    bool confirmed = subscription->confirmed;
    subscription_end(hub, session, subscription, text);
    if (confirmed)
        output_unsubscribed(hub, session, STR(""), channel->name);
}

static void refuse_all(struct hub *hub, struct channel *channel, struct str text)
{
    while (channel->count > 0) {
        struct subscriber last = channel->subscribers[channel->count - 1];
        refuse(hub, last.session, &last.session->subscriptions[last.index], text);
    }
    while (channel->recovering) {
        struct recovering_subscriber last = channel->recovering->entries[channel->recovering->count - 1];
        refuse(hub, last.session, &last.session->subscriptions[last.index], text);
    }
    channel_forget(channel);
}

void hub_joined(struct hub *hub, struct str name, uint64_t join_id, enum err err, struct str text,
                const struct position *position)
{
    struct channel *channel = hub_channel(hub, name);
    if (!channel || channel->join_id != join_id)
        return;
    if (err != ERR_NONE) {
        refuse_all(hub, channel, text);
        return;
    }
    channel->state = CHANNEL_JOINED;
    channel_set_position(channel, position);
    channel_follow_rule(channel);
    for (uint32_t i = 0; i < channel->count; i++) {
        struct subscriber one = channel->subscribers[i];
        struct subscription *subscription = &one.session->subscriptions[one.index];
        subscription_confirm(one.session, subscription);
        subscription_answer_waiting(hub, one.session, subscription, position, false);
    }
}

/* The event is in no history, and some subscribers are recovering. Returns how many of them get it now. */
static uint32_t deliver_to_recovering(struct channel *channel, struct message *message, uint64_t *bytes)
{
    uint32_t reached = 0;
    for (uint32_t i = 0; i < channel->recovering->count; i++) {
        const struct recovering_subscriber *each = &channel->recovering->entries[i];
        if (!each->told || message_excludes(message, each->session))
            continue;
        *bytes += output_event(channel->hub, each->session, message);
        reached++;
    }
    return reached;
}

/* The excluded session's place in the list of the channel's subscribers; their number if it is not among them. */
static uint32_t place_of_excluded(const struct hub *hub, const struct channel *channel, const struct message *message)
{
    struct session *session = session_index_find_uuid(&hub->sessions, message_exclude(message));
    const struct subscription *subscription = session ? subscription_find(session, channel->name) : NULL;
    return subscription && !subscription->recovering ? subscription->index : channel->count;
}

/* To the subscribers from first to before end. Returns the bytes. */
static uint64_t deliver_to(struct hub *hub, const struct channel *channel, uint32_t first, uint32_t end,
                           struct message *message)
{
    uint64_t bytes = 0;
    for (uint32_t i = first; i < end; i++)
        bytes += output_event(hub, channel->subscribers[i].session, message);
    return bytes;
}

static void deliver(struct hub *hub, struct channel *channel, struct message *message)
{
    uint32_t reached = channel->count;
    uint32_t skipped = message->exclude_len ? place_of_excluded(hub, channel, message) : reached;
    uint64_t bytes = deliver_to(hub, channel, 0, skipped, message);
    if (skipped < channel->count) {
        bytes += deliver_to(hub, channel, skipped + 1, channel->count, message);
        reached--;
    }
    if (channel->recovering && !message->offset)
        reached += deliver_to_recovering(channel, message, &bytes);
    if (reached == 0)
        return;
    metrics_add(hub->metrics, METRIC_DELIVERIES, reached);
    metrics_add(hub->metrics, METRIC_DELIVERY_BYTES, bytes);
    output_note_delivery(hub, message->accepted_us);
}

void hub_deliver(struct hub *hub, struct message *message)
{
    struct channel *channel = hub_channel(hub, message_channel(message));
    if (channel && channel->state == CHANNEL_JOINED) {
        if (message->offset) {
            struct position position = {message_epoch(message), message->offset, message_id(message)};
            channel_set_position(channel, &position);
        }
        deliver(hub, channel, message);
    }
    message_unref(message);
}

/* --- messages as they are --------------------------------------------------------------------------------------- */

/* One message for all sessions of one format, which nearly all subscribers of a channel have. */
struct raw {
    struct str bytes;
    bool binary;
    const struct format *format; /* that message is made in; NULL: none is made yet */
    struct message *message;     /* NULL: the format has none such */
};

/* False if nothing was queued. */
static bool queue_raw(struct hub *hub, struct session *session, struct raw *raw)
{
    if (session->state != SESSION_OPEN)
        return false;
    if (raw->format != session->format) {
        if (raw->message)
            message_unref(raw->message);
        raw->format = session->format;
        raw->message = format_raw(&hub->formats, raw->format, raw->binary, raw->bytes);
    }
    if (raw->message)
        output_queue(hub, session, raw->message);
    return raw->message != NULL;
}

size_t hub_send_to_channel(struct hub *hub, struct str name, bool binary, struct str bytes)
{
    const struct channel *channel = hub_channel(hub, name);
    struct raw raw = {.bytes = bytes, .binary = binary};
    size_t reached = 0;
    if (!channel || channel->state != CHANNEL_JOINED)
        return 0;
    for (uint32_t i = 0; i < channel->count; i++)
        reached += queue_raw(hub, channel->subscribers[i].session, &raw);
    for (uint32_t i = 0; channel->recovering && i < channel->recovering->count; i++)
        if (channel->recovering->entries[i].told)
            reached += queue_raw(hub, channel->recovering->entries[i].session, &raw);
    if (raw.message)
        message_unref(raw.message);
    return reached;
}

/* --- gaps -------------------------------------------------------------------------------------------------------- */

static void tell_live(struct hub *hub, struct channel *channel, enum gap gap, const struct position *position)
{
    const struct reply reply = {.type = REPLY_GAP, .channel = channel->name, .gap = {gap, *position}};
    metrics_add_labelled(hub->metrics, METRIC_GAPS, gap, channel->count);
    output_reply_all(hub, channel, &reply);
}

void hub_gap(struct hub *hub, struct str name, enum gap gap, const struct position *position)
{
    struct channel *channel = hub_channel(hub, name);
    if (!channel || channel->state != CHANNEL_JOINED)
        return;
    channel_set_position(channel, position);
    tell_live(hub, channel, gap, position);
}

bool hub_tell_gap(struct hub *hub, struct session *session, struct str name, enum gap gap)
{
    const struct subscription *subscription = session->state == SESSION_OPEN ? subscription_find(session, name) : NULL;
    if (!subscription || !subscription->confirmed || subscription->recovering)
        return false;
    const struct position position = channel_position(subscription->channel);
    metrics_add_labelled(hub->metrics, METRIC_GAPS, gap, 1);
    output_gap(hub, session, name, gap, &position);
    return true;
}

void hub_interrupted(struct hub *hub, struct str name)
{
    struct channel *channel = hub_channel(hub, name);
    if (!channel || channel->state != CHANNEL_JOINED || !channel->presence.events)
        return;
    struct position position = channel_position(channel);
    tell_live(hub, channel, GAP_CONNECTION_LOST, &position);
    for (uint32_t i = 0; channel->recovering && i < channel->recovering->count; i++) {
        const struct recovering_subscriber *each = &channel->recovering->entries[i];
        if (!each->told)
            continue;
        struct position own = {str_from_cstr(each->epoch), each->offset, STR("")};
        metrics_add_labelled(hub->metrics, METRIC_GAPS, GAP_CONNECTION_LOST, 1);
        output_gap(hub, each->session, name, GAP_CONNECTION_LOST, &own);
    }
}
