/* hub.c - see hub.h. This file has what concerns the whole hub: sessions come and go, and the turn ends. */
#include "server/core/hub.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "server/core/hub_private.h"
#include "server/core/session_slot.h"

static void count_opened(struct observer *observer, const struct session *session)
{
    (void)observer;
    metrics_gauge_add(session->hub->metrics, METRIC_SESSIONS, 1);
    metrics_add(session->hub->metrics, METRIC_SESSIONS_OPENED, 1);
}

static void count_closed(struct observer *observer, const struct session *session, enum reason reason)
{
    (void)observer;
    metrics_gauge_add(session->hub->metrics, METRIC_SESSIONS, -1);
    metrics_add_labelled(session->hub->metrics, METRIC_SESSIONS_CLOSED, reason, 1);
}

static void count_occupied(struct observer *observer, const struct channel *channel)
{
    (void)observer;
    metrics_gauge_add(channel->hub->metrics, METRIC_CHANNELS, 1);
}

static void count_vacated(struct observer *observer, const struct channel *channel)
{
    (void)observer;
    metrics_gauge_add(channel->hub->metrics, METRIC_CHANNELS, -1);
}

static const struct observer counting = {
    .opened = count_opened, .closed = count_closed, .occupied = count_occupied, .vacated = count_vacated};

struct hub *hub_create(const struct hub_options *options)
{
    struct hub *hub = xcalloc(1, sizeof *hub);
    hub->worker = options->worker;
    hub->node = options->node;
    hub->node_owner = options->node_owner;
    hub->node_id = options->node_id;
    hub->ops = options->ops;
    hub->owner = options->owner;
    hub->settings = *options->settings;
    hub->rules = rules_ref(options->rules);
    hub->metrics = options->metrics;
    hub->replies = options->replies;
    hub->now_us = options->now_us;
    wheel_init(&hub->wheel, options->now_us);
    session_index_init(&hub->sessions, options->worker);
    list_init(&hub->session_slots);
    session_tickets_init(hub);
    list_init(&hub->ending);
    list_init(&hub->reaped);
    channels_init(hub);
    list_init(&hub->observers);
    hub->counting = counting;
    hub_observe(hub, &hub->counting);
    presence_init(hub);
    return hub;
}

void hub_destroy(struct hub *hub)
{
    hub_flush(hub);
    session_tickets_fini(hub);
    channels_free(hub);
    rules_unref(hub->rules);
    formats_fini(&hub->formats);
    buf_fini(&hub->parse);
    free(hub->accepted_us);
    free(hub->dirty);
    session_index_fini(&hub->sessions);
    free(hub);
}

/* Timers that run for open sessions. All other settings are read when they are needed. */
static void follow_times(struct hub *hub, const struct hub_settings *before)
{
    const struct hub_settings *now = &hub->settings;
    size_t cursor = 0;
    session_slots_follow(hub, before);
    if (now->expiry_warning_us == before->expiry_warning_us && now->leeway_ms == before->leeway_ms)
        return;
    for (struct session *session; (session = session_index_next(&hub->sessions, &cursor));)
        if (session->state == SESSION_OPEN)
            liveness_follow(hub, session, before);
}

void hub_configure(struct hub *hub, const struct hub_settings *settings, struct rules *rules)
{
    const struct hub_settings before = hub->settings;
    hub->settings = *settings;
    follow_times(hub, &before);
    if (rules == hub->rules)
        return;
    rules_ref(rules);
    rules_unref(hub->rules);
    hub->rules = rules;
    channels_follow_rules(hub);
}

void hub_advance(struct hub *hub, uint64_t now_us, uint64_t wall_ms)
{
    hub->now_us = now_us;
    hub->wall_ms = wall_ms;
    wheel_advance(&hub->wheel, now_us);
}

const struct rules *hub_rules(const struct hub *hub)
{
    return hub->rules;
}

void hub_ask(struct hub *hub, struct request *request)
{
    request->reply_to = hub->replies;
    hub->node->ask(hub->node_owner, request);
}

struct wheel *hub_wheel(struct hub *hub)
{
    return &hub->wheel;
}

const struct session_index *hub_sessions(const struct hub *hub)
{
    return &hub->sessions;
}

uint64_t hub_now_us(const struct hub *hub)
{
    return hub->now_us;
}

uint64_t hub_wall_ms(const struct hub *hub)
{
    return hub->wall_ms;
}

struct mailbox *hub_replies(const struct hub *hub)
{
    return hub->replies;
}

struct metrics *hub_metrics(const struct hub *hub)
{
    return hub->metrics;
}

void hub_count_link(struct hub *hub, int change)
{
    hub->links += (size_t)change;
}

size_t hub_links(const struct hub *hub)
{
    return hub->links;
}

/* since: the client has the events before this position. NULL: it has none. The server chose the position, not the
 * client. So if the history does not reach back to it, the client gets the whole history. */
