/* memory_broker.c - see memory_broker.h. */
#include "server/broker/memory/memory_broker.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "server/broker/memory/memory_ids.h"
#include "server/broker/memory/memory_log.h"
#include "server/broker/memory/memory_requests.h"

/* How long the position outlives the events of a channel that has fallen silent. */
static const uint64_t longer_us = UINT64_C(24) * 60 * 60 * 1000 * 1000;

/* A channel with subscribers or a position. Owned by memory_broker.channels. */
struct place {
    struct list_link idle;   /* in memory_broker.idle or .empty while nobody is subscribed */
    struct memory_part part; /* of memory_broker.positions, while it is in idle */
    uint64_t user;           /* whose client published last; 0: a backend, or nobody yet */
    bool subscribed;
    bool answered;             /* sink->subscribed has been called: events may follow */
    uint64_t serial;           /* of the subscription: an answer for an earlier one is stale */
    uint64_t forget_us;        /* when an idle position ends; 0: with age never */
    char epoch[EPOCH_MAX + 1]; /* "": no history so far */
    uint64_t offset;
    char last_id[UUID_LEN + 1]; /* of the event there; "": none so far */
    struct memory_log log;
    struct str channel;
    char bytes[];
};

struct memory_broker {
    struct broker broker; /* first */
    struct memory_broker_config config;
    char *node_id;
    struct mailbox mailbox;
    uv_timer_t closing; /* never started: its end is the moment for closed, out of all callbacks */
    void (*closed)(void *owner);
    struct map channels;
    struct list_link idle;  /* unused for longest first */
    struct list_link empty; /* the same: those that have had no event, all equally long-lived */
    size_t idle_count;      /* in both */
    struct memory_shares positions;
    uint64_t serials;
    struct memory_ids ids;
    struct memory_presence presence;
    struct memory_logs logs;
};

static struct memory_broker *broker_of(struct broker *base)
{
    return CONTAINER_OF(base, struct memory_broker, broker);
}

/* ---- places ---- */

static void make_busy(struct memory_broker *broker, struct place *place)
{
    if (!list_is_linked(&place->idle))
        return;
    list_remove(&place->idle);
    memory_shares_remove(&broker->positions, &place->part);
    broker->idle_count--;
}

static void forget(struct memory_broker *broker, struct place *place)
{
    make_busy(broker, place);
    memory_log_clear(&broker->logs, &place->log);
    map_remove(&broker->channels, place->channel);
    free(place);
}

/* A name that no event has ever come to is not worth much: who was told its epoch has some time to come back. */
static void make_idle(struct memory_broker *broker, struct place *place, uint64_t now_us)
{
    make_busy(broker, place);
    broker->idle_count++;
    if (place->offset == 0) {
        place->forget_us = now_us + broker->config.empty_ttl_ms * 1000;
        list_append(&broker->empty, &place->idle);
        return;
    }
    list_append(&broker->idle, &place->idle);
    memory_shares_put(&broker->positions, &place->part, place->user, 1);
    for (struct memory_part *part; (part = memory_shares_over(&broker->positions, &place->part));)
        forget(broker, CONTAINER_OF(part, struct place, part));
}

static struct place *find_or_create(struct memory_broker *broker, struct str channel)
{
    struct place *place = map_get(&broker->channels, channel);
    if (place)
        return place;
    place = xcalloc(1, sizeof *place + channel.len);
    memcpy(place->bytes, channel.ptr, channel.len);
    place->channel = str_from(place->bytes, channel.len);
    map_put(&broker->channels, place->channel, place);
    return place;
}

static bool is_over(const struct place *place, uint64_t now_us)
{
    return place->forget_us && place->forget_us <= now_us;
}

static bool has_position(const struct place *place, uint64_t now_us)
{
    return place->epoch[0] && (place->subscribed || !is_over(place, now_us));
}

static void begin_epoch(struct memory_broker *broker, struct place *place)
{
    memory_log_clear(&broker->logs, &place->log);
    epoch_new(place->epoch);
    place->offset = 0;
    place->last_id[0] = '\0';
}

static void keep_for(struct place *place, const struct history_policy *history, uint64_t now_us)
{
    place->forget_us = history->ttl_ms ? now_us + history->ttl_ms * 1000 + longer_us : 0;
}

/* The list of those with events is in order of use, not of expiry: a position behind a longer-lived one may stay until
 * it is used again (then order looks at its own time) or until positions_max pushes it out. */
static struct place *first_to_forget(const struct memory_broker *broker, uint64_t now_us)
{
    bool many = broker->idle_count > broker->config.positions_max;
    const struct list_link *const lists[] = {&broker->empty, &broker->idle};
    for (size_t i = 0; i < 2; i++) {
        struct place *first = CONTAINER_OF(lists[i]->next, struct place, idle);
        if (!list_is_empty(lists[i]) && (many || is_over(first, now_us)))
            return first;
    }
    return NULL;
}

static void forget_idle(struct memory_broker *broker, uint64_t now_us)
{
    for (struct place *place; (place = first_to_forget(broker, now_us));)
        forget(broker, place);
}

