/* redis_broker.c - see redis_broker.h. Here: what the node is told of the shards' state, beginning and ending. */
#include "server/broker/redis/redis_broker.h"

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "server/broker/redis/redis_parts.h"

/* ---- state ---- */

/* With several shards the node is up as long as one is, once all have been. */
static void sum_up(const struct redis_broker *broker, struct broker_info *out)
{
    size_t all = 0, up = 0;
    const struct redis_shard *down = NULL;
    LIST_EACH(link, &broker->shards)
    {
        const struct redis_shard *shard = CONTAINER_OF(link, struct redis_shard, link);
        if (shard->phase == PHASE_CLOSING || !shard->slots)
            continue;
        all++;
        if (shard->state == BROKER_UP)
            up++;
        else
            down = shard;
    }
    if (all == 0)
        return; /* nothing new */
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

void redis_broker_tell(struct redis_broker *broker)
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

/* ---- life ---- */

static void run_hook(struct turn_hook *hook)
{
    redis_subscriptions_flush(CONTAINER_OF(hook, struct redis_broker, hook));
}

static void info(struct broker *base, struct broker_info *out)
{
    *out = redis_broker_of(base)->info;
}

void redis_broker_not_found(struct redis_broker *broker, const char *why)
{
    if (broker->closing || !list_is_empty(&broker->shards))
        return; /* the shards tell what they know */
    char text[sizeof broker->info.text];
    snprintf(text, sizeof text, "%s", why);
    if (strcmp(text, broker->info.text) == 0)
        return;
    memcpy(broker->info.text, text, sizeof text);
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    log_warn("broker", "%s", why);
    broker->broker.sink->state(broker->broker.owner, &broker->info);
}

/* The requests' timer closes only after begin_close, so this follows that. */
static void on_all_closed(struct closing *parts)
{
    struct redis_broker *broker = CONTAINER_OF(parts, struct redis_broker, parts);
    turn_remove_hook(broker->config.turn, &broker->hook);
    redis_subscriptions_refuse(broker);
    mailbox_close(&broker->mailbox);
    broker->closed(broker->broker.owner);
}

static void begin_close(struct broker *base, void (*closed)(void *owner))
{
    struct redis_broker *broker = redis_broker_of(base);
    redis_node_leave(broker);
    broker->closing = true;
    broker->info.state = BROKER_DOWN; /* what is still published is refused */
    broker->closed = closed;
    redis_errands_close(&broker->errands);
    broker->topology->end(broker);
    if (broker->ingest)
        redis_ingest_close(broker->ingest);
    broker->ingest = NULL;
    LIST_EACH(link, &broker->shards)
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
    redis_subscriptions_free(broker);
    redis_url_fini(&broker->url);
    redis_tls_destroy(broker->tls);
    free(broker->cluster);
    redis_keys_fini(&broker->keys);
    buf_fini(&broker->head);
    buf_fini(&broker->tail);
    buf_fini(&broker->scratch);
    buf_fini(&broker->nodes);
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
    .publish = redis_publish,
    .subscribe = redis_subscribe,
    .unsubscribe = redis_unsubscribe,
    .locate = redis_locate,
    .history = redis_history,
    .ask = redis_ask,
    .control = redis_node_control,
    .nodes = redis_node_list,
    .info = info,
    .close = begin_close,
    .destroy = destroy,
};

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

static const struct redis_topology *const topologies[] = {
    [REDIS_SINGLE] = &redis_single,
    [REDIS_SENTINEL] = &redis_sentinel,
    [REDIS_CLUSTER] = &redis_cluster,
};

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
    broker->broker = (struct broker){.ops = &ops, .sink = sink, .owner = owner, .metrics = metrics};
    broker->config = *config;
    broker->config.tls = (struct redis_tls_settings){0};
    broker->url = url;
    broker->tls = tls;
    broker->event_limits = (struct event_limits){.data_bytes = config->event_bytes, .custom = config->custom_events};
    broker->info = (struct broker_info){.state = BROKER_CONNECTING, .kind = "redis", .text = "connecting to Redis"};
    broker->canary = random_below(UINT32_MAX); /* an earlier life's canaries are not mistaken for ours */
    init_names(broker);
    broker->topology = topologies[url.kind];
    list_init(&broker->shards);
    redis_subscriptions_init(broker);
    mailbox_init(&broker->mailbox, config->turn, broker);
    broker->parts.done = on_all_closed;
    broker->hook.run = run_hook;
    turn_add_hook(config->turn, &broker->hook); /* before those of the connections, which write what it sends */
    redis_errands_init(&broker->errands, broker);
    broker->topology->begin(broker);
    if (config->ingest)
        broker->ingest = redis_ingest_create(broker, config->ingest, config->ingest_takeover_ms);
    return &broker->broker;
}
