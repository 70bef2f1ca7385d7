/* server.c - see server.h. Here: what a node is made of, in which order it starts and ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/app/notify.h"
#include "server/app/server_private.h"
#include "server/app/signals.h"
#include "server/app/version.h"
#include "server/broker/memory/memory_broker.h"
#include "server/broker/redis/redis_broker.h"

enum { ROUTER_TICK_MS = 100 };

/* A supervisor that signals both the process and its group sends two, which mean one thing. */
enum { SAME_SIGNAL_US = 200000 };

struct ingest_settings node_ingest_settings(const struct node *node)
{
    return (struct ingest_settings){
        .rules = node->configuration.rules,
        .event_bytes = node->options->limits_event_bytes,
        .custom_events = node->options->events_custom,
    };
}

static enum err create_broker(struct node *node, struct error *error)
{
    const struct options *o = node->options;
    if (*o->redis_url) {
        const struct ingest_settings ingest = node_ingest_settings(node);
        const struct redis_broker_config config = {
            .turn = &node->turn,
            .url = str_from_cstr(o->redis_url),
            .prefix = str_from_cstr(o->redis_prefix),
            .node_id = str_from_cstr(node->id),
            .tls = configuration_redis_tls(o),
            .connect_timeout_ms = o->redis_connect_timeout_ms,
            .command_timeout_ms = o->redis_command_timeout_ms,
            .retry_max_ms = o->redis_retry_max_ms,
            .canary_interval_ms = o->redis_canary_interval_ms,
            .idempotency_window_ms = o->idempotency_window_ms,
            .empty_ttl_ms = o->history_empty_ttl_ms,
            .keepalive_s = (unsigned)(o->redis_keepalive_ms / 1000),
            .pending_max = o->redis_pending_max,
            .pending_bytes_max = o->redis_pending_bytes,
            .custom_events = o->events_custom,
            .event_bytes = o->limits_event_bytes,
            .ingest = o->redis_ingest ? &ingest : NULL,
            .ingest_takeover_ms = o->redis_ingest_takeover_ms,
        };
        node->broker = redis_broker_create(&config, &router_sink, &node->router, &node->metrics, error);
    } else {
        const struct memory_broker_config config = {
            .turn = &node->turn,
            .node_id = str_from_cstr(node->id),
            .now_us = clock_now_us,
            .wall_ms = clock_wall_ms,
            .idempotency_window_ms = o->idempotency_window_ms,
            .empty_ttl_ms = o->history_empty_ttl_ms,
            .positions_max = o->history_max_channels,
            .ids_bytes_max = o->idempotency_max_bytes,
            .history_bytes_max = o->history_max_bytes,
            .user_share = (unsigned)o->limits_user_share,
        };
        node->broker = memory_broker_create(&config, &router_sink, &node->router, &node->metrics);
    }
    node->router.broker = node->broker;
    return node->broker ? ERR_NONE : error->code;
}

/* --- workers ----------------------------------------------------------------------------------------------------- */

static const struct node_ops node_ops = {
    .join = router_join,
    .leave = router_leave,
    .publish = router_publish,
    .recover = router_recover,
    .history = router_history,
    .ask = router_ask,
    .presence = presence_post,
};

static unsigned worker_count(const struct options *options)
{
    if (options->workers)
        return (unsigned)options->workers;
    unsigned cpus = uv_available_parallelism();
    return cpus < ROUTER_WORKERS_MAX ? cpus : ROUTER_WORKERS_MAX;
}

