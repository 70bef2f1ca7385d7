/* redis_vacate.c - channels that the node has left before their first event: their position is all that Redis keeps of
 * them, and it goes soon if no other node has subscribers there. So whoever subscribes to ever new names fills nothing.
 * Best effort: where it fails the position ages as one of a channel with events does. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/broker/redis/redis_parts.h"

struct vacancy {
    struct str channel;
    char bytes[];
};

static struct str find_key(struct redis_broker *broker, void *argument)
{
    const struct vacancy *vacancy = argument;
    redis_broker_set_keys(broker, vacancy->channel, STR(""));
    return broker->keys.meta;
}

static void send_vacancy(struct redis_errand *errand)
{
    const struct redis_broker *broker = errand->broker;
    char ttl[24];
    struct str arguments[] = {broker->keys.meta, broker->keys.live,
                              broker->topology->sharded ? STR("SHARDNUMSUB") : STR("NUMSUB"),
                              redis_number(broker->config.empty_ttl_ms, ttl)};
    redis_errand_script(errand, SCRIPT_VACATE, 1, sizeof arguments / sizeof *arguments, arguments);
}

static void on_vacated(struct redis_errand *errand, const redisReply *reply)
{
    if (reply && redis_is_error(reply) && !redis_errand_is_untaken(reply))
        metrics_add(errand->broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    free(errand->argument);
}

static const struct redis_errand_kind kind = {.key = find_key, .send = send_vacancy, .done = on_vacated};

void redis_vacate(struct redis_broker *broker, const struct subscription *subscription)
{
    if (!subscription->epoch[0] || subscription->offset || broker->closing)
        return;
    struct vacancy *vacancy = xmalloc(sizeof *vacancy + subscription->channel.len);
    memcpy(vacancy->bytes, subscription->channel.ptr, subscription->channel.len);
    vacancy->channel = str_from(vacancy->bytes, subscription->channel.len);
    struct redis_route route = redis_route_to(broker, find_key(broker, vacancy));
    if (route.shard && redis_shard_is_up(route.shard))
        redis_errand_start(broker, &kind, vacancy, &route, clock_now_us());
    else
        free(vacancy);
}
