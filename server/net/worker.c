/* worker.c - see worker.h. */
#include "server/net/worker.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/uv_handle.h"
#include "server/net/admission/admission.h"
#include "server/net/http/connection.h"
#include "server/net/http/proxied.h"

enum { TICK_MS = 50 }; /* how precise deadlines are when nothing else happens */

/* --- what the hub asks of the world ------------------------------------------------------------------------------ */

static uint64_t on_clock(void *owner)
{
    (void)owner;
    return clock_now_us();
}

/* The session may be on any transport: the worker verifies, by the session's endpoint. */
static enum reason on_verify(void *owner, struct session *session, struct str token, struct claims **out_claims,
                             struct error *error)
{
    struct worker *worker = owner;
    return admission_verify(&worker->admitter, net_endpoint_of(session->endpoint), token, out_claims, error);
}

static const struct hub_ops hub_operations = {
    .verify = on_verify,
    .clock_us = on_clock,
};

/* --- the loop ---------------------------------------------------------------------------------------------------- */

static void on_turn_begin(struct turn_hook *hook)
{
    struct worker *worker = CONTAINER_OF(hook, struct worker, begin_of_turn);
    hub_advance(worker->hub, turn_now_us(worker->turn), turn_wall_ms(worker->turn));
}

static void on_tick(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    uint64_t now_us = clock_now_us();
    uint64_t expected_us = worker->ticked_us + TICK_MS * 1000;
    turn_begin(worker->turn);
    if (worker->ticked_us)
        metrics_observe(worker->metrics, METRIC_LOOP_LAG, now_us > expected_us ? now_us - expected_us : 0);
    worker->ticked_us = now_us;
    admitter_forget_expired(&worker->admitter);
}

/* Also mail that is delivered in a turn without any other work finds the time right. */
static void on_polled(uv_check_t *check)
{
    const struct worker *worker = check->data;
    turn_begin(worker->turn);
}

