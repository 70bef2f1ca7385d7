/* redis_route.h - which server a command goes to, and whether an answer means that it has to be sent again: a script
 * that Redis does not know, or, in a cluster, a key that has moved. A command with a route that failed has not been
 * run. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_ROUTE_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_ROUTE_H

#include "common/base/str.h"
#include "server/broker/redis/redis_scripts.h"

struct redis_broker;
struct redis_shard;
struct redisReply;

struct redis_route {
    struct redis_shard *shard; /* NULL: nobody knows, or there is no connection */
    bool with_text;            /* of the script, which that server does not know */
    bool asking;               /* the key is on its way to that server, which takes it only when asked so */
};

enum redis_again {
    REDIS_ANSWERED,    /* no: that was the answer */
    REDIS_AGAIN_NOW,   /* by the route */
    REDIS_AGAIN_LATER, /* nowhere at the moment */
};

/* Where a command on that key goes first. */
struct redis_route redis_route_to(struct redis_broker *broker, struct str key);

/* reply NULL is an answer: nobody knows whether the command was run. */
enum redis_again redis_route_again(struct redis_broker *broker, struct str key, const struct redisReply *reply,
                                   struct redis_route *out);

#endif
