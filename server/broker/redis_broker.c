/* redis_broker.c - see redis_broker.h. Here: connecting, waiting, telling the state, ending. enum redis_phase in
 * redis_parts.h says what the one timer means in each phase. */
#include "server/broker/redis_broker.h"

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "server/broker/redis_parts.h"

enum { RETRY_BASE_MS = 100, RETRY_DOUBLINGS_MAX = 16, NAME_MAX_LEN = 64 };

static void on_timer(uv_timer_t *timer);

static void start_timer(struct redis_broker *broker, uint64_t after_ms)
{
    uv_timer_start(&broker->timer, on_timer, after_ms, 0);
}

/* ---- coming up ---- */

static void set_state(struct redis_broker *broker, enum broker_state state, const char *text)
{
    if (broker->info.state == state && strcmp(broker->info.text, text) == 0)
        return;
    broker->info.state = state;
    snprintf(broker->info.text, sizeof broker->info.text, "%s", text);
    broker->broker.sink->state(broker->broker.owner, &broker->info);
}

void redis_broker_extend(struct redis_broker *broker)
{
    if (broker->phase == PHASE_CONNECTING || broker->phase == PHASE_PROBING)
        start_timer(broker, broker->config.command_timeout_ms);
}

static void on_up(struct redis_connection *connection)
{
    struct redis_broker *broker = connection->owner;
    if (connection == &broker->commands) {
        redis_scripts_load(&broker->scripts, connection);
        redis_subscriptions_ask(broker);
        redis_broker_try_probe(broker);
    } else {
        redis_node_listen(broker);
        redis_subscriptions_restore(broker);
        redis_node_listen_to_all(broker);
        redis_broker_extend(broker);
    }
}

void redis_broker_try_probe(struct redis_broker *broker)
{
    if (broker->phase != PHASE_CONNECTING || !broker->all_confirmed || broker->commands.state != REDIS_READY)
        return;
    broker->phase = PHASE_PROBING;
    start_timer(broker, broker->config.command_timeout_ms);
    redis_node_probe(broker);
}

void redis_broker_proved(struct redis_broker *broker)
{
    broker->phase = PHASE_RESTING;
    start_timer(broker, broker->config.canary_interval_ms);
    if (redis_broker_is_up(broker))
        return;
    if (broker->info.state == BROKER_DOWN)
        metrics_add(broker->broker.metrics, METRIC_BROKER_RECONNECTS, 1);
    log_info("broker", "connected to Redis at %s:%s, %zu channels subscribed", broker->url.host, broker->url.port,
             broker->subscriptions.count);
    broker->attempts = 0;
    broker->why[0] = '\0';
    redis_revocations_load(broker);
    set_state(broker, BROKER_UP, "");
}

static void connect_both(struct redis_broker *broker)
{
    broker->phase = PHASE_CONNECTING;
    broker->all_confirmed = false;
    redis_connection_start(&broker->commands);
    redis_connection_start(&broker->subscriber);
}

static void on_timer(uv_timer_t *timer)
{
    struct redis_broker *broker = timer->data;
    switch (broker->phase) {
    case PHASE_WAITING: connect_both(broker); break;
    case PHASE_CONNECTING:
        if (!broker->all_confirmed) /* else it is the other connection's turn, which has a timer of its own */
            redis_broker_drop(broker, "no confirmation of the subscriptions in time");
        break;
    case PHASE_PROBING: redis_broker_drop(broker, "a canary sent through it did not come back in time"); break;
    case PHASE_RESTING:
        broker->phase = PHASE_PROBING;
        start_timer(broker, broker->config.command_timeout_ms);
        redis_node_probe(broker);
        break;
    case PHASE_FALLING:
    case PHASE_CLOSING: break;
    }
}

/* ---- going down ---- */

/* Said once, however often the same failure comes back. */
static void log_loss(struct redis_broker *broker, const char *why)
{
    metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
    if (strcmp(broker->why, why) == 0)
        return;
    snprintf(broker->why, sizeof broker->why, "%s", why);
    log_warn("broker", "%s; publications are refused until it is back", why);
}

