/* redis_single.c - one Redis server at a known address. */
#include "server/broker/redis/topology/redis_shard.h"

static void begin(struct redis_topology *topology)
{
    redis_shard_create(topology, &topology->config.url->endpoints[0], topology->config.node_channel);
}

static struct redis_shard *shard_of(struct redis_topology *topology, struct str key)
{
    struct list_link *first = topology->shards.next;
    return first == &topology->shards ? NULL : CONTAINER_OF(first, struct redis_shard, link);
}

static void find(struct redis_shard *shard)
{
    redis_shard_connect(shard);
}

static void look_again(struct redis_shard *shard)
{
    /* The address of the URL is the right one. */
}

static void end(struct redis_topology *topology)
{
    /* There is nothing besides the shard. */
}

const struct redis_topology_kind redis_single = {
    .begin = begin,
    .shard_of = shard_of,
    .find = find,
    .look_again = look_again,
    .end = end,
};