static enum err create_workers(struct node *node, struct error *error)
{
    unsigned count = worker_count(node->options);
    enum err err = ERR_NONE;
    node->worker_metrics = xcalloc(count, sizeof *node->worker_metrics);
    /* libwebsockets looks for its loop plugin in the present folder first; nobody's folder is to be searched. */
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (chdir("/") != 0)
        log_warn("app", "cannot change to /: %s", strerror(errno));
    for (unsigned i = 0; i < count && err == ERR_NONE; i++) {
        metrics_init(&node->worker_metrics[i], (int)i);
        const struct worker_options options = {
            .index = i,
            .count = count,
            .loop = count == 1 ? &node->loop : NULL,
            .turn = count == 1 ? &node->turn : NULL,
            .settings = node->configuration.net,
            .keys = node->configuration.keys,
            .hub_settings = &node->configuration.hub,
            .rules = node->configuration.rules,
            .metrics = &node->worker_metrics[i],
            .quota = node->quota,
            .revocations = node->revocations,
            .node = &node_ops,
            .node_owner = &node->router,
        };
        err = worker_create(&options, &node->workers[i], error);
        if (err == ERR_NONE) {
            node->worker_count++;
            node->connections[i] = &node->workers[i]->connections;
            router_add_worker(&node->router, &node->workers[i]->mailbox);
        }
    }
    if (here >= 0) {
        if (fchdir(here) != 0)
            log_warn("app", "cannot change back to the folder it was started in: %s", strerror(errno));
        close(here);
    }
    return err;
}

/* --- listening --------------------------------------------------------------------------------------------------- */

/* The socket that systemd has passed under this name, else one of our own. */
static enum err listen_as(struct node *node, bool internal, const char *host, uint64_t port, struct listener **out,
                          struct error *error)
{
    const struct listener_options options = {
        .loop = &node->loop,
        .internal = internal,
        .workers = node->connections,
        .worker_count = node->worker_count,
        .metrics = &node->metrics,
    };
    *out = listener_create(&options, node->configuration.net);
    if (listener_inherit(*out, internal ? "internal" : "public") > 0)
        return ERR_NONE;
    return listener_bind(*out, host, (uint16_t)port, error);
}

static enum err create_listeners(struct node *node, struct error *error)
{
    const struct options *o = node->options;
    enum err err = listen_as(node, false, o->host, o->port, &node->clients, error);
    return err ? err : listen_as(node, true, o->internal_host, o->internal_port, &node->internal, error);
}

/* --- draining and the end ------------------------------------------------------------------------------------------
 */

static uint64_t open_sessions(const struct node *node)
{
    const struct metrics *all[ROUTER_WORKERS_MAX];
    for (unsigned i = 0; i < node->worker_count; i++)
        all[i] = &node->worker_metrics[i];
    return metrics_value(all, node->worker_count, METRIC_SESSIONS, 0);
}

static void check_drained(uv_timer_t *timer)
{
    struct node *node = timer->data;
    uint64_t left = open_sessions(node);
    bool late = clock_now_us() >= node->drain_deadline_us;
    if (left > 0 && !late)
        return;
    if (left > 0)
        log_warn("app", "%llu sessions have not gone in time; they are cut", (unsigned long long)left);
    uv_stop(&node->loop);
}

static void start_draining(struct node *node, const char *why)
{
    uint64_t window_ms = node->options->drain_window_ms;
    log_info("app", "%s: draining %llu sessions over %llu ms; once more ends at once", why,
             (unsigned long long)open_sessions(node), (unsigned long long)window_ms);
    notify_systemd("STOPPING=1");
    atomic_store(&node->draining, true);
    listener_stop(node->clients);
    for (unsigned i = 0; i < node->worker_count; i++)
        worker_drain(node->workers[i], window_ms * 1000);
    node->drain_started_us = clock_now_us();
    node->drain_deadline_us = node->drain_started_us + (window_ms + node->options->close_timeout_ms + 1000) * 1000;
    uv_timer_start(&node->drain_timer, check_drained, 10, 10);
}

static void on_reload(uv_timer_t *timer)
{
    struct node *node = timer->data;
    if (!node->ending)
        node_reload(node);
}

/* libuv calls this for each signal in its pipe before anything else gets its turn. A reload can take long, so it waits
 * for the next turn: signals that come faster than reloads are done make one, and do not keep others waiting. */
