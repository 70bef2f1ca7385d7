/* channel.c - the channels of a hub. A channel is made and joined for its first subscriber. It follows the rules, and
 * it lingers after its last subscriber. Its subscribers are a dense list, so that a delivery walks memory in order. The
 * recovering subscribers are a list of their own. A recovering subscriber joins the others when it has all that it
 * missed. */
#include <assert.h>

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
    const struct channel_join join = {*history, channel->hub->rules->version, channel->join_id};
    channel->hub->node->join(channel->hub->node_owner, channel->hub->worker, channel->name, &join);
}

static struct channel *create(struct hub *hub, struct str name)
{
    assert(name.len > 0 && name.len <= CHANNEL_NAME_MAX); /* walks keep the last name in a buffer of that size */
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
    observe_occupied(hub, channel);
    join(channel, &keeping.history);
    return channel;
}

void channel_follow_rule(struct channel *channel)
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

/* The next channels, from link on. The other channels follow in later ticks. */
static void follow_on(struct hub *hub, struct sorted_link *link)
{
    struct str last = STR("");
    for (size_t i = 0; link && i < FOLLOW_AT_ONCE; i++, link = sorted_next(link)) {
        last = channel_of(link)->name;
        channel_follow_rule(channel_of(link));
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

static void free_recovering(struct channel *channel)
{
    if (!channel->recovering)
        return;
    wheel_stop(&channel->hub->wheel, &channel->recovering->look);
    free(channel->recovering->entries);
    free(channel->recovering);
    channel->recovering = NULL;
}

void channel_forget(struct channel *channel)
{
    struct hub *hub = channel->hub;
    observe_vacated(hub, channel);
    wheel_stop(&hub->wheel, &channel->linger);
    free_recovering(channel);
    map_remove(&hub->channels, channel->name);
    sorted_remove(&hub->channels_by_name, &channel->by_name);
    free(channel->subscribers);
    free(channel);
}

static void leave(struct timer *timer, uint64_t now_us)
{
    struct channel *channel = CONTAINER_OF(timer, struct channel, linger);
    channel->hub->node->leave(channel->hub->node_owner, channel->hub->worker, channel->name);
    channel_forget(channel);
}

void hub_leave_unused(struct hub *hub)
{
    const struct sorted *order = hub_channels_in_order(hub);
    struct sorted_link *link = sorted_after(order, STR(""));
    while (link) {
        struct channel *channel = channel_of(link);
        link = sorted_next(link); /* before the channel goes */
        if (timer_is_running(&channel->linger))
            leave(&channel->linger, hub->now_us);
    }
}

void channels_free(struct hub *hub)
{
    size_t cursor = 0;
    wheel_stop(&hub->wheel, &hub->follow);
    for (struct channel *channel; (channel = map_next(&hub->channels, &cursor));) {
        free_recovering(channel);
        free(channel->subscribers);
        free(channel);
    }
    map_fini(&hub->channels);
}

struct channel *channel_want(struct hub *hub, struct str name)
{
    struct channel *channel = hub_channel(hub, name);
    if (!channel)
        channel = create(hub, name);
    wheel_stop(&hub->wheel, &channel->linger);
    return channel;
}

void channel_linger_if_unused(struct channel *channel)
{
    struct hub *hub = channel->hub;
    if (channel->count == 0 && !channel->recovering)
        wheel_start(&hub->wheel, &channel->linger, hub->now_us + hub->settings.linger_us, leave);
}

/* --- its subscribers ---------------------------------------------------------------------------------------------- */

uint32_t channel_add_subscriber(struct channel *channel, struct subscriber subscriber)
{
    if (channel->count == channel->cap) {
        channel->cap = channel->cap ? channel->cap * 2 : 4;
        channel->subscribers = xrealloc(channel->subscribers, channel->cap * sizeof *channel->subscribers);
    }
    channel->subscribers[channel->count] = subscriber;
    return channel->count++;
}

void channel_remove_subscriber(struct channel *channel, uint32_t at)
{
    struct subscriber last = channel->subscribers[--channel->count];
    if (at == channel->count)
        return;
    channel->subscribers[at] = last;
    last.session->subscriptions[last.index].index = at;
}

struct recovering_subscriber *channel_add_recovering(struct channel *channel, struct subscriber subscriber)
{
    if (!channel->recovering) {
        channel->recovering = xcalloc(1, sizeof *channel->recovering);
        channel->recovering->channel = channel;
    }
    struct recovering *recovering = channel->recovering;
    if (recovering->count == recovering->cap) {
        recovering->cap = recovering->cap ? recovering->cap * 2 : 4;
        recovering->entries = xrealloc(recovering->entries, recovering->cap * sizeof *recovering->entries);
    }
    struct recovering_subscriber *entry = &recovering->entries[recovering->count++];
    *entry = (struct recovering_subscriber){.session = subscriber.session, .index = subscriber.index};
    return entry;
}

void channel_remove_recovering(struct channel *channel, uint32_t at)
{
    struct recovering *recovering = channel->recovering;
    struct recovering_subscriber last = recovering->entries[--recovering->count];
    if (at != recovering->count) {
        recovering->entries[at] = last;
        last.session->subscriptions[last.index].index = at;
    }
    if (recovering->count == 0)
        free_recovering(channel);
}

/* --- its position ---------------------------------------------------------------------------------------------- */

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
