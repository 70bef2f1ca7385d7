/* redis_presence.c - the members of channels in Redis. A channel has four keys (scripts/presence_head.lua):
 *
 * - presence: a hash of the members
 * - presence:users and presence:members: the members by user and by node
 * - presence:nodes: until when the members of each node count
 *
 * A node is named there with a round, "<node id>#<round>". A node that tells all its members again begins a round. The
 * members of the earlier round stay until the last update of the new one. */
#include "common/base/clock.h"
#include "common/json/json.h"
#include "server/broker/redis/redis_parts.h"

enum { KEYS = 5 };

/* The keys lie in broker->head, and are valid until the next call. */
static void make_keys(struct redis_broker *broker, struct str channel, struct str out[KEYS])
{
    static const struct str suffixes[KEYS] = {
        {"presence", 8}, {"presence:users", 14}, {"presence:members", 16}, {"presence:nodes", 14}, {"live", 4}};
    struct buf *bytes = &broker->head;
    buf_clear(bytes);
    buf_reserve(bytes,
                KEYS * (broker->pubsub_prefix.len + 3 * channel.len + 24)); /* so that earlier keys stay in place */
    for (size_t i = 0; i < KEYS; i++) {
        size_t begin = bytes->len;
        bool is_live = i == KEYS - 1;
        redis_key_append(bytes, is_live ? buf_str(&broker->pubsub_prefix) : broker->config.prefix, channel,
                         suffixes[i]);
        out[i] = str_from(bytes->ptr + begin, bytes->len - begin);
    }
}

/* The command that publishes join and leave; empty: they are not published. */
static struct str publish_word(const struct redis_broker *broker, const struct presence_policy *policy)
{
    if (!policy->events)
        return STR("");
    return broker->topology.kind->sharded ? STR("SPUBLISH") : STR("PUBLISH");
}

/* The text of join and leave between their type and the member. */
static struct str write_around(struct redis_broker *broker, struct str channel)
{
    char timestamp[CLOCK_RFC3339_LEN + 1];
    clock_format(turn_wall_ms(broker->config.turn), timestamp);
    buf_clear(&broker->tail);
    buf_append_lit(&broker->tail, "\",\"channel\":");
    json_append_string(&broker->tail, channel);
    buf_appendf(&broker->tail, ",\"timestamp\":\"%s\",\"data\":", timestamp);
    return buf_str(&broker->tail);
}

/* The first arguments of both scripts. They lie in out. */
struct common {
    struct str arguments[KEYS + 11];
    char alive[24], connected[24];
};

static void set_common(struct redis_request *request, const struct presence_policy *policy, struct str channel,
                       struct str node, bool again, struct common *out)
{
    struct str *rest = out->arguments + KEYS;
    struct redis_broker *broker = redis_broker_of_request(request);
    memcpy(out->arguments, request->keys, sizeof *request->keys * KEYS);
    rest[0] = node;
    rest[1] = publish_word(broker, policy);
    rest[2] = write_around(broker, channel);
    rest[3] = redis_number(policy->ttl_ms * 3 / 4,
                           out->alive); /* other nodes look four times in ttl_ms, so all are gone by then */
    rest[4] = redis_number((turn_now_us(broker->config.turn) - request->route.shard->up_us) / 1000, out->connected);
    rest[5] = again ? STR("1") : STR("0");
}

/* ---- updates ---- */

/* "+USER" has come, "-USER" has left. */
static void take_changed(struct buf *out, const redisReply *reply)
{
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        struct str text = redis_text(reply->element[i]);
        if (text.len > 1)
            presence_note_changed(out, text.ptr[0] == '+', str_skip(text, 1));
    }
}

static void on_updated(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct presence_update *update = request->argument;
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        update->known = false;
    } else if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        update->known = true;
        update->more = reply->element[0]->integer > 1;
        take_changed(&update->changed, reply->element[1]);
    } else {
        redis_broker_request_fail(broker, &update->base, reply);
    }
    broker_answer(&broker->broker, &update->base);
}

/* [[true,"user","entry"],...] */
static void write_changes(struct buf *out, const struct presence_update *update)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < update->count; i++) {
        const struct presence_item *item = &update->items[i];
        if (i)
            buf_append_char(out, ',');
        buf_append(out, item->here ? STR("[true,") : STR("[false,"));
        json_append_string(out, item->user);
        buf_append_char(out, ',');
        json_append_string(out, item->entry);
        buf_append_char(out, ']');
    }
    buf_append_char(out, ']');
}

