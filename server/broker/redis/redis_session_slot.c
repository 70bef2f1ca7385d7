/* redis_session_slot.c - counts the sessions of a user whose tokens limit them. A user has a sorted set of session ids,
 * prefix:{user}:sessions. The score of a session is the time until which it counts, by the clock of Redis, in ms. A
 * node prolongs that time while the session is open. */
#include "server/broker/redis/redis_parts.h"

static void send_slot(struct redis_request *slot)
{
    static const struct str words[] = {
        [SESSION_SLOT_TAKE] = {"take", 4}, [SESSION_SLOT_KEEP] = {"keep", 4}, [SESSION_SLOT_LEAVE] = {"leave", 5}};
    const struct session_slot_request *request = slot->argument;
    char ttl[24], limit[24];
    struct str arguments[] = {slot->keys[0], words[request->action], request->session,
                              redis_number(request->ttl_ms, ttl), redis_number(request->limit, limit)};
    redis_request_script(slot, SCRIPT_SESSION_SLOT, 1, 5, arguments);
}

static void on_slot(struct redis_request *slot, const redisReply *reply)
{
    struct session_slot_request *request = slot->argument;
    struct redis_broker *broker = redis_broker_of_request(slot);
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        request->granted = reply->integer == 1;
    else
        redis_broker_request_fail(broker, &request->base, reply);
    broker_answer(&broker->broker, &request->base);
}

void redis_session_slot(struct redis_broker *broker, struct session_slot_request *request)
{
    static const struct redis_request_kind kind = {.send = send_slot, .done = on_slot};
    buf_clear(&broker->head);
    redis_key_append(&broker->head, broker->config.prefix, request->user, STR("sessions"));
    struct str key = buf_str(&broker->head);
    redis_broker_request_start(broker, &request->base, &kind, 1, &key);
}
