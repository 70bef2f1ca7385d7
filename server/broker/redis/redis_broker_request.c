/* redis_broker_request.c - sends a request of the node (core/request.h) to Redis as a redis_request, and answers it
 * when that fails. Each kind of request has a file of its own, with the command and the meaning of the answer. */
#include "server/broker/redis/redis_parts.h"

bool redis_broker_reserve(struct redis_broker *broker, size_t cost)
{
    if (broker->pending >= broker->config.pending_max ||
        broker->pending_bytes + cost > broker->config.pending_bytes_max)
        return false;
    broker->pending++;
    broker->pending_bytes += cost;
    return true;
}

void redis_broker_release(struct redis_broker *broker, size_t cost)
{
    broker->pending--;
    broker->pending_bytes -= cost;
}

static void deliver_answered(struct mail *mail, void *owner)
{
    struct redis_broker *broker = owner;
    broker_answer(&broker->broker, CONTAINER_OF(mail, struct request, mail));
}

void redis_broker_request_answer(struct redis_broker *broker, struct request *request)
{
    request->mail.deliver = deliver_answered;
    mailbox_post(&broker->mailbox, &request->mail);
}

void redis_broker_request_refuse(struct redis_broker *broker, struct request *request, const char *text)
{
    request_fail(request, ERR_UNAVAILABLE, "%s", text);
    redis_broker_request_answer(broker, request);
}

void redis_broker_request_start(struct redis_broker *broker, struct request *request,
                                const struct redis_request_kind *kind, size_t key_count, const struct str *keys)
{
    struct redis_shard *shard = redis_topology_shard_of(&broker->topology, keys[0]);
    if (redis_shard_is_up(shard)) {
        redis_request_start(&broker->requests, kind, request, shard, key_count, keys, turn_now_us(broker->config.turn));
        return;
    }
    redis_broker_request_refuse(broker, request, "Redis cannot be reached now; nothing was done. Try again later");
}

void redis_broker_request_fail(struct redis_broker *broker, struct request *request, const redisReply *reply)
{
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    if (!reply)
        request_fail(
            request, ERR_UNAVAILABLE,
            "the connection to Redis was lost before it answered: it may or may not have been done; trying again "
            "is safe");
    else if (redis_request_is_untaken(reply))
        request_fail(request, ERR_UNAVAILABLE, "no Redis server takes it now; nothing was done. Try again");
    else
        request_fail(request, ERR_UNAVAILABLE, "Redis refused it; nothing was done: %.200s",
                     redis_is_error(reply) ? reply->str : "an answer that makes no sense");
}
