/* server.c - see server.h. Here: what surrounds the node (workers, listeners, signals), and in which order all of it
 * starts and ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/uv_handle.h"
#include "server/app/notify.h"
#include "server/app/server_private.h"
#include "server/app/signals.h"
#include "server/app/version.h"
#include "server/broker/memory/memory_broker.h"
#include "server/broker/redis/redis_broker.h"

/* A supervisor that signals both the process and its group sends two, which mean one thing. */
enum { SAME_SIGNAL_US = 200000 };

/* The most that the last lifecycle events may take. */
enum { LIFECYCLE_FLUSH_US = 2000000 };

static void init_node(struct server *server)
{
    char id[UUID_LEN + 1];
    uuid_v7(server->started_ms, id);
    const struct router_settings router = {
        .recovery_bytes_max = server->options->recovery_max_bytes,
        .reads_max = (unsigned)server->options->recovery_reads,
    };
    const struct node_options options = {
        .loop = &server->loop,
        .id = id,
        .version = CARILLON_VERSION,
        .libraries = CARILLON_LIBRARIES,
        .started_us = server->started_us,
        .router = &router,
    };
    node_init(&server->node, &options);
}

static enum err create_broker(struct server *server, struct error *error)
{
    const struct options *o = server->options;
    struct broker *broker;
    const struct broker_sink *sink = &node_sink;
    void *sink_owner = &server->node.router;
    if (server->hooks)
        server->hooks->sink(server->hooks->owner, &sink, &sink_owner);
    if (*o->redis_url) {
        const struct ingest_settings ingest = configuration_ingest(&server->configuration, o);
        const struct redis_broker_config config = {
            .turn = &server->node.turn,
            .url = str_from_cstr(o->redis_url),
            .prefix = str_from_cstr(o->redis_prefix),
            .node_id = str_from_cstr(server->node.id),
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
        broker = redis_broker_create(&config, sink, sink_owner, &server->node.metrics, error);
    } else {
        const struct memory_broker_config config = {
            .turn = &server->node.turn,
            .node_id = str_from_cstr(server->node.id),
            .idempotency_window_ms = o->idempotency_window_ms,
            .empty_ttl_ms = o->history_empty_ttl_ms,
            .positions_max = o->history_max_channels,
            .ids_bytes_max = o->idempotency_max_bytes,
            .history_bytes_max = o->history_max_bytes,
            .user_share = (unsigned)o->limits_user_share,
        };
        broker = memory_broker_create(&config, sink, sink_owner, &server->node.metrics);
    }
    if (!broker)
        return error->code;
    server->broker = broker;
    if (server->hooks)
        broker = server->hooks->broker(server->hooks->owner, broker, &server->node.turn);
    node_open(&server->node, broker);
    const struct lifecycle_feed_options feed = {
        .turn = &server->node.turn,
        .outbound = server->outbound,
        .node = &node_ops,
        .node_owner = &server->node.router,
        .node_id = str_from_cstr(server->node.id),
        .metrics = &server->node.metrics,
    };
    server->feed = lifecycle_feed_create(&feed);
    return ERR_NONE;
}

/* --- workers ----------------------------------------------------------------------------------------------------- */

static unsigned worker_count(const struct server *server)
{
    if (server->hooks)
        return 1;
    if (server->options->workers)
        return (unsigned)server->options->workers;
    unsigned cpus = uv_available_parallelism();
    return cpus < ROUTER_WORKERS_MAX ? cpus : ROUTER_WORKERS_MAX;
}

static enum err create_workers(struct server *server, struct error *error)
{
    unsigned count = worker_count(server);
    enum err err = ERR_NONE;
    server->worker_metrics = xcalloc(count, sizeof *server->worker_metrics);
    /* libwebsockets looks for its loop plugin in the current folder first, so the process leaves that folder meanwhile.
     */
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (chdir("/") != 0)
        log_warn("app", "cannot change to /: %s", strerror(errno));
    for (unsigned i = 0; i < count && err == ERR_NONE; i++) {
        metrics_init(&server->worker_metrics[i], (int)i);
        const struct worker_options options = {
            .index = i,
            .count = count,
            .loop = count == 1 ? &server->loop : NULL,
            .turn = count == 1 ? &server->node.turn : NULL,
            .settings = server->configuration.net,
            .keys = server->configuration.keys,
            .hub_settings = &server->configuration.hub,
            .rules = server->configuration.rules,
            .metrics = &server->worker_metrics[i],
            .quota = server->quota,
            .revocations = server->node.revocations,
            .node = &node_ops,
            .node_owner = &server->node.router,
            .node_id = str_from_cstr(server->node.id),
            .outside_steps = {.connect = connect_step(&server->connect_steps[i]),
                              .fault = server->hooks ? *server->hooks->fault_step : (struct entry_step){0}},
        };
        err = worker_create(&options, &server->workers[i], error);
        if (err == ERR_NONE) {
            server->connect_steps[i].hub = server->workers[i]->hub;
            server->worker_count++;
            server->connections[i] = &server->workers[i]->connections;
            router_add_worker(&server->node.router, &server->workers[i]->mailbox);
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
static enum err listen_as(struct server *server, bool internal, const char *host, uint64_t port, struct listener **out,
                          struct error *error)
{
    const struct listener_options options = {
        .loop = &server->loop,
        .internal = internal,
        .workers = server->connections,
        .worker_count = server->worker_count,
        .metrics = &server->node.metrics,
    };
    *out = listener_create(&options, server->configuration.net);
    if (listener_inherit(*out, internal ? "internal" : "public") > 0)
        return ERR_NONE;
    struct error bound;
    enum err err = listener_bind(*out, host, (uint16_t)port, &bound);
    if (err != ERR_NONE)
        error_set(error, err, "%s (options %s)", bound.text, internal ? "internal.host, internal.port" : "host, port");
    return err;
}

static enum err create_listeners(struct server *server, struct error *error)
{
    const struct options *o = server->options;
    enum err err = listen_as(server, false, o->host, o->port, &server->clients, error);
    return err ? err : listen_as(server, true, o->internal_host, o->internal_port, &server->internal, error);
}

/* --- draining and the end -------------------------------------------------------------------------------------- */

static uint64_t open_sessions(const struct server *server)
{
    const struct metrics *all[ROUTER_WORKERS_MAX];
    for (unsigned i = 0; i < server->worker_count; i++)
        all[i] = &server->worker_metrics[i];
    return metrics_value(all, server->worker_count, METRIC_SESSIONS, 0);
}

static bool workers_drain(const struct server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++)
        if (!worker_is_draining(server->workers[i]))
            return false;
    return true;
}

static uint64_t open_calls(const struct server *server)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < server->worker_count; i++)
        count += worker_calls(server->workers[i]);
    return count;
}

/* Requests to upstreams that belong to a session. A batch of lifecycle events has its own time: flush_lifecycle. */
static uint64_t open_upstream_calls(const struct server *server)
{
    uint64_t count = outbound_calls(server->outbound);
    bool has_batch = server->feed && lifecycle_feed_is_sending(server->feed);
    return count > has_batch ? count - has_batch : 0;
}

/* Backends that come again and again would hold the node. So the internal listener stops as soon as no session is left.
 * The requests that it has let in last come to the workers before the next check. */
static bool is_drained(struct server *server)
{
    if (!workers_drain(server) || open_sessions(server) > 0)
        return false;
    if (!server->internal_stopped) {
        server->internal_stopped = true;
        listener_stop(server->internal);
        return false;
    }
    return open_calls(server) == 0 && open_upstream_calls(server) == 0;
}

static void check_drained(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (!is_drained(server)) {
        if (clock_now_us() < server->drain_deadline_us)
            return;
        log_warn("app",
                 "%llu sessions have not gone in time, and %llu API requests and %llu requests to upstreams have no "
                 "answer; they are cut",
                 (unsigned long long)open_sessions(server), (unsigned long long)open_calls(server),
                 (unsigned long long)open_upstream_calls(server));
    }
    uv_stop(&server->loop);
}

static void start_draining(struct server *server, const char *why)
{
    uint64_t window_ms = server->options->drain_window_ms;
    log_info("app", "%s: draining %llu sessions over %llu ms; once more ends at once", why,
             (unsigned long long)open_sessions(server), (unsigned long long)window_ms);
    notify_systemd("STOPPING=1");
    atomic_store(&server->draining, true);
    listener_stop(server->clients);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_drain(server->workers[i], window_ms * 1000);
    if (server->hooks)
        server->hooks->ending(server->hooks->owner);
    server->drain_started_us = clock_now_us();
    server->drain_deadline_us =
        server->drain_started_us + (window_ms + server->options->close_timeout_ms + 1000) * 1000;
    uv_timer_start(&server->drain_timer, check_drained, 10, 10);
}

static void on_reload(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (!server->ending)
        server_reload(server);
}

/* libuv calls this for each signal in its pipe before anything else gets its turn. A reload can take long, so it waits
 * for the next turn. Signals that come faster than reloads end make one reload, and do not hold up other signals. */
static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    if (server->ending)
        return;
    if (number == SIGHUP) {
        uv_timer_start(&server->reload_timer, on_reload, 0, 0);
    } else if (!atomic_load(&server->draining)) {
        start_draining(server, number == SIGTERM ? "SIGTERM" : "SIGINT");
    } else if (clock_now_us() - server->drain_started_us >= SAME_SIGNAL_US) {
        log_info("app", "second signal: ending at once");
        uv_stop(&server->loop);
    }
}

