/* recover.c - subscribers who come back. Until one has all it missed it stands apart from the channel's subscribers, so
 * that live delivery costs nothing for it. A replay brings what it missed up to exactly the position at which the hub
 * is, so the subscriber that has got all of it joins the others with no event between, none twice.
 *
 * What is missed is queued as the outbox has room, by half of its limits, the rest asked for again once it has drained:
 * a subscriber that comes back costs no more memory than any other. */
#include "common/base/alloc.h"
#include "server/core/hub_private.h"

static const uint64_t LOOK_US = 2 * WHEEL_TICK_US; /* how often outboxes are looked at for room */

/* --- the list ----------------------------------------------------------------------------------------------------- */

static struct recovering *recovering_of(struct channel *channel)
{
    if (!channel->recovering) {
        channel->recovering = xcalloc(1, sizeof *channel->recovering);
        channel->recovering->channel = channel;
    }
    return channel->recovering;
}

void recovering_free(struct channel *channel)
{
    if (!channel->recovering)
        return;
    wheel_stop(&channel->hub->wheel, &channel->recovering->look);
    free(channel->recovering->entries);
    free(channel->recovering);
    channel->recovering = NULL;
}

void recovering_remove(struct channel *channel, uint32_t at)
{
    struct recovering *recovering = channel->recovering;
    struct recovering_subscriber last = recovering->entries[--recovering->count];
    if (at != recovering->count) {
        recovering->entries[at] = last;
        last.session->subscriptions[last.index].index = at;
    }
    if (recovering->count == 0)
        recovering_free(channel);
}

static struct recovering_subscriber *entry_of(const struct subscription *subscription)
{
    return &subscription->channel->recovering->entries[subscription->index];
}

/* --- asking ---------------------------------------------------------------------------------------------------------
 */

static void ask(struct hub *hub, struct channel *channel, struct recovering_subscriber *entry)
{
    struct recovery *recovery = recovery_create(channel->name);
    recovery->worker = hub->worker;
    recovery->session = entry->session->id;
    recovery->serial = entry->serial = ++hub->last_recovery;
    memcpy(recovery->epoch, entry->epoch, sizeof recovery->epoch);
    recovery->offset = entry->offset;
    memcpy(recovery->id, entry->id, sizeof recovery->id);
    recovery->last = entry->last;
    entry->asked = true;
    hub->node->recover(hub->node_owner, recovery);
}

struct subscription *channel_return(struct hub *hub, struct session *session, struct str name,
                                    const struct command *command)
{
    struct subscription *subscription = channel_add_subscription(hub, session, name);
    struct channel *channel = subscription->channel;
    struct recovering *recovering = recovering_of(channel);
    if (recovering->count == recovering->cap) {
        recovering->cap = recovering->cap ? recovering->cap * 2 : 4;
        recovering->entries = xrealloc(recovering->entries, recovering->cap * sizeof *recovering->entries);
    }
    subscription->recovering = true;
    subscription->index = recovering->count;
    struct recovering_subscriber *entry = &recovering->entries[recovering->count++];
    *entry = (struct recovering_subscriber){
        .session = session, .index = session->subscription_count - 1, .last = command->has_last ? command->last : 0};
    if (command->has_since) {
        memcpy(entry->epoch, command->since.epoch.ptr, command->since.epoch.len);
        entry->offset = command->since.offset;
        position_keep_id(entry->id, command->since.id);
    }
    ask(hub, channel, entry);
    return subscription;
}

static bool has_room(const struct hub *hub, const struct session *session)
{
    if (session->state != SESSION_OPEN)
        return false;
    if (session->outbox.count == 0 && session->unsent_bytes == 0)
        return true; /* however small the limits are */
    return session->outbox.count < hub->settings.outbox_max_messages / 2 &&
           session->outbox.bytes + session->unsent_bytes < hub->settings.outbox_max_bytes / 2;
}

/* Asks on for all whose outbox has drained. */
static void look(struct timer *timer, uint64_t now_us)
{
    struct recovering *recovering = CONTAINER_OF(timer, struct recovering, look);
    struct hub *hub = recovering->channel->hub;
    bool again = false;
    for (uint32_t i = 0; i < recovering->count; i++) {
        struct recovering_subscriber *each = &recovering->entries[i];
        if (!each->asked && has_room(hub, each->session))
            ask(hub, recovering->channel, each);
        again |= !each->asked;
    }
    if (again)
        wheel_start(&hub->wheel, timer, now_us + LOOK_US, look);
}

static void ask_on(struct hub *hub, struct channel *channel, struct recovering_subscriber *entry)
{
    entry->asked = false;
    if (has_room(hub, entry->session))
        ask(hub, channel, entry);
    else if (!timer_is_running(&channel->recovering->look))
        wheel_start(&hub->wheel, &channel->recovering->look, hub->now_us + LOOK_US, look);
}

