/* redis_subscribe.c - which channels the node wants, and what Redis has confirmed of it.
 *
 * A subscription is answered when three things have happened: SUBSCRIBE is confirmed, the position has been asked for
 * after that, and the answer has come back over pub/sub, on the same connection as the channel's events. So every event
 * read before it is at or below its offset and dropped, and every later one is above it and handed on: nothing has to
 * be held back or compared. */
#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/broker/epoch.h"
#include "server/broker/redis_parts.h"
#include "server/broker/redis_slots.h"

enum { CHANNELS_PER_COMMAND = 500 };
enum { BAD_LOG_INTERVAL_US = 10 * 1000 * 1000 };

static void ask_position(struct redis_broker *broker, struct subscription *subscription);

static struct subscription *find(struct redis_broker *broker, struct str channel)
{
    redis_keys_set(&broker->keys, broker->config.prefix, channel, STR(""));
    return map_get(&broker->subscriptions, broker->keys.live);
}

static struct subscription *create(struct redis_broker *broker, struct str channel)
{
    struct str key = broker->keys.live; /* of find */
    struct subscription *subscription = xcalloc(1, sizeof *subscription + channel.len + key.len);
    memcpy(subscription->bytes, channel.ptr, channel.len);
    memcpy(subscription->bytes + channel.len, key.ptr, key.len);
    subscription->channel = str_from(subscription->bytes, channel.len);
    subscription->key = str_from(subscription->bytes + channel.len, key.len);
    subscription->slot = broker->topology->sharded ? redis_slot_of(subscription->key) : 0;
    map_put(&broker->subscriptions, subscription->key, subscription);
    if (broker->by_slot)
        list_append(&broker->by_slot[subscription->slot], &subscription->of_slot);
    return subscription;
}

static void note_change(struct redis_broker *broker, struct subscription *subscription)
{
    if (!list_is_linked(&subscription->change))
        list_append(&broker->changed, &subscription->change);
    metrics_set(broker->broker.metrics, METRIC_BROKER_SUBSCRIPTIONS, broker->subscriptions.count);
}

static void drop_if_done(struct redis_broker *broker, struct subscription *subscription)
{
    if (subscription->wanted || subscription->sent || subscription->unconfirmed || subscription->positions)
        return;
    list_remove(&subscription->change);
    list_remove(&subscription->of_slot);
    map_remove(&broker->subscriptions, subscription->key);
    free(subscription);
    metrics_set(broker->broker.metrics, METRIC_BROKER_SUBSCRIPTIONS, broker->subscriptions.count);
}

static bool is_confirmed(const struct subscription *subscription)
{
    return subscription->wanted && subscription->sent && !subscription->unconfirmed;
}

static bool needs_position(const struct subscription *subscription)
{
    return is_confirmed(subscription) && (!subscription->answered || subscription->stale);
}

/* Where it goes: as long as nothing is subscribed anywhere, to the shard that has its key now. */
static struct redis_shard *place(struct redis_broker *broker, struct subscription *subscription)
{
    if (!subscription->sent && !subscription->unconfirmed)
        subscription->shard = broker->topology->shard_of(broker, subscription->key);
    return subscription->shard;
}

static struct subscription *find_at(struct redis_shard *shard, struct str key)
{
    struct subscription *subscription = map_get(&shard->broker->subscriptions, key);
    return subscription && subscription->shard == shard ? subscription : NULL;
}

/* ---- what the node asks ---- */

void redis_subscribe(struct broker *base, struct str channel, const struct history_policy *history)
{
    struct redis_broker *broker = redis_broker_of(base);
    struct subscription *subscription = find(broker, channel);
    if (!subscription)
        subscription = create(broker, channel);
    subscription->wanted = true;
    subscription->answered = false;
    subscription->history = *history;
    note_change(broker, subscription);
}

