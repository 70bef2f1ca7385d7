/* redis_subscribe.c - subscribes the channels that the node wants, each at its shard. A channel is subscribed again
 * after a lost connection, and when its slot has moved. Events of a channel go to the sink from here. redis_position.c
 * tells the position of a channel. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/broker/redis/redis_parts.h"
#include "server/broker/redis/topology/redis_slots.h"

enum { CHANNELS_PER_COMMAND = 500 };

/* The shard of the subscription. While nothing is subscribed, that is the shard that has the key now. */
static struct redis_shard *place(struct redis_broker *broker, struct redis_subscription *subscription)
{
    if (!subscription->sent && !subscription->unconfirmed)
        subscription->shard = redis_topology_shard_of(&broker->topology, subscription->key);
    return subscription->shard;
}

/* ---- what the node asks ---- */

static struct redis_subscription *find(struct redis_broker *broker, struct str channel)
{
    return redis_subscription_find(&broker->subscriptions, redis_live_key(broker, channel));
}

/* The rule of a subscribed channel has this history now. */
static void follow_rule(struct redis_broker *broker, struct redis_subscription *subscription,
                        const struct history_policy *history)
{
    subscription->history = *history;
    if (!history->size) {
        subscription->recheck = false;
        redis_position_set(subscription, STR(""), 0, STR(""));
    } else if (!subscription->epoch[0]) {
        redis_position_recheck(broker, subscription);
    }
}

void redis_subscribe(struct broker *base, struct str channel, const struct history_policy *history)
{
    struct redis_broker *broker = redis_broker_of(base);
    struct redis_subscription *subscription = find(broker, channel);
    if (subscription && subscription->wanted) {
        follow_rule(broker, subscription, history);
        return;
    }
    if (!subscription)
        subscription = redis_subscription_create(&broker->subscriptions, channel, redis_live_key(broker, channel));
    subscription->wanted = true;
    subscription->answered = subscription->recheck = false;
    subscription->history = *history;
    redis_subscription_note_change(&broker->subscriptions, subscription);
}

void redis_unsubscribe(struct broker *base, struct str channel)
{
    struct redis_broker *broker = redis_broker_of(base);
    struct redis_subscription *subscription = find(broker, channel);
    if (!subscription)
        return;
    subscription->wanted = false;
    subscription->answered = false;
    redis_subscription_note_change(&broker->subscriptions, subscription);
}

/* ---- sending ---- */

struct batch {
    struct redis_shard *shard;
    size_t count;
    struct str argv[CHANNELS_PER_COMMAND + 1];
};

static void send_batch(struct batch *batch)
{
    if (batch->count > 1)
        redis_connection_send(&batch->shard->subscriber, batch->count, batch->argv, NULL, NULL);
    batch->count = 1;
}

static void add_to_batch(struct batch *batch, struct redis_subscription *subscription)
{
    if (batch->shard != subscription->shard)
        send_batch(batch);
    batch->shard = subscription->shard;
    subscription->sent = subscription->wanted;
    subscription->unconfirmed++;
    batch->argv[batch->count++] = subscription->key;
    /* Sharded channels of one command must be of one slot, and the refusal of one would refuse all. So each is sent
     * alone.
     */
    if (batch->count == CHANNELS_PER_COMMAND + 1 || batch->shard->topology->kind->sharded)
        send_batch(batch);
}

void redis_subscribe_flush(struct redis_broker *broker)
{
    if (broker->closing || list_is_empty(&broker->subscriptions.changed))
        return; /* shards that close take no subscriptions, and may be freed */
    struct batch more = {.count = 1};
    struct batch less = {.count = 1};
    more.argv[0] = broker->topology.kind->sharded ? STR("SSUBSCRIBE") : STR("SUBSCRIBE");
    less.argv[0] = broker->topology.kind->sharded ? STR("SUNSUBSCRIBE") : STR("UNSUBSCRIBE");
    for (struct list_link *link; (link = list_take_first(&broker->subscriptions.changed));) {
        struct redis_subscription *subscription = CONTAINER_OF(link, struct redis_subscription, change);
        const struct redis_shard *shard = place(broker, subscription);
        bool ready = shard && shard->subscriber.state == REDIS_READY;
        if (ready && subscription->wanted != subscription->sent)
            add_to_batch(subscription->wanted ? &more : &less, subscription);
        else if (redis_position_is_needed(subscription))
            redis_position_ask(broker, subscription); /* the node has left and joined within a turn */
        else
            redis_subscription_drop_if_done(&broker->subscriptions, subscription);
    }
    send_batch(&less);
    send_batch(&more);
}

