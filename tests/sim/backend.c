/* backend.c - see backend.h. */
#include "tests/sim/backend.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

enum { RETRY_MIN_US = 50000, RETRY_SPREAD_US = 600000 };

static struct backend {
    struct sim_node **nodes;
    size_t count;
    size_t waiting;
} backend;

static struct sim_worker *choose_worker(void)
{
    for (size_t i = 0, at = world_below(CHANCE_PLAN, backend.count); i < backend.count; i++) {
        struct sim_node *node = backend.nodes[(at + i) % backend.count];
        if (node->alive)
            return &node->workers[world_below(CHANCE_PLAN, node->worker_count)];
    }
    return NULL;
}

static void retry(void *owner, uint64_t number)
{
    backend.waiting--;
    if (!truth_is_settled(number))
        backend_publish(number);
}

void backend_try_again(uint64_t number)
{
    if (truth_is_settled(number))
        return;
    backend.waiting++;
    world_at(world_now_us() + RETRY_MIN_US + world_below(CHANCE_PLAN, RETRY_SPREAD_US), retry, NULL, number);
}

static void on_published(struct request *request, void *hub)
{
    const struct publication *publication = publication_of(request);
    uint64_t number = publication->waiter_index;
    const struct sim_node *node = request->waiter;
    backend.waiting--;
    if (!node->alive) /* nobody is left to say so */
        truth_unknown(number);
    else if (!request->error)
        truth_acknowledged(number, str_from_cstr(publication->id), str_from_cstr(publication->epoch),
                           publication->offset, publication->duplicate);
    else if (strstr(request->error->text, "may or may not"))
        truth_unknown(number);
    else
        truth_refused(number);
    request_destroy(request);
    backend_try_again(number);
}

/* In the worker's thread. */
static void publish(void *owner, void *argument)
{
    struct sim_worker *worker = owner;
    uint64_t number = (uintptr_t)argument;
    size_t channel = truth_channel(number);
    char text[32];
    int len = snprintf(text, sizeof text, "{\"n\":%llu}", (unsigned long long)number);
    const struct event_offer offer = {.channel = str_from_cstr(sim_channels[channel].name),
                                      .type = STR("note"),
                                      .data = {.raw = str_from(text, (size_t)len)},
                                      .event_id = truth_event_id(number)};
    struct publication *publication = publication_create(&offer, STR(""));
    publication->history = sim_node_history(worker->node, channel);
    publication->accepted_us = clock_now_us();
    publication->base.reply_to = &worker->mailbox;
    publication->base.done = on_published;
    publication->base.waiter = worker->node;
    publication->waiter_index = number;
    router_ask(&worker->node->real.router, &publication->base);
}

void backend_publish(uint64_t number)
{
    struct sim_worker *worker = choose_worker();
    if (!worker) {
        backend_try_again(number);
        return;
    }
    backend.waiting++;
    truth_attempt(number);
    world_trace("backend publishes %llu on %s through %s", (unsigned long long)number,
                sim_channels[truth_channel(number)].name, worker->node->real.id);
    loop_post(worker->loop, publish, worker, (void *)(uintptr_t)number);
}

bool backend_is_quiet(void)
{
    return backend.waiting == 0;
}

void backend_begin(struct sim_node **nodes, size_t count)
{
    backend = (struct backend){.nodes = nodes, .count = count};
}