void redis_unsubscribe(struct broker *base, struct str channel)
{
    struct redis_broker *broker = redis_broker_of(base);
    struct subscription *subscription = find(broker, channel);
    if (!subscription)
        return;
    subscription->wanted = false;
    subscription->answered = false;
    note_change(broker, subscription);
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

static void add_to_batch(struct batch *batch, struct subscription *subscription)
{
    if (batch->shard != subscription->shard)
        send_batch(batch);
    batch->shard = subscription->shard;
    subscription->sent = subscription->wanted;
    subscription->unconfirmed++;
    batch->argv[batch->count++] = subscription->key;
    /* Sharded channels of one command must be of one slot, and one that is refused would refuse all. */
    if (batch->count == CHANNELS_PER_COMMAND + 1 || batch->shard->broker->topology->sharded)
        send_batch(batch);
}

void redis_subscriptions_flush(struct redis_broker *broker)
{
    if (list_is_empty(&broker->changed))
        return;
    struct batch more = {.count = 1};
    struct batch less = {.count = 1};
    more.argv[0] = broker->topology->sharded ? STR("SSUBSCRIBE") : STR("SUBSCRIBE");
    less.argv[0] = broker->topology->sharded ? STR("SUNSUBSCRIBE") : STR("UNSUBSCRIBE");
    for (struct list_link *link; (link = list_take_first(&broker->changed));) {
        struct subscription *subscription = CONTAINER_OF(link, struct subscription, change);
        const struct redis_shard *shard = place(broker, subscription);
        bool ready = shard && shard->subscriber.state == REDIS_READY;
        if (ready && subscription->wanted != subscription->sent)
            add_to_batch(subscription->wanted ? &more : &less, subscription);
        else if (needs_position(subscription))
            ask_position(broker, subscription); /* left and joined again within a turn */
        else
            drop_if_done(broker, subscription);
    }
    send_batch(&less);
    send_batch(&more);
}

void redis_subscriptions_restore(struct redis_shard *shard)
{
    struct redis_broker *broker = shard->broker;
    struct batch more = {.count = 1};
    more.argv[0] = broker->topology->sharded ? STR("SSUBSCRIBE") : STR("SUBSCRIBE");
    size_t cursor = 0;
    for (struct subscription *each; (each = map_next(&broker->subscriptions, &cursor));)
        if (each->wanted && !each->sent && place(broker, each) == shard)
            add_to_batch(&more, each);
    send_batch(&more);
}

/* ---- what Redis says ---- */

/* A channel without history has no position to wait for, and the events that come from here on come after what was
 * lost. */
static bool tells_loss_at_once(struct redis_broker *broker, struct subscription *subscription)
{
    if (!subscription->answered || !subscription->stale || subscription->history.size || subscription->epoch[0])
        return false;
    subscription->stale = false;
    broker->broker.sink->subscribed(broker->broker.owner, subscription->channel, ERR_NONE, STR(""),
                                    &(struct position){.offset = 0});
    return true;
}

void redis_subscription_confirmed(struct redis_shard *shard, struct str key)
{
    struct subscription *subscription = find_at(shard, key);
    if (!subscription || !subscription->unconfirmed)
        return;
    subscription->unconfirmed--;
    if (needs_position(subscription) && tells_loss_at_once(shard->broker, subscription))
        return;
    if (needs_position(subscription))
        ask_position(shard->broker, subscription);
    else
        drop_if_done(shard->broker, subscription);
}

/* As if its connection had been lost. */
static void forget(struct subscription *subscription)
{
    subscription->sent = false;
    subscription->unconfirmed = 0;
    subscription->stale = subscription->answered;
}

void redis_subscription_ended(struct redis_shard *shard, struct str key)
{
    struct subscription *subscription = find_at(shard, key);
    if (!subscription || subscription->unconfirmed || !subscription->sent) {
        redis_subscription_confirmed(shard, key);
        return;
    }
    forget(subscription);
    note_change(shard->broker, subscription);
}

static void move(struct redis_broker *broker, struct subscription *subscription)
{
    struct redis_shard *shard = broker->topology->shard_of(broker, subscription->key);
    if (subscription->shard == shard && (subscription->sent || subscription->unconfirmed))
        return;
    forget(subscription);
    subscription->shard = shard;
    note_change(broker, subscription);
}

void redis_subscriptions_move(struct redis_broker *broker, unsigned slot)
{
    LIST_EACH(link, &broker->by_slot[slot])
    move(broker, CONTAINER_OF(link, struct subscription, of_slot));
}

void redis_subscriptions_move_all(struct redis_broker *broker)
{
    size_t cursor = 0;
    for (struct subscription *each; (each = map_next(&broker->subscriptions, &cursor));)
        move(broker, each);
}

void redis_subscriptions_forget(struct redis_shard *shard, unsigned slot)
{
    LIST_EACH(link, &shard->broker->by_slot[slot])
    {
        struct subscription *each = CONTAINER_OF(link, struct subscription, of_slot);
        if (each->shard != shard || !each->unconfirmed)
            continue;
        forget(each);
        if (!each->wanted)
            note_change(shard->broker, each); /* the flush drops it */
    }
}

static void set_position(struct subscription *subscription, struct str epoch, uint64_t offset, struct str id)
{
    size_t len = epoch.len < EPOCH_MAX ? epoch.len : EPOCH_MAX;
    if (!str_eq_cstr(epoch, subscription->epoch))
        subscription->read = 0;
    if (len)
        memcpy(subscription->epoch, epoch.ptr, len);
    subscription->epoch[len] = '\0';
    subscription->offset = offset;
    position_keep_id(subscription->last_id, id);
}

static void tell(struct redis_broker *broker, struct subscription *subscription, const struct position *position)
{
    subscription->answered = true;
    subscription->stale = false;
    set_position(subscription, position->epoch, position->offset, position->id);
    broker->broker.sink->subscribed(broker->broker.owner, subscription->channel, ERR_NONE, STR(""), position);
}

static void fail(struct redis_broker *broker, struct subscription *subscription, const redisReply *reply)
{
    char text[200];
    int len = snprintf(text, sizeof text, "Redis did not tell the channel's position: %.120s", reply->str);
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    subscription->wanted = false;
    note_change(broker, subscription);
    broker->broker.sink->subscribed(broker->broker.owner, subscription->channel, ERR_UNAVAILABLE,
                                    str_from(text, (size_t)len), NULL);
}

static void on_position_asked(struct redis_errand *errand, const redisReply *reply)
{
    struct redis_broker *broker = errand->broker;
    struct subscription *subscription = errand->argument;
    subscription->positions--;
    bool waits = needs_position(subscription) && !subscription->positions;
    bool refused = reply && redis_is_error(reply) && !redis_errand_is_untaken(reply);
    if (waits && refused && strncmp(reply->str, "LOADING", 7) == 0)
        redis_shard_drop(errand->route.shard, reply->str); /* asked again when it is back */
    else if (waits && refused && subscription->answered)
        tell(broker, subscription, &(struct position){.offset = 0}); /* nobody knows what was lost */
    else if (waits && refused)
        fail(broker, subscription, reply);
    else
        drop_if_done(broker, subscription);
}

static struct str find_key(struct redis_broker *broker, void *argument)
{
    return ((const struct subscription *)argument)->key;
}

static bool is_wanted(void *argument)
{
    return needs_position(argument);
}

static void send_position(struct redis_errand *errand)
{
    struct redis_broker *broker = errand->broker;
    const struct subscription *subscription = errand->argument;
    char epoch[EPOCH_NEW_LEN + 1] = "", other_epoch[EPOCH_NEW_LEN + 1], meta_ttl[24], offset[24];
    if (subscription->history.size)
        epoch_new(epoch);
    epoch_new(other_epoch);
    redis_keys_set(&broker->keys, broker->config.prefix, subscription->channel, STR(""));
    struct str arguments[] = {
        broker->keys.meta,
        broker->keys.log,
        buf_str(&subscription->shard->channel),
        subscription->key,
        str_from_cstr(epoch),
        redis_number(redis_meta_ttl_ms(&subscription->history), meta_ttl),
        str_from_cstr(subscription->epoch),
        redis_number(subscription->offset, offset),
        str_from_cstr(subscription->last_id),
        str_from_cstr(other_epoch),
    };
    redis_errand_script(errand, SCRIPT_POSITION, 2, sizeof arguments / sizeof *arguments, arguments);
}

/* Endless: who subscribes waits for Redis, and so does who may have missed something. */
static const struct redis_errand_kind position = {
    .key = find_key, .send = send_position, .is_wanted = is_wanted, .done = on_position_asked, .is_endless = true};

static void ask_position(struct redis_broker *broker, struct subscription *subscription)
{
    const struct redis_route route = {.shard = subscription->shard};
    assert(route.shard); /* where it is confirmed */
    if (route.shard->commands.state != REDIS_READY)
        return; /* redis_subscriptions_ask does when it is */
    if (subscription->positions++ == 0)
        subscription->read_before = subscription->read;
    redis_errand_start(broker, &position, subscription, &route, clock_now_us());
}

void redis_subscriptions_ask(struct redis_shard *shard)
{
    struct redis_broker *broker = shard->broker;
    size_t cursor = 0;
    for (struct subscription *each; (each = map_next(&broker->subscriptions, &cursor));)
        if (each->shard == shard && needs_position(each) && !each->positions)
            ask_position(broker, each);
}

void redis_subscription_read(struct redis_broker *broker, struct str channel, struct str epoch, uint64_t offset)
{
    struct subscription *subscription = find(broker, channel);
    if (subscription && str_eq_cstr(epoch, subscription->epoch) && offset > subscription->read)
        subscription->read = offset;
}

/* Histories are read on the other connection: one that was read after the position had been made may have come before
 * it. Whether events have been lost in between only a position that is asked from now on can tell. */
static bool is_outrun(const struct subscription *subscription, struct str epoch, uint64_t offset)
{
    return str_eq_cstr(epoch, subscription->epoch) && offset < subscription->read &&
           subscription->read_before < subscription->read;
}

void redis_subscription_position(struct redis_shard *shard, struct str key, struct str epoch, uint64_t offset,
                                 struct str id)
{
    struct redis_broker *broker = shard->broker;
    struct subscription *subscription = find_at(shard, key);
    if (!subscription || !needs_position(subscription))
        return;
    if (is_outrun(subscription, epoch, offset)) {
        ask_position(broker, subscription);
        return;
    }
    tell(broker, subscription, &(struct position){epoch, offset, id});
}

/* The warning names the channel and never what was sent. */
void redis_count_bad_message(struct redis_broker *broker, struct str channel, const char *what)
{
    uint64_t now_us = clock_now_us();
    char quoted[ERROR_QUOTE_LEN];
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    broker->bad_since_logged++;
    log_debug("broker", "bad message on channel %s: %s", error_quote(channel, quoted), what);
    if (broker->bad_logged_us && now_us - broker->bad_logged_us < BAD_LOG_INTERVAL_US)
        return;
    log_warn(
        "broker",
        "a message in Redis on channel %s was not a valid event and was dropped (%llu such since the last report); "
        "the debug level says what is wrong",
        error_quote(channel, quoted), (unsigned long long)broker->bad_since_logged);
    broker->bad_logged_us = now_us;
    broker->bad_since_logged = 0;
}

void redis_subscription_message(struct redis_shard *shard, struct str key, struct str bytes)
{
    struct redis_broker *broker = shard->broker;
    struct subscription *subscription = find_at(shard, key);
    if (!subscription || !subscription->answered)
        return;
    struct event event;
    bool direct;
    struct error error;
    if (redis_event_parse(bytes, subscription->channel, &broker->rules, &broker->scratch, &event, &direct, &error)) {
        redis_count_bad_message(broker, subscription->channel, error.text);
        return;
    }
    /* What was had before is yet to be compared. If this were handed on and the connection lost again, nobody would
     * ever compare it: it comes from the history, once the position tells of it. */
    if (event.offset && subscription->stale)
        return;
    char timestamp[CLOCK_RFC3339_LEN + 1];
    if (!event.timestamp.len) {
        clock_format(clock_wall_ms(), timestamp);
        event.timestamp = str_from(timestamp, CLOCK_RFC3339_LEN);
    }
    if (direct) {
        metrics_add_labelled(broker->broker.metrics, METRIC_EVENTS_IN, METRICS_SOURCE_REDIS, 1);
        metrics_add(broker->broker.metrics, METRIC_EVENTS_IN_BYTES, event.data.len);
    }
    if (event.offset)
        set_position(subscription, event.epoch, event.offset, event.id);
    broker->broker.sink->event(broker->broker.owner, &event);
}

/* ---- ends ---- */

size_t redis_subscriptions_count(const struct redis_shard *shard)
{
    size_t cursor = 0, count = 0;
    for (const struct subscription *each; (each = map_next(&shard->broker->subscriptions, &cursor));)
        count += each->shard == shard;
    return count;
}

void redis_subscriptions_reset(struct redis_shard *shard)
{
    struct redis_broker *broker = shard->broker;
    size_t cursor = 0;
    for (struct subscription *each; (each = map_next(&broker->subscriptions, &cursor));) {
        if (each->shard != shard)
            continue;
        forget(each);
        if (!each->wanted)
            note_change(broker, each); /* the flush drops it: the map must not change here */
    }
}

void redis_subscriptions_refuse(struct redis_broker *broker)
{
    size_t cursor = 0;
    for (struct subscription *each; (each = map_next(&broker->subscriptions, &cursor));) {
        if (!each->wanted || each->answered)
            continue;
        each->wanted = false;
        broker->broker.sink->subscribed(broker->broker.owner, each->channel, ERR_UNAVAILABLE,
                                        STR("this node is stopping"), NULL);
    }
}

void redis_subscriptions_init(struct redis_broker *broker)
{
    list_init(&broker->changed);
    if (!broker->topology->sharded)
        return;
    broker->by_slot = xcalloc(REDIS_SLOTS, sizeof *broker->by_slot);
    for (unsigned slot = 0; slot < REDIS_SLOTS; slot++)
        list_init(&broker->by_slot[slot]);
}

void redis_subscriptions_free(struct redis_broker *broker)
{
    size_t cursor = 0;
    for (struct subscription *each; (each = map_next(&broker->subscriptions, &cursor));)
        free(each);
    map_fini(&broker->subscriptions);
    free(broker->by_slot);
}
