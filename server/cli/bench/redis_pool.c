/* redis_pool.c - see redis_pool.h. The replies of PUBLISH are integers or errors, one line each. */
#include "server/cli/bench/redis_pool.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

static void fail(struct redis_connection *connection, const struct error *error)
{
    struct redis_pool *pool = connection->pool;
    if (!pool->failed)
        error_set(&pool->error, ERR_UNAVAILABLE, "Redis: %s", error->text);
    pool->failed = true;
    stream_close(&connection->stream);
}

static void on_bytes(struct redis_connection *connection, struct str bytes)
{
    struct redis_pool *pool = connection->pool;
    const char *end;
    if (connection->rest.len > 0) {
        buf_append(&connection->rest, bytes);
        bytes = buf_str(&connection->rest);
    }
    while (bytes.len > 0 && (end = memchr(bytes.ptr, '\n', bytes.len))) {
        size_t len = (size_t)(end - bytes.ptr) + 1;
        struct str line = str_trim(str_from(bytes.ptr, len - (len > 1 && end[-1] == '\r' ? 2 : 1)));
        pool->on_reply(pool->owner, (size_t)(connection - pool->connections),
                       line.len > 0 && line.ptr[0] == ':' ? STR("") : line);
        bytes = str_from(bytes.ptr + len, bytes.len - len);
    }
    if (connection->rest.len > 0)
        buf_consume(&connection->rest, connection->rest.len - bytes.len);
    else
        buf_append(&connection->rest, bytes);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct redis_connection *connection = (struct redis_connection *)(void *)source;
    struct str bytes;
    struct error error;
    switch (stream_turn(&connection->stream, events, &bytes, &error)) {
    case STREAM_NOTHING: break;
    case STREAM_CONNECTED: connection->pool->ready++; break;
    case STREAM_BROKEN: fail(connection, &error); break;
    case STREAM_BYTES: on_bytes(connection, bytes); break;
    }
}

void redis_pool_init(struct redis_pool *pool)
{
    pool->connections = xcalloc(pool->count, sizeof *pool->connections);
    pool->ready = 0;
    pool->failed = false;
    for (size_t i = 0; i < pool->count; i++) {
        pool->connections[i].stream.source = (struct loop_source){.fd = -1, .ready = on_ready};
        pool->connections[i].pool = pool;
    }
}

void redis_pool_fini(struct redis_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        stream_close(&pool->connections[i].stream);
        buf_fini(&pool->connections[i].rest);
    }
    free(pool->connections);
}

enum err redis_pool_connect(struct redis_pool *pool, uint64_t timeout_us, struct error *error)
{
    uint64_t deadline_us = clock_now_us() + timeout_us;
    for (size_t i = 0; i < pool->count; i++) {
        enum err err = stream_connect(&pool->connections[i].stream, pool->loop, pool->target, error);
        if (err)
            return err;
    }
    while (pool->ready < pool->count && !pool->failed)
        if (!loop_turn(pool->loop, deadline_us))
            return error_set(error, ERR_UNAVAILABLE, "Redis at %.*s does not take connections",
                             STR_ARG(pool->target->url.authority));
    return pool->failed ? error_set(error, ERR_UNAVAILABLE, "%s", pool->error.text) : ERR_NONE;
}

static void append_bulk(struct buf *out, struct str text)
{
    buf_append_char(out, '$');
    buf_append_u64(out, text.len);
    buf_append_lit(out, "\r\n");
    buf_append(out, text);
    buf_append_lit(out, "\r\n");
}

void redis_pool_publish(struct redis_pool *pool, size_t index, struct str key, struct str payload)
{
    struct buf *out = &pool->connections[index].stream.out;
    buf_append_lit(out, "*3\r\n");
    append_bulk(out, STR("PUBLISH"));
    append_bulk(out, key);
    append_bulk(out, payload);
}

void redis_pool_send(struct redis_pool *pool, size_t index)
{
    struct redis_connection *connection = &pool->connections[index];
    struct error error;
    if (connection->stream.source.fd >= 0 && stream_flush(&connection->stream, &error) != ERR_NONE)
        fail(connection, &error);
}
