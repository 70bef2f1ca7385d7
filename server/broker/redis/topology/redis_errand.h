/* redis_errand.h - one question to Redis on its way: sent to the server that has its key; sent again where MOVED, ASK
 * or NOSCRIPT say; and, as long as no server takes it or servers point to each other, tried again after pauses that
 * grow, until its time is over. What is sent again has not been run. One thread. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_ERRAND_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_ERRAND_H

#include <uv.h>

#include "common/base/list.h"
#include "server/broker/redis/topology/redis_route.h"

struct redis_errand;

/* What is asked, for whom. */
struct redis_errand_kind {
    /* The key that it is about, valid until the next call. */
    struct str (*key)(struct redis_broker *broker, void *argument);
    /* Sends it, by redis_errand_script or redis_errand_command. The last call before was key. */
    void (*send)(struct redis_errand *errand);
    /* Somebody still wants to know; asked before it is sent again. NULL: always. */
    bool (*is_wanted)(void *argument);
    /* The answer, borrowed for the call, after which the errand is gone. Called once, never from within
     * redis_errand_start. reply NULL: the connection was lost, and nobody knows whether it was run; or it was not
     * wanted any more. */
    void (*done)(struct redis_errand *errand, const struct redisReply *reply);
    bool is_endless; /* its time is never over */
};

struct redis_errand {
    const struct redis_errand_kind *kind;
    struct redis_broker *broker;
    void *argument;
    struct redis_route route; /* that it was sent by; no shard: it has not been taken since its last pause */
    uint64_t since_us;        /* monotonic: the command timeout begins */
    unsigned hops;            /* since the last pause */
    unsigned pauses;
    struct list_link link; /* in redis_errands.waiting */
};

/* Sends it by a route with a shard: that of its key, which was made last. argument is kept until done. */
void redis_errand_start(struct redis_broker *broker, const struct redis_errand_kind *kind, void *argument,
                        const struct redis_route *route, uint64_t since_us);

/* For send, once. The first argument of a script is the key. */
void redis_errand_script(struct redis_errand *errand, enum redis_script script, size_t key_count, size_t count,
                         const struct str *arguments);
void redis_errand_command(struct redis_errand *errand, size_t argc, const struct str *argv);

/* The answer of none: its time was over, or the broker closes. It has not been run. */
bool redis_errand_is_untaken(const struct redisReply *reply);

/* Those that pause, by the length of their pause: up to 20 ms, 40 ms, ... 640 ms. */
enum { REDIS_ERRAND_PAUSES = 6 };

struct redis_errands {
    struct redis_broker *broker;
    struct list_link waiting[REDIS_ERRAND_PAUSES];
    uint64_t ticks;
    uv_timer_t timer; /* runs while any waits */
    bool closing;
};

/* It is one of broker->parts. */
void redis_errands_init(struct redis_errands *errands, struct redis_broker *broker);
/* All that wait are answered, and from here on what would have to. */
void redis_errands_close(struct redis_errands *errands);

#endif
