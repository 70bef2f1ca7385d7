/* redis_discovery.c - see redis_discovery.h. */
#include "server/broker/redis/topology/redis_discovery.h"

#include "server/broker/redis/redis_parts.h"

static void try_next(struct redis_scout *scout);

static void note(struct redis_scout *scout, const char *why)
{
    snprintf(scout->why, sizeof scout->why, "%s", why);
}

static void on_answer(void *owner, void *argument, const redisReply *reply)
{
    struct redis_scout *scout = argument;
    if (!reply || !scout->asking)
        return; /* the connection's end tells the rest */
    if (!redis_is_error(reply) && scout->script->answered(scout->broker, &scout->endpoint, reply)) {
        scout->asking = false;
        return;
    }
    redis_connection_drop(&scout->connection, "%.120s",
                          redis_is_error(reply) ? reply->str : "does not know where the primary is");
}

static void ask(struct redis_scout *scout)
{
    scout->script->ask(scout->broker, &scout->connection, on_answer, scout);
}

static void on_up(struct redis_connection *connection)
{
    ask(CONTAINER_OF(connection, struct redis_scout, connection));
}

static void finish_close(struct redis_scout *scout)
{
    if (!scout->timer_closed || scout->connection.state != REDIS_IDLE)
        return;
    redis_connection_fini(&scout->connection);
    redis_endpoint_fini(&scout->endpoint);
    redis_broker_part_closed(scout->broker);
}

static void on_down(struct redis_connection *connection, const char *why)
{
    struct redis_scout *scout = CONTAINER_OF(connection, struct redis_scout, connection);
    if (scout->closing) {
        finish_close(scout);
    } else if (scout->asking) {
        note(scout, why);
        try_next(scout);
    }
}

/* The connection is idle. */
static void try_next(struct redis_scout *scout)
{
    const struct redis_endpoint *server = scout->script->server(scout->broker, scout->next);
    if (scout->left == 0 || (!server && scout->next == 0)) {
        scout->asking = false;
        scout->script->failed(scout->broker, scout->why);
        return;
    }
    if (!server) {
        scout->next = 0;
        server = scout->script->server(scout->broker, 0);
    }
    scout->next++;
    scout->left--;
    struct redis_endpoint old = scout->endpoint;
    scout->endpoint = redis_endpoint_copy(str_from_cstr(server->host), str_from_cstr(server->port));
    redis_endpoint_fini(&old);
    redis_connection_start(&scout->connection);
}

void redis_scout_ask(struct redis_scout *scout, bool another)
{
    if (scout->asking || scout->closing)
        return;
    scout->asking = true;
    scout->left = 0;
    while (scout->script->server(scout->broker, scout->left))
        scout->left++;
    if (scout->connection.state == REDIS_READY && !another)
        ask(scout);
    else if (scout->connection.state == REDIS_IDLE)
        try_next(scout);
    else
        redis_connection_drop(&scout->connection, "%s", "another one is asked");
}

static void on_timer(uv_timer_t *timer)
{
    redis_scout_ask(timer->data, true);
}

void redis_scout_ask_later(struct redis_scout *scout, uint64_t after_ms)
{
    if (!scout->closing)
        uv_timer_start(&scout->timer, on_timer, after_ms, 0);
}

void redis_scout_init(struct redis_scout *scout, struct redis_broker *broker, const struct redis_scout_script *script,
                      const struct redis_connection_config *config)
{
    static const struct redis_connection_events events = {.up = on_up, .down = on_down};
    struct redis_connection_config own = *config;
    own.endpoint = &scout->endpoint;
    scout->script = script;
    scout->broker = broker;
    redis_connection_init(&scout->connection, &own, &events, broker, broker->config.turn);
    uv_timer_init(broker->config.turn->wake.loop, &scout->timer);
    scout->timer.data = scout;
    broker->open++;
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct redis_scout *scout = timer->data;
    scout->timer_closed = true;
    finish_close(scout);
}

void redis_scout_close(struct redis_scout *scout)
{
    scout->closing = true;
    redis_connection_drop(&scout->connection, "%s", "no longer needed");
    uv_close((uv_handle_t *)&scout->timer, on_timer_closed);
}
