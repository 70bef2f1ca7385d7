/* redis_connection_close.c - see redis_connection_private.h. */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/uv_handle.h"
#include "server/broker/redis/client/redis_connection_private.h"

void redis_connection_let_go(struct redis_connection *connection)
{
    if (--connection->open == 0 && connection->state == REDIS_CLOSING)
        connection->steps->closed(connection);
}

static void on_closed(uv_handle_t *closed)
{
    redis_connection_let_go(closed->data);
}

bool redis_connection_is_ended(const struct redis_connection *connection)
{
    return connection->state == REDIS_IDLE || connection->state == REDIS_CLOSING;
}

void redis_connection_close(struct redis_connection *connection, bool reset, const char *why)
{
    const struct redis_endpoint *endpoint = connection->config.endpoint;
    snprintf(connection->why, sizeof connection->why, "%s at %.80s:%s: %s", connection->config.what, endpoint->host,
             endpoint->port, why);
    if (connection->lookup)
        name_lookup_cancel(connection->lookup);
    connection->lookup = NULL;
    connection->state = REDIS_CLOSING;
    /* A reset fails where there is no socket yet. */
    if (!reset || uv_tcp_close_reset(&connection->tcp, on_closed) < 0)
        uv_close(UV_HANDLE(&connection->tcp), on_closed);
    turn_stop_timer(connection->turn, &connection->timer);
}

void redis_connection_drop(struct redis_connection *connection, const char *format, ...)
{
    char why[sizeof connection->why];
    va_list args;
    connection->again = false;
    if (redis_connection_is_ended(connection))
        return;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    redis_connection_close(connection, true, why);
}