/* --- the answer -----------------------------------------------------------------------------------------------------
 */

bool recover_is_told(const struct subscription *subscription)
{
    return entry_of(subscription)->told;
}

void recover_answer_again(struct hub *hub, struct session *session, const struct subscription *subscription,
                          struct str id)
{
    const struct recovering_subscriber *entry = entry_of(subscription);
    struct position position = {str_from_cstr(entry->epoch), entry->offset, STR("")};
    output_subscribed(hub, session, id, subscription->channel->name, &position, false);
}

/* All of it has been queued: an ordinary subscriber from now on. */
static void go_live(struct subscription *subscription)
{
    struct channel *channel = subscription->channel;
    struct recovering_subscriber *entry = entry_of(subscription);
    struct subscriber subscriber = {.session = entry->session, .index = entry->index};
    uint32_t at = subscription->index;
    subscription->recovering = false;
    subscription->index = channel_add_subscriber(channel, subscriber);
    recovering_remove(channel, at);
}

static void lose(struct hub *hub, struct session *session, struct subscription *subscription,
                 const struct recovery *recovery, const struct replay *replay)
{
    bool told = entry_of(subscription)->told;
    struct waiting_command *waiting = subscription->waiting;
    struct channel *channel = subscription->channel;
    subscription->waiting = NULL;
    metrics_add_labelled(hub->metrics, METRIC_RECOVERIES, METRICS_RECOVERY_LOST, 1);
    go_live(subscription);
    struct position position = {str_from_cstr(replay->epoch), replay->offset, str_from_cstr(replay->id)};
    if (!told) {
        presence_enter(session, subscription);
        channel_answer_waiting(hub, session, channel, waiting, &position, false);
        return;
    }
    metrics_add_labelled(hub->metrics, METRIC_GAPS, recovery->gap, 1);
    output_gap(hub, session, channel->name, recovery->gap, &position);
}

/* Queues what there is room for. */
static void queue_missed(struct hub *hub, struct session *session, struct recovering_subscriber *entry,
                         const struct replay *replay)
{
    while (has_room(hub, session) && entry->offset >= replay->first - 1 &&
           entry->offset - (replay->first - 1) < replay->count) {
        struct message *message = replay->messages[entry->offset - (replay->first - 1)];
        metrics_add(hub->metrics, METRIC_DELIVERIES, 1);
        metrics_add(hub->metrics, METRIC_DELIVERY_BYTES, message->frame_len);
        command_recovered(hub, session);
        entry->offset++;
        output_queue(hub, session, message);
    }
}

static void resume(struct hub *hub, struct session *session, struct subscription *subscription,
                   const struct recovery *recovery, const struct replay *replay)
{
    struct channel *channel = subscription->channel;
    struct recovering_subscriber *entry = entry_of(subscription);
    memcpy(entry->epoch, recovery->epoch, sizeof entry->epoch);
    entry->offset = recovery->offset;
    if (!entry->told) {
        struct position position = {str_from_cstr(recovery->epoch), recovery->offset, str_from_cstr(recovery->id)};
        struct waiting_command *waiting = subscription->waiting;
        subscription->waiting = NULL;
        entry->told = true;
        entry->id[0] = '\0';
        presence_enter(session, subscription);
        channel_answer_waiting(hub, session, channel, waiting, &position, recovery->last == 0);
    }
    entry->last = 0; /* it has a position now */
    if (replay->count)
        queue_missed(hub, session, entry, replay);
    if (entry->offset == replay->offset) {
        metrics_add_labelled(hub->metrics, METRIC_RECOVERIES, METRICS_RECOVERY_COMPLETE, 1);
        go_live(subscription);
    } else {
        ask_on(hub, channel, entry);
    }
}

static void answer(struct hub *hub, const struct recovery *recovery, const struct replay *replay)
{
    struct session *session = hub_find(hub, recovery->session);
    struct subscription *subscription =
        session && session->state == SESSION_OPEN ? channel_find_subscription(session, replay->channel) : NULL;
    if (!subscription || !subscription->recovering || entry_of(subscription)->serial != recovery->serial)
        return; /* left meanwhile */
    if (recovery->outcome == RECOVERY_LOST)
        lose(hub, session, subscription, recovery, replay);
    else
        resume(hub, session, subscription, recovery, replay);
}

void hub_replay(struct hub *hub, struct replay *replay)
{
    LIST_EACH(link, &replay->recoveries)
    answer(hub, CONTAINER_OF(link, struct recovery, link), replay);
    replay_destroy(replay);
}

void recover_deliver(struct channel *channel, struct message *message)
{
    for (uint32_t i = 0; i < channel->recovering->count; i++)
        if (channel->recovering->entries[i].told)
            output_queue(channel->hub, channel->recovering->entries[i].session, message);
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
