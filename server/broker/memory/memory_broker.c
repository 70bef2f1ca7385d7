/* memory_broker.c - see memory_broker.h. */
#include "server/broker/memory/memory_broker.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/uv_handle.h"
#include "server/broker/memory/memory_channels.h"
#include "server/broker/memory/memory_ids.h"
#include "server/broker/memory/memory_lifecycle.h"
#include "server/broker/memory/memory_presence.h"
#include "server/broker/memory/memory_tickets.h"

struct memory_broker {
    struct broker broker; /* first */
    struct memory_broker_config config;
    char *node_id;
    struct mailbox mailbox;
    uv_timer_t closing; /* never started: its end is the moment for closed, out of all callbacks */
    void (*closed)(void *owner);
    struct memory_channels channels;
    uint64_t serials; /* of subscriptions */
    struct memory_ids ids;
    struct memory_presence presence;
    struct memory_tickets tickets;
    struct memory_lifecycle lifecycle;
};

static struct memory_broker *broker_of(struct broker *base)
{
    return CONTAINER_OF(base, struct memory_broker, broker);
}

/* ---- publish ---- */

/* Gives the publication its position in the channel's history. */
static void order(struct memory_broker *broker, struct publication *publication, uint64_t now_us)
{
    struct memory_channel *channel = memory_channel_find_or_create(&broker->channels, publication->base.channel);
    if (!memory_channel_has_position(channel, now_us))
        memory_channel_begin_epoch(&broker->channels, channel);
    memory_channel_keep_for(channel, &publication->history, now_us);
    publication->offset = ++channel->offset;
    memcpy(publication->epoch, channel->epoch, sizeof channel->epoch);
    memcpy(channel->last_id, publication->id, sizeof channel->last_id);
    channel->user = publication->user_hash;
    if (!channel->subscribed)
        memory_channel_make_idle(&broker->channels, channel, now_us);
}

static void keep_and_hand_on(struct memory_broker *broker, const struct publication *publication, uint64_t now_us,
                             uint64_t wall_ms)
{
    struct memory_channel *channel = memory_channel_find(&broker->channels, publication->base.channel);
    char timestamp[CLOCK_RFC3339_LEN + 1];
    if (!channel)
        return;
    clock_format(wall_ms, timestamp);
    struct event event = {
        .channel = publication->base.channel,
        .type = publication->type,
        .id = str_from_cstr(publication->id),
        .epoch = str_from_cstr(publication->epoch),
        .offset = publication->offset,
        .timestamp = str_from(timestamp, CLOCK_RFC3339_LEN),
        .user = publication->user,
        .session = publication->session,
        .exclude = publication->exclude,
        .data = publication->data,
    };
    if (event.offset)
        memory_log_append(&broker->channels.logs, &channel->log, &event, publication->user_hash, &publication->history,
                          now_us);
    if (channel->answered)
        broker->broker.sink->event(broker->broker.owner, &event);
}

static void publish(struct memory_broker *broker, struct publication *publication)
{
    uint64_t now_us = turn_now_us(broker->config.turn);
    uint64_t wall_ms = turn_wall_ms(broker->config.turn);
    bool has_id = publication->event_id.len > 0;
    if (has_id && memory_ids_recall(&broker->ids, publication, now_us))
        return;
    uuid_v7(wall_ms, publication->id);
    if (publication->history.size)
        order(broker, publication, now_us);
    if (has_id)
        metrics_add(broker->broker.metrics, METRIC_EVENT_IDS_FORGOTTEN,
                    memory_ids_remember(&broker->ids, publication, now_us));
    keep_and_hand_on(broker, publication, now_us, wall_ms);
    memory_logs_expire(&broker->channels.logs, now_us);
    memory_channels_forget_idle(&broker->channels, now_us);
}

/* ---- subscribe ---- */

struct subscription_answer {
    struct mail mail;
    uint64_t serial;
    bool again; /* to a subscribe of a subscribed channel */
    struct str channel;
    char bytes[];
};

static void deliver_answer(struct mail *mail, void *owner)
{
    struct memory_broker *broker = owner;
    struct subscription_answer *answer = CONTAINER_OF(mail, struct subscription_answer, mail);
    struct memory_channel *channel = memory_channel_find(&broker->channels, answer->channel);
    if (channel && channel->subscribed && channel->serial == answer->serial) {
        channel->answered = true;
        bool closing = broker->closed != NULL;
        struct position position = {str_from_cstr(channel->epoch), channel->offset, str_from_cstr(channel->last_id)};
        if (answer->again)
            broker->broker.sink->located(broker->broker.owner, channel->name, &position);
        else
            broker->broker.sink->subscribed(broker->broker.owner, channel->name, closing ? ERR_UNAVAILABLE : ERR_NONE,
                                            closing ? STR("this node is stopping") : STR(""), &position);
    }
    free(answer);
}

