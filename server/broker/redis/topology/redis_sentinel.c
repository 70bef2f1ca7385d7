/* redis_sentinel.c - one primary whose address Sentinels know. They are asked before every connection, each time
 * another one, so that one with an outdated view does not hold the node back; and with every canary, so that a failover
 * is noticed even while the old primary still answers. Whether the server is a primary it is asked itself (ROLE). */
#include "server/broker/redis/redis_parts.h"
#include "server/broker/redis/topology/redis_whereabouts.h"

static struct redis_shard *shard_of(struct redis_broker *broker, struct str key)
{
    struct list_link *first = broker->shards.next;
    return first == &broker->shards ? NULL : CONTAINER_OF(first, struct redis_shard, link);
}

/* ---- asking ---- */

static const struct redis_endpoint *server(struct redis_broker *broker, size_t n)
{
    return n < broker->url.endpoint_count ? &broker->url.endpoints[n] : NULL;
}

static void ask(struct redis_broker *broker, struct redis_connection *connection, redis_answered *done, void *argument)
{
    struct str argv[] = {STR("SENTINEL"), STR("get-master-addr-by-name"), str_from_cstr(broker->url.master)};
    redis_connection_send(connection, 3, argv, done, argument);
}

static bool answered(struct redis_broker *broker, const struct redis_endpoint *from, const redisReply *reply)
{
    struct redis_shard *shard = shard_of(broker, STR(""));
    struct redis_whereabouts where;
    if (!shard || !redis_whereabouts_of_primary(reply, &where))
        return false;
    if (!redis_endpoint_is(&shard->endpoint, where.host, where.port)) {
        /* Connected to the old one: it seeks again once both connections have ended. */
        if (shard->phase != PHASE_SEEKING) {
            redis_shard_drop(shard, "Sentinel names another primary");
            return true;
        }
        redis_shard_move(shard, where.host, where.port);
    }
    redis_shard_connect(shard);
    return true;
}

static void failed(struct redis_broker *broker, const char *why)
{
    char text[320];
    struct redis_shard *shard = shard_of(broker, STR(""));
    snprintf(text, sizeof text, "no Sentinel tells where the primary \"%.60s\" is; the last one: %.200s",
             broker->url.master, why);
    if (shard)
        redis_shard_not_found(shard, text);
}

/* ---- topology ---- */

static void begin(struct redis_broker *broker)
{
    static const struct redis_discovery_script script = {
        .server = server, .ask = ask, .answered = answered, .failed = failed};
    const struct redis_connection_config config = {
        .what = "Sentinel",
        .login = &broker->url.sentinel_login,
        .login_hint = "a password: give it in the URL, ?sentinel_password=...",
        .tls = broker->tls,
        .name = broker->client_name,
        .connect_timeout_ms = broker->config.connect_timeout_ms,
        .command_timeout_ms = broker->config.command_timeout_ms,
        .keepalive_s = broker->config.keepalive_s,
    };
    redis_discovery_init(&broker->discovery, broker, &script, &config);
    redis_shard_create(broker, NULL, buf_str(&broker->node_channel));
}

static void find(struct redis_shard *shard)
{
    redis_discovery_ask(&shard->broker->discovery, true);
}

static void look_again(struct redis_shard *shard)
{
    redis_discovery_ask(&shard->broker->discovery, false);
}

static void end(struct redis_broker *broker)
{
    redis_discovery_close(&broker->discovery);
}

const struct redis_topology redis_sentinel = {
    .begin = begin,
    .shard_of = shard_of,
    .find = find,
    .look_again = look_again,
    .end = end,
};
