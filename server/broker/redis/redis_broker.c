/* redis_broker.c - see redis_broker.h. This file makes the parts of the broker and ends them. It passes on to them what
 * shards and the topology tell, and tells the node the state of the broker. */
#include "server/broker/redis/redis_broker.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "server/broker/redis/redis_parts.h"

/* ---- state ---- */

/* With several shards the broker comes up when all of them are up. Then it is up as long as one of them is. */
static void sum_up(const struct redis_broker *broker, struct broker_info *out)
{
    size_t all = 0, up = 0;
    const struct redis_shard *down = NULL;
    LIST_EACH(link, &broker->topology.shards)
    {
        const struct redis_shard *shard = CONTAINER_OF(link, struct redis_shard, link);
        if (redis_shard_is_closing(shard) || !shard->slots)
            continue;
        all++;
        if (shard->is_up)
            up++;
        else
            down = shard;
    }
    if (all == 0)
        return; /* no shard tells anything */
    if (!down)
        out->state = BROKER_UP;
    else if (out->state != BROKER_CONNECTING)
        out->state = up ? BROKER_UP : BROKER_DOWN;
    if (!down)
        out->text[0] = '\0';
    else if (all == 1)
        snprintf(out->text, sizeof out->text, "%s", down->text);
    else
        snprintf(out->text, sizeof out->text, "%zu of %zu primaries not reached: %.250s", all - up, all, down->text);
}

static void tell(struct redis_broker *broker)
{
    struct broker_info info = broker->info;
    if (broker->closing)
        return;
    sum_up(broker, &info);
    if (info.state == broker->info.state && strcmp(info.text, broker->info.text) == 0)
        return;
    broker->info = info;
    broker->broker.sink->state(broker->broker.owner, &broker->info);
}

/* ---- what the shards tell ---- */

static void on_ready(struct redis_shard *shard)
{
    redis_position_ask_all(shard);
}

/* The order counts. Positions come by the channel of the first call. The channel of the last call is confirmed last. */
static void on_subscriber_up(struct redis_shard *shard)
{
    redis_node_listen(shard);
    redis_subscribe_restore(shard);
    redis_node_listen_to_all(shard);
}

static void on_canary_back(struct redis_shard *shard)
{
    struct redis_broker *broker = redis_broker_of_shard(shard);
    broker->info.round_trip_us = shard->round_trip_us;
    redis_position_ask_untold(shard);
    if (shard->is_up)
        return;
    log_info("broker", "connected to Redis at %s:%s, %zu channels subscribed", shard->endpoint.host,
             shard->endpoint.port, redis_subscriptions_count(&broker->subscriptions, shard));
    if (redis_topology_shard_of(&broker->topology, buf_str(&broker->revoked_key)) == shard)
        redis_revocations_load(broker);
}

static void on_message(struct redis_shard *shard, struct str channel, struct str bytes)
{
    if (!redis_node_message(shard, channel, bytes))
        redis_subscribe_message(shard, channel, bytes);
}

static void on_confirmed(struct redis_shard *shard, struct str channel)
{
    if (!redis_node_confirmed(shard, channel))
        redis_subscribe_confirmed(shard, channel);
}

static void on_state(struct redis_shard *shard)
{
    tell(redis_broker_of_shard(shard));
}

static const struct redis_shard_events shard_events = {
    .ready = on_ready,
    .subscriber_up = on_subscriber_up,
    .before_canary = redis_node_register,
    .canary_back = on_canary_back,
    .message = on_message,
    .confirmed = on_confirmed,
    .ended = redis_subscribe_ended,
    .down = redis_subscribe_reset,
    .state = on_state,
};

/* ---- what a cluster tells ---- */

static struct redis_broker *broker_of(struct redis_topology *topology)
{
    return CONTAINER_OF(topology, struct redis_broker, topology);
}

static void on_slot_moved(struct redis_topology *topology, unsigned slot)
{
    redis_revocations_moved(broker_of(topology));
    redis_subscribe_move_slot(broker_of(topology), slot);
}

static void on_map_read(struct redis_topology *topology, bool moved)
{
    if (moved) {
        redis_revocations_moved(broker_of(topology));
        redis_subscribe_move_all(broker_of(topology));
    }
    tell(broker_of(topology));
}

static void on_map_lost(struct redis_topology *topology, const char *why)
{
    struct redis_broker *broker = broker_of(topology);
    if (broker->closing || !list_is_empty(&topology->shards))
        return; /* the shards tell their states */
    char text[sizeof broker->info.text];
    snprintf(text, sizeof text, "%s", why);
    if (strcmp(text, broker->info.text) == 0)
        return;
    memcpy(broker->info.text, text, sizeof text);
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    log_warn("broker", "%s", why);
    broker->broker.sink->state(broker->broker.owner, &broker->info);
}

