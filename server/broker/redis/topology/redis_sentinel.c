/* redis_sentinel.c - one primary whose address Sentinels know.
 *
 * - Before each connection a Sentinel is asked, each time another one. So a Sentinel with an outdated view does no
 * harm.
 * - With each canary a Sentinel is asked, too. So a failover is noticed while the old primary still answers.
 * - The server itself says whether it is a primary (ROLE). */
#include "server/broker/redis/client/redis_reply.h"
#include "server/broker/redis/topology/redis_shard.h"
#include "server/broker/redis/topology/redis_whereabouts.h"

static struct redis_shard *shard_of(struct redis_topology *topology, struct str key)
{
    struct list_link *first = topology->shards.next;
    return first == &topology->shards ? NULL : CONTAINER_OF(first, struct redis_shard, link);
}

/* ---- asking ---- */

static const struct redis_endpoint *server(struct redis_topology *topology, size_t n)
{
    return n < topology->config.url->endpoint_count ? &topology->config.url->endpoints[n] : NULL;
}

static void ask(struct redis_topology *topology, struct redis_connection *connection, redis_answered *done,
                void *argument)
{
    struct str argv[] = {STR("SENTINEL"), STR("get-master-addr-by-name"), str_from_cstr(topology->config.url->master)};
    redis_connection_send(connection, 3, argv, done, argument);
}

static bool answered(struct redis_topology *topology, const struct redis_endpoint *from, const redisReply *reply)
{
    struct redis_shard *shard = shard_of(topology, STR(""));
    struct redis_whereabouts where;
    if (!shard || !redis_whereabouts_of_primary(reply, &where))
        return false;
    if (!redis_endpoint_is(&shard->endpoint, where.host, where.port)) {
        /* The shard is connected to the old primary. It seeks again when both connections have ended. */
        if (shard->phase != PHASE_SEEKING) {
            redis_shard_drop(shard, "Sentinel names another primary");
            return true;
        }
        redis_shard_move(shard, where.host, where.port);
    }
    redis_shard_connect(shard);
    return true;
}

static void failed(struct redis_topology *topology, const char *why)
{
    char text[320];
    struct redis_shard *shard = shard_of(topology, STR(""));
    snprintf(text, sizeof text, "no Sentinel tells where the primary \"%.60s\" is; the last one: %.200s",
             topology->config.url->master, why);
    if (shard)
        redis_shard_not_found(shard, text);
}

/* ---- topology ---- */

static void begin(struct redis_topology *topology)
{
    static const struct redis_discovery_script script = {
        .server = server, .ask = ask, .answered = answered, .failed = failed};
    struct redis_connection_config config = redis_topology_connection(topology);
    config.what = "Sentinel";
    config.login = &topology->config.url->sentinel_login;
    config.login_hint = "a password: give it in the URL, ?sentinel_password=...";
    redis_discovery_init(&topology->discovery, topology, &script, &config, topology->config.turn,
                         topology->config.closing);
    redis_shard_create(topology, NULL, topology->config.node_channel);
}

static void find(struct redis_shard *shard)
{
    redis_discovery_ask(&shard->topology->discovery, true);
}

static void look_again(struct redis_shard *shard)
{
    redis_discovery_ask(&shard->topology->discovery, false);
}

static void end(struct redis_topology *topology)
{
    redis_discovery_close(&topology->discovery);
}

const struct redis_topology_kind redis_sentinel = {
    .begin = begin,
    .shard_of = shard_of,
    .find = find,
    .look_again = look_again,
    .end = end,
};