static void finish_close(struct redis_broker *broker)
{
    if (!broker->timer_closed || broker->commands.state != REDIS_IDLE || broker->subscriber.state != REDIS_IDLE)
        return;
    turn_remove_hook(broker->config.turn, &broker->hook);
    redis_connection_fini(&broker->commands);
    redis_connection_fini(&broker->subscriber);
    redis_subscriptions_refuse(broker);
    mailbox_close(&broker->mailbox);
    broker->closed(broker->broker.owner);
}

/* Full jitter (Brooker, "Exponential Backoff and Jitter") over a small floor: nodes do not come back in step. */
static uint64_t pause_ms(struct redis_broker *broker)
{
    unsigned doublings = broker->attempts < RETRY_DOUBLINGS_MAX ? broker->attempts : RETRY_DOUBLINGS_MAX;
    uint64_t reach_ms = (uint64_t)RETRY_BASE_MS << doublings;
    broker->attempts++;
    if (reach_ms > broker->config.retry_max_ms)
        reach_ms = broker->config.retry_max_ms;
    uint64_t floor_ms = reach_ms < RETRY_BASE_MS ? reach_ms / 2 : RETRY_BASE_MS / 2;
    return floor_ms + random_below(reach_ms - floor_ms + 1);
}

static void on_down(struct redis_connection *connection, const char *why)
{
    struct redis_broker *broker = connection->owner;
    if (broker->phase == PHASE_CLOSING) {
        finish_close(broker);
        return;
    }
    if (broker->phase != PHASE_FALLING) { /* the first of the two */
        broker->phase = PHASE_FALLING;
        uv_timer_stop(&broker->timer);
        log_loss(broker, why);
        set_state(broker, broker->info.state == BROKER_CONNECTING ? BROKER_CONNECTING : BROKER_DOWN, why);
        redis_connection_drop(&broker->commands, "%s", "given up with the other connection");
        redis_connection_drop(&broker->subscriber, "%s", "given up with the other connection");
    }
    if (broker->commands.state != REDIS_IDLE || broker->subscriber.state != REDIS_IDLE)
        return;
    redis_subscriptions_reset(broker);
    uint64_t wait_ms = pause_ms(broker);
    uint64_t tenths = (wait_ms + 99) / 100;
    char text[sizeof broker->info.text];
    snprintf(text, sizeof text, "%.120s; next try in %llu.%llu s", broker->why, (unsigned long long)tenths / 10,
             (unsigned long long)tenths % 10);
    broker->phase = PHASE_WAITING;
    start_timer(broker, wait_ms);
    set_state(broker, broker->info.state, text);
}

void redis_broker_drop(struct redis_broker *broker, const char *why)
{
    redis_connection_drop(&broker->commands, "%.120s", why);
    redis_connection_drop(&broker->subscriber, "%.120s", why);
}

/* ---- pub/sub ---- */

static void on_pushed(struct redis_connection *connection, const redisReply *reply)
{
    struct redis_broker *broker = connection->owner;
    if (redis_is_error(reply)) {
        redis_connection_drop(connection, "refused a subscription: %.100s", reply->str);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3)
        return;
    struct str kind = redis_text(reply->element[0]);
    struct str key = redis_text(reply->element[1]);
    if (str_eq(kind, STR("message"))) {
        struct str bytes = redis_text(reply->element[2]);
        if (!redis_node_message(broker, key, bytes))
            redis_subscription_message(broker, key, bytes);
    } else if (str_eq(kind, STR("subscribe")) || str_eq(kind, STR("unsubscribe"))) {
        redis_broker_extend(broker);
        if (!redis_node_confirmed(broker, key))
            redis_subscription_confirmed(broker, key);
    }
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

static void on_timer_closed(uv_handle_t *timer)
{
    struct redis_broker *broker = timer->data;
    broker->timer_closed = true;
    finish_close(broker);
}

static void begin_close(struct broker *base, void (*closed)(void *owner))
{
    struct redis_broker *broker = redis_broker_of(base);
    redis_node_leave(broker);
    broker->phase = PHASE_CLOSING;
    broker->info.state = BROKER_DOWN; /* what is still published is refused */
    broker->closed = closed;
    redis_broker_drop(broker, "this node is stopping");
    uv_close((uv_handle_t *)&broker->timer, on_timer_closed);
}

static void destroy(struct broker *base)
{
    struct redis_broker *broker = redis_broker_of(base);
    redis_subscriptions_free(broker);
    redis_url_fini(&broker->url);
    redis_keys_fini(&broker->keys);
    buf_fini(&broker->head);
    buf_fini(&broker->tail);
    buf_fini(&broker->scratch);
    buf_fini(&broker->nodes);
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
    bool good = text.len >= 1 && text.len <= NAME_MAX_LEN;
    for (size_t i = 0; good && i < text.len; i++) {
        char c = text.ptr[i];
        good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr(others, c));
    }
    if (good)
        return ERR_NONE;
    char quoted[ERROR_QUOTE_LEN];
    return error_set(error, ERR_INVALID_REQUEST, "%s is 1 to %d letters, digits and any of %s; found %s", what,
                     NAME_MAX_LEN, others, error_quote(text, quoted));
}

