/* sim_node.c - see sim_node.h. A worker here does what server/net/worker.c does, without sockets and threads. */
#include "tests/sim/sim_node.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/broker/redis/redis_broker.h"
#include "tests/sim/client.h"
#include "tests/sim/journal.h"
#include "tests/sim/network.h"
#include "tests/sim/redis.h"
#include "tests/sim/ticket_connection.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { WORKER_TICK_MS = 50 };

static struct rules *all_histories; /* the rules by which each channel that turns has its history */

static struct rules *make_rules(bool turned)
{
    struct rule all[CHANNELS_MAX];
    for (size_t i = 0; i < sim_channel_count; i++)
        all[i] = (struct rule){.match = str_from_cstr(sim_channels[i].name),
                               .allow = ALLOW_ALL,
                               .history = sim_node_history(&(struct sim_node){.turned = turned}, i),
                               .presence = sim_channels[i].presence};
    return rules_create(all, sim_channel_count);
}

/* ---- what a hub asks of its worker ---- */

static enum reason on_verify(void *owner, struct session *session, struct str token, struct claims **out_claims,
                             struct error *error)
{
    return REASON_TOKEN_INVALID;
}

static uint64_t on_clock(void *owner)
{
    return clock_now_us();
}

static const struct hub_ops hub_operations = {
    .verify = on_verify,
    .clock_us = on_clock,
};

static const struct hub_settings hub_settings = {
    .outbox_max_bytes = 16384,
    .outbox_max_messages = 100,
    .event_bytes = 1024,
    .close_timeout_us = 5000000,
    .expiry_warning_us = 30000000,
    .session_slot_ttl_ms = 3000,
    .ticket_lease_ms = 3000,
    .ticket_resume_ms = 20000,
    .linger_us = 1000000,
    .custom_events = true,
};

/* ---- a worker ---- */

static void on_turn_begin(struct turn_hook *hook)
{
    struct sim_worker *worker = CONTAINER_OF(hook, struct sim_worker, begin_of_turn);
    hub_advance(worker->hub, turn_now_us(worker->turn), turn_wall_ms(worker->turn));
}

static void on_worker_tick(uv_timer_t *timer)
{
    const struct sim_worker *worker = timer->data;
    turn_begin(worker->turn);
}

static void on_polled(uv_check_t *check)
{
    const struct sim_worker *worker = check->data;
    turn_begin(worker->turn);
}

static void on_turn_end(struct turn_hook *hook)
{
    struct sim_worker *worker = CONTAINER_OF(hook, struct sim_worker, end_of_turn);
    hub_flush(worker->hub);
}

static void start_worker(struct sim_node *node, unsigned index)
{
    struct sim_worker *worker = &node->workers[index];
    bool alone = node->worker_count == 1;
    worker->node = node;
    worker->index = index;
    worker->loop = alone ? &node->loop : &worker->own_loop;
    worker->turn = alone ? &node->real.turn : &worker->own_turn;
    if (!alone)
        loop_init(worker->loop);
    struct sim_loop *before = loop_enter(worker->loop);
    if (!alone)
        turn_init(worker->turn, &worker->loop->uv);
    metrics_init(&worker->metrics, (int)index);
    mailbox_init(&worker->mailbox, worker->turn, NULL);
    const struct hub_options options = {
        .worker = index,
        .node = &node_ops,
        .node_owner = &node->real.router,
        .ops = &hub_operations,
        .owner = worker,
        .settings = &hub_settings,
        .rules = node->rules,
        .metrics = &worker->metrics,
        .replies = &worker->mailbox,
        .now_us = clock_now_us(),
    };
    worker->hub = hub_create(&options);
    worker->mailbox.owner = worker->hub;
    router_add_worker(&node->real.router, &worker->mailbox);
    uv_timer_init(&worker->loop->uv, &worker->tick);
    uv_check_init(&worker->loop->uv, &worker->after_poll);
    worker->tick.data = worker->after_poll.data = worker;
    uv_timer_start(&worker->tick, on_worker_tick, WORKER_TICK_MS, WORKER_TICK_MS);
    uv_check_start(&worker->after_poll, on_polled);
    worker->begin_of_turn.run = on_turn_begin;
    turn_add_begin_hook(worker->turn, &worker->begin_of_turn);
    worker->end_of_turn.run = on_turn_end;
    turn_add_hook(worker->turn, &worker->end_of_turn);
    loop_enter(before);
}

static void stop_worker(struct sim_worker *worker)
{
    struct sim_loop *before = loop_enter(worker->loop);
    client_lose_all(worker);
    ticket_connection_lose_all(worker);
    loop_drain(worker->loop);
    loop_enter(before);
}

static void close_worker(struct sim_worker *worker)
{
    struct sim_loop *before = loop_enter(worker->loop);
    mailbox_close(&worker->mailbox);
    hub_destroy(worker->hub);
    turn_remove_hook(worker->turn, &worker->begin_of_turn);
    turn_remove_hook(worker->turn, &worker->end_of_turn);
    uv_close((uv_handle_t *)&worker->tick, NULL);
    uv_close((uv_handle_t *)&worker->after_poll, NULL);
    if (worker->loop == &worker->own_loop) {
        turn_close(worker->turn);
        loop_drain(worker->loop);
        loop_fini(worker->loop);
    }
    loop_enter(before);
}

