/* redis_discovery.c - see redis_discovery.h. */
#include "server/broker/redis/topology/redis_discovery.h"

#include "server/broker/redis/client/redis_reply.h"

static void try_next(struct redis_discovery *discovery);

static void note(struct redis_discovery *discovery, const char *why)
{
    snprintf(discovery->why, sizeof discovery->why, "%s", why);
}

static void on_answer(void *owner, void *argument, const redisReply *reply)
{
    struct redis_discovery *discovery = argument;
    if (!reply || !discovery->asking)
        return; /* the end of the connection follows, or the round is over */
    if (!redis_is_error(reply) && discovery->script->answered(discovery->topology, &discovery->endpoint, reply)) {
        discovery->asking = false;
        return;
    }
    redis_connection_drop(&discovery->connection, "%.120s",
                          redis_is_error(reply) ? reply->str : "does not know where the primary is");
}

static void ask(struct redis_discovery *discovery)
{
    discovery->script->ask(discovery->topology, &discovery->connection, on_answer, discovery);
}

static void on_up(struct redis_connection *connection)
{
    ask(CONTAINER_OF(connection, struct redis_discovery, connection));
}

static void finish_close(struct redis_discovery *discovery)
{
    if (!discovery->timer_ended || discovery->connection.state != REDIS_IDLE)
        return;
    redis_connection_fini(&discovery->connection);
    redis_endpoint_fini(&discovery->endpoint);
    closing_part_closed(discovery->whole);
}

static void on_down(struct redis_connection *connection, const char *why)
{
    struct redis_discovery *discovery = CONTAINER_OF(connection, struct redis_discovery, connection);
    if (discovery->closing) {
        finish_close(discovery);
    } else if (discovery->asking) {
        note(discovery, why);
        try_next(discovery);
    }
}

/* The connection is idle. */
static void try_next(struct redis_discovery *discovery)
{
    const struct redis_endpoint *server = discovery->script->server(discovery->topology, discovery->next);
    if (discovery->left == 0 || (!server && discovery->next == 0)) {
        discovery->asking = false;
        discovery->script->failed(discovery->topology, discovery->why);
        return;
    }
    if (!server) {
        discovery->next = 0;
        server = discovery->script->server(discovery->topology, 0);
    }
    discovery->next++;
    discovery->left--;
    struct redis_endpoint old = discovery->endpoint;
    discovery->endpoint = redis_endpoint_copy(str_from_cstr(server->host), str_from_cstr(server->port));
    redis_endpoint_fini(&old);
    redis_connection_start(&discovery->connection);
}

void redis_discovery_ask(struct redis_discovery *discovery, bool another)
{
    if (discovery->asking || discovery->closing)
        return;
    discovery->asking = true;
    discovery->left = 0;
    while (discovery->script->server(discovery->topology, discovery->left))
        discovery->left++;
    if (discovery->connection.state == REDIS_READY && !another)
        ask(discovery);
    else if (discovery->connection.state == REDIS_IDLE)
        try_next(discovery);
    else
        redis_connection_drop(&discovery->connection, "%s", "another one is asked");
}

static void on_later(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    redis_discovery_ask(CONTAINER_OF(timer, struct redis_discovery, timer), true);
}

void redis_discovery_ask_later(struct redis_discovery *discovery, uint64_t after_ms)
{
    if (!discovery->closing)
        turn_start_timer(discovery->connection.turn, &discovery->timer, after_ms * 1000, on_later);
}

void redis_discovery_init(struct redis_discovery *discovery, struct redis_topology *topology,
                          const struct redis_discovery_script *script, const struct redis_connection_config *config,
                          struct turn *turn, struct closing *whole)
{
    static const struct redis_connection_events events = {.up = on_up, .down = on_down};
    struct redis_connection_config own = *config;
    own.endpoint = &discovery->endpoint;
    discovery->script = script;
    discovery->topology = topology;
    discovery->whole = whole;
    redis_connection_init(&discovery->connection, &own, &events, discovery, turn);
    closing_add(whole);
}

static void on_closing(struct timer *timer, uint64_t now_us)
{
    struct redis_discovery *discovery = CONTAINER_OF(timer, struct redis_discovery, timer);
    (void)now_us;
    discovery->timer_ended = true;
    finish_close(discovery);
}

void redis_discovery_close(struct redis_discovery *discovery)
{
    discovery->closing = true;
    redis_connection_drop(&discovery->connection, "%s", "no longer needed");
    turn_start_timer(discovery->connection.turn, &discovery->timer, 0, on_closing);
}
