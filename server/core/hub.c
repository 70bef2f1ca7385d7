/* hub.c - see hub.h. Here: sessions come and go. */
#include "server/core/hub.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/protocol/reply.h"
#include "server/core/hub_private.h"

static struct str uuid_of(struct sorted_link *link)
{
    return str_from(session_of(link)->uuid, UUID_LEN);
}

struct hub *hub_create(uint32_t worker, const struct hub_ops *ops, void *owner, const struct hub_settings *settings,
                       struct rules *rules, struct metrics *metrics, struct mailbox *replies, uint64_t now_us)
{
    struct hub *hub = xcalloc(1, sizeof *hub);
    hub->worker = worker;
    hub->ops = ops;
    hub->owner = owner;
    hub->settings = *settings;
    hub->rules = rules_ref(rules);
    hub->metrics = metrics;
    hub->replies = replies;
    hub->now_us = now_us;
    wheel_init(&hub->wheel, now_us);
    list_init(&hub->reaped);
    sorted_init(&hub->sessions, uuid_of);
    channels_init(hub);
    hub->ping = message_create(WS_PING, STR("c"));
    return hub;
}

void hub_destroy(struct hub *hub)
{
    hub_flush(hub);
    channels_free(hub);
    rules_unref(hub->rules);
    message_unref(hub->ping);
    buf_fini(&hub->scratch);
    buf_fini(&hub->parse);
    free(hub->accepted_us);
    free(hub->dirty);
    free(hub->slots);
    free(hub);
}

