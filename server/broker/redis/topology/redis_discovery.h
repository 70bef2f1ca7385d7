/* redis_discovery.h - asks where the primaries are: one question, put to one server after another until one gives a
 * useful answer. The servers that know are Sentinels, or the nodes of a cluster. The connection is kept for the next
 * time. Embedded in its topology. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_DISCOVERY_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_DISCOVERY_H

#include "common/base/closing.h"
#include "server/broker/redis/client/redis_connection.h"

struct redis_topology;

struct redis_discovery_script {
    /* The servers to ask, the n-th of them; NULL after the last. */
    const struct redis_endpoint *(*server)(struct redis_topology *topology, size_t n);
    void (*ask)(struct redis_topology *topology, struct redis_connection *connection, redis_answered *done,
                void *argument);
    /* An answer of that server. False: it is of no use, and the next one is asked. */
    bool (*answered)(struct redis_topology *topology, const struct redis_endpoint *from,
                     const struct redisReply *reply);
    /* None has given a useful answer. */
    void (*failed)(struct redis_topology *topology, const char *why);
};

struct redis_discovery {
    const struct redis_discovery_script *script;
    struct closing *whole;
    struct redis_topology *topology;
    struct redis_connection connection;
    struct redis_endpoint endpoint; /* of the connection */
    struct timer timer; /* of redis_discovery_ask_later; of a close, that no call of this turn holds it any more */
    size_t next;        /* server to ask */
    size_t left;        /* how many may still be asked in this round */
    bool asking;        /* a round is under way */
    bool closing;
    bool timer_ended;
    char why[256]; /* the last failure of this round */
};

/* All but the endpoint of config is set. The discovery is a part of whole. */
void redis_discovery_init(struct redis_discovery *discovery, struct redis_topology *topology,
                          const struct redis_discovery_script *script, const struct redis_connection_config *config,
                          struct turn *turn, struct closing *whole);

/* Begins a round, unless one is under way: with the server that answered last or, another being true, the next one. */
void redis_discovery_ask(struct redis_discovery *discovery, bool another);
void redis_discovery_ask_later(struct redis_discovery *discovery, uint64_t after_ms);

void redis_discovery_close(struct redis_discovery *discovery);

#endif