static const struct redis_topology_events topology_events = {
    .slot_moved = on_slot_moved,
    .slot_refused = redis_subscribe_forget_slot,
    .map_read = on_map_read,
    .map_lost = on_map_lost,
};

/* ---- requests ---- */

static void ask(struct broker *base, struct request *request)
{
    struct redis_broker *broker = redis_broker_of(base);
    switch (request->kind) {
    case REQUEST_PUBLISH: redis_publish(broker, publication_of(request)); break;
    case REQUEST_HISTORY: redis_history(broker, history_read_of(request)); break;
    case REQUEST_REVOKE: redis_revoke(broker, CONTAINER_OF(request, struct revoke_request, base)); break;
    case REQUEST_SESSION_SLOT:
        redis_session_slot(broker, CONTAINER_OF(request, struct session_slot_request, base));
        break;
    case REQUEST_PRESENCE_UPDATE:
        redis_presence_update(broker, CONTAINER_OF(request, struct presence_update, base));
        break;
    case REQUEST_PRESENCE_READ: redis_presence_read(broker, presence_read_of(request)); break;
    case REQUEST_STREAM_APPEND: redis_append(broker, CONTAINER_OF(request, struct stream_append, base)); break;
    case REQUEST_TICKET: redis_ticket(broker, ticket_request_of(request)); break;
    case REQUEST_LIFECYCLE_WRITE: redis_lifecycle_write(broker, lifecycle_write_of(request)); break;
    case REQUEST_LIFECYCLE_LOST: redis_lifecycle_lost(broker, lifecycle_lost_of(request)); break;
    case REQUEST_LIFECYCLE_READ: redis_lifecycle_read(broker, lifecycle_read_of(request)); break;
    case REQUEST_RECOVERY:
    case REQUEST_SURVEY: assert(false && "a broker answers neither"); break;
    }
}

/* ---- life ---- */

static void run_hook(struct turn_hook *hook)
{
    redis_subscribe_flush(CONTAINER_OF(hook, struct redis_broker, hook));
}

static void info(struct broker *base, struct broker_info *out)
{
    *out = redis_broker_of(base)->info;
}

/* Called after begin_close, because the requests are closed there. */
static void on_all_closed(struct closing *parts)
{
    struct redis_broker *broker = CONTAINER_OF(parts, struct redis_broker, parts);
    turn_remove_hook(broker->config.turn, &broker->hook);
    redis_subscribe_refuse_all(broker);
    mailbox_close(&broker->mailbox);
    broker->closed(broker->broker.owner);
}

static void begin_close(struct broker *base, void (*closed)(void *owner))
{
    struct redis_broker *broker = redis_broker_of(base);
    redis_node_leave(broker);
    broker->closing = true;
    broker->info.state = BROKER_DOWN; /* publications are refused from now on */
    broker->closed = closed;
    broker->topology.is_closing = true;
    redis_requests_close(&broker->requests);
    broker->topology.kind->end(&broker->topology);
    if (broker->ingest)
        redis_ingest_close(broker->ingest);
    broker->ingest = NULL;
    LIST_EACH(link, &broker->topology.shards)
    redis_shard_close(CONTAINER_OF(link, struct redis_shard, link));
}

void redis_broker_configure(struct broker *base, const struct ingest_settings *settings)
{
    struct redis_broker *broker = redis_broker_of(base);
    broker->event_limits =
        (struct event_limits){.data_bytes = settings->event_bytes, .custom = settings->custom_events};
    if (broker->ingest)
        redis_ingest_configure(broker->ingest, settings);
}

static void destroy(struct broker *base)
{
    struct redis_broker *broker = redis_broker_of(base);
    redis_subscriptions_fini(&broker->subscriptions);
    redis_url_fini(&broker->url);
    redis_tls_destroy(broker->tls);
    free(broker->topology.cluster);
    redis_keys_fini(&broker->keys);
    buf_fini(&broker->head);
    buf_fini(&broker->tail);
    buf_fini(&broker->scratch);
    redis_node_fini(broker);
    lifecycle_kept_forget(&broker->kept);
    buf_fini(&broker->pubsub_prefix);
    buf_fini(&broker->node_channel);
    buf_fini(&broker->control_channel);
    buf_fini(&broker->nodes_key);
    buf_fini(&broker->revoked_key);
    free(broker->prefix);
    free(broker->node_id);
    free(broker->client_name);
    free(broker);
}

static const struct broker_ops ops = {
    .subscribe = redis_subscribe,
    .unsubscribe = redis_unsubscribe,
    .ask = ask,
    .info = info,
    .close = begin_close,
    .destroy = destroy,
};

static const struct node_control_ops node_control = {.send = redis_node_send, .list = redis_node_list};

