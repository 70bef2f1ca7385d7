/* recover.c - subscribers who come back. A recovering subscriber stands apart from the channel's other subscribers, so
 * that live delivery costs nothing for it. A replay brings what it missed, up to the position at which the hub is. The
 * subscriber then joins the others: no event lies between, and none comes twice.
 *
 * Missed events take up at most half of the outbox's limits. The rest is asked for again once the outbox has drained.
 * So a recovering subscriber costs no more memory than any other. */
#include "common/base/alloc.h"
#include "server/core/hub_private.h"

static const uint64_t LOOK_US = 2 * WHEEL_TICK_US; /* how often outboxes are looked at for room */

/* --- asking ---------------------------------------------------------------------------------------------------- */

static void ask(struct hub *hub, struct channel *channel, struct recovering_subscriber *entry)
{
    struct recovery *recovery = recovery_create(channel->name);
    recovery->base.session = entry->session->id;
    recovery->serial = entry->serial = ++hub->last_recovery;
    memcpy(recovery->epoch, entry->epoch, sizeof recovery->epoch);
    recovery->offset = entry->offset;
    memcpy(recovery->id, entry->id, sizeof recovery->id);
    recovery->last = entry->last;
    entry->asked = true;
    hub->node->ask(hub->node_owner, &recovery->base);
}

struct subscription *recover_subscribe(struct hub *hub, struct session *session, struct str name,
                                       const struct command *command)
{
    struct subscription *subscription = subscription_add(hub, session, name);
    struct channel *channel = subscription->channel;
    subscription->recovering = true;
    subscription->index = channel->recovering ? channel->recovering->count : 0;
    struct recovering_subscriber *entry = channel_add_recovering(
        channel, (struct subscriber){.session = session, .index = session->subscription_count - 1});
    entry->last = command->has_last ? command->last : 0;
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

/* Asks for more events for each subscriber whose outbox has drained. */
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

/* --- the answer ------------------------------------------------------------------------------------------------ */

/* All missed events have been queued. The subscriber is an ordinary one from now on. */
static void go_live(struct subscription *subscription)
{
    struct channel *channel = subscription->channel;
    struct recovering_subscriber *entry = subscription_recovering(subscription);
    struct subscriber subscriber = {.session = entry->session, .index = entry->index};
    uint32_t at = subscription->index;
    subscription->recovering = false;
    subscription->index = channel_add_subscriber(channel, subscriber);
    channel_remove_recovering(channel, at);
}

/* The position is lost, the events that are still kept are not. */
static bool wants_what_is_left(const struct recovering_subscriber *entry, const struct recovery *recovery,
                               const struct replay *replay)
{
    return entry->or_kept && recovery->last == 0 && replay->epoch[0];
}

static void ask_for_what_is_left(struct hub *hub, struct channel *channel, struct recovering_subscriber *entry)
{
    metrics_add_labelled(hub->metrics, METRIC_RECOVERIES, METRICS_RECOVERY_LOST, 1);
    entry->epoch[0] = entry->id[0] = '\0';
    entry->offset = 0;
    entry->last = UINT64_MAX;
    ask_on(hub, channel, entry);
}

static void lose(struct hub *hub, struct session *session, struct subscription *subscription,
                 const struct recovery *recovery, const struct replay *replay)
{
    if (wants_what_is_left(subscription_recovering(subscription), recovery, replay)) {
        ask_for_what_is_left(hub, subscription->channel, subscription_recovering(subscription));
        return;
    }
    bool told = subscription_recovering(subscription)->told;
    struct channel *channel = subscription->channel;
    metrics_add_labelled(hub->metrics, METRIC_RECOVERIES, METRICS_RECOVERY_LOST, 1);
    go_live(subscription);
    struct position position = {str_from_cstr(replay->epoch), replay->offset, str_from_cstr(replay->id)};
    if (!told) {
        subscription_confirm(session, subscription);
        subscription_answer_waiting(hub, session, subscription, &position, false);
        return;
    }
    metrics_add_labelled(hub->metrics, METRIC_GAPS, recovery->gap, 1);
    output_gap(hub, session, channel->name, recovery->gap, &position);
}

/* Queues the missed events for which there is room. */
static void queue_missed(struct hub *hub, struct session *session, struct recovering_subscriber *entry,
                         const struct replay *replay)
{
    while (has_room(hub, session) && entry->offset >= replay->first - 1 &&
           entry->offset - (replay->first - 1) < replay->count) {
        struct message *message = replay->messages[entry->offset - (replay->first - 1)];
        entry->offset++; /* also past an event that it does not get */
        if (message_excludes(message, session))
            continue;
        metrics_add(hub->metrics, METRIC_DELIVERIES, 1);
        command_recovered(hub, session);
        metrics_add(hub->metrics, METRIC_DELIVERY_BYTES, output_event(hub, session, message));
    }
}

static void resume(struct hub *hub, struct session *session, struct subscription *subscription,
                   const struct recovery *recovery, const struct replay *replay)
{
    struct channel *channel = subscription->channel;
    struct recovering_subscriber *entry = subscription_recovering(subscription);
    memcpy(entry->epoch, recovery->epoch, sizeof entry->epoch);
    entry->offset = recovery->offset;
    const struct position position = {str_from_cstr(recovery->epoch), recovery->offset, str_from_cstr(recovery->id)};
    if (entry->told && recovery->last) {
        metrics_add_labelled(hub->metrics, METRIC_GAPS, GAP_HISTORY_TOO_SHORT, 1);
        output_gap(hub, session, channel->name, GAP_HISTORY_TOO_SHORT, &position);
    } else if (!entry->told) {
        entry->told = true;
        entry->id[0] = '\0';
        subscription_confirm(session, subscription);
        subscription_answer_waiting(hub, session, subscription, &position, recovery->last == 0);
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
    struct session *session = session_index_find(&hub->sessions, recovery->base.session);
    struct subscription *subscription =
        session && session->state == SESSION_OPEN ? subscription_find(session, replay->channel) : NULL;
    if (!subscription || !subscription->recovering || subscription_recovering(subscription)->serial != recovery->serial)
        return; /* left meanwhile */
    if (recovery->outcome == RECOVERY_LOST)
        lose(hub, session, subscription, recovery, replay);
    else
        resume(hub, session, subscription, recovery, replay);
}

void hub_replay(struct hub *hub, struct replay *replay)
{
    LIST_EACH(link, &replay->recoveries)
    answer(hub, recovery_in(link), replay);
    replay_destroy(replay);
}
