/* redis_topology.h - the Redis servers of a node, and which of them has a key. A server that takes writes is a shard
 * (redis_shard.h). There are three kinds of topology:
 *
 * - one server (redis_single.c)
 * - one server whose address Sentinels know (redis_sentinel.c)
 * - a cluster with a shard for each primary (redis_cluster.c)
 *
 * A topology knows nothing of channels and nodes. It tells its owner what happens: to a shard by struct
 * redis_shard_events, to the map of a cluster by struct redis_topology_events. One thread. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_TOPOLOGY_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_TOPOLOGY_H

#include "common/base/closing.h"
#include "common/base/list.h"
#include "common/metrics/metrics.h"
#include "server/broker/redis/topology/redis_discovery.h"

struct redis_shard;
struct redis_shard_events;
struct redis_topology;

/* The way of a command. */
struct redis_route {
    struct redis_shard *shard; /* NULL: no server is known, or there is no connection to it */
    bool with_text;            /* the server does not know the script, and needs its text */
    bool asking;               /* the key is moving to the server, which takes the command only after ASKING */
};

/* The consequence of an answer for its command. */
enum redis_again {
    REDIS_ANSWERED,    /* that was the answer */
    REDIS_AGAIN_NOW,   /* the command was not run, and is to be sent by another route */
    REDIS_AGAIN_LATER, /* the command was not run, and no server takes it now */
};

/* The differences between one server, Sentinel and a cluster. */
struct redis_topology_kind {
    /* Makes the shards, now or when their addresses are known. Called once. */
    void (*begin)(struct redis_topology *topology);
    /* The shard that a key belongs to. NULL: no server is known for it. */
    struct redis_shard *(*shard_of)(struct redis_topology *topology, struct str key);
    /* Finds the address of a shard that wants to connect. redis_shard_connect or redis_shard_not_found follows. */
    void (*find)(struct redis_shard *shard);
    /* Checks whether the shard is still connected to the right server. Called with each canary. */
    void (*look_again)(struct redis_shard *shard);
    /* Says whether a command on the key is to be sent again after that error, and where. NULL: never. */
    enum redis_again (*redirect)(struct redis_topology *topology, struct str key, struct str text,
                                 struct redis_route *out);
    /* Deals with an error that answers a subscription. False: the connection is given up. NULL: always false. */
    bool (*subscription_refused)(struct redis_shard *shard, struct str text);
    /* A server has ended a subscription by itself. slot_moved or map_read follows. NULL: no server does. */
    void (*subscription_ended)(struct redis_topology *topology);
    /* Forgets a shard that is about to be freed. NULL: nothing points to it. */
    void (*forget)(struct redis_shard *shard);
    /* Ends everything that is not a shard. */
    void (*end)(struct redis_topology *topology);
    bool sharded; /* events go by sharded pub/sub: the events of a channel go only to the server of its slot */
};

extern const struct redis_topology_kind redis_single;
extern const struct redis_topology_kind redis_sentinel;
extern const struct redis_topology_kind redis_cluster;

/* The owner, as a cluster's map from slots to shards sees it. */
struct redis_topology_events {
    /* The slot has another shard now. */
    void (*slot_moved)(struct redis_topology *topology, unsigned slot);
    /* The shard refuses subscriptions of the slot. Nobody knows yet which shard has it: map_read follows. */
    void (*slot_refused)(struct redis_shard *shard, unsigned slot);
    /* The map has been read. moved: any slot may have another shard now. */
    void (*map_read)(struct redis_topology *topology, bool moved);
    /* No node of the cluster tells the map, for the reason why. It is asked for again. */
    void (*map_lost)(struct redis_topology *topology, const char *why);
};

/* Everything is borrowed for life. */
struct redis_topology_config {
    struct turn *turn;
    const struct redis_url *url;
    const struct redis_tls *tls; /* NULL: without */
    const char *client_name;     /* of all connections */
    struct str node_channel;     /* the pub/sub channel of this node, which a shard of a cluster adds its address to */
    struct metrics *metrics;
    struct closing *closing; /* waits for the shards and the discovery */
    uint64_t connect_timeout_ms;
    uint64_t command_timeout_ms;
    uint64_t retry_max_ms;
    uint64_t canary_interval_ms;
    unsigned keepalive_s;
};

/* Embedded in its owner, which sets the first four and the canary, makes the list empty and calls kind->begin. */
struct redis_topology {
    struct redis_topology_config config;
    const struct redis_topology_kind *kind;
    const struct redis_topology_events *events;
    const struct redis_shard_events *shard_events;
    /* Number of the last canary. It begins at random: canaries of an earlier life of this node are not taken for ours.
     */
    uint64_t canary;
    struct list_link shards;
    size_t open_requests;             /* redis_request_start to done: each may still be sent to any shard */
    struct redis_discovery discovery; /* not of redis_single */
    struct redis_cluster *cluster;    /* of redis_cluster only; the owner frees it after all shards have closed */
    bool is_closing;                  /* no shard is made any more */
};

/* The shard that the key belongs to, also while it is down. NULL: not known. */
static inline struct redis_shard *redis_topology_shard_of(struct redis_topology *topology, struct str key)
{
    return topology->kind->shard_of(topology, key);
}

/* For a connection to one of the servers. The caller sets the endpoint. */
static inline struct redis_connection_config redis_topology_connection(const struct redis_topology *topology)
{
    const struct redis_topology_config *config = &topology->config;
    return (struct redis_connection_config){
        .what = "Redis",
        .login = &config->url->login,
        .tls = config->tls,
        .name = config->client_name,
        .connect_timeout_ms = config->connect_timeout_ms,
        .command_timeout_ms = config->command_timeout_ms,
        .keepalive_s = config->keepalive_s,
    };
}

#endif
