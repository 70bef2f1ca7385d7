/* plan.c - see plan.h. A run has a setting: how many nodes, workers and clients. Then come operations with faults
 * between them, and a time of healing. After that everything must be right. */
#include "tests/sim/plan.h"

#include <stdio.h>
#include <string.h>

#include "server/broker/redis/redis_keys.h"
#include "tests/sim/backend.h"
#include "tests/sim/client.h"
#include "tests/sim/ingest.h"
#include "tests/sim/journal.h"
#include "tests/sim/network.h"
#include "tests/sim/redis.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/tickets.h"
#include "tests/sim/tokens.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { NODES_MAX = 3, LIVES_MAX = 64 };
enum { SECOND_US = 1000000, HEALING_S = 20, QUIET_TRIES = 20 };
enum { CALM_DELAY_US = 300, SLOW_DELAY_US = 100000, ANSWER_US = 20000 };
enum { CLOCK_JUMP_MAX_MS = 12 * 3600 * 1000 };

static struct plan {
    struct sim_node *nodes[NODES_MAX]; /* the life that each one has now */
    size_t node_count;
    struct sim_node *lives[LIVES_MAX];
    size_t life_count;
    size_t clients;
    bool cuts_slow_readers;
    size_t copy_mark; /* of the truth, when Redis's data were copied */
    bool turned;      /* what the rules say on channels that turn, or will when all nodes have been reloaded */
} plan;

static uint64_t draw(uint64_t limit)
{
    return world_below(CHANCE_PLAN, limit);
}

/* ---- nodes ---- */

static void start_node(size_t index)
{
    struct sim_node *node =
        sim_node_start((unsigned)index, (unsigned)plan.life_count, 1 + (unsigned)draw(WORKERS_MAX), plan.turned);
    plan.nodes[index] = node;
    plan.lives[plan.life_count++] = node;
}

static struct sim_node *any_node(void)
{
    for (size_t i = 0, at = draw(plan.node_count); i < plan.node_count; i++)
        if (plan.nodes[(at + i) % plan.node_count]->alive)
            return plan.nodes[(at + i) % plan.node_count];
    return NULL;
}

static void start_again(void *owner, uint64_t index)
{
    if (!plan.nodes[index]->alive && plan.life_count < LIVES_MAX)
        start_node(index);
}

/* ---- faults ---- */

static uint64_t until(uint64_t most_us)
{
    return world_now_us() + draw(most_us);
}

static void lose_node(void)
{
    struct sim_node *node = any_node();
    if (!node || plan.life_count >= LIVES_MAX - NODES_MAX)
        return;
    sim_node_stop(node, draw(4) > 0);
    world_at(until(3 * SECOND_US), start_again, NULL, node->number);
}

static void pause_node(void)
{
    struct sim_node *node = any_node();
    uint64_t until_us = until(draw(4) ? SECOND_US / 5 : 5 * SECOND_US);
    if (!node)
        return;
    world_trace("%s is paused", node->real.id);
    loop_pause(&node->loop, until_us);
    for (unsigned i = 0; i < node->worker_count; i++)
        if (node->workers[i].loop != &node->loop)
            loop_pause(node->workers[i].loop, until_us);
}

static void set_clock(struct sim_node *node, int64_t ahead_ms)
{
    loop_set_clock(&node->loop, ahead_ms);
    for (unsigned i = 0; i < node->worker_count; i++)
        loop_set_clock(node->workers[i].loop, ahead_ms);
}

/* By a second or by hours. */
static void jump_clock(void)
{
    struct sim_node *node = any_node();
    int64_t most_ms = draw(2) ? 1000 : CLOCK_JUMP_MAX_MS;
    int64_t ahead_ms = (int64_t)draw((uint64_t)most_ms * 2) - most_ms;
    if (!node)
        return;
    world_trace("the clock of %s is %lld ms ahead", node->real.id, (long long)ahead_ms);
    set_clock(node, ahead_ms);
}

static bool is_subscriber(const struct redis_client *client, const void *argument)
{
    return redis_is_subscriber(client);
}

static bool is_publisher(const struct redis_client *client, const void *argument)
{
    return !redis_is_subscriber(client);
}

static bool is_some(const struct redis_client *client, const void *argument)
{
    return draw(2) == 0;
}