void redis_subscribe_restore(struct redis_shard *shard)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    struct batch more = {.count = 1};
    more.argv[0] = broker->topology.kind->sharded ? STR("SSUBSCRIBE") : STR("SUBSCRIBE");
    size_t cursor = 0;
    for (struct redis_subscription *each; (each = map_next(&broker->subscriptions.by_key, &cursor));)
        if (each->wanted && !each->sent && place(broker, each) == shard)
            add_to_batch(&more, each);
    send_batch(&more);
}

/* ---- channels without events ---- */

/* The node has left a channel that has had no event. Redis keeps only a position of such a channel. The position
 * expires soon if no other node has subscribers. So a client that subscribes to ever new names does not fill Redis. If
 * this fails, the position expires later, as that of a channel with events does. */

enum { META, LIVE, KEYS }; /* of the request */

static void send_vacancy(struct redis_request *request)
{
    const struct redis_broker *broker = redis_broker_of_request(request);
    char ttl[24];
    struct str arguments[] = {request->keys[META], request->keys[LIVE],
                              broker->topology.kind->sharded ? STR("SHARDNUMSUB") : STR("NUMSUB"),
                              redis_number(broker->config.empty_ttl_ms, ttl)};
    redis_request_script(request, SCRIPT_VACATE, 1, sizeof arguments / sizeof *arguments, arguments);
}

static void on_vacated(struct redis_request *request, const redisReply *reply)
{
    if (reply && redis_is_error(reply) && !redis_request_is_untaken(reply))
        metrics_add(redis_broker_of_request(request)->broker.metrics, METRIC_BROKER_ERRORS, 1);
}

static const struct redis_request_kind vacancy = {.send = send_vacancy, .done = on_vacated};

static void vacate(struct redis_broker *broker, const struct redis_subscription *subscription)
{
    if (!subscription->epoch[0] || subscription->offset || broker->closing)
        return;
    const struct redis_keys *names = redis_channel_keys(broker, subscription->channel, STR(""));
    const struct str keys[KEYS] = {[META] = names->meta, [LIVE] = names->live};
    struct redis_shard *shard = redis_topology_shard_of(&broker->topology, keys[META]);
    if (redis_shard_is_up(shard))
        redis_request_start(&broker->requests, &vacancy, NULL, shard, KEYS, keys, turn_now_us(broker->config.turn));
}

/* ---- what Redis says ---- */

/* True if the first command without a confirmation is SUBSCRIBE. SUBSCRIBE and UNSUBSCRIBE alternate, and the last one
 * is SUBSCRIBE if `sent`. */
static bool awaits_subscribe(const struct redis_subscription *subscription)
{
    return subscription->unconfirmed && (subscription->unconfirmed % 2 == 1) == subscription->sent;
}

static void confirm(struct redis_broker *broker, struct redis_subscription *subscription)
{
    subscription->unconfirmed--;
    if (redis_position_is_needed(subscription)) {
        redis_position_ask(broker, subscription);
        return;
    }
    if (!subscription->wanted && !subscription->sent && !subscription->unconfirmed)
        vacate(broker, subscription);
    redis_subscription_drop_if_done(&broker->subscriptions, subscription);
}

void redis_subscribe_confirmed(struct redis_shard *shard, struct str key)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    struct redis_subscription *subscription = redis_subscription_find_at(&broker->subscriptions, shard, key);
    if (subscription && awaits_subscribe(subscription))
        confirm(broker, subscription);
}

/* Does as if the connection had been lost. */
static void forget(struct redis_subscription *subscription)
{
    subscription->sent = false;
    subscription->unconfirmed = 0;
    subscription->interrupted = subscription->answered;
    list_remove(&subscription->untold); /* its position is asked for again */
}

void redis_subscribe_ended(struct redis_shard *shard, struct str key)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    struct redis_topology *topology = &broker->topology;
    struct redis_subscription *subscription = redis_subscription_find_at(&broker->subscriptions, shard, key);
    if (!subscription)
        return;
    if (subscription->unconfirmed) {
        if (!awaits_subscribe(subscription))
            confirm(broker, subscription);
        return; /* else an earlier subscription has ended, and the confirmation of SUBSCRIBE is still to come */
    }
    if (!subscription->sent)
        return;
    forget(subscription);
    if (topology->kind->subscription_ended)
        topology->kind->subscription_ended(topology);
    if (!topology->kind->subscription_ended || !subscription->wanted)
        redis_subscription_note_change(&broker->subscriptions, subscription);
}