static const int signal_numbers[SERVER_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

static void watch_signals(struct server *server)
{
    for (int i = 0; i < SERVER_SIGNALS; i++) {
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, signal_numbers[i]);
    }
    signals_release();
    uv_timer_init(&server->loop, &server->drain_timer);
    server->drain_timer.data = server;
    uv_timer_init(&server->loop, &server->reload_timer);
    server->reload_timer.data = server;
}

/* Blocked first: without a watcher a late signal would kill a process that is about to end well. */
static void close_signals(struct server *server)
{
    sigset_t late;
    sigemptyset(&late);
    for (int i = 0; i < SERVER_SIGNALS; i++)
        sigaddset(&late, signal_numbers[i]);
    pthread_sigmask(SIG_BLOCK, &late, NULL);
    for (int i = 0; i < SERVER_SIGNALS; i++)
        uv_close(UV_HANDLE(&server->signals[i]), NULL);
}

/* Without Redis no other node can send the last lifecycle events. */
static void flush_lifecycle(struct server *server)
{
    uint64_t until_us = clock_now_us() + LIFECYCLE_FLUSH_US;
    if (!server->feed || *server->options->redis_url)
        return;
    do
        uv_run(&server->loop, UV_RUN_ONCE); /* the mail of the workers first */
    while (!(lifecycle_flush(server->node.lifecycle) && lifecycle_feed_flush(server->feed)) &&
           clock_now_us() < until_us);
}

