/* channel.c - who is subscribed to what. A channel has a dense list of its subscribers and a session a dense list of
 * its subscriptions, each entry knowing its place in the other list: adding is an append, removing moves the last one
 * into the gap, and delivery walks memory in order. */
#include "common/base/alloc.h"
#include "common/protocol/reply.h"
#include "server/core/hub_private.h"

struct str channel_name(const struct channel *channel)
{
    return channel->name;
}

size_t channel_subscribers(const struct channel *channel)
{
    return channel->state == CHANNEL_JOINED ? channel->count : 0;
}

struct channel *hub_channel(struct hub *hub, struct str name)
{
    return map_get(&hub->channels, name);
}

size_t hub_channel_count(const struct hub *hub)
{
    return hub->channels.count;
}

struct channel *hub_next_channel(struct hub *hub, size_t *cursor)
{
    for (struct channel *channel; (channel = map_next(&hub->channels, cursor));)
        if (channel_subscribers(channel) > 0)
            return channel;
    return NULL;
}

static struct channel *create(struct hub *hub, struct str name)
{
    static const struct history_policy no_history;
    const struct rule *rule = rules_find_any(hub->rules, name);
    struct channel *channel = xmalloc(sizeof *channel + name.len);
    memset(channel, 0, sizeof *channel);
    channel->hub = hub;
    channel->state = CHANNEL_JOINING;
    channel->join_id = ++hub->last_join_id;
    memcpy(channel->bytes, name.ptr, name.len);
    channel->name = str_from(channel->bytes, name.len);
    map_put(&hub->channels, channel->name, channel);
    metrics_set(hub->metrics, METRIC_CHANNELS, hub->channels.count);
    hub->ops->join(hub->owner, channel->name, rule ? &rule->history : &no_history, channel->join_id);
    return channel;
}

static void forget(struct channel *channel)
{
    struct hub *hub = channel->hub;
    wheel_stop(&hub->wheel, &channel->linger);
    map_remove(&hub->channels, channel->name);
    metrics_set(hub->metrics, METRIC_CHANNELS, hub->channels.count);
    free(channel->subscribers);
    free(channel);
}

static void leave(struct timer *timer, uint64_t now_us)
{
    struct channel *channel = CONTAINER_OF(timer, struct channel, linger);
    channel->hub->ops->leave(channel->hub->owner, channel->name);
    forget(channel);
}

void channels_free(struct hub *hub)
{
    size_t cursor = 0;
    for (struct channel *channel; (channel = map_next(&hub->channels, &cursor));) {
        free(channel->subscribers);
        free(channel);
    }
    map_fini(&hub->channels);
}

struct subscription *channel_find_subscription(struct session *session, struct str name)
{
    /* A session has few channels, by its limit: this walk is shorter than a table would be. */
    struct channel *channel = hub_channel(session->hub, name);
    for (uint32_t i = 0; channel && i < session->subscription_count; i++)
        if (session->subscriptions[i].channel == channel)
            return &session->subscriptions[i];
    return NULL;
}

struct subscription *channel_subscribe(struct hub *hub, struct session *session, struct str name)
{
    struct channel *channel = hub_channel(hub, name);
    if (!channel)
        channel = create(hub, name);
    wheel_stop(&hub->wheel, &channel->linger);
    if (channel->count == channel->cap) {
        channel->cap = channel->cap ? channel->cap * 2 : 4;
        channel->subscribers = xrealloc(channel->subscribers, channel->cap * sizeof *channel->subscribers);
    }
    if (session->subscription_count == session->subscription_cap) {
        session->subscription_cap = session->subscription_cap ? session->subscription_cap * 2 : 2;
        session->subscriptions =
            xrealloc(session->subscriptions, session->subscription_cap * sizeof *session->subscriptions);
    }
    struct subscription *subscription = &session->subscriptions[session->subscription_count];
    *subscription = (struct subscription){.channel = channel, .index = channel->count};
    channel->subscribers[channel->count++] =
        (struct subscriber){.session = session, .index = session->subscription_count++};
    metrics_gauge_add(hub->metrics, METRIC_SUBSCRIPTIONS, 1);
    return subscription;
}

/* Takes both entries out, filling each gap with the last of its list. */
static void unlink_both(struct session *session, uint32_t index)
{
    struct subscription *subscription = &session->subscriptions[index];
    struct channel *channel = subscription->channel;
    uint32_t at = subscription->index;
    struct subscriber last = channel->subscribers[--channel->count];
    if (at != channel->count) {
        channel->subscribers[at] = last;
        last.session->subscriptions[last.index].index = at;
    }
    uint32_t last_index = --session->subscription_count;
    if (index != last_index) {
        struct subscription moved = session->subscriptions[last_index];
        session->subscriptions[index] = moved;
        moved.channel->subscribers[moved.index].index = index;
    }
}

