/* loop_stream.c - see loop_stream.h. */
#include "bench/load/loop_stream.h"

#include <errno.h>

enum err loop_stream_connect(struct loop_stream *stream, struct loop *loop, const struct loop_target *target,
                             struct error *error)
{
    stream->loop = loop;
    stream->connected = stream->blocked = false;
    return loop_connect(loop, &stream->source, target, &stream->connected, error);
}

enum err loop_stream_flush(struct loop_stream *stream, struct error *error)
{
    struct buf *out = &stream->out;
    while (!stream->blocked && stream->sent < out->len) {
        ssize_t n =
            send(stream->source.fd, out->ptr + stream->sent, out->len - stream->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            loop_expect(stream->loop, &stream->source, EPOLLIN | EPOLLOUT);
            stream->blocked = true;
        } else if (n < 0) {
            return error_set(error, ERR_UNAVAILABLE, "cannot send: %s", strerror(errno));
        } else {
            stream->sent += (size_t)n;
        }
    }
    if (stream->sent == out->len) {
        stream->sent = 0;
        buf_clear(out);
    }
    return ERR_NONE;
}

static enum loop_stream_turn finish_connecting(struct loop_stream *stream, struct error *error)
{
    int failure = 0;
    socklen_t len = sizeof failure;
    getsockopt(stream->source.fd, SOL_SOCKET, SO_ERROR, &failure, &len);
    if (failure) {
        error_set(error, ERR_UNAVAILABLE, "cannot connect: %s", strerror(failure));
        return STREAM_BROKEN;
    }
    stream->connected = true;
    loop_expect(stream->loop, &stream->source, EPOLLIN);
    return STREAM_CONNECTED;
}

enum loop_stream_turn loop_stream_turn(struct loop_stream *stream, uint32_t events, struct str *out_bytes,
                                       struct error *error)
{
    struct str bytes;
    if (!stream->connected)
        return finish_connecting(stream, error);
    if (events & EPOLLOUT) {
        stream->blocked = false;
        if (loop_stream_flush(stream, error) != ERR_NONE)
            return STREAM_BROKEN;
        if (!stream->blocked)
            loop_expect(stream->loop, &stream->source, EPOLLIN);
        if (!(events & ~(uint32_t)EPOLLOUT))
            return STREAM_NOTHING;
    }
    if (loop_read(stream->loop, &stream->source, &bytes, error) != ERR_NONE)
        return STREAM_BROKEN;
    if (bytes.len == 0)
        return STREAM_NOTHING;
    *out_bytes = bytes;
    return STREAM_BYTES;
}

void loop_stream_close(struct loop_stream *stream)
{
    loop_close(&stream->source);
    buf_fini(&stream->out);
    stream->sent = 0;
}
