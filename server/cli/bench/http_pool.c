/* http_pool.c - see http_pool.h. */
#include "server/cli/bench/http_pool.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

enum { ANSWER_HEAD_MAX = 16 * 1024 };

static void fail(struct http_connection *connection, const struct error *error)
{
    struct http_pool *pool = connection->pool;
    if (!pool->failed)
        error_set(&pool->error, error->code, "publishing over HTTP: %s", error->text);
    pool->failed = true;
    stream_close(&connection->stream);
}

void http_pool_send(struct http_pool *pool, size_t index)
{
    struct http_connection *connection = &pool->connections[index];
    struct error error;
    if (connection->stream.source.fd >= 0 && stream_flush(&connection->stream, &error) != ERR_NONE)
        fail(connection, &error);
}

void http_pool_post(struct http_pool *pool, size_t index, struct str path, struct str body)
{
    struct http_connection *connection = &pool->connections[index];
    struct buf *out = &connection->stream.out;
    connection->under_way++;
    pool->under_way++;
    buf_append_lit(out, "POST ");
    buf_append(out, path);
    buf_append_lit(out, " HTTP/1.1\r\nHost: ");
    buf_append(out, pool->target->url.authority);
    if (pool->api_key.len > 0) {
        buf_append_lit(out, "\r\nX-API-Key: ");
        buf_append(out, pool->api_key);
    }
    buf_append_lit(out, "\r\nContent-Type: application/json\r\nContent-Length: ");
    buf_append_u64(out, body.len);
    buf_append_lit(out, "\r\n\r\n");
    buf_append(out, body);
}

/* Cuts one answer off the front of *bytes. False: more has to come, or *error is set. */
static bool take_answer(struct str *bytes, int *out_status, struct str *out_body, struct error *error)
{
    struct http_answer answer;
    struct str value;
    uint64_t length = 0;
    size_t scanned = 0;
    if (http_answer_parse(*bytes, ANSWER_HEAD_MAX, &scanned, &answer, error) != HTTP_HEAD_DONE)
        return false;
    if (answer.status != 204 && /* has no body: RFC 9110, 6.4.1 */
        (!http_fields_find(&answer.fields, STR("content-length"), &value) || !str_to_u64(value, &length))) {
        error_set(error, ERR_INVALID_REQUEST, "the API's answer (HTTP status %d) has no Content-Length", answer.status);
        return false;
    }
    size_t rest = bytes->len - answer.length;
    if (rest < length)
        return false;
    *out_status = answer.status;
    *out_body = str_from(bytes->ptr + answer.length, (size_t)length);
    *bytes = str_from(out_body->ptr + out_body->len, rest - out_body->len);
    return true;
}

static void on_bytes(struct http_connection *connection, struct str bytes)
{
    struct http_pool *pool = connection->pool;
    struct error error = {0};
    struct str body;
    int status;
    if (connection->in.len > 0) {
        buf_append(&connection->in, bytes);
        bytes = buf_str(&connection->in);
    }
    while (connection->under_way > 0 && take_answer(&bytes, &status, &body, &error)) {
        connection->under_way--;
        pool->under_way--;
        pool->on_answer(pool->owner, (size_t)(connection - pool->connections), status, body);
    }
    if (!error.code && connection->under_way == 0 && bytes.len > 0)
        error_set(&error, ERR_INVALID_REQUEST, "the API sent what was not asked for");
    if (error.code)
        fail(connection, &error);
    else if (connection->in.len > 0)
        buf_consume(&connection->in, connection->in.len - bytes.len);
    else
        buf_append(&connection->in, bytes);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct http_connection *connection = (struct http_connection *)(void *)source;
    struct str bytes;
    struct error error;
    switch (stream_turn(&connection->stream, events, &bytes, &error)) {
    case STREAM_NOTHING: break;
    case STREAM_CONNECTED: connection->pool->ready++; break;
    case STREAM_BROKEN: fail(connection, &error); break;
    case STREAM_BYTES: on_bytes(connection, bytes); break;
    }
}

enum err http_pool_connect(struct http_pool *pool, uint64_t timeout_us, struct error *error)
{
    uint64_t deadline_us = clock_now_us() + timeout_us;
    for (size_t i = 0; i < pool->count; i++) {
        enum err err = stream_connect(&pool->connections[i].stream, pool->loop, pool->target, error);
        if (err)
            return err;
    }
    while (pool->ready < pool->count && !pool->failed)
        if (!loop_turn(pool->loop, deadline_us))
            return error_set(error, ERR_UNAVAILABLE, "%.*s does not take connections",
                             STR_ARG(pool->target->url.authority));
    if (pool->failed)
        return error_set(error, ERR_UNAVAILABLE, "%s", pool->error.text);
    return ERR_NONE;
}

void http_pool_init(struct http_pool *pool)
{
    pool->connections = xcalloc(pool->count, sizeof *pool->connections);
    pool->ready = pool->under_way = 0;
    pool->failed = false;
    for (size_t i = 0; i < pool->count; i++) {
        pool->connections[i].stream.source = (struct loop_source){.fd = -1, .ready = on_ready};
        pool->connections[i].pool = pool;
    }
}

void http_pool_fini(struct http_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        stream_close(&pool->connections[i].stream);
        buf_fini(&pool->connections[i].in);
    }
    free(pool->connections);
}
