/* redis_position.c - asks Redis for the position of a channel, and tells it to the sink. A subscription is answered in
 * three steps:
 *
 *   1. Redis confirms SUBSCRIBE
 *   2. the node asks for the position, by a script
 *   3. the script publishes the position to the node, over the same connection as the events of the channel
 *
 * So an event that comes before the position is at or below its offset, and is dropped. An event that comes after the
 * position is above its offset, and is handed on. No event has to be held back or compared. The steps are taken again:
 *
 * - after a lost connection (interrupted). The question then names the last event of the node, and the script looks
 *   whether that event is still there.
 * - when the epoch that was told may not be the one in Redis (recheck).
 * - when the position does not come (untold). While a slot of a cluster moves, another server than that of the
 *   subscription makes the position. Servers pass it on to each other, and may lose it. A canary that is sent after the
 *   script has run, and comes back, tells of the loss. A position of the same server comes before that canary.
 *
 * An epoch begins with an event, or with a message of the position script on the channel. So each node learns a new
 * epoch as soon as it begins. */
#include <assert.h>

#include "common/base/random.h"
#include "server/broker/redis/redis_parts.h"

enum { META, LOG, KEYS }; /* of the request */

static bool is_confirmed(const struct redis_subscription *subscription)
{
    return subscription->wanted && subscription->sent && !subscription->unconfirmed;
}

bool redis_position_is_needed(const struct redis_subscription *subscription)
{
    return is_confirmed(subscription) &&
           (!subscription->answered || subscription->interrupted || subscription->recheck);
}

/* ---- telling ---- */

void redis_position_set(struct redis_subscription *subscription, struct str epoch, uint64_t offset, struct str id)
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

/* A channel may have a position although its rule has no history: other nodes or an earlier rule may have made it. */
static void tell(struct redis_broker *broker, struct redis_subscription *subscription, const struct position *position)
{
    static const struct position none;
    bool is_located = subscription->answered && !subscription->interrupted;
    list_remove(&subscription->untold);
    subscription->answered = true;
    subscription->interrupted = subscription->recheck = false;
    if (!subscription->history.size)
        position = &none;
    redis_position_set(subscription, position->epoch, position->offset, position->id);
    if (is_located)
        broker->broker.sink->located(broker->broker.owner, subscription->channel, position);
    else
        broker->broker.sink->subscribed(broker->broker.owner, subscription->channel, ERR_NONE, STR(""), position);
}

static void fail(struct redis_broker *broker, struct redis_subscription *subscription, const redisReply *reply)
{
    char text[200];
    int len = snprintf(text, sizeof text, "Redis did not tell the channel's position: %.120s", reply->str);
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    subscription->wanted = false;
    redis_subscription_note_change(&broker->subscriptions, subscription);
    broker->broker.sink->subscribed(broker->broker.owner, subscription->channel, ERR_UNAVAILABLE,
                                    str_from(text, (size_t)len), NULL);
}

/* An interrupted channel without history has no position to wait for. The loss is told at once while the shard is
 * coming up. If the server has become a replica, the shard is dropped soon, and the loss is told once more. Later, a
 * server of a cluster may become a replica before it takes the subscription. It has some of the events from then on.
 * Then the question tells, because no replica takes it. */
static bool tells_loss_at_once(struct redis_broker *broker, struct redis_subscription *subscription)
{
    if (!subscription->answered || !subscription->interrupted || subscription->history.size ||
        !redis_shard_is_coming_up(subscription->shard))
        return false;
    tell(broker, subscription, &(struct position){.offset = 0});
    return true;
}

/* ---- asking ---- */

static void send_question(struct redis_request *request)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    const struct redis_subscription *subscription = request->argument;
    char epoch[EPOCH_NEW_LEN + 1] = "", other_epoch[EPOCH_NEW_LEN + 1], meta_ttl[24], offset[24];
    if (subscription->history.size)
        epoch_new(epoch);
    epoch_new(other_epoch);
    struct str arguments[] = {
        request->keys[META],
        request->keys[LOG],
        buf_str(&subscription->shard->channel),
        subscription->key,
        str_from_cstr(epoch),
        redis_number(redis_meta_ttl_ms(&subscription->history), meta_ttl),
        str_from_cstr(subscription->epoch),
        redis_number(subscription->offset, offset),
        str_from_cstr(subscription->last_id),
        str_from_cstr(other_epoch),
        redis_publish_command(broker),
    };
    redis_request_script(request, SCRIPT_POSITION, 2, sizeof arguments / sizeof *arguments, arguments);
}

/* The script has run. Usually the position has come before, or comes in the same turn. */
static void await_position(struct redis_broker *broker, struct redis_subscription *subscription)
{
    list_append(&broker->subscriptions.untold, &subscription->untold);
    subscription->untold_since = broker->topology.canary;
}

