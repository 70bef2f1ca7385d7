/* redis_connection_stream.c - see redis_connection_private.h. */
#include <assert.h>
#include <hiredis/hiredis.h>

#include "common/base/alloc.h"
#include "server/broker/redis/client/redis_connection_private.h"

/* hiredis moves the rest of its buffer to the front for every kilobyte that it has parsed. Small pieces keep that
 * cheap.
 */
enum { FEED_BYTES = 8192 };

/* ---- commands without an answer ---- */

static void expect(struct redis_connection *connection, redis_answered *done, void *argument)
{
    struct redis_expected *expected = ring_append(&connection->expected, sizeof *expected);
    *expected = (struct redis_expected){done, argument, turn_now_us(connection->turn)};
}

static struct redis_expected *oldest_expected(const struct redis_connection *connection)
{
    return ring_at(&connection->expected, 0, sizeof(struct redis_expected));
}

static struct redis_expected take_expected(struct redis_connection *connection)
{
    struct redis_expected first = *oldest_expected(connection);
    ring_drop(&connection->expected);
    if (!connection->expected.count && connection->expected.cap * sizeof first > BUF_KEEP_BYTES)
        ring_fini(&connection->expected); /* as with the buffers: one burst had needed it */
    return first;
}

uint64_t redis_connection_waits_ms(const struct redis_connection *connection)
{
    if (!connection->expected.count)
        return 0;
    return (turn_now_us(connection->turn) - oldest_expected(connection)->sent_us) / 1000;
}

/* ---- writing ---- */

/* A full batch of lifecycle events takes 50 to 100 KiB, hundreds of times a second. */
enum { OUT_KEEP_BYTES = 256 * 1024 };

/* The bytes that go to the socket next. */
static struct buf *due(struct redis_connection *connection)
{
    if (!connection->tls)
        return &connection->out;
    tls_stream_give(connection->tls, buf_str(&connection->out), &connection->sealed);
    buf_clear_above(&connection->out, OUT_KEEP_BYTES);
    return &connection->sealed;
}

static void on_written(uv_write_t *request, int status)
{
    struct redis_connection *connection = request->data;
    connection->write_busy = false;
    buf_clear_above(&connection->writing, OUT_KEEP_BYTES);
    if (status < 0)
        redis_connection_drop(connection, "writing failed: %s", uv_strerror(status));
    else
        redis_connection_flush(connection);
}

void redis_connection_flush(struct redis_connection *connection)
{
    if (connection->state < REDIS_HANDSHAKE || connection->state == REDIS_CLOSING || connection->write_busy)
        return;
    struct buf *out = due(connection);
    if (out->len == 0)
        return;
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    uv_buf_t bytes = uv_buf_init(out->ptr, (unsigned)out->len);
    int wrote = uv_try_write(stream, &bytes, 1);
    if (wrote < 0 && wrote != UV_EAGAIN) {
        out->len = 0;
        redis_connection_drop(connection, "writing failed: %s", uv_strerror(wrote));
        return;
    }
    if (wrote > 0 && (size_t)wrote == out->len) {
        buf_clear_above(out, OUT_KEEP_BYTES);
        return;
    }
    struct buf spare = connection->writing;
    connection->writing = *out;
    *out = spare;
    buf_clear(out);
    size_t skip = wrote > 0 ? (size_t)wrote : 0;
    bytes = uv_buf_init(connection->writing.ptr + skip, (unsigned)(connection->writing.len - skip));
    connection->write_busy = uv_write(&connection->write, stream, &bytes, 1, on_written) == 0;
    if (!connection->write_busy)
        redis_connection_drop(connection, "writing failed");
}

void redis_connection_send(struct redis_connection *connection, size_t argc, const struct str *argv,
                           redis_answered *done, void *argument)
{
    assert(connection->state != REDIS_IDLE);
    if (done)
        expect(connection, done, argument);
    if (connection->state == REDIS_CLOSING)
        return; /* answered with NULL when the connection has closed */
    struct buf *out = &connection->out;
    buf_append_char(out, '*');
    buf_append_u64(out, argc);
    for (size_t i = 0; i < argc; i++) {
        buf_append_lit(out, "\r\n$");
        buf_append_u64(out, argv[i].len);
        buf_append_lit(out, "\r\n");
        buf_append(out, argv[i]);
    }
    buf_append_lit(out, "\r\n");
}

