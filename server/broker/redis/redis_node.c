/* redis_node.c - the registry of nodes, and the messages that nodes and scripts send to nodes. At each server a node
 * subscribes a pub/sub channel of its own and the control channel that all nodes share. A message is one line:
 *
 *   position <offset> <epoch> <id> <live channel>   (scripts/position.lua)
 *   revoked <until> <member>                        (scripts/revoke.lua)
 *   control <from> <bytes>                          (no bytes: the node <from> is there)
 *   control <from>                                  (it leaves)
 *
 * 1. A node says to all others that it is there when the registry has it, before it comes up.
 * 2. So the others know it as soon as it is up. They do not have to read the registry first.
 * 3. A node of an earlier version says neither, and ignores both. Its first message tells that it is there. A read of
 *    the registry tells that it has left. */
#include "common/base/alloc.h"
#include "server/broker/redis/redis_parts.h"

enum { SILENT_INTERVALS = 3 }; /* a node that is silent for so many canary intervals is gone */
enum { KNOWN_MAX = 1024 };

struct known_node {
    struct list_link link;
    uint64_t seen_us; /* when a read of the registry had it, or a message of it came */
    struct str id;
    char bytes[];
};

static void subscribe(struct redis_shard *shard, const struct buf *channel)
{
    struct str argv[] = {STR("SUBSCRIBE"), buf_str(channel)};
    redis_connection_send(&shard->subscriber, 2, argv, NULL, NULL);
}

void redis_node_listen(struct redis_shard *shard)
{
    const struct redis_broker *broker = redis_broker_of_shard(shard);
    subscribe(shard, &shard->channel);
    if (!str_eq(buf_str(&shard->channel), buf_str(&broker->node_channel)))
        subscribe(shard, &broker->node_channel);
}

void redis_node_listen_to_all(struct redis_shard *shard)
{
    subscribe(shard, &redis_broker_of_shard(shard)->control_channel);
}

static void on_ignored(void *owner, void *argument, const redisReply *reply)
{
    /* A failure does no harm. */
}

/* Bytes without a pointer: this node leaves. */
static void send_control(struct redis_shard *shard, struct str channel, struct str bytes)
{
    struct buf message = {0};
    buf_append_lit(&message, "control ");
    buf_append(&message, redis_broker_of_shard(shard)->config.node_id);
    if (bytes.ptr) {
        buf_append_char(&message, ' ');
        buf_append(&message, bytes);
    }
    struct str argv[] = {STR("PUBLISH"), channel, buf_str(&message)};
    redis_connection_send(&shard->commands, 3, argv, on_ignored, NULL);
    buf_fini(&message);
}

/* ---- the nodes that this one knows ---- */

static struct known_node *known_node(struct list_link *link)
{
    return CONTAINER_OF(link, struct known_node, link);
}

static void see(struct redis_broker *broker, struct str id)
{
    uint64_t now_us = turn_now_us(broker->config.turn);
    struct list_link *at = broker->nodes.next;
    while (at != &broker->nodes && str_compare(known_node(at)->id, id) < 0)
        at = at->next;
    if (at != &broker->nodes && str_eq(known_node(at)->id, id)) {
        known_node(at)->seen_us = now_us;
        return;
    }
    if (broker->node_count == KNOWN_MAX)
        return;
    struct known_node *node = xcalloc(1, sizeof *node + id.len);
    memcpy(node->bytes, id.ptr, id.len);
    node->id = str_from(node->bytes, id.len);
    node->seen_us = now_us;
    list_append(at, &node->link); /* before it */
    broker->node_count++;
}

static void forget(struct redis_broker *broker, struct known_node *node)
{
    list_remove(&node->link);
    broker->node_count--;
    free(node);
}

static void forget_unseen(struct redis_broker *broker, uint64_t since_us)
{
    LIST_EACH(link, &broker->nodes)
    if (known_node(link)->seen_us < since_us)
        forget(broker, known_node(link));
}

static void forget_left(struct redis_broker *broker, struct str id)
{
    LIST_EACH(link, &broker->nodes)
    if (str_eq(known_node(link)->id, id))
        forget(broker, known_node(link));
}

void redis_node_init(struct redis_broker *broker)
{
    list_init(&broker->nodes);
    see(broker, broker->config.node_id);
}

void redis_node_fini(struct redis_broker *broker)
{
    forget_unseen(broker, UINT64_MAX);
}

/* ---- the registry of nodes ---- */

uint64_t redis_node_gone_ms(const struct redis_broker *broker)
{
    return broker->config.canary_interval_ms * SILENT_INTERVALS + broker->config.command_timeout_ms;
}

static void on_registered(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    if (!reply)
        return;
    if (redis_is_error(reply)) {
        /* While Redis loads its data, nothing works. After other errors, such as a full memory, reading works. */
        metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
        if (strncmp(reply->str, "LOADING", 7) == 0)
            redis_shard_drop(request->route.shard, reply->str);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || !reply->elements)
        return;
    uint64_t now_us = turn_now_us(broker->config.turn);
    if (reply->element[0]->integer == 1 && broker->is_registered)
        broker->lost_us = now_us;
    broker->is_registered = true;
    for (size_t i = 1; i < (size_t)reply->elements; i++)
        see(broker, redis_text(reply->element[i]));
    /* A node that was heard after the registry was asked may be missing in the answer. After a loss the registry has
     * each node again when that node registers anew. */
    if (!broker->lost_us || now_us - broker->lost_us >= redis_node_gone_ms(broker) * 1000)
        forget_unseen(broker, request->since_us);
}

