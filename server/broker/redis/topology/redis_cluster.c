/* redis_cluster.c - a Redis cluster: a shard for each primary, and the map from slots to shards. The map is read from
 * any node (CLUSTER SLOTS) at the beginning, now and then, and when something points elsewhere; between, a MOVED
 * changes one slot. No node's map need be right: what is wrong is put right by the next MOVED. Where two nodes send a
 * slot to each other, it changes once, and then with the whole map. */
#include "common/base/alloc.h"
#include "common/base/random.h"
#include "server/broker/redis/client/redis_reply.h"
#include "server/broker/redis/topology/redis_shard.h"
#include "server/broker/redis/topology/redis_slots.h"
#include "server/broker/redis/topology/redis_whereabouts.h"

static const uint64_t KEEP_US = 30000000; /* a shard without slots: answers may be due, and slots come and go */

static const uint64_t SETTLE_US = 200000; /* a slot that has just moved: MOVED does not move it again */

/* PRIMARIES_MAX: each has two connections; Redis's own limit is about a thousand (Redis Cluster specification). */
enum { REFRESH_MS = 100, PRIMARIES_MAX = 1000 };

struct redis_cluster {
    struct redis_shard *owners[REDIS_SLOTS]; /* NULL: nobody, or not known */
    uint64_t moved_us[REDIS_SLOTS];          /* when a MOVED did; 0: never */
    bool is_awaited;                         /* the map, by subscriptions that were refused or ended */
};

static struct redis_shard *shard_of(struct redis_topology *topology, struct str key)
{
    return topology->cluster->owners[redis_slot_of(key)];
}

/* NULL: there are so many that it cannot be true, or the topology closes. Then those that it knows take its last
 * commands, as long as their last answers are awaited, and nobody would close a new one. */
static struct redis_shard *find_or_make(struct redis_topology *topology, struct str host, struct str port)
{
    size_t count = 0;
    LIST_EACH(link, &topology->shards)
    {
        struct redis_shard *shard = CONTAINER_OF(link, struct redis_shard, link);
        if ((!redis_shard_is_closing(shard) || topology->is_closing) && redis_endpoint_is(&shard->endpoint, host, port))
            return shard;
        count++;
    }
    if (topology->is_closing || count >= PRIMARIES_MAX)
        return NULL;
    struct redis_endpoint endpoint = redis_endpoint_copy(host, port);
    struct buf channel = {0};
    buf_append(&channel, topology->config.node_channel);
    buf_appendf(&channel, ":%s:%s", endpoint.host, endpoint.port);
    struct redis_shard *shard = redis_shard_create(topology, &endpoint, buf_str(&channel));
    buf_fini(&channel);
    redis_endpoint_fini(&endpoint);
    return shard;
}

/* In place of another one. */
static void set_owner(struct redis_topology *topology, unsigned slot, struct redis_shard *shard)
{
    struct redis_shard *old = topology->cluster->owners[slot];
    if (old && --old->slots == 0)
        old->used_us = turn_now_us(topology->config.turn);
    if (shard)
        shard->slots++;
    topology->cluster->owners[slot] = shard;
}

/* ---- the whole map ---- */

static void close_useless(struct redis_topology *topology)
{
    uint64_t now_us = turn_now_us(topology->config.turn);
    LIST_EACH(link, &topology->shards)
    {
        struct redis_shard *shard = CONTAINER_OF(link, struct redis_shard, link);
        if (!shard->slots && now_us - shard->used_us > KEEP_US)
            redis_shard_close(shard);
    }
}

static bool read_range(struct redis_topology *topology, const struct redis_endpoint *from, const redisReply *range,
                       struct redis_shard **owners)
{
    struct redis_whereabouts where;
    if (!redis_whereabouts_of_range(range, &where))
        return false;
    struct redis_shard *shard =
        find_or_make(topology, where.host.len ? where.host : str_from_cstr(from->host), where.port);
    for (unsigned slot = where.first; shard && slot <= where.last; slot++)
        owners[slot] = shard;
    return shard;
}

static bool answered(struct redis_topology *topology, const struct redis_endpoint *from, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return false;
    struct redis_shard **owners = xcalloc(REDIS_SLOTS, sizeof(struct redis_shard *));
    bool good = true, changed = false;
    for (size_t i = 0; good && i < reply->elements; i++)
        good = read_range(topology, from, reply->element[i], owners);
    for (unsigned slot = 0; good && slot < REDIS_SLOTS; slot++) {
        if (topology->cluster->owners[slot] == owners[slot])
            continue;
        set_owner(topology, slot, owners[slot]);
        changed = true;
    }
    free(owners);
    bool moved = changed || (good && topology->cluster->is_awaited);
    if (good) {
        topology->cluster->is_awaited = false;
        close_useless(topology);
    }
    topology->events->map_read(topology, moved);
    return good;
}

/* ---- asking for it ---- */

/* The nodes of the URL, then all primaries known, as the former may have gone long ago. */
static const struct redis_endpoint *server(struct redis_topology *topology, size_t n)
{
    if (n < topology->config.url->endpoint_count)
        return &topology->config.url->endpoints[n];
    n -= topology->config.url->endpoint_count;
    LIST_EACH(link, &topology->shards)
    {
        if (n-- == 0)
            return &CONTAINER_OF(link, struct redis_shard, link)->endpoint;
    }
    return NULL;
}