/* Gives the channel the position that a new subscriber is told. */
static void find_position(struct memory_broker *broker, struct memory_channel *channel,
                          const struct history_policy *history, uint64_t now_us)
{
    if (memory_channel_has_position(channel, now_us))
        return;
    channel->epoch[0] = channel->last_id[0] = '\0';
    channel->offset = 0;
    if (history->size) {
        memory_channel_begin_epoch(&broker->channels, channel);
        memory_channel_keep_for(channel, history, now_us);
    }
}

static void post_answer(struct memory_broker *broker, const struct memory_channel *channel, bool again)
{
    struct subscription_answer *answer = xmalloc(sizeof *answer + channel->name.len);
    memcpy(answer->bytes, channel->name.ptr, channel->name.len);
    answer->channel = str_from(answer->bytes, channel->name.len);
    answer->serial = channel->serial;
    answer->again = again;
    answer->mail.deliver = deliver_answer;
    mailbox_post(&broker->mailbox, &answer->mail);
}

/* The rule of a subscribed channel has this history now. */
static void follow_rule(struct memory_broker *broker, struct memory_channel *channel,
                        const struct history_policy *history)
{
    if (!history->size)
        return;
    find_position(broker, channel, history, turn_now_us(broker->config.turn));
    post_answer(broker, channel, true);
}

static void subscribe(struct broker *base, struct str name, const struct history_policy *history)
{
    struct memory_broker *broker = broker_of(base);
    struct memory_channel *channel = memory_channel_find_or_create(&broker->channels, name);
    if (channel->subscribed) {
        follow_rule(broker, channel, history);
        return;
    }
    find_position(broker, channel, history, turn_now_us(broker->config.turn));
    memory_channel_make_busy(&broker->channels, channel);
    metrics_gauge_add(base->metrics, METRIC_BROKER_SUBSCRIPTIONS, 1);
    channel->subscribed = true;
    channel->answered = false;
    channel->serial = ++broker->serials;
    post_answer(broker, channel, false);
}

static void unsubscribe(struct broker *base, struct str name)
{
    struct memory_broker *broker = broker_of(base);
    struct memory_channel *channel = memory_channel_find(&broker->channels, name);
    if (!channel || !channel->subscribed)
        return;
    channel->subscribed = channel->answered = false;
    metrics_gauge_add(base->metrics, METRIC_BROKER_SUBSCRIPTIONS, -1);
    if (!channel->epoch[0]) {
        memory_channel_forget(&broker->channels, channel);
        return;
    }
    uint64_t now_us = turn_now_us(broker->config.turn);
    memory_channel_make_idle(&broker->channels, channel, now_us);
    memory_channels_forget_idle(&broker->channels, now_us);
}

/* ---- history ---- */

static void read_history(struct memory_broker *broker, struct history_read *read)
{
    struct memory_channel *channel = memory_channel_find(&broker->channels, read->base.channel);
    uint64_t now_us = turn_now_us(broker->config.turn);
    if (!channel || !memory_channel_has_position(channel, now_us))
        return;
    memcpy(read->epoch, channel->epoch, sizeof read->epoch);
    read->offset = channel->offset;
    memcpy(read->id, channel->last_id, sizeof channel->last_id);
    memory_log_read(&broker->channels.logs, &channel->log, read, now_us);
}

bool memory_broker_lose(struct broker *base, struct str name)
{
    struct memory_broker *broker = broker_of(base);
    struct memory_channel *channel = memory_channel_find(&broker->channels, name);
    if (!channel || !channel->epoch[0] || channel->offset == 0)
        return false;
    memory_channel_begin_epoch(&broker->channels, channel);
    if (channel->subscribed)
        post_answer(broker, channel, true);
    else
        memory_channel_make_idle(&broker->channels, channel, turn_now_us(broker->config.turn));
    return true;
}

/* ---- requests ---- */

