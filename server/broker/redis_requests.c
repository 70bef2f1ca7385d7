/* redis_requests.c - requests (request.h) on their way to Redis: which file takes which, and how they fail. */
#include "server/broker/redis_parts.h"

bool redis_request_begin(struct redis_broker *broker, struct broker_request *request, struct str key,
                         struct redis_route *out)
{
    struct redis_route route = redis_route_to(broker, key);
    if (redis_shard_is_up(route.shard)) {
        *out = route;
        return true;
    }
    error_set(&request->error, ERR_UNAVAILABLE, "Redis cannot be reached now; nothing was done. Try again later");
    broker_request_answer(request);
    return false;
}

void redis_request_fail(struct redis_broker *broker, struct broker_request *request, const redisReply *reply)
{
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    if (!reply)
        error_set(&request->error, ERR_UNAVAILABLE,
                  "the connection to Redis was lost before it answered: it may or may not have been done; trying again "
                  "is safe");
    else
        error_set(&request->error, ERR_UNAVAILABLE, "Redis refused it; nothing was done: %.200s",
                  redis_is_error(reply) ? reply->str : "an answer that makes no sense");
}

void redis_ask(struct broker *base, struct broker_request *request)
{
    struct redis_broker *broker = redis_broker_of(base);
    switch (request->kind) {
    case REQUEST_REVOKE: redis_revoke(broker, CONTAINER_OF(request, struct revoke_request, base)); break;
    case REQUEST_BERTH: redis_berth(broker, CONTAINER_OF(request, struct berth_request, base)); break;
    case REQUEST_PRESENCE_UPDATE:
        redis_presence_update(broker, CONTAINER_OF(request, struct presence_update, base));
        break;
    case REQUEST_PRESENCE_READ: redis_presence_read(broker, CONTAINER_OF(request, struct presence_read, base)); break;
    }
}
