/* pool.h - the connections through which an outlet publishes: connected together, each with bytes to send and messages
 * to take. The owner (outlet_http.c, outlet_redis.c) decides what they say. Single thread: the loop's. */
#ifndef CARILLON_BENCH_LOAD_POOL_H
#define CARILLON_BENCH_LOAD_POOL_H

#include "bench/load/loop_stream.h"

struct pool_connection {
    struct loop_stream stream; /* first: see loop_stream.h */
    struct pool *pool;
    struct buf in; /* a message that came in pieces */
};

struct pool {
    struct loop *loop;
    const struct loop_target *target;
    const char *server; /* for errors: who is at the other end */
    size_t count;
    /* Cuts the whole messages off the front of *bytes, which are valid until it returns. More may be sent from within.
     * An error ends the connection. */
    enum err (*receive)(void *owner, size_t connection, struct str *bytes, struct error *error);
    void *owner;

    struct pool_connection *connections; /* owned */
    size_t ready;
    bool failed; /* a connection has ended; error says why */
    struct error error;
};

/* The fields before `connections` are the caller's, and what they point to must stay. */
void pool_init(struct pool *pool);
void pool_fini(struct pool *pool);

/* Connects all. */
enum err pool_connect(struct pool *pool, uint64_t timeout_us, struct error *error);

/* The bytes that the connection will send. Append to them. */
struct buf *pool_out(struct pool *pool, size_t connection);
/* Sends it. */
void pool_send(struct pool *pool, size_t connection);

#endif
