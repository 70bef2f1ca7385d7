/* redis_berth.c - the sessions of a user whose tokens limit them: a sorted set a user, prefix:{user}:sessions, of the
 * sessions' ids, each scored with the time (of Redis, in ms) until which it counts unless it is kept. */
#include "server/broker/redis_parts.h"

static struct str make_key(struct redis_broker *broker, const struct berth_request *request, struct buf *out)
{
    redis_key_append(out, broker->config.prefix, request->user, STR("sessions"));
    return buf_str(out);
}

static void send_berth(struct berth_request *request, struct str key, const struct redis_route *route);

static void on_berth(void *owner, void *argument, const redisReply *reply)
{
    struct redis_broker *broker = owner;
    struct berth_request *request = argument;
    struct redis_route route;
    struct buf key = {0};
    make_key(broker, request, &key);
    bool again = redis_route_again(broker, buf_str(&key), reply, &route) == REDIS_AGAIN_NOW;
    if (again)
        send_berth(request, buf_str(&key), &route);
    else if (reply && reply->type == REDIS_REPLY_INTEGER)
        request->granted = reply->integer == 1;
    else
        redis_request_fail(broker, &request->base, reply);
    if (!again)
        broker_request_answer(&request->base);
    buf_fini(&key);
}

static void send_berth(struct berth_request *request, struct str key, const struct redis_route *route)
{
    static const struct str words[] = {
        [BERTH_TAKE] = {"take", 4}, [BERTH_KEEP] = {"keep", 4}, [BERTH_LEAVE] = {"leave", 5}};
    char ttl[24], limit[24];
    struct str arguments[] = {key, words[request->action], request->session, redis_number(request->ttl_ms, ttl),
                              redis_number(request->limit, limit)};
    redis_route_script(route, SCRIPT_BERTH, 1, 5, arguments, on_berth, request);
}

void redis_berth(struct redis_broker *broker, struct berth_request *request)
{
    struct redis_route route;
    struct buf key = {0};
    make_key(broker, request, &key);
    if (redis_request_begin(broker, &request->base, buf_str(&key), &route))
        send_berth(request, buf_str(&key), &route);
    buf_fini(&key);
}