static void on_turn_end(struct turn_hook *hook)
{
    struct worker *worker = CONTAINER_OF(hook, struct worker, end_of_turn);
    hub_flush(worker->hub);
    while (edge_reap(worker->edge)) /* each time, less input is left, or fewer connections */
        hub_flush(worker->hub);
    connection_free_spent(&worker->connections);
    if (!worker->stopping || atomic_load(&worker->stopped))
        return;
    if (edge_is_down(worker->edge) && worker->connections.count == 0 && hub_links(worker->hub) == 0) {
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
    worker->begin_of_turn.run = on_turn_begin;
    turn_add_begin_hook(worker->turn, &worker->begin_of_turn);
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
    turn_remove_hook(worker->turn, &worker->begin_of_turn);
    turn_remove_hook(worker->turn, &worker->end_of_turn);
    uv_close(UV_HANDLE(&worker->tick), on_handle_closed);
    uv_close(UV_HANDLE(&worker->after_poll), on_handle_closed);
    if (worker->has_thread)
        turn_close(worker->turn);
    while (worker->open_handles > 0 || worker->connections.polls > 0)
        uv_run(worker->loop, UV_RUN_ONCE);
    if (worker->has_thread) {
        uv_run(worker->loop, UV_RUN_DEFAULT);
        uv_loop_close(worker->loop);
    }
}

/* A worker's share of what may be pending: it does not know the connections of others. */
static void init_connections(struct worker *worker, const struct worker_options *options)
{
    struct connection_set *set = &worker->connections;
    const size_t max_pending[2] = {net_settings_pending(options->settings, false) / options->count,
                                   net_settings_pending(options->settings, true) / options->count};
    connection_set_init(set, max_pending, worker->metrics);
    const size_t step_count = entry_steps_create(worker->hub, &options->outside_steps, &worker->steps);
    worker->gate = (struct gate){
        .admitter = &worker->admitter,
        .hub = worker->hub,
        .node_id = options->node_id,
        .steps = worker->steps,
        .step_count = step_count,
    };
    set->admitter = &worker->admitter;
    set->turn = worker->turn;
    set->wheel = hub_wheel(worker->hub);
    set->loop = worker->loop;
    set->mailbox = &worker->mailbox;
    set->ops = &gate_operations;
    set->owner = &worker->gate;
}

static enum err create_edge(struct worker *worker, struct error *error)
{
    const struct edge_options options = {
        .index = worker->index,
        .loop = worker->loop,
        .turn = worker->turn,
        .sockets = &worker->connections.sockets,
        .tls = worker->admitter.settings->tls,
        .handshake_timeout_us = worker->admitter.settings->head_timeout_us,
    };
    enum err err = edge_create(&options, &worker->edge, error);
    worker->connections.edge = worker->edge;
    return err;
}

static void init_admitter(struct worker *worker, const struct worker_options *options)
{
    admitter_init(&worker->admitter, options->settings, options->keys);
    worker->admitter.quota = options->quota;
    worker->admitter.revocations = options->revocations;
    worker->admitter.metrics = options->metrics;
    worker->admitter.turn = worker->turn;
}

enum err worker_create(const struct worker_options *options, struct worker **out, struct error *error)
{
    struct worker *worker = xcalloc(1, sizeof *worker);
    worker->index = options->index;
    worker->has_thread = options->loop == NULL;
    worker->loop = worker->has_thread ? &worker->own_loop : options->loop;
    worker->turn = worker->has_thread ? &worker->own_turn : options->turn;
    worker->metrics = options->metrics;
    if (worker->has_thread) {
        uv_loop_init(&worker->own_loop);
        turn_init(&worker->own_turn, &worker->own_loop);
    }
    turn_begin(worker->turn);
    mailbox_init(&worker->mailbox, worker->turn, NULL);
    const struct hub_options hub_options = {
        .worker = worker->index,
        .node = options->node,
        .node_owner = options->node_owner,
        .node_id = options->node_id,
        .ops = &hub_operations,
        .owner = worker,
        .settings = options->hub_settings,
        .rules = options->rules,
        .metrics = worker->metrics,
        .replies = &worker->mailbox,
        .now_us = turn_now_us(worker->turn),
    };
    worker->hub = hub_create(&hub_options);
    worker->mailbox.owner = worker->hub;
    hub_advance(worker->hub, turn_now_us(worker->turn), turn_wall_ms(worker->turn));
    init_admitter(worker, options);
    init_connections(worker, options);
    enum err err = create_edge(worker, error);
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
    worker->connections.handler = handler;
    worker->connections.handler_owner = owner;
}

void worker_serve_public_with(struct worker *worker, const struct http_handler *handler, void *owner)
{
    worker->connections.public_handler = handler;
    worker->connections.public_owner = owner;
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

enum order_kind { ORDER_CONFIGURE, ORDER_SET_KEYS, ORDER_DRAIN, ORDER_STOP };

struct order {
    struct mail mail;
    struct worker *worker;
    enum order_kind kind;
    struct net_settings *settings;
    struct hub_settings hub_settings;
    struct rules *rules;
    struct token_keys *keys;
    uint64_t window_us;
};

static void follow_endpoints(struct hub *hub, const struct net_settings *settings)
{
    size_t cursor = 0;
    for (struct session *session; (session = session_index_next(hub_sessions(hub), &cursor));) {
        struct net_endpoint *now = net_settings_successor(settings, net_endpoint_of(session->endpoint));
        if (now)
            hub_use_endpoint(hub, session, &now->base);
    }
}

static void obey(struct mail *mail, void *owner)
{
    struct order *order = CONTAINER_OF(mail, struct order, mail);
    struct worker *worker = order->worker;
    (void)owner;
    turn_begin(worker->turn);
    switch (order->kind) {
    case ORDER_CONFIGURE:
        admitter_configure(&worker->admitter, order->settings);
        hub_configure(worker->hub, &order->hub_settings, order->rules);
        edge_use_identity(worker->edge, order->settings->tls);
        follow_endpoints(worker->hub, order->settings);
        rules_unref(order->rules);
        net_settings_unref(order->settings);
        break;
    case ORDER_SET_KEYS:
        admitter_set_keys(&worker->admitter, order->keys);
        token_keys_unref(order->keys);
        break;
    case ORDER_DRAIN:
        worker->admitter.unavailable = REASON_DRAINING;
        hub_drain(worker->hub, order->window_us);
        connection_drain_all(&worker->connections);
        break;
    case ORDER_STOP:
        worker->admitter.unavailable = REASON_DRAINING;
        worker->stopping = true;
        connection_close_all(&worker->connections);
        proxied_close_all(&worker->connections);
        edge_stop(worker->edge);
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

void worker_set_keys(struct worker *worker, struct token_keys *keys)
{
    struct order *order = new_order(worker, ORDER_SET_KEYS);
    order->keys = token_keys_ref(keys);
    mailbox_post(&worker->mailbox, &order->mail);
}

void worker_drain(struct worker *worker, uint64_t window_us)
{
    struct order *order = new_order(worker, ORDER_DRAIN);
    order->window_us = window_us;
    mailbox_post(&worker->mailbox, &order->mail);
}

size_t worker_calls(struct worker *worker)
{
    return atomic_load(&worker->connections.calls);
}

bool worker_is_draining(struct worker *worker)
{
    return atomic_load(&worker->connections.draining);
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
    if (worker->edge)
        edge_destroy(worker->edge);
    connection_set_fini(&worker->connections);
    admitter_fini(&worker->admitter);
    free(worker->steps);
    free(worker);
}
