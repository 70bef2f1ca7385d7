/* http_pool.h - keep-alive HTTP connections to the API. A connection may have several requests under way (RFC
 * 9112, 9.3.2); those sent in one loop turn leave with one write. Single thread: the loop's. */
#ifndef CARILLON_CLI_BENCH_HTTP_POOL_H
#define CARILLON_CLI_BENCH_HTTP_POOL_H

#include "common/protocol/http_answer.h"
#include "server/cli/bench/stream.h"

struct http_connection {
    struct stream stream; /* first: see stream.h */
    struct http_pool *pool;
    size_t under_way; /* requests without an answer yet */
    struct buf in;    /* an answer that came in pieces */
};

struct http_pool {
    struct loop *loop;
    const struct loop_target *target;
    struct str api_key; /* may be empty */
    size_t count;
    /* Called for each answer, in the order of the connection's requests; the next request may be sent from within. The
     * body is valid until the call returns. */
    void (*on_answer)(void *owner, size_t connection, int status, struct str body);
    void *owner;

    struct http_connection *connections; /* owned */
    size_t ready;
    size_t under_way;
    bool failed; /* a connection has ended; error says why */
    struct error error;
};

/* The fields before `connections` are the caller's, and what they point to must stay. */
void http_pool_init(struct http_pool *pool);
void http_pool_fini(struct http_pool *pool);

/* Connects all. */
enum err http_pool_connect(struct http_pool *pool, uint64_t timeout_us, struct error *error);

/* Appends a POST of body (JSON) to what the connection has to send; path is the request target. */
void http_pool_post(struct http_pool *pool, size_t connection, struct str path, struct str body);
/* Sends what the connection has. */
void http_pool_send(struct http_pool *pool, size_t connection);

#endif