static void cut_connections(void)
{
    bool (*const chosen[])(const struct redis_client *, const void *) = {is_subscriber, is_publisher, is_some, NULL};
    size_t count = network_cut_all(chosen[draw(4)], NULL);
    world_trace("%zu connections to Redis are cut", count);
}

static void pause_redis(void)
{
    world_trace("Redis is paused");
    network_pause_redis(until(draw(4) ? SECOND_US : 5 * SECOND_US));
}

static void cut_node_off(void)
{
    struct sim_node *node = any_node();
    if (!node)
        return;
    world_trace("%s is cut off from Redis", node->real.id);
    network_cut_off(&node->loop, until(draw(2) ? SECOND_US : 6 * SECOND_US));
}

static void accept_again(void *owner, uint64_t number)
{
    network_refuse(false);
}

static void be_refused_for_a_while(void)
{
    network_cut_all(NULL, NULL);
    network_refuse(true);
    world_at(until(2 * SECOND_US), accept_again, NULL, 0);
}

static void restart_redis(void)
{
    be_refused_for_a_while();
    world_trace("Redis is started again");
    redis_forget_scripts();
}

static void take_copy(void)
{
    redis_take_copy();
    plan.copy_mark = truth_mark();
}

/* Restarted from an old snapshot, or failed over to a replica that had fallen behind: acknowledged writes are lost. */
static void go_back(void)
{
    be_refused_for_a_while();
    world_trace("Redis goes back to what it was");
    redis_use_copy();
    truth_lost_since(plan.copy_mark);
    journal_lost();
    ingest_note_loss();
    tokens_note_loss();
    tickets_note_loss();
}

static void restart_empty(void)
{
    be_refused_for_a_while();
    world_trace("Redis is started again without its data");
    redis_lose_all();
    truth_lost_since(0);
    journal_lost();
    ingest_note_loss();
    tokens_note_loss();
    tickets_note_loss();
    plan.copy_mark = truth_mark();
}

/* FLUSHDB. */
static void flush(void)
{
    world_trace("Redis is emptied");
    redis_flush();
    truth_deleted_all();
    journal_lost();
    ingest_note_loss();
    tokens_note_flush();
    tickets_note_loss();
    plan.copy_mark = truth_mark();
}

/* DEL, or its time is over. */
static void delete_meta_of(size_t channel)
{
    struct buf key = {0};
    redis_key_append(&key, STR("carillon"), str_from_cstr(sim_channels[channel].name), STR("meta"));
    world_trace("Redis loses %s", buf_cstr(&key));
    redis_delete(buf_str(&key));
    buf_fini(&key);
    truth_deleted(channel);
    plan.copy_mark = truth_mark();
}

static void delete_meta(void)
{
    delete_meta_of(draw(sim_channel_count));
}

static void fill(void *owner, uint64_t full)
{
    redis_store()->full = full;
}

static void fill_up(void)
{
    world_trace("Redis is full");
    fill(NULL, true);
    world_at(until(2 * SECOND_US), fill, NULL, false);
}

static void allow_writes(void *owner, uint64_t number)
{
    redis_store()->read_only = false;
}

static void be_read_only(void)
{
    world_trace("Redis takes no writes");
    redis_store()->read_only = true;
    world_at(until(2 * SECOND_US), allow_writes, NULL, 0);
}

static void finish_loading(void *owner, uint64_t number)
{
    redis_store()->loading = false;
}

static void load_slowly(void)
{
    restart_redis();
    redis_store()->loading = true;
    world_at(until(3 * SECOND_US), finish_loading, NULL, 0);
}

/* One of the four keys in which the presence of a channel lies. */
static void lose_presence_key(void)
{
    static const char *const suffixes[] = {"presence", "presence:users", "presence:members", "presence:nodes"};
    size_t channel = draw(sim_channel_count);
    struct buf key = {0};
    redis_key_append(&key, STR("carillon"), str_from_cstr(sim_channels[channel].name),
                     str_from_cstr(suffixes[draw(4)]));
    world_trace("%s is lost", buf_cstr(&key));
    store_lose(redis_store(), buf_str(&key));
    truth_presence_lost(channel);
    buf_fini(&key);
}

static void forget_scripts(void)
{
    world_trace("Redis forgets its scripts");
    redis_forget_scripts();
}

static void be_fast(void *owner, uint64_t number)
{
    network_set_delay(CALM_DELAY_US);
}

