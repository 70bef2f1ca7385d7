/* loop_stream.h - a TCP connection on a loop: connecting, reading, and writing without waiting, where what the kernel
 * does not take yet is kept. For the clients, the HTTP connections and the Redis connections of the load generator.
 * Single thread: the loop's. */
#ifndef CARILLON_BENCH_LOAD_LOOP_STREAM_H
#define CARILLON_BENCH_LOAD_LOOP_STREAM_H

#include "bench/load/loop.h"

/* Embedded in what it belongs to; .source.ready is the owner's, which calls loop_stream_turn in it. */
struct loop_stream {
    struct loop_source source; /* the first member: the owner is found from it */
    struct loop *loop;
    struct buf out; /* to send; the owner appends, then calls loop_stream_flush */
    size_t sent;    /* of out */
    bool connected;
    bool blocked; /* the kernel takes no more for now: it is flushed as soon as it does */
};

enum loop_stream_turn {
    STREAM_NOTHING,
    STREAM_CONNECTED,
    STREAM_BYTES,  /* *out_bytes has come; it is the loop's scratch */
    STREAM_BROKEN, /* *error says why; the owner should close it */
};

/* If the stream is connected then, no STREAM_CONNECTED comes. */
enum err loop_stream_connect(struct loop_stream *stream, struct loop *loop, const struct loop_target *target,
                             struct error *error);
enum loop_stream_turn loop_stream_turn(struct loop_stream *stream, uint32_t events, struct str *out_bytes,
                                       struct error *error);
enum err loop_stream_flush(struct loop_stream *stream, struct error *error);

/* Also frees what has not been sent. A closed stream may be closed again. */
void loop_stream_close(struct loop_stream *stream);

#endif
