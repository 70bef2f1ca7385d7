/* redis_request.h - one command or script on its way to Redis and back. It is sent to the server that has its key. It
 * is sent again where MOVED, ASK or NOSCRIPT say. As long as no server takes it, or servers point to each other, it is
 * tried again after pauses that grow, until its time is over. What is sent again has not been run. One thread. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_REQUEST_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_REQUEST_H

#include "server/broker/redis/topology/redis_shard.h"

struct redis_request;

/* What is asked. */
struct redis_request_kind {
    /* Sends it, by redis_request_script or redis_request_command. Called again each time it is sent again. */
    void (*send)(struct redis_request *request);
    /* Somebody still wants the answer; called before it is sent again. NULL: always. */
    bool (*is_wanted)(void *argument);
    /* The answer, borrowed for the call, after which the request is gone. Called once, never from within
     * redis_request_start. reply NULL: the connection was lost, and nobody knows whether the command was run; or the
     * answer is not wanted any more. */
    void (*done)(struct redis_request *request, const struct redisReply *reply);
    bool is_endless; /* its time is never over */
};

struct redis_request {
    const struct redis_request_kind *kind;
    struct redis_requests *requests;
    void *argument;           /* of redis_request_start */
    struct redis_route route; /* that it was sent by; no shard: it has not been taken since its last pause */
    uint64_t since_us;        /* monotonic: the command timeout begins */
    unsigned hops;            /* since the last pause */
    unsigned pauses;
    struct list_link link; /* in redis_requests.waiting */
    struct str keys[];     /* of redis_request_start; their bytes follow */
};

/* Sends it to that shard, which must be ready. keys are copied: the first one says which server has to take the
 * request, all are there for send. argument is kept until done. */
void redis_request_start(struct redis_requests *requests, const struct redis_request_kind *kind, void *argument,
                         struct redis_shard *shard, size_t key_count, const struct str *keys, uint64_t since_us);

/* For send, once. The first argument of a script is the key. */
void redis_request_script(struct redis_request *request, enum redis_script script, size_t key_count, size_t count,
                          const struct str *arguments);
void redis_request_command(struct redis_request *request, size_t argc, const struct str *argv);

/* The answer is our own: the request's time was over, or the broker closes. It has not been run. */
bool redis_request_is_untaken(const struct redisReply *reply);

/* The shard of the key, if it is ready: else NULL. */
struct redis_shard *redis_request_shard(struct redis_topology *topology, struct str key);

/* Those that pause, by the length of their pause: up to 20 ms, 40 ms, ... 640 ms. */
enum { REDIS_REQUEST_PAUSES = 6 };

struct redis_requests {
    struct redis_topology *topology;
    struct list_link waiting[REDIS_REQUEST_PAUSES];
    uint64_t ticks;
    struct timer timer; /* runs while any waits */
    bool is_closing;
};

/* They are a part of the topology's closing. The topology is borrowed. */
void redis_requests_init(struct redis_requests *requests, struct redis_topology *topology);
/* All that wait are answered, and from here on those that would have to wait. */
void redis_requests_close(struct redis_requests *requests);

#endif
