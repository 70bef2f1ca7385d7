/* redis_node.c - what concerns nodes rather than channels: each listens on a pub/sub channel of its own and on one of
 * all, sends itself a canary to prove that the way through Redis works in both directions, and keeps itself in the
 * registry. Messages are one line: "canary <number>", "position <offset> <epoch> <live channel>" (redis_scripts.c) or
 * "control <from> <bytes>". */
#include "common/base/clock.h"
#include "server/broker/redis_parts.h"

enum { SILENT_INTERVALS = 3 }; /* without a sign of life, until a node counts as gone */

static void subscribe(struct redis_broker *broker, const struct buf *channel)
{
    struct str argv[] = {STR("SUBSCRIBE"), buf_str(channel)};
    redis_connection_send(&broker->subscriber, 2, argv, NULL, NULL);
}

void redis_node_listen(struct redis_broker *broker)
{
    subscribe(broker, &broker->node_channel);
}

void redis_node_listen_to_all(struct redis_broker *broker)
{
    subscribe(broker, &broker->control_channel);
}

static void on_canary_sent(void *owner, void *argument, const redisReply *reply)
{
    if (reply && redis_is_error(reply))
        redis_broker_drop(owner, reply->str);
}

static void register_node(struct redis_broker *broker, bool with_text);

static void on_registered(void *owner, void *argument, const redisReply *reply)
{
    struct redis_broker *broker = owner;
    if (!reply)
        return;
    if (redis_scripts_is_unknown(reply)) {
        register_node(broker, true);
        return;
    }
    if (redis_is_error(reply)) {
        /* Loading, nothing works yet. Anything else, such as a full memory, leaves reading possible. */
        metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
        if (strncmp(reply->str, "LOADING", 7) == 0)
            redis_broker_drop(broker, reply->str);
        return;
    }
    buf_clear(&broker->nodes);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < (size_t)reply->elements; i++) {
        if (i)
            buf_append_char(&broker->nodes, '\n');
        buf_append(&broker->nodes, redis_text(reply->element[i]));
    }
}

static void register_node(struct redis_broker *broker, bool with_text)
{
    char gone[24];
    uint64_t gone_ms = broker->config.canary_interval_ms * SILENT_INTERVALS + broker->config.command_timeout_ms;
    int len = snprintf(gone, sizeof gone, "%llu", (unsigned long long)gone_ms);
    struct str arguments[] = {buf_str(&broker->nodes_key), broker->config.node_id, str_from(gone, (size_t)len)};
    redis_scripts_send(&broker->scripts, &broker->commands, SCRIPT_REGISTER, with_text, 1, 3, arguments, on_registered,
                       NULL);
}

void redis_node_probe(struct redis_broker *broker)
{
    char text[40];
    int len = snprintf(text, sizeof text, "canary %llu", (unsigned long long)++broker->canary);
    register_node(broker, false);
    struct str canary[] = {STR("PUBLISH"), buf_str(&broker->node_channel), str_from(text, (size_t)len)};
    broker->canary_sent_us = clock_now_us();
    redis_connection_send(&broker->commands, 3, canary, on_canary_sent, NULL);
}

static void on_ignored(void *owner, void *argument, const redisReply *reply)
{
    /* Best effort. */
}

void redis_node_leave(struct redis_broker *broker)
{
    struct str argv[] = {STR("ZREM"), buf_str(&broker->nodes_key), broker->config.node_id};
    if (broker->commands.state == REDIS_READY)
        redis_connection_send(&broker->commands, 3, argv, on_ignored, NULL);
}

bool redis_node_confirmed(struct redis_broker *broker, struct str key)
{
    if (str_eq(key, buf_str(&broker->node_channel)))
        return true;
    if (!str_eq(key, buf_str(&broker->control_channel)))
        return false;
    broker->all_confirmed = true;
    redis_broker_try_probe(broker);
    return true;
}

static void take_canary(struct redis_broker *broker, struct str text)
{
    uint64_t number;
    if (broker->phase != PHASE_PROBING || !str_to_u64(text, &number) || number != broker->canary)
        return; /* of an earlier life of this node */
    broker->info.round_trip_us = clock_now_us() - broker->canary_sent_us;
    metrics_observe(broker->broker.metrics, METRIC_BROKER_ROUND_TRIP, broker->info.round_trip_us);
    redis_broker_proved(broker);
}

bool redis_node_message(struct redis_broker *broker, struct str key, struct str bytes)
{
    bool to_all = str_eq(key, buf_str(&broker->control_channel));
    if (!to_all && !str_eq(key, buf_str(&broker->node_channel)))
        return false;
    struct str rest = bytes;
    struct str kind = str_split(&rest, ' ');
    uint64_t offset;
    if (str_eq(kind, STR("control")) && rest.ptr) {
        struct str from = str_split(&rest, ' ');
        if (rest.ptr && !(to_all && str_eq(from, broker->config.node_id)))
            broker->broker.sink->control(broker->broker.owner, from, rest);
    } else if (to_all && str_eq(kind, STR("revoked")) && rest.ptr && str_to_u64(str_split(&rest, ' '), &offset) &&
               rest.ptr && redis_revocation_heard(broker, offset, rest)) {
        return true;
    } else if (!to_all && str_eq(kind, STR("canary")) && rest.ptr) {
        take_canary(broker, rest);
    } else if (!to_all && str_eq(kind, STR("position")) && rest.ptr && str_to_u64(str_split(&rest, ' '), &offset) &&
               rest.ptr) {
        struct str epoch = str_split(&rest, ' ');
        redis_broker_extend(broker);
        if (rest.ptr)
            redis_subscription_position(broker, rest, epoch, offset);
    } else {
        redis_count_bad_message(broker, key, "not a message of a node");
    }
    return true;
}

void redis_node_control(struct broker *base, struct str to, struct str bytes)
{
    struct redis_broker *broker = redis_broker_of(base);
    struct buf channel = {0};
    struct buf message = {0};
    if (!redis_broker_is_up(broker) || broker->commands.state != REDIS_READY)
        return;
    buf_append(&channel, to.len ? broker->config.prefix : buf_str(&broker->control_channel));
    if (to.len) {
        buf_append_lit(&channel, ":node:");
        buf_append(&channel, to);
    }
    buf_append_lit(&message, "control ");
    buf_append(&message, broker->config.node_id);
    buf_append_char(&message, ' ');
    buf_append(&message, bytes);
    struct str argv[] = {STR("PUBLISH"), buf_str(&channel), buf_str(&message)};
    redis_connection_send(&broker->commands, 3, argv, on_ignored, NULL);
    buf_fini(&channel);
    buf_fini(&message);
}

void redis_node_list(struct broker *base, struct buf *out)
{
    struct redis_broker *broker = redis_broker_of(base);
    /* While it is down nobody knows who else is alive. */
    buf_append(out, redis_broker_is_up(broker) && broker->nodes.len ? buf_str(&broker->nodes) : broker->config.node_id);
}
