/* outlet_redis.c - events through Redis, published directly to the nodes that listen (docs/protocol.md, "Publishing
 * through Redis"). */
#include "server/broker/redis_keys.h"
#include "server/cli/bench/outlet.h"

static void on_reply(void *owner, size_t connection, struct str error)
{
    struct outlet *outlet = owner;
    if (error.len > 0)
        outlet_refuse(outlet, "by Redis", error);
    else
        outlet_accept(outlet, connection, 1);
}

static enum err open_redis(struct outlet *outlet, struct error *error)
{
    struct run *run = outlet->run;
    outlet->redis = (struct redis_pool){
        .loop = &run->loop,
        .target = run->redis,
        .count = outlet->count,
        .on_reply = on_reply,
        .owner = outlet,
    };
    redis_pool_init(&outlet->redis);
    return redis_pool_connect(&outlet->redis, RUN_OUTLET_US, error);
}

static void publish(struct outlet *outlet, size_t connection, struct str channel, struct str data)
{
    struct buf *key = &outlet->message;
    outlet->under_way++;
    buf_clear(key);
    redis_key_append(key, STR("carillon"), channel, STR("live")); /* the prefix that nodes have by default */
    size_t key_len = key->len;
    buf_append_lit(key, "{\"type\":\"bench\",\"data\":");
    buf_append(key, data);
    buf_append_char(key, '}');
    redis_pool_publish(&outlet->redis, connection, str_from(key->ptr, key_len),
                       str_from(key->ptr + key_len, key->len - key_len));
}

static void send_redis(struct outlet *outlet, size_t connection)
{
    redis_pool_send(&outlet->redis, connection);
}

static void close_redis(struct outlet *outlet)
{
    redis_pool_fini(&outlet->redis);
}

static const struct error *failure(const struct outlet *outlet)
{
    return outlet->redis.failed ? &outlet->redis.error : NULL;
}

const struct outlet_kind outlet_redis = {open_redis, publish, send_redis, close_redis, failure};
