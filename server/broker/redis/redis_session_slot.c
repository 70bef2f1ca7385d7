/* redis_session_slot.c - the sessions of a user whose tokens limit them: a sorted set a user, prefix:{user}:sessions,
 * of the sessions' ids, each scored with the time (of Redis, in ms) until which it counts unless it is kept. */
#include "server/broker/redis/redis_parts.h"

static struct str find_key(struct redis_broker *broker, void *argument)
{
    const struct session_slot_request *request = argument;
    buf_clear(&broker->head);
    redis_key_append(&broker->head, broker->config.prefix, request->user, STR("sessions"));
    return buf_str(&broker->head);
}

static void send_slot(struct redis_errand *errand)
{
    static const struct str words[] = {
        [SESSION_SLOT_TAKE] = {"take", 4}, [SESSION_SLOT_KEEP] = {"keep", 4}, [SESSION_SLOT_LEAVE] = {"leave", 5}};
    const struct session_slot_request *request = errand->argument;
    char ttl[24], limit[24];
    struct str arguments[] = {buf_str(&errand->broker->head), words[request->action], request->session,
                              redis_number(request->ttl_ms, ttl), redis_number(request->limit, limit)};
    redis_errand_script(errand, SCRIPT_SESSION_SLOT, 1, 5, arguments);
}

static void on_slot(struct redis_errand *errand, const redisReply *reply)
{
    struct session_slot_request *request = errand->argument;
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        request->granted = reply->integer == 1;
    else
        redis_request_fail(errand->broker, &request->base, reply);
    broker_request_answer(&request->base);
}

void redis_session_slot(struct redis_broker *broker, struct session_slot_request *request)
{
    static const struct redis_errand_kind kind = {.key = find_key, .send = send_slot, .done = on_slot};
    redis_request_start(broker, &request->base, &kind);
}
