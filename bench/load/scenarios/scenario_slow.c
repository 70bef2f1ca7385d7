/* scenario_slow.c - scenario slow: a share of the subscribers stops reading after the warm-up, and the others should
 * not notice. Those that stop are a crowd of their own, outside the ledger, on the publishing thread's loop. Their
 * events are not checked. At the end each reads again and sends a ping. A connection that is still there answers. So
 * the closed ones are known without guessing at times. */
#include "bench/load/credentials.h"
#include "bench/load/crowd.h"
#include "bench/load/scenarios/traffic.h"
#include "common/base/clock.h"

enum { RECEIVE_BYTES = 4096 };

struct slow {
    struct run *run;
    struct crowd crowd;
    struct buf *tokens; /* owned: the crowd's */
    bool stopped;
};

static void on_item(void *owner, size_t client, enum dialect_item item, struct str payload, uint64_t now_us)
{
    (void)owner;
    (void)client;
    (void)item;
    (void)payload;
    (void)now_us;
}

static enum err connected(void *owner, struct error *error)
{
    struct slow *slow = owner;
    struct loop *loop = &slow->run->loop;
    loop->receive_bytes = RECEIVE_BYTES; /* else much would fit into the kernel's own buffers */
    enum err err = crowd_connect(&slow->crowd, RUN_CONNECT_US, error);
    loop->receive_bytes = 0;
    return err;
}

static void measuring(void *owner)
{
    struct slow *slow = owner;
    for (size_t i = 0; i < slow->crowd.count; i++)
        crowd_stop_reading(&slow->crowd, i);
    slow->stopped = true;
}

/* How many of them the server has closed. One that neither answers nor is gone within the patience counts as open. */
static size_t count_closed(struct slow *slow)
{
    struct crowd *crowd = &slow->crowd;
    uint64_t deadline_us = clock_now_us() + slow->run->settings->patience_us;
    for (size_t i = 0; i < crowd->count; i++)
        crowd_read_again_and_ping(crowd, i);
    while (crowd->gone + crowd->pongs < crowd->count && loop_turn(crowd->loop, deadline_us))
        continue;
    return crowd->gone;
}

static enum err set_up(struct slow *slow, size_t count, struct error *error)
{
    const struct run_settings *settings = slow->run->settings;
    enum err err = ERR_NONE;
    if (settings->dialect->has_tokens)
        err = credentials_make(settings->keys, settings->channel, settings->connections, count, &slow->tokens, error);
    slow->crowd = (struct crowd){
        .loop = &slow->run->loop,
        .target = slow->run->clients,
        .dialect = settings->dialect,
        .channels = settings->channels,
        .channel_count = settings->channel_count,
        .tokens = slow->tokens,
        .count = count,
        .at_once = settings->at_once,
        .on_item = on_item,
    };
    crowd_init(&slow->crowd);
    return err;
}

enum err scenario_slow(struct run *run, struct error *error)
{
    const struct run_settings *all = run->settings;
    struct run_settings reading = *all;
    struct slow slow = {.run = run};
    const struct traffic_extra extra = {&slow, connected, measuring};
    size_t count = all->connections * all->slow_percent / 100;
    reading.connections -= count;
    run->settings = &reading;
    enum err err = set_up(&slow, count, error);
    if (!err)
        err = traffic_run(run, &extra, error);
    if (!err) {
        run->result.stopped = slow.stopped ? count : 0;
        run->result.closed = slow.stopped ? count_closed(&slow) : 0;
    }
    run->settings = all;
    crowd_fini(&slow.crowd);
    credentials_free(slow.tokens, count);
    return err;
}