static void send_registration(struct redis_request *request)
{
    const struct redis_broker *broker = redis_broker_of_request(request);
    char gone[24];
    struct str arguments[] = {buf_str(&broker->nodes_key), broker->config.node_id,
                              redis_number(redis_node_gone_ms(broker), gone)};
    redis_request_script(request, SCRIPT_REGISTER, 1, 3, arguments);
}

/* The request ends after the command timeout: the next canary registers the node again. */
static const struct redis_request_kind registration = {.send = send_registration, .done = on_registered};

void redis_node_register(struct redis_shard *shard)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    struct str key = buf_str(&broker->nodes_key);
    if (!redis_shard_is_ready(shard) || redis_topology_shard_of(&broker->topology, key) != shard)
        return;
    redis_request_start(&broker->requests, &registration, NULL, shard, 1, &key, turn_now_us(broker->config.turn));
    /* Redis runs this after the registration, and before the canary that brings the shard up. */
    if (!redis_shard_is_up(shard))
        send_control(shard, buf_str(&broker->control_channel), STR(""));
}

void redis_node_leave(struct redis_broker *broker)
{
    struct redis_shard *shard = redis_request_shard(&broker->topology, buf_str(&broker->nodes_key));
    struct str argv[] = {STR("ZREM"), buf_str(&broker->nodes_key), broker->config.node_id};
    if (!shard)
        return;
    redis_connection_send(&shard->commands, 3, argv, on_ignored, NULL);
    send_control(shard, buf_str(&broker->control_channel), (struct str){0});
}

bool redis_node_confirmed(struct redis_shard *shard, struct str key)
{
    const struct redis_broker *broker = redis_broker_of_shard(shard);
    if (str_eq(key, buf_str(&shard->channel)) || str_eq(key, buf_str(&broker->node_channel)))
        return true;
    if (!str_eq(key, buf_str(&broker->control_channel)))
        return false;
    redis_shard_all_confirmed(shard);
    return true;
}

/* ---- messages ---- */

/* A message for all nodes comes through every shard. The node takes it from the control shard alone, the first shard
 * that is up. */
static struct redis_shard *control_shard(const struct redis_broker *broker)
{
    LIST_EACH(link, &broker->topology.shards)
    {
        struct redis_shard *shard = CONTAINER_OF(link, struct redis_shard, link);
        if (redis_shard_is_up(shard))
            return shard;
    }
    return NULL;
}

static void take_control(struct redis_shard *shard, bool to_all, struct str message)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    struct str from = str_split(&message, ' ');
    bool own = to_all && str_eq(from, broker->config.node_id);
    /* The id of the sender goes into logs and answers, so it is checked. */
    if (own || !redis_name_is_good(from, REDIS_NODE_ID_OTHERS))
        return;
    if (message.ptr)
        see(broker, from);
    else
        forget_left(broker, from);
    if (message.len && shard == control_shard(broker))
        broker->broker.sink->control(broker->broker.owner, from, message);
}

bool redis_node_message(struct redis_shard *shard, struct str key, struct str bytes)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    bool to_all = str_eq(key, buf_str(&broker->control_channel));
    bool to_shard = str_eq(key, buf_str(&shard->channel));
    if (!to_all && !to_shard && !str_eq(key, buf_str(&broker->node_channel)))
        return false;
    struct str rest = bytes;
    struct str kind = str_split(&rest, ' ');
    uint64_t offset;
    if (str_eq(kind, STR("control")) && rest.ptr) {
        take_control(shard, to_all, rest);
    } else if (to_all && str_eq(kind, STR("revoked")) && rest.ptr && str_to_u64(str_split(&rest, ' '), &offset) &&
               rest.ptr && redis_revocation_heard(broker, offset, rest)) {
        return true;
    } else if (to_shard && str_eq(kind, STR("position")) && rest.ptr && str_to_u64(str_split(&rest, ' '), &offset) &&
               rest.ptr) {
        struct str epoch = str_split(&rest, ' ');
        struct str id = rest.ptr ? str_split(&rest, ' ') : STR("");
        redis_shard_extend(shard);
        if (rest.ptr)
            redis_position_told(shard, rest, epoch, offset, id);
    } else {
        redis_count_bad_message(broker, key, "not a message of a node");
    }
    return true;
}

void redis_node_send(struct broker *base, struct str to, struct str bytes)
{
    struct redis_broker *broker = redis_broker_of(base);
    struct redis_shard *shard = control_shard(broker);
    struct buf channel = {0};
    if (!shard)
        return;
    buf_append(&channel, buf_str(to.len ? &broker->pubsub_prefix : &broker->control_channel));
    if (to.len) {
        buf_append_lit(&channel, ":node:");
        buf_append(&channel, to);
    }
    send_control(shard, buf_str(&channel), bytes);
    buf_fini(&channel);
}

void redis_node_list(struct broker *base, struct buf *out)
{
    struct redis_broker *broker = redis_broker_of(base);
    if (!control_shard(broker)) {
        buf_append(out, broker->config.node_id); /* while Redis cannot be reached, no other node can */
        return;
    }
    LIST_EACH(link, &broker->nodes)
    {
        if (link != broker->nodes.next)
            buf_append_char(out, '\n');
        buf_append(out, known_node(link)->id);
    }
}