/* ---- publish ---- */

/* Gives the publication its place in the channel's history. */
static void order(struct memory_broker *broker, struct publication *publication, uint64_t now_us)
{
    struct place *place = find_or_create(broker, publication->channel);
    if (!has_position(place, now_us))
        begin_epoch(broker, place);
    keep_for(place, &publication->history, now_us);
    publication->offset = ++place->offset;
    memcpy(publication->epoch, place->epoch, sizeof place->epoch);
    memcpy(place->last_id, publication->id, sizeof place->last_id);
    place->user = publication->user;
    if (!place->subscribed)
        make_idle(broker, place, now_us);
}

static void keep_and_hand_on(struct memory_broker *broker, const struct publication *publication, uint64_t now_us,
                             uint64_t wall_ms)
{
    struct place *place = map_get(&broker->channels, publication->channel);
    char timestamp[CLOCK_RFC3339_LEN + 1];
    if (!place)
        return;
    clock_format(wall_ms, timestamp);
    struct event event = {
        .channel = publication->channel,
        .type = publication->type,
        .id = str_from_cstr(publication->id),
        .epoch = str_from_cstr(publication->epoch),
        .offset = publication->offset,
        .timestamp = str_from(timestamp, CLOCK_RFC3339_LEN),
        .data = publication->data,
    };
    if (event.offset)
        memory_log_append(&broker->logs, &place->log, &event, publication->user, &publication->history, now_us);
    if (place->answered)
        broker->broker.sink->event(broker->broker.owner, &event);
}

static void deliver_publication(struct mail *mail, void *owner)
{
    struct memory_broker *broker = owner;
    struct publication *publication = CONTAINER_OF(mail, struct publication, mail);
    uint64_t now_us = broker->config.now_us();
    uint64_t wall_ms = broker->config.wall_ms();
    bool has_id = publication->event_id.len > 0;
    if (broker->closed) {
        error_set(&publication->error, ERR_UNAVAILABLE, "this node is stopping; nothing was published");
    } else if (!has_id || !memory_ids_recall(&broker->ids, publication, now_us)) {
        uuid_v7(wall_ms, publication->id);
        if (publication->history.size)
            order(broker, publication, now_us);
        if (has_id)
            metrics_add(broker->broker.metrics, METRIC_EVENT_IDS_FORGOTTEN,
                        memory_ids_remember(&broker->ids, publication, now_us));
        keep_and_hand_on(broker, publication, now_us, wall_ms);
        memory_logs_expire(&broker->logs, now_us);
        forget_idle(broker, now_us);
    }
    broker->broker.sink->published(broker->broker.owner, publication);
}

static void publish(struct broker *base, struct publication *publication)
{
    publication->mail.deliver = deliver_publication;
    mailbox_post(&broker_of(base)->mailbox, &publication->mail);
}

/* ---- subscribe ---- */

struct answer {
    struct mail mail;
    uint64_t serial;
    bool again; /* to locate */
    struct str channel;
    char bytes[];
};

static void deliver_answer(struct mail *mail, void *owner)
{
    struct memory_broker *broker = owner;
    struct answer *answer = CONTAINER_OF(mail, struct answer, mail);
    struct place *place = map_get(&broker->channels, answer->channel);
    if (place && place->subscribed && place->serial == answer->serial) {
        place->answered = true;
        bool closing = broker->closed != NULL;
        struct position position = {str_from_cstr(place->epoch), place->offset, str_from_cstr(place->last_id)};
        if (answer->again)
            broker->broker.sink->located(broker->broker.owner, place->channel, &position);
        else
            broker->broker.sink->subscribed(broker->broker.owner, place->channel, closing ? ERR_UNAVAILABLE : ERR_NONE,
                                            closing ? STR("this node is stopping") : STR(""), &position);
    }
    free(answer);
}

/* What is known when somebody subscribes. */
static void find_position(struct memory_broker *broker, struct place *place, const struct history_policy *history,
                          uint64_t now_us)
{
    if (has_position(place, now_us))
        return;
    place->epoch[0] = place->last_id[0] = '\0';
    place->offset = 0;
    if (history->size) {
        begin_epoch(broker, place);
        keep_for(place, history, now_us);
    }
}

static void post_answer(struct memory_broker *broker, const struct place *place, bool again)
{
    struct answer *answer = xmalloc(sizeof *answer + place->channel.len);
    memcpy(answer->bytes, place->channel.ptr, place->channel.len);
    answer->channel = str_from(answer->bytes, place->channel.len);
    answer->serial = place->serial;
    answer->again = again;
    answer->mail.deliver = deliver_answer;
    mailbox_post(&broker->mailbox, &answer->mail);
}

static void subscribe(struct broker *base, struct str channel, const struct history_policy *history)
{
    struct memory_broker *broker = broker_of(base);
    struct place *place = find_or_create(broker, channel);
    find_position(broker, place, history, broker->config.now_us());
    make_busy(broker, place);
    metrics_gauge_add(base->metrics, METRIC_BROKER_SUBSCRIPTIONS, 1);
    place->subscribed = true;
    place->answered = false;
    place->serial = ++broker->serials;
    post_answer(broker, place, false);
}