/* Undoes whatever has been done, in the reverse order. */
static void stop(struct server *server)
{
    server->ending = true;
    if (server->hooks)
        server->hooks->ending(server->hooks->owner);
    uv_timer_stop(&server->drain_timer);
    uv_timer_stop(&server->reload_timer);
    if (server->clients)
        listener_destroy(server->clients);
    if (server->internal)
        listener_destroy(server->internal);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_stop(server->workers[i]);
    flush_lifecycle(server);
    node_close(&server->node);
    while (!server->node.is_closed)
        uv_run(&server->loop, UV_RUN_ONCE);
    outbound_stop(server->outbound); /* the mailboxes are still there for the ends of its calls */
    node_answer_waiting(&server->node);
    if (server->feed)
        lifecycle_feed_destroy(server->feed);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_destroy(server->workers[i]);
    for (unsigned i = 0; i < server->worker_count; i++)
        if (server->apis[i]) {
            api_destroy(server->apis[i]);
            ticket_desk_destroy(server->desks[i]);
        }
    ticket_rates_destroy(server->ticket_rates);
    inspector_destroy(server->inspector);
    buf_fini(&server->build);
    close_signals(server);
    uv_close(UV_HANDLE(&server->drain_timer), NULL);
    uv_close(UV_HANDLE(&server->reload_timer), NULL);
    node_fini(&server->node);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&server->loop) != 0)
        log_warn("app", "something was left on the main loop");
    quota_destroy(server->quota);
    configuration_fini(&server->configuration);
    free(server->worker_metrics);
}