static void on_asked(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct redis_subscription *subscription = request->argument;
    subscription->positions--;
    bool waits = redis_position_is_needed(subscription) && !subscription->positions;
    bool refused = reply && redis_is_error(reply) && !redis_request_is_untaken(reply);
    bool passes = waits && refused && redis_is_passing(reply);
    if (passes)
        redis_shard_drop(request->route.shard, reply->str);
    /* If the shard of the subscription is lost, the position is asked for when the shard is back. */
    if (passes || (waits && (!reply || subscription->outdated)))
        redis_position_ask(broker, subscription);
    else if (waits && refused && subscription->answered)
        tell(broker, subscription, &(struct position){.offset = 0}); /* nobody knows what was lost */
    else if (waits && refused)
        fail(broker, subscription, reply);
    else if (waits)
        await_position(broker, subscription);
    else
        redis_subscription_drop_if_done(&broker->subscriptions, subscription);
}

static bool is_wanted(void *argument)
{
    return redis_position_is_needed(argument);
}

/* Endless: a subscriber waits until Redis answers. */
static const struct redis_request_kind kind = {
    .send = send_question, .is_wanted = is_wanted, .done = on_asked, .is_endless = true};

void redis_position_ask(struct redis_broker *broker, struct redis_subscription *subscription)
{
    if (broker->closing)
        return; /* the shard may have closed and be freed */
    struct redis_shard *shard = subscription->shard;
    assert(shard); /* the subscription is confirmed there */
    if (!redis_shard_is_ready(shard))
        return; /* redis_position_ask_all asks later */
    if (tells_loss_at_once(broker, subscription))
        return;
    list_remove(&subscription->untold);
    if (subscription->positions++ == 0) {
        subscription->read_before = subscription->read;
        subscription->outdated = false;
    }
    const struct redis_keys *names = redis_channel_keys(broker, subscription->channel, STR(""));
    const struct str keys[KEYS] = {[META] = names->meta, [LOG] = names->log};
    redis_request_start(&broker->requests, &kind, subscription, shard, KEYS, keys, turn_now_us(broker->config.turn));
}

void redis_position_recheck(struct redis_broker *broker, struct redis_subscription *subscription)
{
    /* A subscription that is not answered, or interrupted, is asked for anyway. */
    if (!subscription->history.size || !subscription->answered || subscription->interrupted || subscription->recheck)
        return;
    subscription->recheck = true;
    if (redis_position_is_needed(subscription))
        redis_position_ask(broker, subscription);
}

void redis_position_ask_all(struct redis_shard *shard)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    size_t cursor = 0;
    for (struct redis_subscription *each; (each = map_next(&broker->subscriptions.by_key, &cursor));)
        if (each->shard == shard && redis_position_is_needed(each))
            redis_position_ask(broker, each); /* also where an answer is due: it may come from another server */
}

void redis_position_ask_untold(struct redis_shard *shard)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    LIST_EACH(link, &broker->subscriptions.untold)
    {
        struct redis_subscription *each = CONTAINER_OF(link, struct redis_subscription, untold);
        if (each->untold_since >= shard->canary)
            return;
        if (each->shard != shard)
            continue;
        list_remove(link);
        if (redis_position_is_needed(each))
            redis_position_ask(broker, each);
    }
}

/* ---- being told ---- */

void redis_position_read(struct redis_broker *broker, struct str channel, struct str epoch, uint64_t offset)
{
    struct redis_subscription *subscription =
        redis_subscription_find(&broker->subscriptions, redis_live_key(broker, channel));
    if (!subscription)
        return;
    if (!str_eq_cstr(epoch, subscription->epoch))
        redis_position_recheck(broker, subscription);
    else if (offset > subscription->read)
        subscription->read = offset;
}

void redis_position_begun(struct redis_broker *broker, struct redis_subscription *subscription,
                          const struct position *position)
{
    if (!subscription->history.size || subscription->interrupted || str_eq_cstr(position->epoch, subscription->epoch))
        return;
    redis_position_set(subscription, position->epoch, position->offset, position->id);
    broker->broker.sink->located(broker->broker.owner, subscription->channel, position);
}

/* A read of the history comes over the other connection. It may be newer than the position and come before it. Then the
 * position does not tell whether events were lost in between. Another position has to be asked for, after all earlier
 * ones have come. */
static bool is_outdated(const struct redis_subscription *subscription, struct str epoch, uint64_t offset)
{
    return str_eq_cstr(epoch, subscription->epoch) && offset < subscription->read &&
           subscription->read_before < subscription->read;
}

void redis_position_told(struct redis_shard *shard, struct str key, struct str epoch, uint64_t offset, struct str id)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    struct redis_subscription *subscription = redis_subscription_find_at(&broker->subscriptions, shard, key);
    if (!subscription || !redis_position_is_needed(subscription))
        return;
    if (!is_outdated(subscription, epoch, offset))
        tell(broker, subscription, &(struct position){epoch, offset, id});
    else if (subscription->positions)
        subscription->outdated = true; /* on_asked asks */
    else
        redis_position_ask(broker, subscription);
}