static void on_signal(uv_signal_t *signal, int number)
{
    struct node *node = signal->data;
    if (node->ending)
        return;
    if (number == SIGHUP) {
        uv_timer_start(&node->reload_timer, on_reload, 0, 0);
    } else if (!atomic_load(&node->draining)) {
        start_draining(node, number == SIGTERM ? "SIGTERM" : "SIGINT");
    } else if (clock_now_us() - node->drain_started_us >= SAME_SIGNAL_US) {
        log_info("app", "second signal: ending at once");
        uv_stop(&node->loop);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct node *node = timer->data;
    uint64_t now_us = clock_now_us();
    log_catch_up();
    router_tick(&node->router, now_us);
    revoker_tick(node->revoker, now_us);
    if (node->peers)
        peers_tick(node->peers, atomic_load(&node->router.broker_state) == BROKER_UP, now_us);
}

static const int signal_numbers[NODE_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

static void watch_signals(struct node *node)
{
    for (int i = 0; i < NODE_SIGNALS; i++) {
        uv_signal_init(&node->loop, &node->signals[i]);
        node->signals[i].data = node;
        uv_signal_start(&node->signals[i], on_signal, signal_numbers[i]);
    }
    signals_release();
    uv_timer_init(&node->loop, &node->drain_timer);
    node->drain_timer.data = node;
    uv_timer_init(&node->loop, &node->reload_timer);
    node->reload_timer.data = node;
    uv_timer_init(&node->loop, &node->tick_timer);
    node->tick_timer.data = node;
    uv_timer_start(&node->tick_timer, on_tick, ROUTER_TICK_MS, ROUTER_TICK_MS);
}

/* Blocked first: without a watcher a late signal would kill a process that is about to end well. */
static void close_signals(struct node *node)
{
    sigset_t late;
    sigemptyset(&late);
    for (int i = 0; i < NODE_SIGNALS; i++)
        sigaddset(&late, signal_numbers[i]);
    pthread_sigmask(SIG_BLOCK, &late, NULL);
    for (int i = 0; i < NODE_SIGNALS; i++)
        uv_close((uv_handle_t *)&node->signals[i], NULL);
}

static void on_broker_closed(void *owner)
{
    struct router *router = owner;
    CONTAINER_OF(router, struct node, router)->broker_closed = true;
}

/* Undoes whatever has been done, in the reverse order. */
static void stop(struct node *node)
{
    node->ending = true;
    uv_timer_stop(&node->tick_timer);
    uv_timer_stop(&node->drain_timer);
    uv_timer_stop(&node->reload_timer);
    if (node->clients)
        listener_destroy(node->clients);
    if (node->internal)
        listener_destroy(node->internal);
    for (unsigned i = 0; i < node->worker_count; i++)
        worker_stop(node->workers[i]);
    mailbox_deliver(&node->router.mailbox); /* the places of limited sessions that have just ended */
    if (node->surveys)
        surveys_close(node->surveys);
    presence_close(node->presence);
    if (node->broker) {
        node->broker->ops->close(node->broker, on_broker_closed);
        while (!node->broker_closed)
            uv_run(&node->loop, UV_RUN_ONCE);
    }
    router_close(&node->router);
    presence_destroy(node->presence);
    for (unsigned i = 0; i < node->worker_count; i++)
        worker_destroy(node->workers[i]);
    if (node->surveys)
        surveys_destroy(node->surveys);
    if (node->peers)
        peers_destroy(node->peers);
    for (unsigned i = 0; i < node->worker_count; i++)
        if (node->apis[i])
            api_destroy(node->apis[i]);
    close_signals(node);
    uv_close((uv_handle_t *)&node->drain_timer, NULL);
    uv_close((uv_handle_t *)&node->tick_timer, NULL);
    uv_close((uv_handle_t *)&node->reload_timer, NULL);
    turn_close(&node->turn);
    uv_run(&node->loop, UV_RUN_DEFAULT);
    if (node->broker)
        node->broker->ops->destroy(node->broker);
    router_fini(&node->router);
    if (uv_loop_close(&node->loop) != 0)
        log_warn("app", "something was left on the main loop");
    quota_destroy(node->quota);
    revoker_destroy(node->revoker);
    revocations_destroy(node->revocations);
    configuration_fini(&node->configuration);
    free(node->worker_metrics);
}

static enum err start(struct node *node, struct error *error)
{
    enum err err = create_broker(node, error);
    if (err == ERR_NONE)
        err = create_workers(node, error);
    if (err != ERR_NONE)
        return err;
    node->peers = peers_create(node->broker, &node->metrics, str_from_cstr(node->id));
    node_tell_settings(node);
    node_create_apis(node);
    err = create_listeners(node, error);
    if (err != ERR_NONE)
        return err;
    for (unsigned i = 0; i < node->worker_count; i++)
        worker_start(node->workers[i]);
    listener_start(node->clients);
    listener_start(node->internal);
    return ERR_NONE;
}

static void tell_ready(struct node *node, const struct node_start *given)
{
    struct node_addresses addresses;
    listener_address(node->clients, addresses.clients);
    listener_address(node->internal, addresses.internal);
    bool is_alone = !*node->options->redis_url;
    log_info("app", "carillon %s ready in %.1f ms: clients on %s%s, internal on %s, %u worker%s, broker %s%s",
             CARILLON_VERSION, (double)(clock_now_us() - node->started_us) / 1000, addresses.clients,
             node->configuration.net->tls ? " by TLS" : "", addresses.internal, node->worker_count,
             node->worker_count == 1 ? "" : "s", is_alone ? "memory" : "redis, node ", is_alone ? "" : node->id);
    struct buf lines = {0};
    buf_appendf(&lines, "clients %s\ninternal %s\n", addresses.clients, addresses.internal);
    notify_fd((int)node->options->ready_fd, buf_str(&lines));
    buf_fini(&lines);
    notify_systemd("READY=1");
    if (given->ready)
        given->ready(given->owner, &addresses, node->options);
}

int node_run(const struct node_start *given)
{
    struct node *node = xcalloc(1, sizeof *node);
    struct error error = {0};
    node->started_us = clock_now_us();
    node->started_ms = clock_wall_ms();
    node->options = given->options;
    node->sources = given->sources;
    node->input = given->input;
    log_configure((enum log_level)node->options->log_level, (enum log_format)node->options->log_format);
    uuid_v7(node->started_ms, node->id);
    enum err err = capacity_claim(node->options, worker_count(node->options), &node->capacity, &error);
    if (err == ERR_NONE)
        err = configuration_make(node->options, &node->configuration, &error);
    if (err == ERR_NONE) {
        capacity_apply(&node->capacity, node->configuration.net);
        uv_loop_init(&node->loop);
        turn_init(&node->turn, &node->loop);
        metrics_init(&node->metrics, -1);
        router_init(&node->router, &node->turn, &node->metrics);
        router_configure(&node->router,
                         &(struct router_settings){.recovery_bytes_max = node->options->recovery_max_bytes,
                                                   .reads_max = (unsigned)node->options->recovery_reads});
        node->quota = quota_create();
        node->revocations = revocations_create();
        node->revoker = revoker_create(&node->router, node->revocations);
        node->presence = presence_create(&node->router);
        watch_signals(node);
        err = start(node, &error);
        if (err == ERR_NONE) {
            tell_ready(node, given);
            uv_run(&node->loop, UV_RUN_DEFAULT);
        }
        stop(node);
    }
    if (err != ERR_NONE)
        log_error("app", "%s", error.text);
    else
        log_info("app", "ended");
    options_fini(&options_table, node->options);
    option_sources_fini(node->sources);
    free(node);
    return err == ERR_NONE ? 0 : 1;
}