/* There is one node, and it keeps no revocation beyond its own life. */
static void carry_out(struct memory_broker *broker, struct request *request)
{
    struct broker *base = &broker->broker;
    switch (request->kind) {
    case REQUEST_PUBLISH: publish(broker, publication_of(request)); break;
    case REQUEST_HISTORY: read_history(broker, history_read_of(request)); break;
    case REQUEST_REVOKE:
        base->sink->revoked(base->owner, &CONTAINER_OF(request, struct revoke_request, base)->revocation);
        break;
    case REQUEST_SESSION_SLOT: /* this node's own limits have decided already */
        CONTAINER_OF(request, struct session_slot_request, base)->granted = true;
        break;
    case REQUEST_PRESENCE_UPDATE:
        memory_presence_update(&broker->presence, base, CONTAINER_OF(request, struct presence_update, base),
                               turn_wall_ms(broker->config.turn));
        break;
    case REQUEST_PRESENCE_READ: memory_presence_read(&broker->presence, presence_read_of(request)); break;
    case REQUEST_STREAM_APPEND:
        request_fail(request, ERR_UNAVAILABLE, "this node has no Redis, so it cannot append to a stream of Redis");
        break;
    case REQUEST_TICKET:
        memory_tickets_carry_out(&broker->tickets, ticket_request_of(request), turn_now_us(broker->config.turn));
        break;
    case REQUEST_LIFECYCLE_WRITE: memory_lifecycle_write(&broker->lifecycle, lifecycle_write_of(request)); break;
    case REQUEST_LIFECYCLE_READ: memory_lifecycle_read(&broker->lifecycle, lifecycle_read_of(request)); break;
    case REQUEST_LIFECYCLE_LOST: break; /* there is no other node */
    case REQUEST_RECOVERY:
    case REQUEST_SURVEY: assert(false && "a broker answers neither"); break;
    }
}

static void deliver_request(struct mail *mail, void *owner)
{
    struct memory_broker *broker = owner;
    struct request *request = CONTAINER_OF(mail, struct request, mail);
    if (broker->closed)
        request_fail(request, ERR_UNAVAILABLE, "this node is stopping%s",
                     request->kind == REQUEST_PUBLISH ? "; nothing was published" : "");
    else
        carry_out(broker, request);
    broker_answer(&broker->broker, request);
}

static void ask(struct broker *base, struct request *request)
{
    request->mail.deliver = deliver_request;
    mailbox_post(&broker_of(base)->mailbox, &request->mail);
}

/* ---- nodes ---- */

struct message_to_self {
    struct mail mail;
    struct str bytes;
    char text[];
};

static void deliver_control(struct mail *mail, void *owner)
{
    struct memory_broker *broker = owner;
    struct message_to_self *message = CONTAINER_OF(mail, struct message_to_self, mail);
    broker->broker.sink->control(broker->broker.owner, str_from_cstr(broker->node_id), message->bytes);
    free(message);
}

static void control(struct broker *base, struct str to, struct str bytes)
{
    struct memory_broker *broker = broker_of(base);
    if (!str_eq_cstr(to, broker->node_id))
        return; /* there is no other node */
    struct message_to_self *message = xmalloc(sizeof *message + bytes.len);
    memcpy(message->text, bytes.ptr, bytes.len);
    message->bytes = str_from(message->text, bytes.len);
    message->mail.deliver = deliver_control;
    mailbox_post(&broker->mailbox, &message->mail);
}

static void nodes(struct broker *base, struct buf *out)
{
    buf_append(out, str_from_cstr(broker_of(base)->node_id));
}

static void info(struct broker *base, struct broker_info *out)
{
    *out = (struct broker_info){.state = BROKER_UP, .kind = "memory"};
}

/* ---- life ---- */

static void deliver_state(struct mail *mail, void *owner)
{
    struct memory_broker *broker = owner;
    struct broker_info now;
    info(&broker->broker, &now);
    broker->broker.sink->state(broker->broker.owner, &now);
    free(mail);
}

static void on_closing(uv_handle_t *closing)
{
    struct memory_broker *broker = closing->data;
    mailbox_close(&broker->mailbox);
    broker->closed(broker->broker.owner);
}

static void begin_close(struct broker *base, void (*closed)(void *owner))
{
    struct memory_broker *broker = broker_of(base);
    broker->closed = closed;
    uv_close(UV_HANDLE(&broker->closing), on_closing);
}

/* At least one, so that the position being used is never pushed out by itself. */
static size_t share_of(const struct memory_broker_config *config, size_t whole)
{
    size_t share = whole / 100 * config->user_share + whole % 100 * config->user_share / 100;
    return share ? share : 1;
}

