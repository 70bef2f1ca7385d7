/* redis_single.c - one Redis server at a known address. */
#include "server/broker/redis/redis_parts.h"

static void begin(struct redis_broker *broker)
{
    redis_shard_create(broker, &broker->url.endpoints[0], buf_str(&broker->node_channel));
}

static struct redis_shard *shard_of(struct redis_broker *broker, struct str key)
{
    struct list_link *first = broker->shards.next;
    return first == &broker->shards ? NULL : CONTAINER_OF(first, struct redis_shard, link);
}

static void find(struct redis_shard *shard)
{
    redis_shard_connect(shard);
}

static void look_again(struct redis_shard *shard)
{
    /* An address is all there is to know. */
}

static void end(struct redis_broker *broker)
{
    /* There is nothing but the shard. */
}

const struct redis_topology redis_single = {
    .begin = begin,
    .shard_of = shard_of,
    .find = find,
    .look_again = look_again,
    .end = end,
};