static void be_slow(void)
{
    world_trace("the network is slow");
    network_set_delay(SLOW_DELAY_US);
    world_at(until(2 * SECOND_US), be_fast, NULL, 0);
}

static void stall_client(void)
{
    size_t client = draw(plan.clients);
    if (client_is_connected(client))
        client_stall(client, until(SECOND_US));
}

static void (*const faults[])(void) = {
    lose_node,   pause_node,   cut_connections, pause_redis, cut_node_off,      restart_redis, forget_scripts,
    be_slow,     stall_client, take_copy,       go_back,     restart_empty,     fill_up,       be_read_only,
    load_slowly, jump_clock,   flush,           delete_meta, lose_presence_key,
};

/* ---- operations ---- */

static void publish(void)
{
    for (uint64_t left = draw(8) ? 1 : 1 + draw(10); left > 0; left--) {
        size_t channel = draw(sim_busy_count);
        uint64_t number = truth_publish(channel, draw(3) > 0);
        size_t client = draw(plan.clients);
        if (draw(2) || !client_is_connected(client)) {
            backend_publish(number);
        } else {
            client_publish(client, number);
            backend_try_again(number);
        }
    }
}

static void move_client(size_t client)
{
    struct sim_node *node = any_node();
    if (client_is_connected(client) && draw(3) == 0)
        client_disconnect(client);
    else if (!client_is_connected(client) && node)
        client_connect(client, node);
}

static void change_seat(size_t client)
{
    size_t channel = draw(sim_channel_count);
    if (!client_is_connected(client))
        move_client(client);
    else if (!client_is_subscribed(client, channel) || draw(8) == 0)
        client_subscribe(client, channel, draw(6) ? 0 : 1 + draw(8));
    else if (draw(4) == 0)
        client_read_history(client, channel);
    else if (draw(4) == 0 && sim_channels[channel].presence.kept)
        client_ask_presence(client, channel);
    else if (draw(3) == 0)
        client_unsubscribe(client, channel);
}

static void reload(void *owner, uint64_t index)
{
    if (plan.nodes[index]->alive)
        sim_node_reload(plan.nodes[index], plan.turned);
}

/* One node after the other. */
static void turn(void)
{
    plan.turned = !plan.turned;
    for (size_t i = 0; i < plan.node_count; i++)
        world_at(until(SECOND_US), reload, NULL, i);
}

static void step(uint64_t fault_percent)
{
    if (draw(100) < fault_percent) {
        tickets_note_fault();
        faults[draw(sizeof faults / sizeof *faults)]();
        return;
    }
    uint64_t kind = draw(100);
    if (kind < 50)
        publish();
    else if (kind < 80)
        change_seat(draw(plan.clients));
    else if (kind < 82)
        turn();
    else if (kind < 84)
        tokens_revoke(draw(plan.clients));
    else if (kind < 90)
        ingest_write();
    else if (kind < 96)
        move_client(draw(plan.clients));
    else
        tickets_act();
}

static void act(void)
{
    static const uint64_t fault_percents[] = {0, 2, 5, 10, 20};
    uint64_t percent = fault_percents[draw(5)];
    if (percent == 0 && !plan.cuts_slow_readers)
        tokens_expect_calm();
    else if (plan.cuts_slow_readers)
        tickets_note_fault();
    uint64_t pace_us = draw(3) ? 40000 : 400000;
    for (uint64_t left = 40 + draw(200); left > 0 && !world_failure()[0]; left--) {
        step(percent);
        world_run_until(world_now_us() + (draw(4) ? draw(pace_us / 20 + 1) : draw(pace_us)));
    }
}

/* No event comes any more that could tell an epoch: Redis loses a channel, and somebody asks for it. */
static void disturb_rest(void)
{
    for (uint64_t left = draw(4); left > 0; left--) {
        size_t channel = draw(sim_channel_count), client = draw(plan.clients);
        delete_meta_of(channel);
        if (client_is_connected(client) && client_is_subscribed(client, channel))
            client_read_history(client, channel);
        else if (client_is_connected(client))
            client_subscribe(client, channel, draw(3));
        world_run_until(world_now_us() + 3 * SECOND_US);
    }
}

