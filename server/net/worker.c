/* worker.c - see worker.h. */
#include "server/net/worker.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/net/http/connection.h"
#include "server/net/http/proxied.h"
#include "server/net/stream/edge.h"
#include "server/net/ws/ws.h"

enum {
    TICK_MS = 50,          /* how precise deadlines are when nothing else happens */
    TOKENS_LOOKED_AT = 16, /* in each tick, whether they have expired: 300 a second */
};

/* --- what the hub asks of the world ------------------------------------------------------------------------------ */

static void on_join(void *owner, struct str channel, const struct history_policy *history, uint64_t join_id)
{
    struct worker *worker = owner;
    worker->node->join(worker->node_owner, worker->index, channel, history, join_id);
}

static void on_leave(void *owner, struct str channel)
{
    struct worker *worker = owner;
    worker->node->leave(worker->node_owner, worker->index, channel);
}

static void on_publish(void *owner, struct publication *publication)
{
    struct worker *worker = owner;
    worker->node->publish(worker->node_owner, publication);
}

static void on_recover(void *owner, struct recovery *recovery)
{
    struct worker *worker = owner;
    worker->node->recover(worker->node_owner, recovery);
}

static void on_history(void *owner, struct history_read *read)
{
    struct worker *worker = owner;
    worker->node->history(worker->node_owner, read);
}

static void on_ask(void *owner, struct broker_request *request)
{
    struct worker *worker = owner;
    worker->node->ask(worker->node_owner, request);
}

static void on_presence(void *owner, struct presence_change *change)
{
    struct worker *worker = owner;
    worker->node->presence(worker->node_owner, change);
}

static uint64_t on_clock(void *owner)
{
    (void)owner;
    return clock_now_us();
}

static const struct hub_ops hub_operations = {
    .join = on_join,
    .leave = on_leave,
    .publish = on_publish,
    .recover = on_recover,
    .history = on_history,
    .ask = on_ask,
    .presence = on_presence,
    .write = ws_write,
    .finish = ws_finish,
    .verify = ws_verify,
    .clock_us = on_clock,
};

static enum metrics_verification verification_label(enum reason reason, bool cached)
{
    switch (reason) {
    case REASON_NONE: return cached ? METRICS_VERIFICATION_CACHED : METRICS_VERIFICATION_OK;
    case REASON_TOKEN_EXPIRED: return METRICS_VERIFICATION_EXPIRED;
    case REASON_TOKEN_REVOKED: return METRICS_VERIFICATION_REVOKED;
    case REASON_TOKEN_NOT_YET_VALID: return METRICS_VERIFICATION_NOT_YET_VALID;
    default: return METRICS_VERIFICATION_INVALID;
    }
}

bool worker_is_revoked(const struct worker *worker, const struct claims *claims)
{
    return worker->revocations && revocations_cover(worker->revocations, claims, hub_wall_ms(worker->hub));
}

enum reason worker_verify(struct worker *worker, struct str token, struct claims **out_claims)
{
    struct error error;
    const struct net_settings *settings = worker->settings;
    uint64_t hits = token_cache_hits(worker->tokens);
    enum reason reason = token_cache_verify(worker->tokens, settings->keys, &settings->policy, token,
                                            hub_wall_ms(worker->hub), out_claims, &error);
    if (reason == REASON_NONE && worker_is_revoked(worker, *out_claims)) {
        claims_unref(*out_claims);
        *out_claims = NULL;
        reason = REASON_TOKEN_REVOKED;
        error_set(&error, ERR_UNAUTHORIZED, "%s", reason_sentence(reason));
    }
    metrics_add_labelled(worker->metrics, METRIC_TOKEN_VERIFICATIONS,
                         verification_label(reason, token_cache_hits(worker->tokens) > hits), 1);
    metrics_set(worker->metrics, METRIC_TOKEN_CACHE_ENTRIES, token_cache_count(worker->tokens));
    if (reason != REASON_NONE)
        log_debug("net", "token refused: %s", error.text);
    return reason;
}

/* --- the loop ---------------------------------------------------------------------------------------------------- */

void worker_touch(struct worker *worker)
{
    if (worker->time_is_fresh)
        return;
    worker->time_is_fresh = true;
    hub_advance(worker->hub, clock_now_us(), clock_wall_ms());
}

static void forget_expired_tokens(struct worker *worker)
{
    if (token_cache_count(worker->tokens) == 0)
        return;
    token_cache_expire(worker->tokens, &worker->settings->policy, hub_wall_ms(worker->hub), TOKENS_LOOKED_AT);
    metrics_set(worker->metrics, METRIC_TOKEN_CACHE_ENTRIES, token_cache_count(worker->tokens));
}

