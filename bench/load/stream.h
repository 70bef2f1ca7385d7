/* stream.h - a TCP connection on a loop: connecting, reading, and writing without waiting, where what the kernel does
 * not take yet is kept. For the clients, the HTTP connections and the Redis connections of the load generator. Single
 * thread: the loop's. */
#ifndef CARILLON_BENCH_LOAD_STREAM_H
#define CARILLON_BENCH_LOAD_STREAM_H

#include "bench/load/loop.h"

/* Embedded in what it belongs to; .source.ready is the owner's, which calls stream_turn in it. */
struct stream {
    struct loop_source source; /* the first member: the owner is found from it */
    struct loop *loop;
    struct buf out; /* to send; the owner appends, then calls stream_flush */
    size_t sent;    /* of out */
    bool connected;
    bool blocked; /* the kernel takes no more for now: it is flushed as soon as it does */
};

enum stream_turn {
    STREAM_NOTHING,
    STREAM_CONNECTED,
    STREAM_BYTES,  /* *out_bytes has come; it is the loop's scratch */
    STREAM_BROKEN, /* *error says why; the owner should close it */
};

enum err stream_connect(struct stream *stream, struct loop *loop, const struct loop_target *target,
                        struct error *error);
enum stream_turn stream_turn(struct stream *stream, uint32_t events, struct str *out_bytes, struct error *error);
enum err stream_flush(struct stream *stream, struct error *error);

/* Also frees what has not been sent. A closed stream may be closed again. */
void stream_close(struct stream *stream);

#endif
