/* redis_cluster.c - a Redis cluster: a shard for each primary, and the map from slots to shards.
 *
 * - Any node of the cluster tells the map (CLUSTER SLOTS). It is read at the beginning, with each canary, and after a
 *   MOVED.
 * - A MOVED changes one slot at once. A map that says otherwise just after it is older, and read again.
 * - The map of a node may be wrong. The next MOVED corrects it.
 * - While a replica takes over, other nodes may have nobody for its slots. Such slots stay where they are for a while.
 * - Two nodes may send a slot to each other. Then the slot changes once, and after that only with the whole map. */
#include "common/base/alloc.h"
#include "common/base/random.h"
#include "server/broker/redis/client/redis_reply.h"
#include "server/broker/redis/topology/redis_shard.h"
#include "server/broker/redis/topology/redis_slots.h"
#include "server/broker/redis/topology/redis_whereabouts.h"

/* So long a shard without slots stays: answers may be due, and it may get slots again. */
static const uint64_t KEEP_US = 30000000;

/* For so long after a MOVED neither the next MOVED nor a map moves the same slot. */
static const uint64_t SETTLE_US = 200000;

/* For so long slots that no map gives to anybody stay where they are. A primary says within a second what it has. */
static const uint64_t HOLE_US = 2000000;

/* PRIMARIES_MAX: a primary takes two connections. Redis's own limit is about 1,000 (Redis Cluster specification). */
enum { REFRESH_MS = 100, PRIMARIES_MAX = 1000 };

struct redis_cluster {
    struct redis_shard *owners[REDIS_SLOTS]; /* NULL: no shard is known to have the slot */
    uint64_t moved_us[REDIS_SLOTS];          /* when a MOVED moved the slot; 0: never */
    uint64_t hole_us;                        /* since when a slot is in no map that has an owner here; 0: all are */
    bool is_awaited;                         /* subscriptions were refused or ended, and wait for the map */
};

static struct redis_shard *shard_of(struct redis_topology *topology, struct str key)
{
    return topology->cluster->owners[redis_slot_of(key)];
}

/* The shard of that address. NULL: there are more primaries than a cluster can have, or the topology closes. While it
 * closes, its shards still take commands, but nobody would close a new shard. */
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

/* Gives the slot to that shard, in place of its present one. */
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

static void refresh_soon(struct redis_topology *topology)
{
    if (!timer_is_running(&topology->discovery.timer))
        redis_discovery_ask_later(&topology->discovery, REFRESH_MS);
}

static bool has_settled(const struct redis_topology *topology, unsigned slot)
{
    uint64_t moved_us = topology->cluster->moved_us[slot];
    return !moved_us || turn_now_us(topology->config.turn) - moved_us >= SETTLE_US;
}

/* Notes whether the map leaves slots out that have an owner here. True if they stay with that owner for now. */
static bool hole_is_new(struct redis_topology *topology, struct redis_shard *const *owners)
{
    struct redis_cluster *cluster = topology->cluster;
    uint64_t now_us = turn_now_us(topology->config.turn);
    bool is_hole = false;
    for (unsigned slot = 0; slot < REDIS_SLOTS && !is_hole; slot++)
        is_hole = cluster->owners[slot] && !owners[slot];
    if (!is_hole)
        cluster->hole_us = 0;
    else if (!cluster->hole_us)
        cluster->hole_us = now_us;
    return is_hole && now_us - cluster->hole_us < HOLE_US;
}

/* Takes over what the map says. True if a slot has another owner now. */
static bool take_map(struct redis_topology *topology, struct redis_shard *const *owners)
{
    struct redis_cluster *cluster = topology->cluster;
    bool keep = hole_is_new(topology, owners), changed = false, doubted = keep;
    for (unsigned slot = 0; slot < REDIS_SLOTS; slot++) {
        if (cluster->owners[slot] == owners[slot] || (keep && !owners[slot]))
            continue;
        if (cluster->owners[slot] && !has_settled(topology, slot)) {
            doubted = true;
            continue;
        }
        set_owner(topology, slot, owners[slot]);
        changed = true;
    }
    if (doubted)
        refresh_soon(topology);
    return changed;
}

static bool answered(struct redis_topology *topology, const struct redis_endpoint *from, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return false;
    struct redis_shard **owners = xcalloc(REDIS_SLOTS, sizeof(struct redis_shard *));
    bool good = true, moved = false;
    for (size_t i = 0; good && i < reply->elements; i++)
        good = read_range(topology, from, reply->element[i], owners);
    if (good) {
        moved = take_map(topology, owners) || topology->cluster->is_awaited;
        topology->cluster->is_awaited = false;
        close_useless(topology);
    }
    free(owners);
    topology->events->map_read(topology, moved);
    return good;
}

/* ---- asking for it ---- */

/* First the nodes of the URL, then all known primaries: the nodes of the URL may have left the cluster. */
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

/* ---- MOVED and ASK ---- */

/* The shard that a MOVED or an ASK names. NULL: the text is neither. */
static struct redis_shard *read_redirection(struct redis_topology *topology, const struct redis_shard *from,
                                            struct str text, struct str word, unsigned *out_slot)
{
    struct redis_whereabouts where;
    if (!redis_whereabouts_of_error(text, word, &where) || (!where.host.len && !from))
        return NULL;
    *out_slot = where.first;
    return find_or_make(topology, where.host.len ? where.host : str_from_cstr(from->endpoint.host), where.port);
}

/* Gives the slot to that shard after a MOVED. False: the slot has just moved, and stays for now. */
static bool move(struct redis_topology *topology, unsigned slot, struct redis_shard *shard)
{
    struct redis_cluster *cluster = topology->cluster;
    if (cluster->owners[slot] == shard || topology->is_closing)
        return true;
    refresh_soon(topology);
    if (!has_settled(topology, slot))
        return false;
    cluster->moved_us[slot] = turn_now_us(topology->config.turn);
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
        /* The whole slot moves, not this request alone. Otherwise the position would come from another server than
         * the events. */
        if (!move(topology, slot, shard))
            return REDIS_AGAIN_LATER;
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

/* The slot of the subscription has moved. It must not be subscribed again before the map is read: a primary that has
 * become a replica would take the subscription again. */
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

/* The map tells whether another server has replaced the shard. If not, the shard comes back at its old address. */
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
