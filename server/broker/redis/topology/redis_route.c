/* redis_route.c - see redis_route.h. */
#include "server/broker/redis/topology/redis_route.h"

#include "server/broker/redis/redis_parts.h"

struct redis_route redis_route_to(struct redis_broker *broker, struct str key)
{
    struct redis_shard *shard = broker->topology->shard_of(broker, key);
    bool ready = shard && shard->commands.state == REDIS_READY;
    return (struct redis_route){.shard = ready ? shard : NULL};
}

/* The server has become a replica: there may be another primary by now. */
static void drop_replica(struct redis_broker *broker, struct str key, const redisReply *reply)
{
    bool is_replica = reply && redis_is_error(reply) &&
                      (strncmp(reply->str, "READONLY", 8) == 0 || strncmp(reply->str, "MASTERDOWN", 10) == 0);
    struct redis_shard *shard = is_replica ? broker->topology->shard_of(broker, key) : NULL;
    if (shard)
        redis_shard_drop(shard, "it has become a replica");
}

enum redis_again redis_route_again(struct redis_broker *broker, struct str key, const redisReply *reply,
                                   struct redis_route *out)
{
    if (!reply || !redis_is_error(reply))
        return REDIS_ANSWERED;
    if (redis_scripts_is_unknown(reply)) {
        *out = redis_route_to(broker, key);
        out->with_text = true;
        return out->shard ? REDIS_AGAIN_NOW : REDIS_AGAIN_LATER;
    }
    drop_replica(broker, key, reply);
    struct str text = str_from(reply->str, (size_t)reply->len);
    return broker->topology->redirect ? broker->topology->redirect(broker, key, text, out) : REDIS_ANSWERED;
}
