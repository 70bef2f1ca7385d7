/* redis_requests.c - requests (request.h) on their way to Redis: which file takes which, and how they fail. */
#include "common/base/clock.h"
#include "server/broker/redis/redis_parts.h"

void redis_request_start(struct redis_broker *broker, struct broker_request *request,
                         const struct redis_errand_kind *kind)
{
    struct redis_route route = redis_route_to(broker, kind->key(broker, request));
    if (redis_shard_is_up(route.shard)) {
        redis_errand_start(broker, kind, request, &route, clock_now_us());
        return;
    }
    error_set(&request->error, ERR_UNAVAILABLE, "Redis cannot be reached now; nothing was done. Try again later");
    broker_request_answer(request);
}

void redis_request_fail(struct redis_broker *broker, struct broker_request *request, const redisReply *reply)
{
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    if (!reply)
        error_set(&request->error, ERR_UNAVAILABLE,
                  "the connection to Redis was lost before it answered: it may or may not have been done; trying again "
                  "is safe");
    else if (redis_errand_is_untaken(reply))
        error_set(&request->error, ERR_UNAVAILABLE, "no Redis server takes it now; nothing was done. Try again");
    else
        error_set(&request->error, ERR_UNAVAILABLE, "Redis refused it; nothing was done: %.200s",
                  redis_is_error(reply) ? reply->str : "an answer that makes no sense");
}

void redis_ask(struct broker *base, struct broker_request *request)
{
    struct redis_broker *broker = redis_broker_of(base);
    switch (request->kind) {
    case REQUEST_REVOKE: redis_revoke(broker, CONTAINER_OF(request, struct revoke_request, base)); break;
    case REQUEST_SESSION_SLOT:
        redis_session_slot(broker, CONTAINER_OF(request, struct session_slot_request, base));
        break;
    case REQUEST_PRESENCE_UPDATE:
        redis_presence_update(broker, CONTAINER_OF(request, struct presence_update, base));
        break;
    case REQUEST_PRESENCE_READ: redis_presence_read(broker, CONTAINER_OF(request, struct presence_read, base)); break;
    }
}
