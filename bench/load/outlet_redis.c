/* outlet_redis.c - events through Redis, published directly to the nodes that listen (docs/protocol.md, "Publishing
 * through Redis"). */
#include "bench/load/outlet_kind.h"
#include "server/broker/redis/redis_keys.h"

/* The replies of PUBLISH are integers or errors, one line each. */
static enum err receive(void *owner, size_t connection, struct str *bytes, struct error *error)
{
    struct outlet *outlet = owner;
    const char *end;
    (void)error;
    while (bytes->len > 0 && (end = memchr(bytes->ptr, '\n', bytes->len))) {
        size_t len = (size_t)(end - bytes->ptr) + 1;
        if (bytes->ptr[0] == ':')
            outlet_accept(outlet, connection, 1);
        else
            outlet_refuse(outlet, "by Redis", str_trim(str_from(bytes->ptr, len)));
        *bytes = str_from(bytes->ptr + len, bytes->len - len);
    }
    return ERR_NONE;
}

static enum err open_redis(struct outlet *outlet, struct error *error)
{
    struct run *run = outlet->run;
    outlet->pool = (struct pool){
        .loop = &run->loop,
        .target = run->redis,
        .server = "Redis",
        .count = outlet->count,
        .receive = receive,
        .owner = outlet,
    };
    pool_init(&outlet->pool);
    return pool_connect(&outlet->pool, RUN_OUTLET_US, error);
}

static void append_bulk(struct buf *out, struct str text)
{
    buf_append_char(out, '$');
    buf_append_u64(out, text.len);
    buf_append_lit(out, "\r\n");
    buf_append(out, text);
    buf_append_lit(out, "\r\n");
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
    struct buf *out = pool_out(&outlet->pool, connection);
    buf_append_lit(out, "*3\r\n");
    append_bulk(out, STR("PUBLISH"));
    append_bulk(out, str_from(key->ptr, key_len));
    append_bulk(out, str_from(key->ptr + key_len, key->len - key_len));
}

static void send_redis(struct outlet *outlet, size_t connection)
{
    pool_send(&outlet->pool, connection);
}

static void close_redis(struct outlet *outlet)
{
    pool_fini(&outlet->pool);
}

static const struct error *failure(const struct outlet *outlet)
{
    return outlet->pool.failed ? &outlet->pool.error : NULL;
}

const struct outlet_kind outlet_redis = {open_redis, publish, send_redis, close_redis, failure};