static void on_tick(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    uint64_t now_us = clock_now_us();
    uint64_t expected_us = worker->ticked_us + TICK_MS * 1000;
    worker_touch(worker);
    if (worker->ticked_us)
        metrics_observe(worker->metrics, METRIC_LOOP_LAG, now_us > expected_us ? now_us - expected_us : 0);
    worker->ticked_us = now_us;
    forget_expired_tokens(worker);
}

/* Also mail that is delivered in a turn without any other work finds the time right. */
static void on_polled(uv_check_t *check)
{
    worker_touch(check->data);
}

static void close_all(struct worker *worker)
{
    LIST_EACH(link, &worker->connections)
    connection_close(CONTAINER_OF(link, struct connection, link));
    proxied_close_all(worker);
    edge_stop(worker->edge);
}

static void on_turn_end(struct turn_hook *hook)
{
    struct worker *worker = CONTAINER_OF(hook, struct worker, end_of_turn);
    hub_flush(worker->hub);
    if (edge_reap(worker->edge))
        hub_flush(worker->hub);
    connection_free_spent(worker);
    worker->time_is_fresh = false;
    metrics_set(worker->metrics, METRIC_CHANNELS, hub_channel_count(worker->hub));
    if (!worker->stopping || atomic_load(&worker->stopped))
        return;
    if (edge_is_down(worker->edge) && worker->connection_count == 0) {
        atomic_store(&worker->stopped, true);
        uv_stop(worker->loop);
    }
}

static void init_handles(struct worker *worker)
{
    uv_timer_init(worker->loop, &worker->tick);
    worker->tick.data = worker;
    uv_timer_start(&worker->tick, on_tick, TICK_MS, TICK_MS);
    uv_check_init(worker->loop, &worker->after_poll);
    worker->after_poll.data = worker;
    uv_check_start(&worker->after_poll, on_polled);
    worker->open_handles = 2;
    worker->end_of_turn.run = on_turn_end;
    turn_add_hook(worker->turn, &worker->end_of_turn);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct worker *worker = handle->data;
    worker->open_handles--;
}

static void close_handles(struct worker *worker)
{
    turn_remove_hook(worker->turn, &worker->end_of_turn);
    uv_close((uv_handle_t *)&worker->tick, on_handle_closed);
    uv_close((uv_handle_t *)&worker->after_poll, on_handle_closed);
    if (worker->has_thread)
        turn_close(worker->turn);
    while (worker->open_handles > 0)
        uv_run(worker->loop, UV_RUN_ONCE);
    if (worker->has_thread) {
        uv_run(worker->loop, UV_RUN_DEFAULT);
        uv_loop_close(worker->loop);
    }
}

/* Of the listener's pending connections: a worker does not know those of others. */
static size_t pending_share(const struct worker_options *options, bool internal)
{
    size_t all = net_settings_pending(options->settings, internal);
    return all / options->count;
}

enum err worker_create(const struct worker_options *options, struct worker **out, struct error *error)
{
    struct worker *worker = xcalloc(1, sizeof *worker);
    worker->index = options->index;
    worker->has_thread = options->loop == NULL;
    worker->loop = worker->has_thread ? &worker->own_loop : options->loop;
    worker->turn = worker->has_thread ? &worker->own_turn : options->turn;
    worker->settings = net_settings_ref(options->settings);
    worker->metrics = options->metrics;
    worker->quota = options->quota;
    worker->revocations = options->revocations;
    worker->node = options->node;
    worker->node_owner = options->node_owner;
    list_init(&worker->connections);
    list_init(&worker->spent);
    list_init(&worker->proxied);
    for (int internal = 0; internal < 2; internal++)
        pending_init(&worker->pending[internal], pending_share(options, internal));
    if (worker->has_thread) {
        uv_loop_init(&worker->own_loop);
        turn_init(&worker->own_turn, &worker->own_loop);
    }
    mailbox_init(&worker->mailbox, worker->turn, NULL);
    worker->hub = hub_create(worker->index, &hub_operations, worker, options->hub_settings, options->rules,
                             worker->metrics, &worker->mailbox, clock_now_us());
    worker->mailbox.owner = worker->hub;
    worker->tokens = token_cache_create(worker->settings->token_cache_entries, worker->settings->token_cache_bytes);
    worker_touch(worker);
    enum err err = edge_create(worker, &worker->edge, error);
    init_handles(worker);
    if (err) {
        worker_destroy(worker);
        return err;
    }
    *out = worker;
    return ERR_NONE;
}

void worker_serve_with(struct worker *worker, const struct http_handler *handler, void *owner)
{
    worker->handler = handler;
    worker->handler_owner = owner;
}

static void *run(void *arg)
{
    struct worker *worker = arg;
    turn_bind(worker->turn);
    uv_sem_post(&worker->bound);
    while (!atomic_load(&worker->stopped))
        uv_run(worker->loop, UV_RUN_DEFAULT);
    return NULL;
}