static enum err check_name(struct str text, const char *what, const char *others, struct error *error)
{
    if (redis_name_is_good(text, others))
        return ERR_NONE;
    char quoted[ERROR_QUOTE_LEN];
    return error_set(error, ERR_INVALID_REQUEST, "%s is 1 to %d letters, digits and any of %s; found %s", what,
                     REDIS_NAME_MAX, others, error_quote(text, quoted));
}

static void init_names(struct redis_broker *broker)
{
    struct redis_broker_config *config = &broker->config;
    broker->prefix = str_dup(config->prefix);
    broker->node_id = str_dup(config->node_id);
    config->prefix.ptr = broker->prefix;
    config->node_id.ptr = broker->node_id;
    config->url = STR(""); /* parsed; holds a password */
    redis_pubsub_prefix_append(&broker->pubsub_prefix, config->prefix, broker->url.login.database);
    const char *pubsub = buf_cstr(&broker->pubsub_prefix);
    buf_appendf(&broker->node_channel, "%s:node:%s", pubsub, broker->node_id);
    buf_appendf(&broker->control_channel, "%s:control", pubsub);
    buf_appendf(&broker->nodes_key, "%s:nodes", broker->prefix);
    buf_appendf(&broker->revoked_key, "%s:revoked", broker->prefix);
    struct buf name = {0};
    buf_appendf(&name, "carillon-%s", broker->node_id);
    broker->client_name = xstrdup(buf_cstr(&name));
    buf_fini(&name);
}

static void init_topology(struct redis_broker *broker)
{
    static const struct redis_topology_kind *const kinds[] = {
        [REDIS_SINGLE] = &redis_single,
        [REDIS_SENTINEL] = &redis_sentinel,
        [REDIS_CLUSTER] = &redis_cluster,
    };
    const struct redis_broker_config *config = &broker->config;
    struct redis_topology *topology = &broker->topology;
    topology->config = (struct redis_topology_config){
        .turn = config->turn,
        .url = &broker->url,
        .tls = broker->tls,
        .client_name = broker->client_name,
        .node_channel = buf_str(&broker->node_channel),
        .metrics = broker->broker.metrics,
        .closing = &broker->parts,
        .connect_timeout_ms = config->connect_timeout_ms,
        .command_timeout_ms = config->command_timeout_ms,
        .retry_max_ms = config->retry_max_ms,
        .canary_interval_ms = config->canary_interval_ms,
        .keepalive_s = config->keepalive_s,
    };
    topology->kind = kinds[broker->url.kind];
    topology->events = &topology_events;
    topology->shard_events = &shard_events;
    topology->canary = random_below(UINT32_MAX);
    list_init(&topology->shards);
}

static void start_ingest(struct redis_broker *broker, const struct ingest_settings *settings)
{
    const struct redis_ingest_config config = {
        .broker = &broker->broker,
        .topology = &broker->topology,
        .prefix = broker->config.prefix,
        .node_id = broker->config.node_id,
        .takeover_ms = broker->config.ingest_takeover_ms,
    };
    broker->ingest = redis_ingest_create(&config, settings);
}

struct broker *redis_broker_create(const struct redis_broker_config *config, const struct broker_sink *sink,
                                   void *owner, struct metrics *metrics, struct error *error)
{
    struct redis_url url;
    if (check_name(config->prefix, "the prefix of Redis keys", "._-:", error) ||
        check_name(config->node_id, "the node id", REDIS_NODE_ID_OTHERS, error) ||
        redis_url_parse(config->url, &url, error))
        return NULL;
    struct redis_tls *tls = NULL;
    if (url.tls && redis_tls_create(&config->tls, &tls, error)) {
        redis_url_fini(&url);
        return NULL;
    }
    struct redis_broker *broker = xcalloc(1, sizeof *broker);
    broker->broker =
        (struct broker){.ops = &ops, .nodes = &node_control, .sink = sink, .owner = owner, .metrics = metrics};
    broker->config = *config;
    broker->config.tls = (struct redis_tls_settings){0};
    broker->url = url;
    broker->tls = tls;
    broker->event_limits = (struct event_limits){.data_bytes = config->event_bytes, .custom = config->custom_events};
    broker->info = (struct broker_info){.state = BROKER_CONNECTING, .kind = "redis", .text = "connecting to Redis"};
    init_names(broker);
    redis_node_init(broker);
    lifecycle_kept_init(&broker->kept);
    init_topology(broker);
    redis_subscriptions_init(&broker->subscriptions, broker->topology.kind->sharded, metrics);
    mailbox_init(&broker->mailbox, config->turn, broker);
    broker->parts.done = on_all_closed;
    broker->hook.run = run_hook;
    turn_add_hook(config->turn, &broker->hook); /* before the hooks of connections, which write the commands */
    redis_requests_init(&broker->requests, &broker->topology);
    broker->topology.kind->begin(&broker->topology);
    if (config->ingest)
        start_ingest(broker, config->ingest);
    return &broker->broker;
}
