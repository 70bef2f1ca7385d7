/* channel.c - who is subscribed to what. A channel has a dense list of its subscribers and a session a dense list of
 * its subscriptions, each entry knowing its place in the other list: adding is an append, removing moves the last one
 * into the gap, and delivery walks memory in order. */
#include "common/base/alloc.h"
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

struct channel *channel_of(struct sorted_link *link)
{
    return CONTAINER_OF(link, struct channel, by_name);
}

static struct str name_of(struct sorted_link *link)
{
    return channel_of(link)->name;
}

void channels_init(struct hub *hub)
{
    sorted_init(&hub->channels_by_name, name_of);
}

const struct sorted *hub_channels_in_order(const struct hub *hub)
{
    return &hub->channels_by_name;
}

static bool is_same(const struct history_policy *a, const struct history_policy *b)
{
    return a->size == b->size && a->ttl_ms == b->ttl_ms;
}

static void join(struct channel *channel, const struct history_policy *history)
{
    channel->history = *history;
    channel->hub->node->join(channel->hub->node_owner, channel->hub->worker, channel->name, history, channel->join_id);
}

static struct channel *create(struct hub *hub, struct str name)
{
    const struct keeping keeping = rules_keeping(hub->rules, name);
    struct channel *channel = xmalloc(sizeof *channel + name.len);
    memset(channel, 0, sizeof *channel);
    channel->hub = hub;
    channel->state = CHANNEL_JOINING;
    channel->join_id = ++hub->last_join_id;
    memcpy(channel->bytes, name.ptr, name.len);
    channel->name = str_from(channel->bytes, name.len);
    channel->presence = keeping.presence;
    map_put(&hub->channels, channel->name, channel);
    sorted_put(&hub->channels_by_name, &channel->by_name);
    metrics_set(hub->metrics, METRIC_CHANNELS, hub->channels.count);
    join(channel, &keeping.history);
    return channel;
}

/* Its history only once it has been joined: the answer to its first join may be a refusal. */
static void follow_rule(struct channel *channel)
{
    const struct keeping keeping = rules_keeping(channel->hub->rules, channel->name);
    presence_follow(channel, &keeping.presence);
    if (channel->state == CHANNEL_JOINED && !is_same(&channel->history, &keeping.history))
        join(channel, &keeping.history);
}

enum { FOLLOW_AT_ONCE = 1000 };

static void follow_on(struct hub *hub, struct sorted_link *link);

static void on_follow(struct timer *timer, uint64_t now_us)
{
    struct hub *hub = CONTAINER_OF(timer, struct hub, follow);
    (void)now_us;
    follow_on(hub, sorted_after(&hub->channels_by_name, str_from(hub->followed, hub->followed_len)));
}

/* The next ones, from link on; the others in the ticks that follow. */
static void follow_on(struct hub *hub, struct sorted_link *link)
{
    struct str last = STR("");
    for (size_t i = 0; link && i < FOLLOW_AT_ONCE; i++, link = sorted_next(link)) {
        last = channel_of(link)->name;
        follow_rule(channel_of(link));
    }
    if (!link)
        return;
    hub->followed_len = last.len;
    memcpy(hub->followed, last.ptr, last.len);
    wheel_start(&hub->wheel, &hub->follow, hub->now_us + WHEEL_TICK_US, on_follow);
}

void channels_follow_rules(struct hub *hub)
{
    wheel_stop(&hub->wheel, &hub->follow);
    follow_on(hub, sorted_from(&hub->channels_by_name, STR("")));
}

static void forget(struct channel *channel)
{
    struct hub *hub = channel->hub;
    wheel_stop(&hub->wheel, &channel->linger);
    recovering_free(channel);
    map_remove(&hub->channels, channel->name);
    sorted_remove(&hub->channels_by_name, &channel->by_name);
    metrics_set(hub->metrics, METRIC_CHANNELS, hub->channels.count);
    free(channel->subscribers);
    free(channel);
}

static void leave(struct timer *timer, uint64_t now_us)
{
    struct channel *channel = CONTAINER_OF(timer, struct channel, linger);
    channel->hub->node->leave(channel->hub->node_owner, channel->hub->worker, channel->name);
    forget(channel);
}

void channels_free(struct hub *hub)
{
    size_t cursor = 0;
    wheel_stop(&hub->wheel, &hub->follow);
    for (struct channel *channel; (channel = map_next(&hub->channels, &cursor));) {
        recovering_free(channel);
        free(channel->subscribers);
        free(channel);
    }
    map_fini(&hub->channels);
}