static bool subscribe(struct hub *hub, struct session *session, struct str name, bool by_backend,
                      const struct command *since)
{
    if (session->state != SESSION_OPEN || session->subscription_count >= session->endpoint->limits.channels ||
        subscription_find(session, name))
        return false;
    struct subscription *subscription =
        since ? recover_subscribe(hub, session, name, since) : subscription_begin(hub, session, name);
    subscription->by_backend = by_backend;
    if (since)
        subscription_recovering(subscription)->or_kept = true;
    subscription_answer(hub, session, subscription, STR(""));
    return true;
}

/* A session whose ticket was used before goes on where the one before was lost. */
static void subscribe_first(struct hub *hub, struct session *session, const struct first_channel *first)
{
    struct command since = {.has_since = true};
    bool has_position = session->has_ticket && session_ticket_since(session, first->name, &since.since);
    subscribe(hub, session, first->name, first->by_backend, has_position ? &since : NULL);
}

struct session *hub_open(struct hub *hub, const struct session_start *start)
{
    struct session *session = session_create(hub, start);
    const struct reply reply = {.type = REPLY_SESSION_INIT,
                                .session_init = {.session_id = str_from(session->uuid, UUID_LEN),
                                                 .wall_ms = hub->wall_ms,
                                                 .user = session->claims->sub,
                                                 .expires_ms = session->claims->exp_ms,
                                                 .ping_interval_s = liveness_interval_us(session) / 1000000,
                                                 .message_bytes = session->endpoint->limits.message_bytes,
                                                 .channels = session->endpoint->limits.channels}};
    observe_opened(hub, session);
    output_reply(hub, session, &reply);
    liveness_start(hub, session);
    if (start->ticket)
        session_ticket_begin(start->ticket, session, start->channels, start->channel_count);
    for (size_t i = 0; i < start->channel_count; i++)
        subscribe_first(hub, session, &start->channels[i]);
    if (session->endpoint->upstream)
        session_upstream_open(hub, session, start->origin);
    if (hub->draining)
        liveness_drain(hub, session, 0);
    return session;
}

void hub_use_endpoint(struct hub *hub, struct session *session, struct endpoint *endpoint)
{
    struct endpoint *before = session->endpoint;
    session->endpoint = endpoint_ref(endpoint);
    liveness_follow_endpoint(hub, session, before);
    endpoint_unref(before);
}

void hub_gone(struct hub *hub, struct session *session)
{
    if (session->state == SESSION_GONE)
        return;
    session->finished = true;
    session_forget(session); /* first: nothing is queued for it any more */
    session_upstream_end(session);
    subscription_end_all(hub, session);
    if (session->session_slot)
        session_slot_leave(session->session_slot);
    session->session_slot = NULL;
    if (session->has_ticket)
        session_ticket_end(session);
    metrics_add_labelled(hub->metrics, METRIC_OUTBOX_DROPPED_MESSAGES, METRICS_DROP_CLOSED, session->outbox.count);
    outbox_clear(&session->outbox);
    liveness_stop(hub, session);
    output_forget_dirty(hub, session);
    observe_closed(hub, session);
}

/* The sessions whose end was decided in this turn. Their last frames are queued, and nothing more will be. */
static void carry_out_ends(struct hub *hub)
{
    for (struct list_link *link; (link = list_take_first(&hub->ending));) {
        struct session *session = CONTAINER_OF(link, struct session, link);
        subscription_end_all(hub, session);
        session_upstream_end(session);
        hub_hold_input(hub, session, false); /* the answer to the close frame is awaited */
        liveness_bound_closing(hub, session);
        output_mark_dirty(hub, session);
    }
}

void hub_flush(struct hub *hub)
{
    carry_out_ends(hub);
    output_flush(hub);
    sessions_reap(hub);
}

bool hub_subscribe(struct hub *hub, struct session *session, struct str name)
{
    return subscribe(hub, session, name, true, NULL);
}

bool hub_unsubscribe(struct hub *hub, struct session *session, struct str name)
{
    struct subscription *subscription = session->state == SESSION_OPEN ? subscription_find(session, name) : NULL;
    if (!subscription)
        return false;
    subscription_end(hub, session, subscription, LEFT_TOO_SOON);
    output_unsubscribed(hub, session, STR(""), name);
    return true;
}

bool hub_is_draining(const struct hub *hub)
{
    return hub->draining;
}

void hub_drain(struct hub *hub, uint64_t window_us)
{
    hub->draining = true;
    hub->drained_at_us = hub->now_us + window_us;
    size_t cursor = 0;
    for (struct session *session; (session = session_index_next(&hub->sessions, &cursor));)
        if (session->state == SESSION_OPEN)
            liveness_drain(hub, session, window_us ? random_below(window_us) : 0);
}
