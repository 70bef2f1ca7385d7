/* redis_pool.h - connections to Redis that PUBLISH, pipelined, and count the replies. Single thread: the loop's. */
#ifndef CARILLON_CLI_BENCH_REDIS_POOL_H
#define CARILLON_CLI_BENCH_REDIS_POOL_H

#include "server/cli/bench/stream.h"

struct redis_connection {
    struct stream stream; /* first: see stream.h */
    struct redis_pool *pool;
    struct buf rest; /* a reply that came in pieces */
};

struct redis_pool {
    struct loop *loop;
    const struct loop_target *target;
    size_t count;
    /* Called for each reply. error: Redis's words if it was one, else empty. */
    void (*on_reply)(void *owner, size_t connection, struct str error);
    void *owner;

    struct redis_connection *connections; /* owned */
    size_t ready;
    bool failed; /* a connection has ended; error says why */
    struct error error;
};

/* The fields before `connections` are the caller's, and what they point to must stay. */
void redis_pool_init(struct redis_pool *pool);
void redis_pool_fini(struct redis_pool *pool);
enum err redis_pool_connect(struct redis_pool *pool, uint64_t timeout_us, struct error *error);

/* Appends PUBLISH key payload to what the connection has to send. */
void redis_pool_publish(struct redis_pool *pool, size_t connection, struct str key, struct str payload);
void redis_pool_send(struct redis_pool *pool, size_t connection);

#endif
