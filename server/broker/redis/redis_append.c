/* redis_append.c - appends entries to streams that are not of Carillon's own keys. Each entry is one XADD. The answers
 * come in the order of the entries while the connection lives. In a cluster the key of the stream names the server. */
#include "common/base/alloc.h"
#include "server/broker/redis/redis_parts.h"

static void send_entry(struct redis_request *request)
{
    const struct stream_append *append = request->argument;
    char max_len[24];
    size_t argc = 0;
    struct str *argv = xmalloc((append->text_count + 6) * sizeof *argv);
    argv[argc++] = STR("XADD");
    argv[argc++] = request->keys[0];
    if (append->max_len) {
        argv[argc++] = STR("MAXLEN");
        argv[argc++] = STR("~");
        argv[argc++] = redis_number(append->max_len, max_len);
    }
    argv[argc++] = STR("*");
    memcpy(argv + argc, append->texts, append->text_count * sizeof *argv);
    redis_request_command(request, argc + append->text_count, argv);
    free(argv);
}

static void on_appended(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct stream_append *append = request->argument;
    if (!reply || reply->type != REDIS_REPLY_STRING)
        redis_broker_request_fail(broker, &append->base, reply);
    redis_broker_release(broker, append->cost);
    broker_answer(&broker->broker, &append->base);
}

void redis_append(struct redis_broker *broker, struct stream_append *append)
{
    static const struct redis_request_kind kind = {.send = send_entry, .done = on_appended};
    if (!redis_shard_is_up(redis_topology_shard_of(&broker->topology, append->stream)))
        redis_broker_request_refuse(broker, &append->base, "Redis cannot be reached now; nothing was appended");
    else if (!redis_broker_reserve(broker, append->cost))
        redis_broker_request_refuse(broker, &append->base,
                                    "too much waits for Redis (redis.pending_bytes); nothing was appended");
    else
        redis_broker_request_start(broker, &append->base, &kind, 1, &append->stream);
}
