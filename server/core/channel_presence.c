/* channel_presence.c - the node is told of each session that subscribes and unsubscribes, where the channel's rule
 * keeps members. */
#include "server/core/hub_private.h"

static void tell(const struct channel *channel, const struct session *session, bool here)
{
    struct hub *hub = channel->hub;
    if (channel->presence.kept)
        hub->node->presence(hub->node_owner,
                            presence_change_create(here, &channel->presence, channel->name, session->claims));
}

static void on_subscribed(struct observer *observer, const struct session *session, const struct channel *channel)
{
    (void)observer;
    tell(channel, session, true);
}

static void on_unsubscribed(struct observer *observer, const struct session *session, const struct channel *channel)
{
    (void)observer;
    tell(channel, session, false);
}

void presence_init(struct hub *hub)
{
    hub->presence = (struct observer){.subscribed = on_subscribed, .unsubscribed = on_unsubscribed};
    hub_observe(hub, &hub->presence);
}

static void tell_of(struct channel *channel, const struct session *session, uint32_t index, bool here)
{
    if (session->subscriptions[index].confirmed)
        tell(channel, session, here);
}

static void tell_all(struct channel *channel, bool here)
{
    for (uint32_t i = 0; i < channel->count; i++)
        tell_of(channel, channel->subscribers[i].session, channel->subscribers[i].index, here);
    for (uint32_t i = 0; channel->recovering && i < channel->recovering->count; i++)
        tell_of(channel, channel->recovering->entries[i].session, channel->recovering->entries[i].index, here);
}

void presence_follow(struct channel *channel, const struct presence_policy *policy)
{
    struct hub *hub = channel->hub;
    struct presence_policy before = channel->presence;
    if (before.kept == policy->kept && before.events == policy->events && before.ttl_ms == policy->ttl_ms)
        return;
    if (before.kept && !policy->kept) {
        channel->presence.events = false; /* nobody leaves: it is no longer told who is there */
        tell_all(channel, false);
    }
    channel->presence = *policy;
    if (!before.kept && policy->kept)
        tell_all(channel, true);
    else if (before.kept && policy->kept)
        hub->node->presence(hub->node_owner, presence_change_create_policy(policy, channel->name));
}