void worker_start(struct worker *worker)
{
    worker->started = true;
    if (!worker->has_thread)
        return;
    uv_sem_init(&worker->bound, 0);
    if (pthread_create(&worker->thread, NULL, run, worker) != 0) {
        log_error("net", "no thread for worker %u could be started", worker->index);
        abort();
    }
    uv_sem_wait(&worker->bound); /* until then its mailbox is this thread's */
    uv_sem_destroy(&worker->bound);
}

/* --- orders from other threads ------------------------------------------------------------------------------------ */

enum order_kind { ORDER_CONFIGURE, ORDER_DRAIN, ORDER_STOP };

struct order {
    struct mail mail;
    struct worker *worker;
    enum order_kind kind;
    struct net_settings *settings;
    struct hub_settings hub_settings;
    struct rules *rules;
    uint64_t window_us;
};

static void close_idle(struct worker *worker)
{
    LIST_EACH(link, &worker->connections)
    {
        struct connection *connection = CONTAINER_OF(link, struct connection, link);
        if (connection->internal && connection->stage == STAGE_REQUEST && connection->in.len == 0)
            connection_close(connection);
    }
}

static void obey(struct mail *mail, void *owner)
{
    struct order *order = CONTAINER_OF(mail, struct order, mail);
    struct worker *worker = order->worker;
    (void)owner;
    worker_touch(worker);
    switch (order->kind) {
    case ORDER_CONFIGURE:
        net_settings_unref(worker->settings);
        worker->settings = order->settings;
        hub_configure(worker->hub, &order->hub_settings, order->rules);
        rules_unref(order->rules);
        edge_configure(worker->edge);
        ws_configure(worker);
        break;
    case ORDER_DRAIN:
        worker->unavailable = REASON_DRAINING;
        hub_drain(worker->hub, order->window_us);
        close_idle(worker);
        break;
    case ORDER_STOP:
        worker->unavailable = REASON_DRAINING;
        worker->stopping = true;
        close_all(worker);
        break;
    }
    free(order);
}

static struct order *new_order(struct worker *worker, enum order_kind kind)
{
    struct order *order = xcalloc(1, sizeof *order);
    order->mail.deliver = obey;
    order->worker = worker;
    order->kind = kind;
    return order;
}

void worker_configure(struct worker *worker, struct net_settings *settings, const struct hub_settings *hub_settings,
                      struct rules *rules)
{
    struct order *order = new_order(worker, ORDER_CONFIGURE);
    order->settings = net_settings_ref(settings);
    order->hub_settings = *hub_settings;
    order->rules = rules_ref(rules);
    mailbox_post(&worker->mailbox, &order->mail);
}

void worker_drain(struct worker *worker, uint64_t window_us)
{
    struct order *order = new_order(worker, ORDER_DRAIN);
    order->window_us = window_us;
    mailbox_post(&worker->mailbox, &order->mail);
}

size_t worker_sockets(const struct worker *worker, bool internal)
{
    return atomic_load_explicit(&worker->sockets[internal], memory_order_relaxed);
}

void worker_expect_arrival(struct worker *worker, bool internal)
{
    atomic_fetch_add_explicit(&worker->sockets[internal], 1, memory_order_relaxed);
}

void worker_note_arrival(struct worker *worker, bool internal)
{
    atomic_fetch_sub_explicit(&worker->sockets[internal], 1, memory_order_relaxed);
}

void worker_count_socket(struct worker *worker, bool internal, int change)
{
    if (change > 0)
        atomic_fetch_add_explicit(&worker->sockets[internal], 1, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(&worker->sockets[internal], 1, memory_order_relaxed);
    if (!internal)
        metrics_gauge_add(worker->metrics, METRIC_CONNECTIONS_OPEN, change);
}

void worker_stop(struct worker *worker)
{
    struct order *order = new_order(worker, ORDER_STOP);
    mailbox_post(&worker->mailbox, &order->mail);
    if (worker->has_thread && worker->started) {
        pthread_join(worker->thread, NULL);
        return;
    }
    while (!atomic_load(&worker->stopped))
        uv_run(worker->loop, UV_RUN_ONCE);
}

void worker_destroy(struct worker *worker)
{
    if (worker->has_thread) /* what is left of it is the main thread's */
        turn_bind(worker->turn);
    mailbox_close(&worker->mailbox);
    hub_destroy(worker->hub);
    close_handles(worker);
    token_cache_destroy(worker->tokens);
    if (worker->edge)
        edge_destroy(worker->edge);
    for (int internal = 0; internal < 2; internal++)
        pending_fini(&worker->pending[internal]);
    net_settings_unref(worker->settings);
    buf_fini(&worker->scratch);
    free(worker);
}
