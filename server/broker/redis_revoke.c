/* redis_revoke.c - revoked tokens in Redis: one sorted set, each member "jti <issued before> <value>" or "user ...",
 * scored with the time until which it counts, both in ms since 1970. Every node hears of a new one on the nodes' common
 * channel, and reads all of them when it comes up, after its subscription there: so it misses none. */
#include "server/broker/redis_parts.h"

static const char *const kinds[] = {[REVOCATION_JTI] = "jti", [REVOCATION_USER] = "user"};

static void send_revoke(struct redis_broker *broker, struct revoke_request *request, const struct redis_route *route);

static void on_revoked(void *owner, void *argument, const redisReply *reply)
{
    struct redis_broker *broker = owner;
    struct revoke_request *request = argument;
    struct redis_route route;
    if (redis_route_again(broker, buf_str(&broker->revoked_key), reply, &route) == REDIS_AGAIN_NOW) {
        send_revoke(broker, request, &route);
        return;
    }
    if (reply && reply->type == REDIS_REPLY_INTEGER) /* here at once, not only when pub/sub brings it */
        broker->broker.sink->revoked(broker->broker.owner, &request->revocation);
    else
        redis_request_fail(broker, &request->base, reply);
    broker_request_answer(&request->base);
}

static void send_revoke(struct redis_broker *broker, struct revoke_request *request, const struct redis_route *route)
{
    const struct revocation *revocation = &request->revocation;
    struct buf member = {0};
    char until[24];
    buf_appendf(&member, "%s %llu ", kinds[revocation->kind], (unsigned long long)revocation->issued_before_ms);
    buf_append(&member, revocation->value);
    struct str arguments[] = {buf_str(&broker->revoked_key), redis_number(revocation->until_ms, until),
                              buf_str(&member), buf_str(&broker->control_channel)};
    redis_route_script(route, SCRIPT_REVOKE, 1, 4, arguments, on_revoked, request);
    buf_fini(&member);
}

void redis_revoke(struct redis_broker *broker, struct revoke_request *request)
{
    struct redis_route route;
    if (redis_request_begin(broker, &request->base, buf_str(&broker->revoked_key), &route))
        send_revoke(broker, request, &route);
}

bool redis_revocation_heard(struct redis_broker *broker, uint64_t until_ms, struct str member)
{
    struct revocation revocation = {.until_ms = until_ms};
    struct str rest = member;
    struct str kind = str_split(&rest, ' ');
    bool is_user = str_eq_cstr(kind, kinds[REVOCATION_USER]);
    if ((!is_user && !str_eq_cstr(kind, kinds[REVOCATION_JTI])) || !rest.ptr ||
        !str_to_u64(str_split(&rest, ' '), &revocation.issued_before_ms) || !rest.ptr || rest.len == 0)
        return false;
    revocation.kind = is_user ? REVOCATION_USER : REVOCATION_JTI;
    revocation.value = rest;
    broker->broker.sink->revoked(broker->broker.owner, &revocation);
    return true;
}

/* ---- reading all ---- */

static void ask_page(struct redis_shard *shard, struct str cursor);

/* The score as ZSCAN gives it: digits, or in exponential form where it is not a whole number of milliseconds. */
static uint64_t read_score(const redisReply *reply)
{
    uint64_t score;
    if (str_to_u64(redis_text(reply), &score))
        return score;
    double value = reply->type == REDIS_REPLY_STRING ? strtod(reply->str, NULL) : 0;
    return value > 0 && value < 1e18 ? (uint64_t)value : 0;
}

static void on_page(void *owner, void *argument, const redisReply *reply)
{
    struct redis_broker *broker = owner;
    struct redis_shard *shard = argument;
    bool fine = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                reply->element[1]->type == REDIS_REPLY_ARRAY;
    if (!fine) {
        if (reply) /* without the list, revoked tokens would pass here */
            redis_shard_drop(shard, "refused to list the revoked tokens");
        return;
    }
    const redisReply *pairs = reply->element[1];
    for (size_t i = 0; i + 1 < pairs->elements; i += 2)
        if (!redis_revocation_heard(broker, read_score(pairs->element[i + 1]), redis_text(pairs->element[i])))
            metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    struct str cursor = redis_text(reply->element[0]);
    if (str_eq(cursor, STR("0")))
        broker->broker.sink->revocations(broker->broker.owner, false);
    else
        ask_page(shard, cursor);
}

static void ask_page(struct redis_shard *shard, struct str cursor)
{
    struct str argv[] = {STR("ZSCAN"), buf_str(&shard->broker->revoked_key), cursor, STR("COUNT"), STR("500")};
    redis_connection_send(&shard->commands, 5, argv, on_page, shard);
}

void redis_revocations_load(struct redis_shard *shard)
{
    struct redis_broker *broker = shard->broker;
    broker->broker.sink->revocations(broker->broker.owner, true);
    ask_page(shard, STR("0"));
}