/* Answers and frees a detached list. Queueing may close the session and with it free the subscription they came from,
 * which is why they are detached first. text NULL: they are subscribed. */
static void answer_waiting(struct hub *hub, struct session *session, struct channel *channel,
                           struct waiting_command *waiting, const struct str *refusal)
{
    while (waiting) {
        struct waiting_command *next = waiting->next;
        struct str id = str_from_cstr(waiting->id);
        if (refusal)
            reply_error(&hub->scratch, id, ERR_SUBSCRIPTION_FAILED, *refusal, channel->name);
        else
            reply_subscribed(&hub->scratch, id, channel->name, str_from_cstr(channel->epoch), channel->offset, false);
        output_queue_scratch(hub, session);
        free(waiting);
        waiting = next;
    }
}

static struct waiting_command *take_waiting(struct subscription *subscription)
{
    struct waiting_command *waiting = subscription->waiting;
    subscription->waiting = NULL;
    return waiting;
}

void channel_unsubscribe(struct hub *hub, struct session *session, struct subscription *subscription)
{
    static const struct str refusal = {"unsubscribed before the channel was ready", 41};
    struct channel *channel = subscription->channel;
    struct waiting_command *waiting = take_waiting(subscription);
    unlink_both(session, (uint32_t)(subscription - session->subscriptions));
    metrics_gauge_add(hub->metrics, METRIC_SUBSCRIPTIONS, -1);
    if (channel->count == 0)
        wheel_start(&hub->wheel, &channel->linger, hub->now_us + hub->settings.linger_us, leave);
    answer_waiting(hub, session, channel, waiting, &refusal);
}

void channel_unsubscribe_all(struct hub *hub, struct session *session)
{
    while (session->subscription_count > 0)
        channel_unsubscribe(hub, session, &session->subscriptions[session->subscription_count - 1]);
    free(session->subscriptions);
    session->subscriptions = NULL;
    session->subscription_cap = 0;
}

void channel_recheck_access(struct hub *hub, struct session *session)
{
    for (uint32_t i = session->subscription_count; i-- > 0;) {
        if (i >= session->subscription_count) /* the session was closed meanwhile */
            break;
        struct subscription *subscription = &session->subscriptions[i];
        struct str name = subscription->channel->name; /* the channel lingers, so its name stays */
        if (subscription->by_backend || (access_allowed(hub->rules, name, session->claims, NULL) & ALLOW_SUBSCRIBE))
            continue;
        channel_unsubscribe(hub, session, subscription);
        reply_unsubscribed(&hub->scratch, STR(""), name);
        output_queue_scratch(hub, session);
    }
}

static void refuse_all(struct hub *hub, struct channel *channel, struct str text)
{
    while (channel->count > 0) {
        struct subscriber last = channel->subscribers[channel->count - 1];
        struct waiting_command *waiting = take_waiting(&last.session->subscriptions[last.index]);
        unlink_both(last.session, last.index);
        metrics_gauge_add(hub->metrics, METRIC_SUBSCRIPTIONS, -1);
        answer_waiting(hub, last.session, channel, waiting, &text);
    }
    forget(channel);
}

static void set_position(struct channel *channel, struct str epoch, uint64_t offset)
{
    size_t len = epoch.len < EPOCH_MAX ? epoch.len : EPOCH_MAX;
    if (len)
        memcpy(channel->epoch, epoch.ptr, len);
    channel->epoch[len] = '\0';
    channel->offset = offset;
}

void hub_joined(struct hub *hub, struct str name, uint64_t join_id, enum err err, struct str text, struct str epoch,
                uint64_t offset)
{
    struct channel *channel = hub_channel(hub, name);
    if (!channel || channel->join_id != join_id)
        return;
    if (err != ERR_NONE) {
        refuse_all(hub, channel, text);
        return;
    }
    channel->state = CHANNEL_JOINED;
    set_position(channel, epoch, offset);
    /* From the end: answering may close a session, which then takes itself out of the list. */
    for (uint32_t i = channel->count; i-- > 0;)
        if (i < channel->count) {
            struct subscriber one = channel->subscribers[i];
            answer_waiting(hub, one.session, channel, take_waiting(&one.session->subscriptions[one.index]), NULL);
        }
}

void hub_deliver(struct hub *hub, struct message *message)
{
    struct channel *channel = hub_channel(hub, message_channel(message));
    if (channel && channel->state == CHANNEL_JOINED) {
        if (message->offset)
            set_position(channel, message_epoch(message), message->offset);
        metrics_add(hub->metrics, METRIC_DELIVERIES, channel->count);
        metrics_add(hub->metrics, METRIC_DELIVERY_BYTES, (uint64_t)channel->count * message->frame_len);
        output_note_delivery(hub, message->accepted_us);
        for (uint32_t i = channel->count; i-- > 0;)
            if (i < channel->count)
                output_queue(hub, channel->subscribers[i].session, message);
    }
    message_unref(message);
}
