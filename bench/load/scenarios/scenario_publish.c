/* scenario_publish.c - scenario publish: what taking events in costs, one a request or in batches, when nobody listens.
 */
#include "bench/load/outlet.h"
#include "bench/load/scenarios/scenarios.h"
#include "common/base/alloc.h"
#include "common/base/clock.h"

struct publisher {
    uint64_t sent_us; /* its request */
    size_t waiting;   /* events of it that have no answer yet */
};

struct publish {
    struct run *run;
    struct outlet outlet;
    struct publisher *publishers; /* owned, one for each connection */
    uint64_t events;
    uint32_t next_number;
};

static void post(struct publish *publish, size_t connection)
{
    struct publisher *publisher = &publish->publishers[connection];
    publisher->waiting = publish->run->settings->batch;
    publisher->sent_us = clock_now_us();
    for (size_t i = 0; i < publisher->waiting; i++)
        outlet_publish(&publish->outlet, connection, 0, publish->next_number++, publish->run->settings->data_bytes);
    outlet_send(&publish->outlet, connection);
}

static void start(void *owner)
{
    struct publish *publish = owner;
    for (size_t i = 0; i < publish->outlet.count; i++)
        if (publish->publishers[i].waiting == 0 && run_take(publish->run))
            post(publish, i);
}

static void on_accepted(void *owner, size_t connection, size_t events)
{
    struct publish *publish = owner;
    struct publisher *publisher = &publish->publishers[connection];
    publish->events += events;
    publisher->waiting -= events < publisher->waiting ? events : publisher->waiting;
    if (publisher->waiting > 0)
        return;
    histogram_record(&publish->run->result.latency, clock_now_us() - publisher->sent_us);
    if (run_take(publish->run))
        post(publish, connection);
}

static size_t under_way(void *owner)
{
    return ((struct publish *)owner)->outlet.under_way;
}

static const struct error *failure(void *owner)
{
    return outlet_failure(&((struct publish *)owner)->outlet);
}

static void forget(void *owner)
{
    ((struct publish *)owner)->events = 0;
}

enum err scenario_publish(struct run *run, struct error *error)
{
    struct publish publish = {.run = run};
    const struct load load = {&publish, start, NULL, under_way, failure, forget};
    publish.outlet = (struct outlet){
        .run = run,
        .count = run->settings->connections,
        .on_accepted = on_accepted,
        .owner = &publish,
    };
    publish.publishers = xcalloc(publish.outlet.count, sizeof *publish.publishers);
    enum err err = outlet_open(&publish.outlet, error);
    if (!err)
        err = run_load(run, &load, error);
    run->result.has_events = true;
    run->result.events = run->result.operations = publish.events;
    run->result.lost = publish.outlet.under_way;
    outlet_close(&publish.outlet);
    free(publish.publishers);
    return err;
}