static void init_names(struct redis_broker *broker)
{
    struct redis_broker_config *config = &broker->config;
    broker->prefix = str_dup(config->prefix);
    broker->node_id = str_dup(config->node_id);
    config->prefix.ptr = broker->prefix;
    config->node_id.ptr = broker->node_id;
    config->url = STR(""); /* parsed; holds a password */
    buf_appendf(&broker->node_channel, "%s:node:%s", broker->prefix, broker->node_id);
    buf_appendf(&broker->control_channel, "%s:control", broker->prefix);
    buf_appendf(&broker->nodes_key, "%s:nodes", broker->prefix);
    buf_appendf(&broker->revoked_key, "%s:revoked", broker->prefix);
    struct buf name = {0};
    buf_appendf(&name, "carillon-%s", broker->node_id);
    broker->client_name = xstrdup(buf_cstr(&name));
    buf_fini(&name);
}

struct broker *redis_broker_create(const struct redis_broker_config *config, const struct broker_sink *sink,
                                   void *owner, struct metrics *metrics, struct error *error)
{
    static const struct redis_connection_events command_events = {.up = on_up, .down = on_down};
    static const struct redis_connection_events subscriber_events = {.up = on_up, .pushed = on_pushed, .down = on_down};
    struct redis_url url;
    if (check_name(config->prefix, "the prefix of Redis keys", "._-:", error) ||
        check_name(config->node_id, "the node id", "._-", error) || redis_url_parse(config->url, &url, error))
        return NULL;
    struct redis_broker *broker = xcalloc(1, sizeof *broker);
    broker->broker = (struct broker){.ops = &ops, .sink = sink, .owner = owner, .metrics = metrics};
    broker->config = *config;
    broker->url = url;
    broker->rules = (struct redis_event_rules){.custom = config->custom_events, .max_bytes = config->event_bytes_max};
    broker->info = (struct broker_info){.state = BROKER_CONNECTING, .kind = "redis", .text = "connecting to Redis"};
    broker->canary = random_below(UINT32_MAX); /* an earlier life's canaries are not mistaken for ours */
    init_names(broker);
    list_init(&broker->changed);
    mailbox_init(&broker->mailbox, config->turn, broker);
    uv_timer_init(config->turn->wake.loop, &broker->timer);
    broker->timer.data = broker;
    broker->hook.run = run_hook;
    turn_add_hook(config->turn, &broker->hook); /* before those of the connections, which write what it sends */
    struct redis_connection_config connection = {
        .url = &broker->url,
        .name = broker->client_name,
        .connect_timeout_ms = config->connect_timeout_ms,
        .command_timeout_ms = config->command_timeout_ms,
        .keepalive_s = config->keepalive_s,
    };
    redis_connection_init(&broker->commands, &connection, &command_events, broker, config->turn);
    redis_connection_init(&broker->subscriber, &connection, &subscriber_events, broker, config->turn);
    connect_both(broker);
    return &broker->broker;
}