/* ---- the node ---- */

static void start_broker(struct sim_node *node)
{
    const struct ingest_settings ingest = {.rules = all_histories, .event_bytes = 1024, .custom_events = true};
    struct redis_broker_config config = {
        .turn = &node->real.turn,
        .url = STR("redis://redis:6379"),
        .prefix = STR("carillon"),
        .node_id = str_from_cstr(node->real.id),
        .connect_timeout_ms = 1000,
        .command_timeout_ms = 1000,
        .retry_max_ms = 2000,
        .canary_interval_ms = 1000,
        .idempotency_window_ms = 600000,
        .empty_ttl_ms = 3000, /* soon enough to happen within a run */
        .pending_max = 1000,
        .pending_bytes_max = 1 << 20,
        .custom_events = true,
        .event_bytes = 65536,
        .ingest = &ingest,
        .ingest_takeover_ms = 3000,
    };
    struct error error;
    struct broker *broker = redis_broker_create(&config, &node_sink, &node->real.router, &node->real.metrics, &error);
    if (!broker)
        world_fail("no broker: %s", error.text);
    node_open(&node->real, broker);
    peers_set_settings(node->real.peers, STR("version sim\n"));
}

static void configure(void *owner, void *argument)
{
    struct sim_worker *worker = owner;
    if (!worker->node->alive)
        return;
    turn_begin(worker->turn);
    hub_configure(worker->hub, &hub_settings, worker->node->rules);
}

void sim_node_reload(struct sim_node *node, bool turned)
{
    world_trace("%s is reloaded: channels that turn have %s history", node->real.id, turned ? "a" : "no");
    node->turned = turned;
    rules_unref(node->rules);
    node->rules = make_rules(turned); /* new ones, though they may say the same */
    for (unsigned i = 0; i < node->worker_count; i++)
        loop_post(node->workers[i].loop, configure, &node->workers[i], NULL);
}

struct history_policy sim_node_history(const struct sim_node *node, size_t channel)
{
    return sim_channels[channel].turns && !node->turned ? (struct history_policy){0} : sim_channels[channel].history;
}

struct sim_node *sim_node_start(unsigned number, unsigned life, unsigned worker_count, bool turned)
{
    struct sim_node *node = xcalloc(1, sizeof *node);
    node->number = number;
    node->life = life;
    node->alive = true;
    node->turned = turned;
    node->rules = make_rules(turned);
    node->worker_count = worker_count;
    char id[UUID_LEN + 1];
    snprintf(id, sizeof id, "node%u.%u", number, life);
    world_trace("%s starts with %u workers", id, worker_count);
    loop_init(&node->loop);
    struct sim_loop *before = loop_enter(&node->loop);
    const struct node_options options = {
        .loop = &node->loop.uv,
        .id = id,
        .version = "sim",
        .libraries = "",
        .started_us = clock_now_us(),
    };
    node_init(&node->real, &options);
    start_broker(node);
    for (unsigned i = 0; i < worker_count; i++)
        start_worker(node, i);
    journal_follow(node);
    loop_enter(before);
    return node;
}

static void drain_all(struct sim_node *node)
{
    for (int round = 0; round < 3; round++) {
        loop_drain(&node->loop);
        for (unsigned i = 0; i < node->worker_count; i++)
            loop_drain(node->workers[i].loop);
    }
}

/* Its last commands go to Redis and their answers come back; a paused node does so later. */
static void wait_for_broker(struct sim_node *node)
{
    enum { STEP_US = 1000, MOST_US = 10000000 };
    uint64_t until_us = world_now_us() + MOST_US;
    while (!node->real.is_closed && world_now_us() < until_us)
        world_run_until(world_now_us() + STEP_US);
    if (!node->real.is_closed)
        world_fail("%s: its broker does not close", node->real.id);
}

static bool is_of_loop(const struct redis_client *client, const void *loop)
{
    return network_loop(redis_wire(client)) == loop;
}

void sim_node_stop(struct sim_node *node, bool killed)
{
    world_trace("%s %s", node->real.id, killed ? "is killed" : "stops");
    node->alive = false;
    if (killed) {
        network_cut_all(is_of_loop, &node->loop);
        struct sim_loop *outside = loop_enter(&node->loop);
        journal_leave(node); /* it tells no ends any more */
        loop_enter(outside);
    }
    for (unsigned i = 0; i < node->worker_count; i++)
        stop_worker(&node->workers[i]);
    drain_all(node);
    struct sim_loop *before = loop_enter(&node->loop);
    node_close(&node->real);
    drain_all(node);
    loop_enter(before);
    wait_for_broker(node);
    loop_enter(&node->loop);
    node_answer_waiting(&node->real);
    for (unsigned i = 0; i < node->worker_count; i++)
        close_worker(&node->workers[i]);
    node_fini(&node->real);
    loop_drain(&node->loop);
    loop_fini(&node->loop);
    loop_enter(before);
}

void sim_node_free(struct sim_node *node)
{
    rules_unref(node->rules);
    free(node);
}

void sim_node_begin(void)
{
    all_histories = make_rules(true);
}

void sim_node_end(void)
{
    rules_unref(all_histories);
}