static void ask(struct redis_topology *topology, struct redis_connection *connection, redis_answered *done,
                void *argument)
{
    redis_connection_send(connection, 2, (struct str[]){STR("CLUSTER"), STR("SLOTS")}, done, argument);
}

static void failed(struct redis_topology *topology, const char *why)
{
    char text[320];
    snprintf(text, sizeof text, "no node of the cluster tells where the slots are; the last one: %.200s", why);
    topology->events->map_lost(topology, text);
    redis_discovery_ask_later(&topology->discovery, REFRESH_MS + random_below(topology->config.retry_max_ms));
}

static void refresh_soon(struct redis_topology *topology)
{
    if (!uv_is_active((uv_handle_t *)&topology->discovery.timer))
        redis_discovery_ask_later(&topology->discovery, REFRESH_MS);
}

/* ---- answers that point elsewhere ---- */

/* A MOVED or an ASK: the shard that it names, NULL if it is none. */
static struct redis_shard *read_redirection(struct redis_topology *topology, const struct redis_shard *from,
                                            struct str text, struct str word, unsigned *out_slot)
{
    struct redis_whereabouts where;
    if (!redis_whereabouts_of_error(text, word, &where) || (!where.host.len && !from))
        return NULL;
    *out_slot = where.first;
    return find_or_make(topology, where.host.len ? where.host : str_from_cstr(from->endpoint.host), where.port);
}

/* False if the slot stays where it is on the map for now. */
static bool move(struct redis_topology *topology, unsigned slot, struct redis_shard *shard)
{
    struct redis_cluster *cluster = topology->cluster;
    uint64_t now_us = turn_now_us(topology->config.turn);
    if (cluster->owners[slot] == shard || topology->is_closing)
        return true;
    refresh_soon(topology);
    if (cluster->moved_us[slot] && now_us - cluster->moved_us[slot] < SETTLE_US)
        return false;
    cluster->moved_us[slot] = now_us;
    set_owner(topology, slot, shard);
    topology->events->slot_moved(topology, slot);
    return true;
}

static enum redis_again redirect(struct redis_topology *topology, struct str key, struct str text,
                                 struct redis_route *out)
{
    struct redis_shard *from = shard_of(topology, key);
    unsigned slot;
    struct redis_shard *shard = read_redirection(topology, from, text, STR("MOVED"), &slot);
    if (shard) {
        move(topology, slot, shard);
        *out = (struct redis_route){.shard = shard};
        return redis_shard_is_up(shard) ? REDIS_AGAIN_NOW : REDIS_AGAIN_LATER;
    }
    shard = read_redirection(topology, from, text, STR("ASK"), &slot);
    if (shard) {
        shard->used_us = turn_now_us(topology->config.turn);
        *out = (struct redis_route){.shard = shard, .asking = true, .with_text = true};
        return redis_shard_is_up(shard) ? REDIS_AGAIN_NOW : REDIS_AGAIN_LATER;
    }
    if (str_starts_with(text, STR("CLUSTERDOWN"))) {
        refresh_soon(topology);
        return REDIS_AGAIN_LATER;
    }
    return str_starts_with(text, STR("TRYAGAIN")) ? REDIS_AGAIN_LATER : REDIS_ANSWERED;
}

static bool subscription_refused(struct redis_shard *shard, struct str text)
{
    unsigned slot;
    struct redis_shard *other = read_redirection(shard->topology, shard, text, STR("MOVED"), &slot);
    if (other && !move(shard->topology, slot, other)) {
        shard->topology->events->slot_refused(shard, slot);
        shard->topology->cluster->is_awaited = true;
    }
    return other;
}

/* Its slot is elsewhere. A primary that has become a replica would take it again, and pass on what is published at the
 * new one as soon as that has heard of it. */
static void subscription_ended(struct redis_topology *topology)
{
    topology->cluster->is_awaited = true;
    redis_discovery_ask(&topology->discovery, false);
}

/* ---- topology ---- */

static void begin(struct redis_topology *topology)
{
    static const struct redis_discovery_script script = {
        .server = server, .ask = ask, .answered = answered, .failed = failed};
    struct redis_connection_config config = redis_topology_connection(topology);
    config.login_hint = "a password: give it in the URL, redis+cluster://:password@host";
    topology->cluster = xcalloc(1, sizeof *topology->cluster);
    redis_discovery_init(&topology->discovery, topology, &script, &config, topology->config.turn,
                         topology->config.closing);
    redis_discovery_ask(&topology->discovery, true);
}

/* If it has been replaced, the map says so; else it is back where it was. */
static void find(struct redis_shard *shard)
{
    redis_discovery_ask(&shard->topology->discovery, true);
    redis_shard_connect(shard);
}

static void look_again(struct redis_shard *shard)
{
    redis_discovery_ask(&shard->topology->discovery, false);
}

static void forget(struct redis_shard *shard)
{
    for (unsigned slot = 0; shard->slots && slot < REDIS_SLOTS; slot++)
        if (shard->topology->cluster->owners[slot] == shard)
            shard->topology->cluster->owners[slot] = NULL;
}

static void end(struct redis_topology *topology)
{
    redis_discovery_close(&topology->discovery);
}

const struct redis_topology_kind redis_cluster = {
    .sharded = true,
    .begin = begin,
    .shard_of = shard_of,
    .find = find,
    .look_again = look_again,
    .redirect = redirect,
    .subscription_refused = subscription_refused,
    .subscription_ended = subscription_ended,
    .forget = forget,
    .end = end,
};