static void send_update(struct redis_request *request)
{
    const struct presence_update *update = request->argument;
    struct common common;
    struct buf changes = {0};
    char node[96], connections[24], number[24], after[24];
    int len = snprintf(node, sizeof node, "%s#%llu", redis_broker_of_request(request)->node_id,
                       (unsigned long long)update->round);
    struct str *rest = common.arguments + KEYS + 6;
    write_changes(&changes, update);
    set_common(request, &update->policy, update->base.channel, str_from(node, (size_t)len), false, &common);
    rest[0] = redis_number(update->connections, connections);
    rest[1] = update->complete ? STR("1") : STR("0");
    rest[2] = buf_str(&changes);
    rest[3] = redis_number(update->number, number);
    rest[4] = redis_number(update->after, after);
    redis_request_script(request, SCRIPT_PRESENCE, KEYS, KEYS + 11, common.arguments);
    buf_fini(&changes);
}

void redis_presence_update(struct redis_broker *broker, struct presence_update *update)
{
    static const struct redis_request_kind kind = {.send = send_update, .done = on_updated};
    struct str keys[KEYS];
    make_keys(broker, update->base.channel, keys);
    redis_broker_request_start(broker, &update->base, &kind, KEYS, keys);
}

/* ---- pages ---- */

/* Takes users, connections, after of the next page, members. The users who have left are taken already. */
static bool take_page(struct presence_read *read, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 5 || reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_INTEGER || reply->element[3]->type != REDIS_REPLY_ARRAY)
        return false;
    read->users = (uint64_t)reply->element[0]->integer;
    read->connections = (uint64_t)reply->element[1]->integer;
    buf_append(&read->next, redis_text(reply->element[2]));
    for (size_t i = 0; i < reply->element[3]->elements; i++) {
        struct str entry = redis_text(reply->element[3]->element[i]);
        struct json_value value;
        if (json_check(entry, NULL, &value, NULL)) /* it goes on to clients as JSON */
            return false;
        presence_read_add(read, entry);
    }
    return true;
}

/* Each living node tells its members again within a fourth part of ttl_ms. */
static bool is_yet_to_be_told(const struct redis_broker *broker, const struct presence_read *read)
{
    return broker->lost_us && turn_now_us(broker->config.turn) - broker->lost_us < read->policy.ttl_ms * 1000 / 2;
}

static void on_page(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct presence_read *read = request->argument;
    bool is_number = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements)
        take_changed(&read->changed, reply->element[reply->elements - 1]);
    if (is_number && reply->element[0]->integer == 0) {
        read->again = true;
        redis_presence_read(broker, read);
        return;
    }
    if (is_number || (reply && is_yet_to_be_told(broker, read)))
        request_fail(&read->base, ERR_UNAVAILABLE,
                     "Redis has lost who is on the channel, and the nodes are telling it again; try again later");
    else if (!reply || !take_page(read, reply))
        redis_broker_request_fail(broker, &read->base, reply);
    broker_answer(&broker->broker, &read->base);
}

static void send_read(struct redis_request *request)
{
    const struct presence_read *read = request->argument;
    const struct redis_broker *broker = redis_broker_of_request(request);
    struct common common;
    struct str arguments[KEYS + 11];
    char limit[24], bytes[24];
    bool has_registry = broker->is_registered && !broker->topology.kind->sharded;
    size_t count = KEYS;
    set_common(request, &read->policy, read->base.channel, STR(""), read->again, &common);
    memcpy(arguments, common.arguments, sizeof *arguments * KEYS);
    if (has_registry)
        arguments[count++] = buf_str(&broker->nodes_key);
    memcpy(arguments + count, common.arguments + KEYS, sizeof *arguments * 6);
    count += 6;
    arguments[count++] = read->after;
    arguments[count++] = redis_number(read->limit, limit);
    arguments[count++] = redis_number(PRESENCE_PAGE_BYTES, bytes);
    arguments[count++] = broker->config.node_id;
    redis_request_script(request, SCRIPT_MEMBERS, KEYS + has_registry, count, arguments);
}

void redis_presence_read(struct redis_broker *broker, struct presence_read *read)
{
    static const struct redis_request_kind kind = {.send = send_read, .done = on_page};
    struct str keys[KEYS];
    make_keys(broker, read->base.channel, keys);
    redis_broker_request_start(broker, &read->base, &kind, KEYS, keys);
}