static enum err start(struct server *server, struct error *error)
{
    enum err err = create_broker(server, error);
    if (err == ERR_NONE)
        err = create_workers(server, error);
    if (err != ERR_NONE)
        return err;
    server_tell_settings(server);
    server_create_apis(server);
    err = server_configure_lifecycle(server, error);
    if (err != ERR_NONE)
        return err;
    err = create_listeners(server, error);
    if (err != ERR_NONE)
        return err;
    if (server->hooks) {
        server->parts = (struct server_parts){.server = server,
                                              .connections = server->connections[0],
                                              .set_channels = server_set_channels,
                                              .forget_ticket_rates = server_forget_ticket_rates,
                                              .node = &server->node,
                                              .hub = server->workers[0]->hub,
                                              .options = server->options};
        server->hooks->made(server->hooks->owner, &server->parts);
    }
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_start(server->workers[i]);
    listener_start(server->clients);
    listener_start(server->internal);
    return ERR_NONE;
}

static void tell_ready(struct server *server, const struct server_start *given)
{
    struct server_addresses addresses;
    listener_address(server->clients, addresses.clients);
    listener_address(server->internal, addresses.internal);
    bool is_alone = !*server->options->redis_url;
    log_info("app", "carillon %s ready in %.1f ms: clients on %s%s, internal on %s, %u worker%s, broker %s%s",
             CARILLON_VERSION, (double)(clock_now_us() - server->started_us) / 1000, addresses.clients,
             server->configuration.net->tls ? " by TLS" : "", addresses.internal, server->worker_count,
             server->worker_count == 1 ? "" : "s", is_alone ? "memory" : "redis, node ",
             is_alone ? "" : server->node.id);
    struct buf lines = {0};
    buf_appendf(&lines, "clients %s\ninternal %s\n", addresses.clients, addresses.internal);
    notify_fd((int)server->options->ready_fd, buf_str(&lines));
    buf_fini(&lines);
    notify_systemd("READY=1");
    if (given->ready)
        given->ready(given->owner, &addresses, server->options);
}

int server_run(const struct server_start *given)
{
    struct server *server = xcalloc(1, sizeof *server);
    struct error error = {0};
    server->started_us = clock_now_us();
    server->started_ms = clock_wall_ms();
    server->options = given->options;
    server->sources = given->sources;
    server->input = given->input;
    server->more = given->more;
    server->more_owner = given->owner;
    server->hooks = given->hooks;
    log_configure((enum log_level)server->options->log_level, (enum log_format)server->options->log_format);
    metrics_init(&server->outbound_metrics, -1);
    server->outbound = outbound_create(&server->outbound_metrics);
    enum err err = capacity_claim(server->options, worker_count(server), &server->capacity, &error);
    if (err == ERR_NONE)
        err = configuration_make(server->options, server->outbound, NULL, &server->configuration, &error);
    if (err == ERR_NONE) {
        if (server->hooks)
            configuration_use_transport(&server->configuration, server->hooks->transport);
        capacity_apply(&server->capacity, server->configuration.net);
        uv_loop_init(&server->loop);
        init_node(server);
        server->quota = quota_create();
        watch_signals(server);
        err = start(server, &error);
        if (err == ERR_NONE) {
            tell_ready(server, given);
            uv_run(&server->loop, UV_RUN_DEFAULT);
        }
        stop(server);
    }
    if (err != ERR_NONE)
        log_error("app", "%s", error.text);
    else
        log_info("app", "ended");
    outbound_destroy(server->outbound);
    options_fini(&options_table, server->options);
    option_sources_fini(server->sources);
    free(server->argv_with_channels);
    free(server->channels);
    free(server);
    return err == ERR_NONE ? 0 : 1;
}
