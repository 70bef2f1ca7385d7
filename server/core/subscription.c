/* subscription.c - a session's subscriptions. They are a dense list, like the subscribers of a channel. Each entry
 * knows its place in the other list. To add is to append. To remove moves the last entry into the gap. */
#include "common/base/alloc.h"
#include "server/core/hub_private.h"

/* Up to so many subscriptions, a walk costs less than a table. A table takes 80 bytes for each. */
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

struct subscription *subscription_find(struct session *session, struct str name)
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

struct recovering_subscriber *subscription_recovering(const struct subscription *subscription)
{
    return &subscription->channel->recovering->entries[subscription->index];
}

/* There is room for two, or else for a power of two. So the list can be full only when its count is one. */
static void make_room(struct session *session)
{
    uint32_t count = session->subscription_count;
    if (count != 1 && (count & (count - 1)) == 0)
        session->subscriptions =
            xrealloc(session->subscriptions, (count ? 2 * count : 2) * sizeof *session->subscriptions);
}

struct subscription *subscription_add(struct hub *hub, struct session *session, struct str name)
{
    struct channel *channel = channel_want(hub, name);
    make_room(session);
    struct subscription *subscription = &session->subscriptions[session->subscription_count++];
    *subscription = (struct subscription){.channel = channel};
    note_last_place(session);
    metrics_gauge_add(hub->metrics, METRIC_SUBSCRIPTIONS, 1);
    return subscription;
}

struct subscription *subscription_begin(struct hub *hub, struct session *session, struct str name)
{
    struct subscription *subscription = subscription_add(hub, session, name);
    struct subscriber subscriber = {.session = session, .index = session->subscription_count - 1};
    subscription->index = channel_add_subscriber(subscription->channel, subscriber);
    if (subscription->channel->state == CHANNEL_JOINED)
        subscription_confirm(session, subscription);
    return subscription;
}

void subscription_confirm(struct session *session, struct subscription *subscription)
{
    if (subscription->confirmed || session->state != SESSION_OPEN)
        return; /* a channel is joined again when its rule has another history */
    subscription->confirmed = true;
    if (session->has_ticket)
        session->hub->ticket_events->subscribed(session, subscription->channel);
    observe_subscribed(session->hub, session, subscription->channel);
}

/* Takes both entries out. The last entry of each list fills the gap. */
static void unlink_both(struct session *session, uint32_t index)
{
    struct subscription *subscription = &session->subscriptions[index];
    if (subscription->confirmed)
        observe_unsubscribed(session->hub, session, subscription->channel);
    if (subscription->recovering)
        channel_remove_recovering(subscription->channel, subscription->index);
    else
        channel_remove_subscriber(subscription->channel, subscription->index);
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

/* --- commands that wait ------------------------------------------------------------------------------------------- */

static struct waiting_command *take_waiting(struct subscription *subscription)
{
    struct waiting_command *waiting = subscription->waiting;
    subscription->waiting = NULL;
    return waiting;
}

bool subscription_position(const struct subscription *subscription, struct position *out)
{
    const struct recovering_subscriber *recovering =
        subscription->recovering ? subscription_recovering(subscription) : NULL;
    if (recovering ? !recovering->told : subscription->channel->state != CHANNEL_JOINED)
        return false;
    *out = channel_position(subscription->channel);
    if (recovering)
        *out = (struct position){str_from_cstr(recovering->epoch), recovering->offset, STR("")};
    return true;
}

void subscription_answer(struct hub *hub, struct session *session, struct subscription *subscription, struct str id)
{
    struct position position;
    if (subscription_position(subscription, &position)) {
        output_subscribed(hub, session, id, subscription->channel->name, &position, false);
        return;
    }
    struct waiting_command **last = &subscription->waiting;
    while (*last)
        last = &(*last)->next;
    *last = xmalloc(sizeof **last + id.len + 1);
    (*last)->next = NULL;
    if (id.len)
        memcpy((*last)->id, id.ptr, id.len);
    (*last)->id[id.len] = '\0';
}

void subscription_answer_waiting(struct hub *hub, struct session *session, struct subscription *subscription,
                                 const struct position *position, bool recovered)
{
    struct waiting_command *waiting = take_waiting(subscription);
    while (waiting) {
        struct waiting_command *next = waiting->next;
        output_subscribed(hub, session, str_from_cstr(waiting->id), subscription->channel->name, position, recovered);
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

void subscription_end(struct hub *hub, struct session *session, struct subscription *subscription, struct str text)
{
    struct channel *channel = subscription->channel;
    struct waiting_command *waiting = take_waiting(subscription);
    unlink_both(session, (uint32_t)(subscription - session->subscriptions));
    metrics_gauge_add(hub->metrics, METRIC_SUBSCRIPTIONS, -1);
    refuse_waiting(hub, session, channel->name, waiting, text);
    channel_linger_if_unused(channel);
}

void subscription_end_all(struct hub *hub, struct session *session)
{
    forget_places(session);
    while (session->subscription_count > 0)
        subscription_end(hub, session, &session->subscriptions[session->subscription_count - 1], LEFT_TOO_SOON);
    free(session->subscriptions);
    session->subscriptions = NULL;
}