/* With so many a walk costs less than a table, which has 80 bytes for each. */
enum { FEW = 256 };

static void note_place(struct session *session, uint32_t index)
{
    map_put(session->places, session->subscriptions[index].channel->name, (void *)((uintptr_t)index + 1));
}

static void note_last_place(struct session *session)
{
    if (session->places) {
        note_place(session, session->subscription_count - 1);
    } else if (session->subscription_count > FEW) {
        session->places = xcalloc(1, sizeof *session->places);
        for (uint32_t i = 0; i < session->subscription_count; i++)
            note_place(session, i);
    }
}

static void forget_places(struct session *session)
{
    if (session->places)
        map_fini(session->places);
    free(session->places);
    session->places = NULL;
}

struct subscription *channel_find_subscription(struct session *session, struct str name)
{
    if (session->places) {
        uintptr_t place = (uintptr_t)map_get(session->places, name);
        return place ? &session->subscriptions[place - 1] : NULL;
    }
    struct channel *channel = hub_channel(session->hub, name);
    for (uint32_t i = 0; channel && i < session->subscription_count; i++)
        if (session->subscriptions[i].channel == channel)
            return &session->subscriptions[i];
    return NULL;
}

uint32_t channel_add_subscriber(struct channel *channel, struct subscriber subscriber)
{
    if (channel->count == channel->cap) {
        channel->cap = channel->cap ? channel->cap * 2 : 4;
        channel->subscribers = xrealloc(channel->subscribers, channel->cap * sizeof *channel->subscribers);
    }
    channel->subscribers[channel->count] = subscriber;
    return channel->count++;
}

struct subscription *channel_add_subscription(struct hub *hub, struct session *session, struct str name)
{
    struct channel *channel = hub_channel(hub, name);
    if (!channel)
        channel = create(hub, name);
    wheel_stop(&hub->wheel, &channel->linger);
    if (session->subscription_count == session->subscription_cap) {
        session->subscription_cap = session->subscription_cap ? session->subscription_cap * 2 : 2;
        session->subscriptions =
            xrealloc(session->subscriptions, session->subscription_cap * sizeof *session->subscriptions);
    }
    struct subscription *subscription = &session->subscriptions[session->subscription_count++];
    *subscription = (struct subscription){.channel = channel};
    note_last_place(session);
    metrics_gauge_add(hub->metrics, METRIC_SUBSCRIPTIONS, 1);
    return subscription;
}

struct subscription *channel_subscribe(struct hub *hub, struct session *session, struct str name)
{
    struct subscription *subscription = channel_add_subscription(hub, session, name);
    struct subscriber subscriber = {.session = session, .index = session->subscription_count - 1};
    subscription->index = channel_add_subscriber(subscription->channel, subscriber);
    if (subscription->channel->state == CHANNEL_JOINED)
        presence_enter(session, subscription);
    return subscription;
}

static void remove_subscriber(struct channel *channel, uint32_t at)
{
    struct subscriber last = channel->subscribers[--channel->count];
    if (at == channel->count)
        return;
    channel->subscribers[at] = last;
    last.session->subscriptions[last.index].index = at;
}

/* Takes both entries out, filling each gap with the last of its list. */
static void unlink_both(struct session *session, uint32_t index)
{
    struct subscription *subscription = &session->subscriptions[index];
    presence_exit(session, subscription);
    if (subscription->recovering)
        recovering_remove(subscription->channel, subscription->index);
    else
        remove_subscriber(subscription->channel, subscription->index);
    if (session->places)
        map_remove(session->places, subscription->channel->name);
    uint32_t last_index = --session->subscription_count;
    if (index == last_index)
        return;
    struct subscription moved = session->subscriptions[last_index];
    session->subscriptions[index] = moved;
    if (session->places)
        note_place(session, index);
    if (moved.recovering)
        moved.channel->recovering->entries[moved.index].index = index;
    else
        moved.channel->subscribers[moved.index].index = index;
}

static bool is_unused(const struct channel *channel)
{
    return channel->count == 0 && !channel->recovering;
}

void channel_answer_waiting(struct hub *hub, struct session *session, struct channel *channel,
                            struct waiting_command *waiting, const struct position *position, bool recovered)
{
    while (waiting) {
        struct waiting_command *next = waiting->next;
        output_subscribed(hub, session, str_from_cstr(waiting->id), channel->name, position, recovered);
        free(waiting);
        waiting = next;
    }
}

