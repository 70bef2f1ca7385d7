/* recover.c - subscribers who come back. Until one has all it missed it stands apart from the channel's subscribers, so
 * that live delivery costs nothing for it. A replay brings what it missed up to exactly the position at which the hub
 * is, so the subscriber that has got all of it joins the others with no event between, none twice.
 *
 * What is missed is queued as the outbox has room, by half of its limits, the rest asked for again once it has drained:
 * a subscriber that comes back costs no more memory than any other. */
#include "common/base/alloc.h"
#include "common/protocol/reply.h"
#include "server/core/hub_private.h"

static const uint64_t LOOK_US = 2 * WHEEL_TICK_US; /* how often outboxes are looked at for room */

/* --- the list ----------------------------------------------------------------------------------------------------- */

static struct returning *returning_of(struct channel *channel)
{
    if (!channel->returning) {
        channel->returning = xcalloc(1, sizeof *channel->returning);
        channel->returning->channel = channel;
    }
    return channel->returning;
}

void returning_free(struct channel *channel)
{
    if (!channel->returning)
        return;
    wheel_stop(&channel->hub->wheel, &channel->returning->look);
    free(channel->returning->entries);
    free(channel->returning);
    channel->returning = NULL;
}

void returning_remove(struct channel *channel, uint32_t at)
{
    struct returning *returning = channel->returning;
    struct returner last = returning->entries[--returning->count];
    if (at != returning->count) {
        returning->entries[at] = last;
        last.session->subscriptions[last.index].index = at;
    }
    if (returning->count == 0)
        returning_free(channel);
}

static struct returner *returner_of(const struct subscription *subscription)
{
    return &subscription->channel->returning->entries[subscription->index];
}

/* --- asking ---------------------------------------------------------------------------------------------------------
 */

static void ask(struct hub *hub, struct channel *channel, struct returner *returner)
{
    struct recovery *recovery = recovery_create(channel->name);
    recovery->worker = hub->worker;
    recovery->session = returner->session->id;
    recovery->serial = returner->serial = ++hub->last_recovery;
    memcpy(recovery->epoch, returner->epoch, sizeof recovery->epoch);
    recovery->offset = returner->offset;
    memcpy(recovery->id, returner->id, sizeof recovery->id);
    recovery->last = returner->last;
    returner->asked = true;
    hub->ops->recover(hub->owner, recovery);
}

struct subscription *channel_return(struct hub *hub, struct session *session, struct str name,
                                    const struct command *command)
{
    struct subscription *subscription = channel_add_subscription(hub, session, name);
    struct channel *channel = subscription->channel;
    struct returning *returning = returning_of(channel);
    if (returning->count == returning->cap) {
        returning->cap = returning->cap ? returning->cap * 2 : 4;
        returning->entries = xrealloc(returning->entries, returning->cap * sizeof *returning->entries);
    }
    subscription->returning = true;
    subscription->index = returning->count;
    struct returner *returner = &returning->entries[returning->count++];
    *returner = (struct returner){
        .session = session, .index = session->subscription_count - 1, .last = command->has_last ? command->last : 0};
    if (command->has_since) {
        memcpy(returner->epoch, command->since.epoch.ptr, command->since.epoch.len);
        returner->offset = command->since.offset;
        position_keep_id(returner->id, command->since.id);
    }
    ask(hub, channel, returner);
    return subscription;
}

static bool has_room(const struct hub *hub, const struct session *session)
{
    if (session->outbox.count == 0 && session->unsent_bytes == 0)
        return true; /* however small the limits are */
    return session->outbox.count < hub->settings.outbox_max_messages / 2 &&
           session->outbox.bytes + session->unsent_bytes < hub->settings.outbox_max_bytes / 2;
}

/* Asks on for all whose outbox has drained. */
static void look(struct timer *timer, uint64_t now_us)
{
    struct returning *returning = CONTAINER_OF(timer, struct returning, look);
    struct hub *hub = returning->channel->hub;
    bool again = false;
    for (uint32_t i = 0; i < returning->count; i++) {
        struct returner *each = &returning->entries[i];
        if (!each->asked && has_room(hub, each->session))
            ask(hub, returning->channel, each);
        again |= !each->asked;
    }
    if (again)
        wheel_start(&hub->wheel, timer, now_us + LOOK_US, look);
}

static void ask_on(struct hub *hub, struct channel *channel, struct returner *returner)
{
    returner->asked = false;
    if (has_room(hub, returner->session))
        ask(hub, channel, returner);
    else if (!timer_is_running(&channel->returning->look))
        wheel_start(&hub->wheel, &channel->returning->look, hub->now_us + LOOK_US, look);
}

/* --- the answer -----------------------------------------------------------------------------------------------------
 */

bool recover_is_told(const struct subscription *subscription)
{
    return returner_of(subscription)->told;
}