/* Timers that run for open sessions; all else is read from the settings when it is needed. */
static void follow_times(struct hub *hub, const struct hub_settings *before)
{
    const struct hub_settings *now = &hub->settings;
    size_t cursor = 0;
    if (now->ping_interval_us == before->ping_interval_us && now->pong_timeout_us == before->pong_timeout_us &&
        now->expiry_warning_us == before->expiry_warning_us && now->leeway_ms == before->leeway_ms &&
        now->session_slot_ttl_ms == before->session_slot_ttl_ms)
        return;
    for (struct session *session; (session = hub_next_session(hub, &cursor));) {
        if (session->state != SESSION_OPEN)
            continue;
        liveness_follow(hub, session, before);
        session_slot_follow(hub, session, before);
    }
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

struct wheel *hub_wheel(struct hub *hub)
{
    return &hub->wheel;
}

uint64_t hub_now_us(const struct hub *hub)
{
    return hub->now_us;
}

uint64_t hub_wall_ms(const struct hub *hub)
{
    return hub->wall_ms;
}

static void take_slot(struct hub *hub, struct session *session)
{
    if (hub->first_free == hub->slot_count) {
        if (hub->slot_count == hub->slot_cap) {
            hub->slot_cap = hub->slot_cap ? hub->slot_cap * 2 : 64;
            hub->slots = xrealloc(hub->slots, hub->slot_cap * sizeof *hub->slots);
        }
        hub->slots[hub->slot_count] = (struct hub_slot){.next_free = hub->slot_count + 1};
        hub->slot_count++;
    }
    uint32_t index = hub->first_free;
    struct hub_slot *slot = &hub->slots[index];
    hub->first_free = slot->next_free;
    slot->session = session;
    slot->generation++;
    session->id = (struct session_id){.worker = hub->worker, .slot = index, .generation = slot->generation};
    hub->session_count++;
}

static void give_slot_back(struct hub *hub, struct session *session)
{
    struct hub_slot *slot = &hub->slots[session->id.slot];
    slot->session = NULL;
    slot->next_free = hub->first_free;
    hub->first_free = session->id.slot;
    hub->session_count--;
}

struct session *hub_open(struct hub *hub, const struct session_start *start)
{
    struct session *session = xcalloc(1, sizeof *session);
    session->hub = hub;
    session->claims = claims_ref(start->claims);
    session->transport = start->transport;
    session->close_codes = start->close_codes;
    session->address = str_dup(start->address);
    session->opened_ms = hub->wall_ms;
    session->late_token = session->claims->exp_ms && session->claims->exp_ms <= hub->wall_ms;
    uuid_v7(hub->wall_ms, session->uuid);
    take_slot(hub, session);
    sorted_put(&hub->sessions, &session->by_id);
    hub->open_count++;
    metrics_gauge_add(hub->metrics, METRIC_SESSIONS, 1);
    metrics_add(hub->metrics, METRIC_SESSIONS_OPENED, 1);
    if (!session_slot_take(hub, session))
        hub_admit(hub, session);
    return session;
}

void hub_admit(struct hub *hub, struct session *session)
{
    struct session_init init = {
        .session_id = str_from(session->uuid, UUID_LEN),
        .wall_ms = hub->wall_ms,
        .user = session->claims->sub,
        .expires_ms = session->claims->exp_ms,
        .ping_interval_s = hub->settings.ping_interval_us / 1000000,
        .message_bytes = hub->settings.message_bytes,
        .channels = hub->settings.channels_per_session,
    };
    reply_session_init(&hub->scratch, &init);
    output_queue_scratch(hub, session);
    liveness_start(hub, session);
    if (hub->draining)
        liveness_drain(hub, session, 0);
}

void hub_gone(struct hub *hub, struct session *session)
{
    if (list_is_linked(&session->reaped_link))
        return;
    session_leave_open(hub, session);
    session->finished = true;
    channel_unsubscribe_all(hub, session);
    session_slot_leave(hub, session);
    metrics_add_labelled(hub->metrics, METRIC_OUTBOX_DROPPED_MESSAGES, METRICS_DROP_CLOSED, session->outbox.count);
    outbox_clear(&session->outbox);
    liveness_stop(hub, session);
    output_forget_dirty(hub, session);
    give_slot_back(hub, session);
    metrics_gauge_add(hub->metrics, METRIC_SESSIONS, -1);
    metrics_add_labelled(hub->metrics, METRIC_SESSIONS_CLOSED, session->closing_reason, 1);
    list_append(&hub->reaped, &session->reaped_link);
}

void session_leave_open(struct hub *hub, struct session *session)
{
    if (session->state != SESSION_OPEN)
        return;
    session->state = SESSION_CLOSING;
    sorted_remove(&hub->sessions, &session->by_id);
    hub->open_count--;
}

void session_free(struct session *session)
{
    claims_unref(session->claims);
    free(session->address);
    free(session);
}

/* A client is told in words too where it can do something about it. */
static bool wants_error_frame(enum reason reason)
{
    switch (reason) {
    case REASON_GOING_AWAY:
    case REASON_SLOW_CONSUMER:
    case REASON_PONG_TIMEOUT:
    case REASON_PROTOCOL_ERROR: return false;
    default: return true;
    }
}

void hub_close(struct hub *hub, struct session *session, enum reason reason)
{
    if (session->state != SESSION_OPEN)
        return;
    session->closing_reason = reason;
    if (reason == REASON_SLOW_CONSUMER) {
        metrics_add(hub->metrics, METRIC_SLOW_CONSUMERS, 1);
        outbox_clear(&session->outbox);
    }
    if (wants_error_frame(reason)) {
        reply_error(&hub->scratch, STR(""), reason_err(reason), str_from_cstr(reason_sentence(reason)), STR(""));
        output_queue_scratch(hub, session);
        if (session->state != SESSION_OPEN) /* that was one too much for a slow consumer */
            return;
    }
    output_close(hub, session, session->close_codes->code[reason], str_from_cstr(reason_text(reason)));
}

void hub_close_with(struct hub *hub, struct session *session, int code, struct str reason_text)
{
    if (session->state == SESSION_OPEN)
        output_close(hub, session, code, reason_text);
}

struct session *hub_find(struct hub *hub, struct session_id id)
{
    if (id.generation == 0 || id.worker != hub->worker || id.slot >= hub->slot_count)
        return NULL;
    const struct hub_slot *slot = &hub->slots[id.slot];
    return slot->generation == id.generation ? slot->session : NULL;
}

size_t hub_session_count(const struct hub *hub)
{
    return hub->session_count;
}

struct session *hub_next_session(struct hub *hub, size_t *cursor)
{
    while (*cursor < hub->slot_count) {
        struct session *session = hub->slots[(*cursor)++].session;
        if (session)
            return session;
    }
    return NULL;
}

const struct sorted *hub_sessions_in_order(const struct hub *hub)
{
    return &hub->sessions;
}

size_t hub_open_count(const struct hub *hub)
{
    return hub->open_count;
}

size_t hub_session_places(const struct hub *hub)
{
    return hub->slot_count;
}

struct session *hub_session_at(struct hub *hub, size_t place)
{
    return place < hub->slot_count ? hub->slots[place].session : NULL;
}

bool hub_subscribe(struct hub *hub, struct session *session, struct str name)
{
    if (session->state != SESSION_OPEN || session_slot_is_awaited(session) ||
        session->subscription_count >= hub->settings.channels_per_session || channel_find_subscription(session, name))
        return false;
    struct subscription *subscription = channel_subscribe(hub, session, name);
    subscription->by_backend = true;
    commands_answer_subscribed(hub, session, subscription, STR(""));
    return true;
}

bool hub_unsubscribe(struct hub *hub, struct session *session, struct str name)
{
    struct subscription *subscription = channel_find_subscription(session, name);
    if (!subscription)
        return false;
    channel_unsubscribe(hub, session, subscription);
    reply_unsubscribed(&hub->scratch, STR(""), name);
    output_queue_scratch(hub, session);
    return true;
}

void hub_drain(struct hub *hub, uint64_t window_us)
{
    hub->draining = true;
    size_t cursor = 0;
    for (struct session *session; (session = hub_next_session(hub, &cursor));) {
        if (session->state != SESSION_OPEN)
            continue;
        if (session_slot_is_awaited(session)) /* it has not begun: refused, as who comes from now on */
            hub_close(hub, session, REASON_DRAINING);
        else
            liveness_drain(hub, session, window_us ? random_below(window_us) : 0);
    }
}