static void heal(void)
{
    world_trace("all faults end");
    network_refuse(false);
    network_set_delay(CALM_DELAY_US);
    network_pause_redis(0);
    fill(NULL, false);
    allow_writes(NULL, 0);
    finish_loading(NULL, 0);
    for (size_t i = 0; i < plan.node_count; i++)
        if (!plan.nodes[i]->alive)
            start_node(i);
    for (int i = 0; i < QUIET_TRIES && !world_failure()[0]; i++) {
        world_run_until(world_now_us() + HEALING_S * SECOND_US);
        if (backend_is_quiet() && tokens_are_quiet() && ingest_is_quiet()) {
            world_run_until(world_now_us() + SECOND_US); /* the last one's answer may just have come */
            disturb_rest();
            return;
        }
    }
    if (!world_failure()[0])
        world_fail("publications or revocations are still not settled%s",
                   ingest_is_quiet() ? "" : ", nor is the ingest stream");
}

/* ---- a run ---- */

static void begin(uint64_t seed, bool trace)
{
    memset(&plan, 0, sizeof plan);
    world_begin(seed, trace);
    network_begin();
    network_set_delay(CALM_DELAY_US);
    redis_begin(truth_ordered, truth_write_refused);
    plan.cuts_slow_readers = draw(4) == 0;
    if (plan.cuts_slow_readers)
        redis_limit_output(4096);
    truth_begin();
    journal_begin();
    ingest_begin();
    sim_node_begin();
    plan.clients = 2 + draw(CLIENTS_MAX - 1);
    client_begin(plan.clients);
    plan.node_count = 1 + draw(NODES_MAX);
    backend_begin(plan.nodes, plan.node_count);
    tokens_begin(plan.nodes, plan.node_count, plan.clients);
    tickets_begin(plan.nodes, plan.node_count);
    for (size_t i = 0; i < plan.node_count; i++)
        start_node(i);
    world_run_until(world_now_us() + draw(SECOND_US));
}

static void stop_all(void)
{
    for (size_t i = 0; i < plan.life_count; i++)
        if (plan.lives[i]->alive)
            sim_node_stop(plan.lives[i], false);
}

static void end(void)
{
    stop_all();
    world_run_until(world_now_us() + 3600 * (uint64_t)SECOND_US);
    for (size_t i = 0; i < plan.life_count; i++)
        sim_node_free(plan.lives[i]);
    client_end();
    tokens_end();
    tickets_end();
    sim_node_end();
    redis_end();
    network_end();
    truth_end();
    journal_end();
    ingest_end();
    world_end();
}

/* Where keys were lost and nobody has looked, the first answer may be that nodes have half of the ttl to tell it again.
 */
static void check_presence(void)
{
    uint64_t first_us = world_now_us(), known_us = 0;
    for (size_t i = 0; i < sim_channel_count; i++)
        if (sim_channels[i].presence.ttl_ms * 1000 / 2 > known_us)
            known_us = sim_channels[i].presence.ttl_ms * 1000 / 2;
    client_ask_all(true);
    world_run_until(first_us + known_us + ANSWER_US);
    client_check_told();
    client_ask_all(false);
    world_run_until(world_now_us() + SECOND_US);
    client_check_told();
}

/* The ends of dead nodes' sessions have had their time, and a pause that came last. */
static void check_journal(void)
{
    world_run_until(world_now_us() + HEALING_S * (uint64_t)SECOND_US);
    journal_check();
}

/* A node is killed, and another one takes its place. */
static void lose_any_node(void)
{
    struct sim_node *node = any_node();
    if (plan.life_count == LIVES_MAX)
        return;
    sim_node_stop(node, true);
    world_at(until(3 * SECOND_US), start_again, NULL, node->number);
}

void plan_run(uint64_t seed, bool trace, struct plan_result *out)
{
    begin(seed, trace);
    act();
    if (!world_failure()[0])
        heal();
    if (!world_failure()[0]) {
        truth_check();
        ingest_check();
        client_check(plan.turned);
        tokens_check_revoked();
    }
    if (!world_failure()[0])
        check_presence();
    if (!world_failure()[0])
        tickets_check(lose_any_node);
    if (!world_failure()[0])
        check_journal();
    if (!world_failure()[0])
        tokens_check_crowd();
    if (!world_failure()[0]) {
        stop_all();
        tokens_check_places();
    }
    end();
    out->trace_hash = world_trace_hash();
    snprintf(out->failure, sizeof out->failure, "%s", world_failure());
}