void recover_answer_again(struct hub *hub, struct session *session, const struct subscription *subscription,
                          struct str id)
{
    const struct returner *returner = returner_of(subscription);
    struct position position = {str_from_cstr(returner->epoch), returner->offset, STR("")};
    reply_subscribed(&hub->scratch, id, subscription->channel->name, &position, false);
    output_queue_scratch(hub, session);
}

/* All of it has been queued: an ordinary subscriber from now on. */
static void go_live(struct subscription *subscription)
{
    struct channel *channel = subscription->channel;
    struct returner *returner = returner_of(subscription);
    struct subscriber subscriber = {.session = returner->session, .index = returner->index};
    uint32_t at = subscription->index;
    subscription->returning = false;
    subscription->index = channel_add_subscriber(channel, subscriber);
    returning_remove(channel, at);
}

static void lose(struct hub *hub, struct session *session, struct subscription *subscription,
                 const struct recovery *recovery, const struct replay *replay)
{
    bool told = returner_of(subscription)->told;
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
    reply_gap(&hub->scratch, channel->name, gap_text(recovery->gap), &position);
    output_queue_scratch(hub, session);
}

/* Queues what there is room for. False when the session did not survive it. */
static bool queue_missed(struct hub *hub, struct session *session, struct returner *returner,
                         const struct replay *replay)
{
    while (has_room(hub, session) && returner->offset >= replay->first - 1 &&
           returner->offset - (replay->first - 1) < replay->count) {
        struct message *message = replay->messages[returner->offset - (replay->first - 1)];
        metrics_add(hub->metrics, METRIC_DELIVERIES, 1);
        metrics_add(hub->metrics, METRIC_DELIVERY_BYTES, message->frame_len);
        command_recovered(hub, session);
        returner->offset++;
        output_queue(hub, session, message);
        if (session->state != SESSION_OPEN)
            return false;
    }
    return true;
}

static void resume(struct hub *hub, struct session *session, struct subscription *subscription,
                   const struct recovery *recovery, const struct replay *replay)
{
    struct channel *channel = subscription->channel;
    struct returner *returner = returner_of(subscription);
    memcpy(returner->epoch, recovery->epoch, sizeof returner->epoch);
    returner->offset = recovery->offset;
    if (!returner->told) {
        struct position position = {str_from_cstr(recovery->epoch), recovery->offset, str_from_cstr(recovery->id)};
        struct waiting_command *waiting = subscription->waiting;
        subscription->waiting = NULL;
        returner->told = true;
        returner->id[0] = '\0';
        presence_enter(session, subscription);
        channel_answer_waiting(hub, session, channel, waiting, &position, recovery->last == 0);
        if (session->state != SESSION_OPEN)
            return;
    }
    returner->last = 0; /* it has a position now */
    if (replay->count && !queue_missed(hub, session, returner, replay))
        return;
    if (returner->offset == replay->offset) {
        metrics_add_labelled(hub->metrics, METRIC_RECOVERIES, METRICS_RECOVERY_COMPLETE, 1);
        go_live(subscription);
    } else {
        ask_on(hub, channel, returner);
    }
}

static void answer(struct hub *hub, const struct recovery *recovery, const struct replay *replay)
{
    struct session *session = hub_find(hub, recovery->session);
    struct subscription *subscription = session ? channel_find_subscription(session, replay->channel) : NULL;
    if (!subscription || !subscription->returning || returner_of(subscription)->serial != recovery->serial)
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
    /* From the end: queueing may close a session, which then takes itself out. */
    for (uint32_t i = channel->returning ? channel->returning->count : 0; i-- > 0;)
        if (channel->returning && i < channel->returning->count && channel->returning->entries[i].told)
            output_queue(channel->hub, channel->returning->entries[i].session, message);
}

/* --- gaps -------------------------------------------------------------------------------------------------------- */

static void tell_live(struct hub *hub, struct channel *channel, enum gap gap, const struct position *position)
{
    reply_gap(&hub->scratch, channel->name, gap_text(gap), position);
    struct message *message = message_create(WS_TEXT, buf_str(&hub->scratch));
    buf_clear(&hub->scratch);
    metrics_add_labelled(hub->metrics, METRIC_GAPS, gap, channel->count);
    for (uint32_t i = channel->count; i-- > 0;)
        if (i < channel->count)
            output_queue(hub, channel->subscribers[i].session, message);
    message_unref(message);
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
    for (uint32_t i = channel->returning ? channel->returning->count : 0; i-- > 0;) {
        if (!channel->returning || i >= channel->returning->count || !channel->returning->entries[i].told)
            continue;
        const struct returner *each = &channel->returning->entries[i];
        struct position own = {str_from_cstr(each->epoch), each->offset, STR("")};
        metrics_add_labelled(hub->metrics, METRIC_GAPS, GAP_CONNECTION_LOST, 1);
        reply_gap(&hub->scratch, name, gap_text(GAP_CONNECTION_LOST), &own);
        output_queue_scratch(hub, each->session);
    }
}