/* What does not depend on channels. */
static void init_rest(struct memory_broker *broker)
{
    const struct memory_broker_config *config = &broker->config;
    memory_tickets_init(&broker->tickets);
    memory_ids_init(&broker->ids, config->idempotency_window_ms * 1000, config->ids_bytes_max,
                    share_of(config, config->ids_bytes_max));
    memory_lifecycle_init(&broker->lifecycle);
}

static void fini_rest(struct memory_broker *broker)
{
    memory_ids_fini(&broker->ids);
    memory_tickets_fini(&broker->tickets);
    memory_lifecycle_fini(&broker->lifecycle);
}

static void destroy(struct broker *base)
{
    struct memory_broker *broker = broker_of(base);
    memory_channels_fini(&broker->channels);
    memory_presence_fini(&broker->presence);
    fini_rest(broker);
    free(broker->node_id);
    free(broker);
}

static const struct broker_ops ops = {
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .ask = ask,
    .info = info,
    .close = begin_close,
    .destroy = destroy,
};

static const struct node_control_ops node_control = {.send = control, .list = nodes};

struct broker *memory_broker_create(const struct memory_broker_config *config, const struct broker_sink *sink,
                                    void *owner, struct metrics *metrics)
{
    struct memory_broker *broker = xcalloc(1, sizeof *broker);
    broker->broker =
        (struct broker){.ops = &ops, .nodes = &node_control, .sink = sink, .owner = owner, .metrics = metrics};
    broker->config = *config;
    broker->node_id = str_dup(config->node_id);
    memory_channels_init(&broker->channels, config->empty_ttl_ms * 1000, config->positions_max,
                         share_of(config, config->positions_max), config->history_bytes_max,
                         share_of(config, config->history_bytes_max));
    init_rest(broker);
    mailbox_init(&broker->mailbox, config->turn, broker);
    uv_timer_init(config->turn->loop, &broker->closing);
    broker->closing.data = broker;
    /* The broker is up from the start, but every call of the sink comes from mail. */
    struct mail *up = xcalloc(1, sizeof *up);
    up->deliver = deliver_state;
    mailbox_post(&broker->mailbox, up);
    return &broker->broker;
}

void memory_broker_empty(struct broker *base)
{
    struct memory_broker *broker = broker_of(base);
    size_t cursor = 0;
    fini_rest(broker);
    init_rest(broker);
    memory_channels_forget_all_idle(&broker->channels);
    for (struct memory_channel *channel; (channel = map_next(&broker->channels.by_name, &cursor));)
        if (channel->epoch[0]) {
            memory_channel_begin_epoch(&broker->channels, channel);
            post_answer(broker, channel, false);
        }
}

void memory_broker_forget_members(struct broker *base)
{
    memory_presence_fini(&broker_of(base)->presence);
}

void memory_broker_save(struct broker *base, void (*tell)(void *owner, const struct memory_snapshot *snapshot),
                        void *owner)
{
    struct memory_broker *broker = broker_of(base);
    uint64_t now_us = turn_now_us(broker->config.turn);
    size_t cursor = 0;
    for (struct memory_channel *channel; (channel = map_next(&broker->channels.by_name, &cursor));) {
        if (!memory_channel_has_position(channel, now_us))
            continue;
        struct history_read *read = history_read_create(channel->name, STR(""));
        read->limit = UINT32_MAX;
        read->max_bytes = SIZE_MAX;
        read_history(broker, read);
        tell(owner, &(struct memory_snapshot){channel->name, read});
        request_destroy(&read->base);
    }
}

void memory_broker_restore(struct broker *base, struct str name, const struct position *position,
                           const struct history_policy *history, const struct event *events, size_t count)
{
    struct memory_broker *broker = broker_of(base);
    uint64_t now_us = turn_now_us(broker->config.turn);
    struct memory_channel *channel = memory_channel_find_or_create(&broker->channels, name);
    memory_channel_begin_epoch(&broker->channels, channel);
    memory_channel_keep_for(channel, history, now_us);
    snprintf(channel->epoch, sizeof channel->epoch, "%.*s", STR_ARG(position->epoch));
    snprintf(channel->last_id, sizeof channel->last_id, "%.*s", STR_ARG(position->id));
    channel->offset = position->offset;
    for (size_t i = 0; i < count; i++)
        memory_log_append(&broker->channels.logs, &channel->log, &events[i], 0, history, now_us);
    if (channel->subscribed)
        post_answer(broker, channel, false);
    else
        memory_channel_make_idle(&broker->channels, channel, now_us);
}
