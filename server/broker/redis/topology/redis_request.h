/* redis_request.h - a request: one command or script on its way to Redis and back.
 *
 * - A request is sent to the server that has its key.
 * - After MOVED, ASK or NOSCRIPT it is sent again. Redis has not run it then.
 * - If no server takes it, or servers point to each other, it pauses and is sent again. The pauses grow.
 * - When its time is over, it ends without having been run.
 *
 * One thread. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_REQUEST_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_REQUEST_H

#include "server/broker/redis/topology/redis_shard.h"

struct redis_request;

/* The common part of all requests of one kind. */
struct redis_request_kind {
    /* Sends the request by redis_request_script or redis_request_command. Called each time it is sent. */
    void (*send)(struct redis_request *request);
    /* Says whether the answer is still wanted; called before the request is sent again. NULL: always. */
    bool (*is_wanted)(void *argument);
    /* Takes the answer, borrowed for the call. After the call the request is freed. Called once, never from within
     * redis_request_start. reply NULL: the answer is not wanted any more; or the connection was lost, and nobody knows
     * whether the command was run. */
    void (*done)(struct redis_request *request, const struct redisReply *reply);
    bool is_endless; /* the time of the request is never over */
};

struct redis_request {
    const struct redis_request_kind *kind;
    struct redis_requests *requests;
    void *argument;           /* of redis_request_start */
    struct redis_route route; /* of the last time it was sent; no shard: not sent since the last pause */
    uint64_t since_us;        /* monotonic: when the command timeout began */
    unsigned hops;            /* from server to server since the last pause */
    unsigned pauses;
    struct list_link link; /* in redis_requests.waiting */
    struct str keys[];     /* of redis_request_start; their bytes follow */
};

/* Sends a request to that shard, which must be ready. keys are copied into the request. The first key decides which
 * server has to take the request. argument is kept until done. */
void redis_request_start(struct redis_requests *requests, const struct redis_request_kind *kind, void *argument,
                         struct redis_shard *shard, size_t key_count, const struct str *keys, uint64_t since_us);

/* Called once by send. The first argument of a script is the first key. */
void redis_request_script(struct redis_request *request, enum redis_script script, size_t key_count, size_t count,
                          const struct str *arguments);
void redis_request_command(struct redis_request *request, size_t argc, const struct str *argv);

/* The answer is not of Redis: the time of the request was over, or the broker closes. The request was not run. */
bool redis_request_is_untaken(const struct redisReply *reply);

/* The shard of the key; NULL if there is none, or if it is not ready. */
struct redis_shard *redis_request_shard(struct redis_topology *topology, struct str key);

/* Requests that pause wait in lists by the length of the pause: up to 20 ms, 40 ms, ... 640 ms. */
enum { REDIS_REQUEST_PAUSES = 6 };

struct redis_requests {
    struct redis_topology *topology;
    struct list_link waiting[REDIS_REQUEST_PAUSES];
    uint64_t ticks;
    struct timer timer; /* runs while a request waits */
    bool is_closing;
};

/* Borrows the topology, whose closing waits for the requests. */
void redis_requests_init(struct redis_requests *requests, struct redis_topology *topology);
/* Ends the requests that wait. From here on a request ends where it would have to wait. */
void redis_requests_close(struct redis_requests *requests);

#endif