static void refuse_waiting(struct hub *hub, struct session *session, struct str channel,
                           struct waiting_command *waiting, struct str text)
{
    while (waiting) {
        struct waiting_command *next = waiting->next;
        output_error(hub, session, str_from_cstr(waiting->id), channel, ERR_SUBSCRIPTION_FAILED, text);
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
    struct channel *channel = subscription->channel;
    struct waiting_command *waiting = take_waiting(subscription);
    unlink_both(session, (uint32_t)(subscription - session->subscriptions));
    metrics_gauge_add(hub->metrics, METRIC_SUBSCRIPTIONS, -1);
    if (is_unused(channel))
        wheel_start(&hub->wheel, &channel->linger, hub->now_us + hub->settings.linger_us, leave);
    refuse_waiting(hub, session, channel->name, waiting, STR("unsubscribed before the channel was ready"));
}

void channel_unsubscribe_all(struct hub *hub, struct session *session)
{
    forget_places(session);
    while (session->subscription_count > 0)
        channel_unsubscribe(hub, session, &session->subscriptions[session->subscription_count - 1]);
    free(session->subscriptions);
    session->subscriptions = NULL;
    session->subscription_cap = 0;
}

void channel_recheck_access(struct hub *hub, struct session *session)
{
    /* From the end: the last one takes the place of one that goes. */
    for (uint32_t i = session->subscription_count; i-- > 0;) {
        struct subscription *subscription = &session->subscriptions[i];
        struct str name = subscription->channel->name; /* the channel lingers, so its name stays */
        if (subscription->by_backend || (access_allowed(hub->rules, name, session->claims) & ALLOW_SUBSCRIBE))
            continue;
        channel_unsubscribe(hub, session, subscription);
        output_unsubscribed(hub, session, STR(""), name);
    }
}

static void refuse_one(struct hub *hub, struct channel *channel, struct session *session, uint32_t index,
                       struct str text)
{
    struct waiting_command *waiting = take_waiting(&session->subscriptions[index]);
    unlink_both(session, index);
    metrics_gauge_add(hub->metrics, METRIC_SUBSCRIPTIONS, -1);
    refuse_waiting(hub, session, channel->name, waiting, text);
}

static void refuse_all(struct hub *hub, struct channel *channel, struct str text)
{
    while (channel->count > 0) {
        struct subscriber last = channel->subscribers[channel->count - 1];
        refuse_one(hub, channel, last.session, last.index, text);
    }
    while (channel->recovering) {
        struct recovering_subscriber last = channel->recovering->entries[channel->recovering->count - 1];
        refuse_one(hub, channel, last.session, last.index, text);
    }
    forget(channel);
}

void channel_set_position(struct channel *channel, const struct position *position)
{
    size_t len = position->epoch.len < EPOCH_MAX ? position->epoch.len : EPOCH_MAX;
    if (len)
        memcpy(channel->epoch, position->epoch.ptr, len);
    channel->epoch[len] = '\0';
    channel->offset = position->offset;
    position_keep_id(channel->id, position->id);
}

struct position channel_position(const struct channel *channel)
{
    return (struct position){str_from_cstr(channel->epoch), channel->offset, str_from_cstr(channel->id)};
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
    follow_rule(channel);
    for (uint32_t i = 0; i < channel->count; i++) {
        struct subscriber one = channel->subscribers[i];
        struct subscription *subscription = &one.session->subscriptions[one.index];
        presence_enter(one.session, subscription);
        channel_answer_waiting(hub, one.session, channel, take_waiting(subscription), position, false);
    }
}

void hub_deliver(struct hub *hub, struct message *message)
{
    struct channel *channel = hub_channel(hub, message_channel(message));
    if (channel && channel->state == CHANNEL_JOINED) {
        if (message->offset) {
            struct position position = {message_epoch(message), message->offset, message_id(message)};
            channel_set_position(channel, &position);
        }
        metrics_add(hub->metrics, METRIC_DELIVERIES, channel->count);
        metrics_add(hub->metrics, METRIC_DELIVERY_BYTES, (uint64_t)channel->count * message->frame_len);
        output_note_delivery(hub, message->accepted_us);
        for (uint32_t i = 0; i < channel->count; i++)
            output_queue(hub, channel->subscribers[i].session, message);
        if (channel->recovering && !message->offset)
            recover_deliver(channel, message);
    }
    message_unref(message);
}
