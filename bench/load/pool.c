/* pool.c - see pool.h. */
#include "bench/load/pool.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

static void fail(struct pool_connection *connection, const struct error *error)
{
    struct pool *pool = connection->pool;
    if (!pool->failed)
        error_set(&pool->error, error->code, "%s: %s", pool->server, error->text);
    pool->failed = true;
    loop_stream_close(&connection->stream);
}

static void on_bytes(struct pool_connection *connection, struct str bytes)
{
    struct pool *pool = connection->pool;
    struct error error;
    if (connection->in.len > 0) {
        buf_append(&connection->in, bytes);
        bytes = buf_str(&connection->in);
    }
    if (pool->receive(pool->owner, (size_t)(connection - pool->connections), &bytes, &error) != ERR_NONE)
        fail(connection, &error);
    else if (connection->in.len > 0)
        buf_consume(&connection->in, connection->in.len - bytes.len);
    else
        buf_append(&connection->in, bytes);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct pool_connection *connection = (struct pool_connection *)(void *)source;
    struct str bytes;
    struct error error;
    switch (loop_stream_turn(&connection->stream, events, &bytes, &error)) {
    case STREAM_NOTHING: break;
    case STREAM_CONNECTED: connection->pool->ready++; break;
    case STREAM_BROKEN: fail(connection, &error); break;
    case STREAM_BYTES: on_bytes(connection, bytes); break;
    }
}

void pool_init(struct pool *pool)
{
    pool->connections = xcalloc(pool->count, sizeof *pool->connections);
    pool->ready = 0;
    pool->failed = false;
    for (size_t i = 0; i < pool->count; i++) {
        pool->connections[i].stream.source = (struct loop_source){.fd = -1, .ready = on_ready};
        pool->connections[i].pool = pool;
    }
}

void pool_fini(struct pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        loop_stream_close(&pool->connections[i].stream);
        buf_fini(&pool->connections[i].in);
    }
    free(pool->connections);
}

enum err pool_connect(struct pool *pool, uint64_t timeout_us, struct error *error)
{
    uint64_t deadline_us = clock_now_us() + timeout_us;
    for (size_t i = 0; i < pool->count; i++) {
        enum err err = loop_stream_connect(&pool->connections[i].stream, pool->loop, pool->target, error);
        if (err)
            return err;
        pool->ready += pool->connections[i].stream.connected;
    }
    while (pool->ready < pool->count && !pool->failed)
        if (!loop_turn(pool->loop, deadline_us))
            return error_set(error, ERR_UNAVAILABLE, "%s at %.*s does not take connections", pool->server,
                             STR_ARG(pool->target->url.authority));
    return pool->failed ? error_set(error, ERR_UNAVAILABLE, "%s", pool->error.text) : ERR_NONE;
}

struct buf *pool_out(struct pool *pool, size_t connection)
{
    return &pool->connections[connection].stream.out;
}

void pool_send(struct pool *pool, size_t index)
{
    struct pool_connection *connection = &pool->connections[index];
    struct error error;
    if (connection->stream.source.fd >= 0 && loop_stream_flush(&connection->stream, &error) != ERR_NONE)
        fail(connection, &error);
}
