/* redis_revoke.c - revoked tokens in Redis. They are a sorted set with members "jti <issued before> <value>" or "user
 * <issued before> <value>". The score is the time until which a revocation counts. Both times are in ms since 1970.
 *
 * A new revocation is published on the control channel. A node reads all revocations when their server comes up, after
 * it has subscribed there, and when they have moved to another server. So a node misses none. */
#include <stdlib.h>

#include "server/broker/redis/redis_parts.h"

static const char *const kinds[] = {[REVOCATION_JTI] = "jti", [REVOCATION_USER] = "user"};

static void send_revoke(struct redis_request *request)
{
    const struct redis_broker *broker = redis_broker_of_request(request);
    const struct revocation *revocation = &((const struct revoke_request *)request->argument)->revocation;
    struct buf member = {0};
    char until[24];
    buf_appendf(&member, "%s %llu ", kinds[revocation->kind], (unsigned long long)revocation->issued_before_ms);
    buf_append(&member, revocation->value);
    struct str arguments[] = {buf_str(&broker->revoked_key), redis_number(revocation->until_ms, until),
                              buf_str(&member), buf_str(&broker->control_channel)};
    redis_request_script(request, SCRIPT_REVOKE, 1, 4, arguments);
    buf_fini(&member);
}

static void on_revoked(struct redis_request *sent, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(sent);
    struct revoke_request *request = sent->argument;
    if (reply && reply->type == REDIS_REPLY_INTEGER) /* it counts here at once, before pub/sub brings it */
        broker->broker.sink->revoked(broker->broker.owner, &request->revocation);
    else
        redis_broker_request_fail(broker, &request->base, reply);
    broker_answer(&broker->broker, &request->base);
}

void redis_revoke(struct redis_broker *broker, struct revoke_request *request)
{
    static const struct redis_request_kind kind = {.send = send_revoke, .done = on_revoked};
    struct str key = buf_str(&broker->revoked_key);
    redis_broker_request_start(broker, &request->base, &kind, 1, &key);
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

/* Reads a score as ZSCAN tells it: in digits, or in exponential form. */
static uint64_t read_score(const redisReply *reply)
{
    uint64_t score;
    if (str_to_u64(redis_text(reply), &score))
        return score;
    double value = reply->type == REDIS_REPLY_STRING ? strtod(reply->str, NULL) : 0;
    return value > 0 && value < 1e18 ? (uint64_t)value : 0;
}

static void hear_pairs(struct redis_broker *broker, const redisReply *pairs)
{
    for (size_t i = 0; i + 1 < pairs->elements; i += 2)
        if (!redis_revocation_heard(broker, read_score(pairs->element[i + 1]), redis_text(pairs->element[i])))
            metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
}

static void ask_page(struct redis_broker *broker);

static void send_page(struct redis_request *request)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct redis_revoked_list *list = &broker->revoked_list;
    if (list->server != request->route.shard)
        strcpy(list->cursor, "0"); /* the cursor of one server means nothing to another */
    list->server = request->route.shard;
    struct str argv[] = {STR("ZSCAN"), buf_str(&broker->revoked_key), str_from_cstr(list->cursor), STR("COUNT"),
                         STR("500")};
    redis_request_command(request, 5, argv);
}

static void on_page(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct redis_revoked_list *list = &broker->revoked_list;
    bool fine = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                reply->element[1]->type == REDIS_REPLY_ARRAY;
    if (fine) {
        hear_pairs(broker, reply->element[1]);
        snprintf(list->cursor, sizeof list->cursor, "%.*s", STR_ARG(redis_text(reply->element[0])));
    } else if (reply && !redis_request_is_untaken(reply)) { /* without the list, revoked tokens would pass here */
        char why[128];
        snprintf(why, sizeof why, "refused to list the revoked tokens: %.80s",
                 redis_is_error(reply) ? reply->str : "an answer that makes no sense");
        redis_shard_drop(request->route.shard, why);
    }
    list->is_asked = false;
    if (list->is_outdated)
        redis_revocations_load(broker);
    else if (fine && strcmp(list->cursor, "0") == 0)
        broker->broker.sink->revocations(broker->broker.owner, false);
    else
        ask_page(broker);
}

/* Endless: see on_page. If the server of the slot is lost, all are read again when it or another one is up. If another
 * server is lost that the slot was to move to, the server of the slot is asked again at once. */
static const struct redis_request_kind page = {.send = send_page, .done = on_page, .is_endless = true};

static void ask_page(struct redis_broker *broker)
{
    struct str key = buf_str(&broker->revoked_key);
    struct redis_shard *shard = broker->closing ? NULL : redis_request_shard(&broker->topology, key);
    if (!shard)
        return;
    broker->revoked_list.is_asked = true;
    redis_request_start(&broker->requests, &page, NULL, shard, 1, &key, turn_now_us(broker->config.turn));
}

void redis_revocations_load(struct redis_broker *broker)
{
    struct redis_revoked_list *list = &broker->revoked_list;
    list->is_outdated = list->is_asked;
    if (list->is_asked)
        return; /* on_page reads them again */
    broker->broker.sink->revocations(broker->broker.owner, true);
    list->server = NULL;
    ask_page(broker);
}

void redis_revocations_moved(struct redis_broker *broker)
{
    struct redis_revoked_list *list = &broker->revoked_list;
    const struct redis_shard *owner = redis_topology_shard_of(&broker->topology, buf_str(&broker->revoked_key));
    if (list->owner == owner)
        return;
    list->owner = owner;
    if (redis_shard_is_up(owner))
        redis_revocations_load(broker); /* else when it comes up */
}