static void locate(struct broker *base, struct str channel, const struct history_policy *history)
{
    struct memory_broker *broker = broker_of(base);
    struct place *place = map_get(&broker->channels, channel);
    if (!place || !place->subscribed || !history->size)
        return;
    find_position(broker, place, history, broker->config.now_us());
    post_answer(broker, place, true);
}

static void unsubscribe(struct broker *base, struct str channel)
{
    struct memory_broker *broker = broker_of(base);
    struct place *place = map_get(&broker->channels, channel);
    if (!place || !place->subscribed)
        return;
    place->subscribed = place->answered = false;
    metrics_gauge_add(base->metrics, METRIC_BROKER_SUBSCRIPTIONS, -1);
    if (!place->epoch[0]) {
        forget(broker, place);
        return;
    }
    uint64_t now_us = broker->config.now_us();
    make_idle(broker, place, now_us);
    forget_idle(broker, now_us);
}

/* ---- history ---- */

static void deliver_history(struct mail *mail, void *owner)
{
    struct memory_broker *broker = owner;
    struct history_read *read = CONTAINER_OF(mail, struct history_read, mail);
    struct place *place = map_get(&broker->channels, read->channel);
    uint64_t now_us = broker->config.now_us();
    if (broker->closed) {
        error_set(&read->error, ERR_UNAVAILABLE, "this node is stopping");
    } else if (place && has_position(place, now_us)) {
        memcpy(read->epoch, place->epoch, sizeof read->epoch);
        read->offset = place->offset;
        memcpy(read->id, place->last_id, sizeof place->last_id);
        memory_log_read(&broker->logs, &place->log, read, now_us);
    }
    broker->broker.sink->history(broker->broker.owner, read);
}

static void history(struct broker *base, struct history_read *read)
{
    read->mail.deliver = deliver_history;
    mailbox_post(&broker_of(base)->mailbox, &read->mail);
}

/* ---- requests ---- */

static void deliver_request(struct mail *mail, void *owner)
{
    struct memory_broker *broker = owner;
    struct broker_request *request = CONTAINER_OF(mail, struct broker_request, mail);
    if (broker->closed)
        error_set(&request->error, ERR_UNAVAILABLE, "this node is stopping");
    else
        memory_requests_run(&broker->broker, &broker->presence, request, broker->config.wall_ms());
    broker_request_answer(request);
}

static void ask(struct broker *base, struct broker_request *request)
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
    uv_close((uv_handle_t *)&broker->closing, on_closing);
}

static void free_place(struct memory_broker *broker, struct place *place)
{
    memory_log_clear(&broker->logs, &place->log);
    memory_shares_remove(&broker->positions, &place->part);
    free(place);
}

static void destroy(struct broker *base)
{
    struct memory_broker *broker = broker_of(base);
    size_t cursor = 0;
    for (struct place *place; (place = map_next(&broker->channels, &cursor));)
        free_place(broker, place);
    map_fini(&broker->channels);
    memory_logs_fini(&broker->logs);
    memory_shares_fini(&broker->positions);
    memory_ids_fini(&broker->ids);
    memory_presence_fini(&broker->presence);
    free(broker->node_id);
    free(broker);
}

static const struct broker_ops ops = {
    .publish = publish,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .locate = locate,
    .history = history,
    .ask = ask,
    .control = control,
    .nodes = nodes,
    .info = info,
    .close = begin_close,
    .destroy = destroy,
};

/* One at least: what is used at the moment is never pushed out by itself. */
static size_t share_of(const struct memory_broker_config *config, size_t whole)
{
    size_t share = whole / 100 * config->user_share + whole % 100 * config->user_share / 100;
    return share ? share : 1;
}

struct broker *memory_broker_create(const struct memory_broker_config *config, const struct broker_sink *sink,
                                    void *owner, struct metrics *metrics)
{
    struct memory_broker *broker = xcalloc(1, sizeof *broker);
    broker->broker = (struct broker){.ops = &ops, .sink = sink, .owner = owner, .metrics = metrics};
    broker->config = *config;
    broker->node_id = str_dup(config->node_id);
    list_init(&broker->idle);
    list_init(&broker->empty);
    memory_shares_init(&broker->positions, share_of(config, config->positions_max));
    memory_logs_init(&broker->logs, config->history_bytes_max, share_of(config, config->history_bytes_max));
    memory_ids_init(&broker->ids, config->idempotency_window_ms * 1000, config->ids_bytes_max,
                    share_of(config, config->ids_bytes_max));
    mailbox_init(&broker->mailbox, config->turn, broker);
    uv_timer_init(config->turn->wake.loop, &broker->closing);
    broker->closing.data = broker;
    struct mail *up = xcalloc(1, sizeof *up); /* it is up from the start, but says so like everything: later */
    up->deliver = deliver_state;
    mailbox_post(&broker->mailbox, up);
    return &broker->broker;
}