/* ---- reading ---- */

static void give_reply(struct redis_connection *connection, const redisReply *reply)
{
    if (connection->expected.count) {
        struct redis_expected first = take_expected(connection);
        first.done(connection->owner, first.argument, reply);
    } else if (connection->events->pushed) {
        connection->events->pushed(connection, reply);
    } else {
        redis_connection_drop(connection, "sent an answer to no command");
    }
}

static void read_replies(struct redis_connection *connection)
{
    while (connection->state != REDIS_CLOSING) {
        void *reply = NULL;
        if (redisReaderGetReply(connection->reader, &reply) != REDIS_OK) {
            redis_connection_drop(connection, "does not speak the Redis protocol: %s", connection->reader->errstr);
            return;
        }
        if (!reply)
            return;
        give_reply(connection, reply);
        freeReplyObject(reply);
    }
}

static void feed(struct redis_connection *connection, struct str bytes)
{
    for (size_t at = 0; at < bytes.len && connection->state != REDIS_CLOSING; at += FEED_BYTES) {
        size_t len = bytes.len - at < FEED_BYTES ? bytes.len - at : FEED_BYTES;
        struct error error;
        if (redis_guard_take(&connection->guard, str_from(bytes.ptr + at, len), &error)) {
            redis_connection_drop(connection, "does not speak the Redis protocol: %s", error.text);
            return;
        }
        redisReaderFeed(connection->reader, bytes.ptr + at, len);
        read_replies(connection);
    }
}

static void open_sealed(struct redis_connection *connection, struct str bytes)
{
    struct error error;
    enum tls_taken taken = tls_stream_take(connection->tls, bytes, &connection->plain);
    if (taken == TLS_FAILED)
        redis_tls_explain(connection->tls, &error);
    else if (taken == TLS_ENDED)
        error_set(&error, ERR_UNAVAILABLE, "the server closed the connection");
    if (connection->state == REDIS_HANDSHAKE && tls_stream_is_ready(connection->tls))
        connection->steps->established(connection);
    feed(connection, buf_str(&connection->plain));
    buf_clear_burst(&connection->plain);
    if (taken != TLS_TAKEN)
        redis_connection_drop(connection, "%s", error.text);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct redis_connection *connection = handle->data;
    *out = uv_buf_init(connection->input, sizeof connection->input);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct redis_connection *connection = stream->data;
    if (got < 0) {
        redis_connection_drop(connection, "%s",
                              got == UV_EOF ? "the server closed the connection" : uv_strerror((int)got));
        return;
    }
    connection->late = false;
    if (connection->tls)
        open_sealed(connection, str_from(bytes->base, (size_t)got));
    else
        feed(connection, str_from(bytes->base, (size_t)got));
}

int redis_connection_read_start(struct redis_connection *connection)
{
    uint64_t bytes_max = connection->config.reply_bytes_max;
    connection->guard = (struct redis_guard){.bytes_max = bytes_max ? bytes_max : REDIS_REPLY_BYTES};
    connection->reader = redisReaderCreate();
    return uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read);
}

/* ---- the end ---- */

void redis_connection_flush_last(struct redis_connection *connection)
{
    if (!connection->out.len || connection->write_busy)
        return;
    const struct buf *out = due(connection);
    uv_buf_t bytes = uv_buf_init(out->ptr, (unsigned)out->len);
    (void)uv_try_write((uv_stream_t *)&connection->tcp, &bytes, 1);
}

void redis_connection_stream_end(struct redis_connection *connection)
{
    redisReaderFree(connection->reader);
    connection->reader = NULL;
    tls_stream_destroy(connection->tls);
    connection->tls = NULL;
    buf_clear_burst(&connection->plain);
    buf_clear_burst(&connection->sealed);
    buf_clear_above(&connection->out, OUT_KEEP_BYTES);
    buf_clear_above(&connection->writing, OUT_KEEP_BYTES);
    while (connection->expected.count) {
        struct redis_expected first = take_expected(connection);
        first.done(connection->owner, first.argument, NULL);
    }
}

void redis_connection_stream_fini(struct redis_connection *connection)
{
    buf_fini(&connection->plain);
    buf_fini(&connection->sealed);
    buf_fini(&connection->out);
    buf_fini(&connection->writing);
    ring_fini(&connection->expected);
}