static void move(struct redis_broker *broker, struct redis_subscription *subscription)
{
    struct redis_shard *shard = redis_topology_shard_of(&broker->topology, subscription->key);
    if (subscription->shard == shard && (subscription->sent || subscription->unconfirmed))
        return;
    forget(subscription);
    subscription->shard = shard;
    redis_subscription_note_change(&broker->subscriptions, subscription);
}

void redis_subscribe_move_slot(struct redis_broker *broker, unsigned slot)
{
    LIST_EACH(link, &broker->subscriptions.by_slot[slot])
    move(broker, CONTAINER_OF(link, struct redis_subscription, of_slot));
}

void redis_subscribe_move_all(struct redis_broker *broker)
{
    size_t cursor = 0;
    for (struct redis_subscription *each; (each = map_next(&broker->subscriptions.by_key, &cursor));)
        move(broker, each);
}

void redis_subscribe_forget_slot(struct redis_shard *shard, unsigned slot)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    LIST_EACH(link, &broker->subscriptions.by_slot[slot])
    {
        struct redis_subscription *each = CONTAINER_OF(link, struct redis_subscription, of_slot);
        if (each->shard != shard || !each->unconfirmed)
            continue;
        forget(each);
        if (!each->wanted)
            redis_subscription_note_change(&broker->subscriptions, each); /* the flush drops it */
    }
}

/* The warning names the channel and never what was sent. */
void redis_count_bad_message(struct redis_broker *broker, struct str channel, const char *what)
{
    unsigned long long count;
    char quoted[ERROR_QUOTE_LEN];
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    log_debug("broker", "bad message on channel %s: %s", error_quote(channel, quoted), what);
    if (log_limit_passes(&broker->bad_messages_said, turn_now_us(broker->config.turn), &count))
        log_warn(
            "broker",
            "a message in Redis on channel %s was not a valid event and was dropped (%llu such since the last report); "
            "the debug level says what is wrong",
            error_quote(channel, quoted), count);
}

void redis_subscribe_message(struct redis_shard *shard, struct str key, struct str bytes)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    struct redis_subscription *subscription = redis_subscription_find_at(&broker->subscriptions, shard, key);
    if (!subscription || !subscription->answered)
        return;
    struct event event;
    bool direct;
    struct error error;
    if (redis_event_parse(bytes, subscription->channel, &broker->event_limits, &broker->scratch, &event, &direct,
                          &error)) {
        struct position position;
        if (redis_event_parse_epoch(bytes, &broker->scratch, &position))
            redis_position_begun(broker, subscription, &position);
        else
            redis_count_bad_message(broker, subscription->channel, error.text);
        return;
    }
    /* The node has yet to be told of the interruption. An event that is handed on before would hide a loss. So this
     * event is dropped here. With a history, catchup reads it when the position has come. Without one, the gap stands
     * for it.
     */
    if (subscription->interrupted && (event.offset || !subscription->history.size))
        return;
    char timestamp[CLOCK_RFC3339_LEN + 1];
    if (!event.timestamp.len) {
        clock_format(turn_wall_ms(broker->config.turn), timestamp);
        event.timestamp = str_from(timestamp, CLOCK_RFC3339_LEN);
    }
    if (direct) {
        metrics_add_labelled(broker->broker.metrics, METRIC_EVENTS_IN, METRICS_SOURCE_REDIS, 1);
        metrics_add(broker->broker.metrics, METRIC_EVENTS_IN_BYTES, event.data.len);
    }
    if (event.offset && subscription->history.size)
        redis_position_set(subscription, event.epoch, event.offset, event.id);
    broker->broker.sink->event(broker->broker.owner, &event);
}

/* ---- ends ---- */

void redis_subscribe_reset(struct redis_shard *shard)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    size_t cursor = 0;
    for (struct redis_subscription *each; (each = map_next(&broker->subscriptions.by_key, &cursor));) {
        if (each->shard != shard)
            continue;
        forget(each);
        if (!each->wanted)
            redis_subscription_note_change(&broker->subscriptions, each); /* the flush drops it, as the map is walked */
    }
}

void redis_subscribe_refuse_all(struct redis_broker *broker)
{
    size_t cursor = 0;
    for (struct redis_subscription *each; (each = map_next(&broker->subscriptions.by_key, &cursor));) {
        if (!each->wanted || each->answered)
            continue;
        each->wanted = false;
        broker->broker.sink->subscribed(broker->broker.owner, each->channel, ERR_UNAVAILABLE,
                                        STR("this node is stopping"), NULL);
    }
}
