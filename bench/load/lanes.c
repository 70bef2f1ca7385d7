/* lanes.c - see lanes.h. */
#include "bench/load/lanes.h"

#include <signal.h>

#include "bench/load/credentials.h"
#include "common/base/alloc.h"
#include "common/base/clock.h"

enum { TURN_US = 1000 * 1000 };

static void init_lane(struct lane *lane, struct run *run, bool wants_channels, size_t first, size_t count)
{
    const struct run_settings *settings = run->settings;
    if (lane == lane->lanes->items) {
        lane->loop = &run->loop;
    } else {
        loop_init(&lane->own_loop);
        lane->loop = &lane->own_loop;
        lane->loop->addresses = run->loop.addresses;
        lane->loop->next_address = first;
    }
    lane->crowd.loop = lane->loop;
    lane->crowd.target = run->clients;
    lane->crowd.dialect = settings->dialect;
    lane->crowd.channels = settings->channels;
    lane->crowd.channel_count = wants_channels ? settings->channel_count : 0;
    lane->crowd.first = first;
    lane->crowd.count = count;
    lane->crowd.at_once = settings->at_once;
    lane->crowd.owner = lane;
    crowd_init(&lane->crowd);
}

enum err lanes_init(struct lanes *lanes, struct run *run, bool wants_channels,
                    void (*on_item)(void *lane, size_t client, enum dialect_item item, struct str payload,
                                    uint64_t now_us),
                    struct error *error)
{
    const struct run_settings *settings = run->settings;
    size_t total = settings->connections;
    enum err err = ERR_NONE;
    *lanes = (struct lanes){.run = run, .count = settings->threads < total ? settings->threads : total};
    lanes->items = xcalloc(lanes->count, sizeof *lanes->items);
    for (size_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->items[i];
        size_t first = total * i / lanes->count, count = total * (i + 1) / lanes->count - first;
        lane->lanes = lanes;
        lane->crowd.on_item = on_item;
        init_lane(lane, run, wants_channels, first, count);
        lane->crowd.tickets = settings->tickets ? settings->tickets + first : NULL;
        if (!err && settings->dialect->has_tokens && !settings->tickets)
            err = credentials_make(settings->keys, settings->channel, first, count, &lane->tokens, error);
        lane->crowd.tokens = lane->tokens;
    }
    return err;
}

static void note_failure(struct lane *lane, const struct error *error)
{
    if (atomic_load_explicit(&lane->failed, memory_order_relaxed))
        return;
    lane->error = *error;
    atomic_store_explicit(&lane->failed, true, memory_order_release);
}

void lane_fail(struct lane *lane, const char *who, struct str words)
{
    struct error error;
    error_set(&error, ERR_UNAVAILABLE, "%s: %.*s", who, STR_ARG(words));
    note_failure(lane, &error);
}

static void *serve(void *argument)
{
    struct lane *lane = argument;
    struct lanes *lanes = lane->lanes;
    struct loop *publishing = lanes->items[0].loop;
    struct error error;
    if (crowd_connect(&lane->crowd, RUN_CONNECT_US, &error) != ERR_NONE)
        note_failure(lane, &error);
    atomic_store_explicit(&lane->connected, true, memory_order_release);
    loop_ring(publishing);
    while (!atomic_load_explicit(&lanes->stop, memory_order_acquire)) {
        loop_turn(lane->loop, clock_now_us() + TURN_US);
        if (lane->crowd.gone > 0)
            note_failure(lane, &lane->crowd.error);
        if (lane->rung != lane->part.completed)
            loop_ring(publishing); /* room for more events */
        lane->rung = lane->part.completed;
    }
    return NULL;
}

/* Signals are the main thread's business. */
static int start_thread(struct lane *lane)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failure = pthread_create(&lane->thread, NULL, serve, lane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    lane->started = failure == 0;
    return failure;
}

enum err lanes_connect(struct lanes *lanes, struct error *error)
{
    struct lane *own = &lanes->items[0];
    const struct error *failure = NULL;
    for (size_t i = 1; i < lanes->count; i++) {
        int problem = start_thread(&lanes->items[i]);
        if (problem)
            return error_set(error, ERR_UNAVAILABLE, "cannot start a thread: %s", strerror(problem));
    }
    enum err err = crowd_connect(&own->crowd, RUN_CONNECT_US, error);
    for (size_t i = 1; i < lanes->count && !err; i++) /* each has a deadline of its own */
        while (!atomic_load_explicit(&lanes->items[i].connected, memory_order_acquire))
            loop_turn(own->loop, clock_now_us() + TURN_US);
    if (!err && (failure = lanes_failure(lanes)))
        err = error_set(error, ERR_UNAVAILABLE, "%s", failure->text);
    return err;
}

enum err lanes_connect_and_weigh(struct lanes *lanes, struct error *error)
{
    enum err err = run_weigh(lanes->run, error);
    if (!err)
        err = lanes_connect(lanes, error);
    return err ? err : run_note_growth(lanes->run, error);
}

const struct error *lanes_failure(struct lanes *lanes)
{
    if (lanes->items[0].crowd.gone > 0)
        note_failure(&lanes->items[0], &lanes->items[0].crowd.error);
    for (size_t i = 0; i < lanes->count; i++)
        if (atomic_load_explicit(&lanes->items[i].failed, memory_order_acquire))
            return &lanes->items[i].error;
    return NULL;
}

void lanes_stop(struct lanes *lanes)
{
    atomic_store_explicit(&lanes->stop, true, memory_order_release);
    for (size_t i = 1; i < lanes->count; i++) {
        struct lane *lane = &lanes->items[i];
        if (!lane->started)
            continue;
        loop_ring(lane->loop);
        pthread_join(lane->thread, NULL);
        lane->started = false;
    }
}

size_t lanes_ready(const struct lanes *lanes)
{
    size_t ready = 0;
    for (size_t i = 0; i < lanes->count; i++)
        ready += lanes->items[i].crowd.ready;
    return ready;
}

void lanes_add_latency(const struct lanes *lanes, struct histogram *out)
{
    for (size_t i = 0; i < lanes->count; i++)
        histogram_add(out, &lanes->items[i].crowd.latency);
}

void lanes_fini(struct lanes *lanes)
{
    lanes_stop(lanes);
    for (size_t i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->items[i];
        crowd_fini(&lane->crowd);
        ledger_part_fini(&lane->part);
        credentials_free(lane->tokens, lane->crowd.count);
        if (i > 0)
            loop_fini(&lane->own_loop);
    }
    free(lanes->items);
}
