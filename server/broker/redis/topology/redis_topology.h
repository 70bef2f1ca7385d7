/* redis_topology.h - the Redis servers of a node: which there are, and which of them has a key. Each server that takes
 * writes is a shard (redis_shard.h). There are three kinds of topology: one server (redis_single.c), one server whose
 * address Sentinels know (redis_sentinel.c), and a cluster with a shard for each primary (redis_cluster.c).
 *
 * A topology knows nothing of channels and nodes. What happens to a shard, or to the map of a cluster, it tells its
 * owner by struct redis_shard_events and struct redis_topology_events. One thread. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_TOPOLOGY_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_TOPOLOGY_H

#include "common/base/closing.h"
#include "common/base/list.h"
#include "common/metrics/metrics.h"
#include "server/broker/redis/topology/redis_discovery.h"

struct redis_shard;
struct redis_shard_events;
struct redis_topology;

/* Which way a command goes. */
struct redis_route {
    struct redis_shard *shard; /* NULL: no server is known, or there is no connection to it */
    bool with_text;            /* of the script, which that server does not know */
    bool asking;               /* the key is moving to that server, which takes the command only after ASKING */
};

/* What an answer means for the command. */
enum redis_again {
    REDIS_ANSWERED,    /* it is done: that was the answer */
    REDIS_AGAIN_NOW,   /* it has not been run, and is to be sent by another route */
    REDIS_AGAIN_LATER, /* it has not been run, and at the moment no server takes it */
};

/* What differs between one server, Sentinel and a cluster. */
struct redis_topology_kind {
    /* Called once: makes the shards, now or when their addresses are known. */
    void (*begin)(struct redis_topology *topology);
    /* The shard that a key belongs to, NULL while no server is known for it. */
    struct redis_shard *(*shard_of)(struct redis_topology *topology, struct str key);
    /* The shard wants to connect: redis_shard_connect or redis_shard_not_found follows. */
    void (*find)(struct redis_shard *shard);
    /* Now and then: whether the shard is still connected to the right server. */
    void (*look_again)(struct redis_shard *shard);
    /* A command on the key was answered by that error: whether it is to be sent again, and where. NULL: never. */
    enum redis_again (*redirect)(struct redis_topology *topology, struct str key, struct str text,
                                 struct redis_route *out);
    /* A subscription was answered by that error. True: dealt with; else the connection is given up. NULL: false. */
    bool (*subscription_refused)(struct redis_shard *shard, struct str text);
    /* A server has ended a subscription by itself: slot_moved or map_read follows. NULL: none does. */
    void (*subscription_ended)(struct redis_topology *topology);
    /* The shard is about to be freed. NULL: nothing points to it. */
    void (*forget)(struct redis_shard *shard);
    /* Ends what is not a shard. */
    void (*end)(struct redis_topology *topology);
    bool sharded; /* events go by sharded pub/sub: a channel's events only to the server that has its slot */
};

extern const struct redis_topology_kind redis_single;
extern const struct redis_topology_kind redis_sentinel;
extern const struct redis_topology_kind redis_cluster;

/* What a cluster tells of its map from slots to shards. */
struct redis_topology_events {
    /* The slot has another shard now. */
    void (*slot_moved)(struct redis_topology *topology, unsigned slot);
    /* The shard refuses subscriptions of the slot. Nobody knows yet which shard has it: map_read follows. */
    void (*slot_refused)(struct redis_shard *shard, unsigned slot);
    /* The map has been read. moved: each slot may have another shard now. */
    void (*map_read)(struct redis_topology *topology, bool moved);
    /* No node tells the map; why says it for the log. It is asked for again. */
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
    struct closing *closing; /* shards and the discovery are parts of it */
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
    uint64_t
        canary; /* number of the one sent last; begins at random, so that an earlier life's are not taken for ours */
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
