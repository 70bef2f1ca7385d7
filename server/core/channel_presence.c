/* channel_presence.c - sessions that come to a channel whose members are kept, and leave it, are told to the node. */
#include "server/core/hub_private.h"

static void tell(struct channel *channel, const struct session *session, bool here)
{
    struct hub *hub = channel->hub;
    if (channel->presence.kept)
        hub->node->presence(hub->node_owner,
                            presence_change_create(here, &channel->presence, channel->name, session->claims));
}

void presence_enter(const struct session *session, struct subscription *subscription)
{
    if (subscription->here || session->state != SESSION_OPEN)
        return; /* a channel is joined again when its rule has another history */
    subscription->here = true;
    tell(subscription->channel, session, true);
}

void presence_exit(const struct session *session, const struct subscription *subscription)
{
    if (subscription->here)
        tell(subscription->channel, session, false);
}

static void tell_of(struct channel *channel, const struct session *session, uint32_t index, bool here)
{
    if (session->subscriptions[index].here)
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
