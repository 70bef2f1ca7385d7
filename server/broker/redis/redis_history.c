/* redis_history.c - reads pages of a channel's history. A script reads position and events in one step, so the answer
 * is of one moment. The router bounds how many reads are under way. */
#include "server/broker/redis/redis_parts.h"

enum { FIRST_EVENT = 5 }; /* element of the answer */

enum { META, LOG, KEYS }; /* of the request */

/* Adds one event of the log. id: its offset. */
static bool add_event(struct redis_broker *broker, struct history_read *read, const redisReply *id,
                      const redisReply *text)
{
    struct event event;
    struct error error;
    bool direct;
    uint64_t offset;
    return str_to_u64(redis_text(id), &offset) &&
           !redis_event_parse(redis_text(text), read->base.channel, &broker->event_limits, &broker->scratch, &event,
                              &direct, &error) &&
           event.offset == offset && (history_read_add(read, &event), true);
}

/* Takes the id from "OFFSET ID" if the offset is that one. */
static void take_id(const redisReply *reply, uint64_t offset, char out[POSITION_ID_MAX + 1])
{
    struct str id = redis_text(reply);
    uint64_t found;
    if (str_to_u64(str_split(&id, ' '), &found) && found == offset && id.ptr)
        position_keep_id(out, id);
}

/* Takes the answer of SCRIPT_HISTORY. */
static void take_page(struct redis_broker *broker, struct history_read *read, const redisReply *reply)
{
    bool fine = reply->type == REDIS_REPLY_ARRAY && reply->elements >= FIRST_EVENT && reply->elements % 2 == 1 &&
                reply->element[2]->type == REDIS_REPLY_INTEGER;
    struct str epoch = fine ? redis_text(reply->element[0]) : STR("");
    fine = fine && epoch.len <= EPOCH_MAX && str_to_u64(redis_text(reply->element[1]), &read->offset);
    for (size_t i = FIRST_EVENT; fine && i < reply->elements; i += 2)
        fine = add_event(broker, read, reply->element[i], reply->element[i + 1]);
    if (!fine) {
        metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
        request_fail(&read->base, ERR_INTERNAL_ERROR, "the channel's log in Redis holds what is not an event");
        return;
    }
    if (epoch.len)
        memcpy(read->epoch, epoch.ptr, epoch.len);
    read->more = reply->element[2]->integer != 0;
    take_id(reply->element[3], read->offset, read->id);
    if (read->count && !read->backwards)
        take_id(reply->element[4], read->events[0].offset - 1, read->before_id);
    if (read->backwards)
        history_read_reverse(read);
    redis_position_read(broker, read->base.channel, epoch, read->offset);
}

static void on_read(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct history_read *read = request->argument;
    if (!reply) {
        request_fail(&read->base, ERR_UNAVAILABLE, "the connection to Redis was lost; try again later");
    } else if (redis_is_error(reply)) {
        metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
        request_fail(&read->base,
                     redis_request_is_untaken(reply) || redis_is_passing(reply) ? ERR_UNAVAILABLE : ERR_INTERNAL_ERROR,
                     "Redis did not give the channel's history: %.200s", reply->str);
    } else {
        take_page(broker, read, reply);
    }
    broker_answer(&broker->broker, &read->base);
}

static void send_read(struct redis_request *request)
{
    const struct history_read *read = request->argument;
    char from[24], limit[24], bytes[24];
    const struct str arguments[] = {
        request->keys[META],
        request->keys[LOG],
        read->backwards ? STR("1") : STR("0"),
        redis_number(read->backwards ? read->before : read->after, from),
        redis_number(read->limit, limit),
        redis_number(read->max_bytes, bytes),
    };
    redis_request_script(request, SCRIPT_HISTORY, 2, 6, arguments);
}

static const struct redis_request_kind kind = {.send = send_read, .done = on_read};

void redis_history(struct redis_broker *broker, struct history_read *read)
{
    const struct redis_keys *names = redis_channel_keys(broker, read->base.channel, STR(""));
    const struct str keys[KEYS] = {[META] = names->meta, [LOG] = names->log};
    struct redis_shard *shard = redis_request_shard(&broker->topology, keys[META]);
    if (!shard) {
        redis_broker_request_refuse(broker, &read->base, "Redis cannot be reached now; try again later");
        return;
    }
    redis_request_start(&broker->requests, &kind, read, shard, KEYS, keys, turn_now_us(broker->config.turn));
}
