/* redis_discovery.h - asks servers for the addresses of the primaries. The servers are Sentinels, or the nodes of a
 * cluster. In a round, one server after another is asked until one gives a useful answer. The connection to that server
 * is kept for the next round. Embedded in its topology. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_DISCOVERY_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_DISCOVERY_H

#include "common/base/closing.h"
#include "server/broker/redis/client/redis_connection.h"

struct redis_topology;

struct redis_discovery_script {
    /* The n-th server to ask; NULL after the last one. */
    const struct redis_endpoint *(*server)(struct redis_topology *topology, size_t n);
    void (*ask)(struct redis_topology *topology, struct redis_connection *connection, redis_answered *done,
                void *argument);
    /* Takes an answer of that server. False: the answer is of no use, and the next server is asked. */
    bool (*answered)(struct redis_topology *topology, const struct redis_endpoint *from,
                     const struct redisReply *reply);
    /* No server has given a useful answer. */
    void (*failed)(struct redis_topology *topology, const char *why);
};

struct redis_discovery {
    const struct redis_discovery_script *script;
    struct closing *whole;
    struct redis_topology *topology;
    struct redis_connection connection;
    struct redis_endpoint endpoint; /* of the connection */
    struct timer timer; /* of redis_discovery_ask_later; while closing: ends after this turn, as a call may hold it */
    size_t next;        /* number of the server to ask */
    size_t left;        /* servers that may still be asked in this round */
    bool asking;        /* a round is under way */
    bool closing;
    bool timer_ended;
    char why[256]; /* the last failure of this round */
};

/* config: without an endpoint. The closing of whole waits for the discovery. */
void redis_discovery_init(struct redis_discovery *discovery, struct redis_topology *topology,
                          const struct redis_discovery_script *script, const struct redis_connection_config *config,
                          struct turn *turn, struct closing *whole);

/* Begins a round, unless one is under way. It begins with the server that answered last; another: with the next one. */
void redis_discovery_ask(struct redis_discovery *discovery, bool another);
void redis_discovery_ask_later(struct redis_discovery *discovery, uint64_t after_ms);

void redis_discovery_close(struct redis_discovery *discovery);

#endif
