/* scenario_publish.c - scenario publish: what taking events in costs, one a request or in batches, when nobody listens.
 * In the closed loop each connection sends its next request when the one before is answered. With a rate the
 * connections take turns. A request that is due while all are busy waits for one, and is timed from when it was due. */
#include "bench/load/outlet.h"
#include "bench/load/pace.h"
#include "bench/load/scenarios/scenarios.h"
#include "common/base/alloc.h"
#include "common/base/clock.h"

struct publisher {
    uint64_t due_us; /* its request; in the closed loop, when it was sent */
    size_t waiting;  /* events of it that have no answer yet */
};

struct publish {
    struct run *run;
    struct outlet outlet;
    struct publisher *publishers; /* owned, one for each connection */
    struct pace pace;             /* of the events */
    size_t next;                  /* whose turn it is, with a rate */
    uint64_t events;
    uint32_t next_number;
};

static void post(struct publish *publish, size_t connection, uint64_t due_us)
{
    struct publisher *publisher = &publish->publishers[connection];
    publisher->waiting = publish->run->settings->batch;
    publisher->due_us = due_us;
    for (size_t i = 0; i < publisher->waiting; i++)
        outlet_publish(&publish->outlet, connection, 0, publish->next_number++, publish->run->settings->data_bytes);
    outlet_send(&publish->outlet, connection);
}

/* The next connection whose request is answered. False: there is none. */
static bool find_free(struct publish *publish, size_t *out)
{
    for (size_t i = 0; i < publish->outlet.count; i++) {
        size_t connection = (publish->next + i) % publish->outlet.count;
        if (publish->publishers[connection].waiting > 0)
            continue;
        publish->next = connection + 1;
        *out = connection;
        return true;
    }
    return false;
}

static void post_what_is_due(void *owner)
{
    struct publish *publish = owner;
    struct run *run = publish->run;
    size_t connection;
    if (!run->settings->rate)
        return;
    uint64_t now_us = clock_now_us();
    while (pace_due_us(&publish->pace) <= now_us && run->allowance > 0 && find_free(publish, &connection)) {
        run_take(run);
        post(publish, connection, pace_due_us(&publish->pace));
        for (size_t i = 0; i < run->settings->batch; i++)
            pace_take(&publish->pace);
    }
    if (run->allowance > 0)
        loop_wake_at(&run->loop, pace_due_us(&publish->pace));
}

static void start(void *owner)
{
    struct publish *publish = owner;
    uint64_t now_us = clock_now_us();
    pace_begin(&publish->pace, publish->run->settings->rate, now_us);
    for (size_t i = 0; !publish->run->settings->rate && i < publish->outlet.count; i++)
        if (publish->publishers[i].waiting == 0 && run_take(publish->run))
            post(publish, i, now_us);
    post_what_is_due(publish);
}

static void on_accepted(void *owner, size_t connection, size_t events)
{
    struct publish *publish = owner;
    struct publisher *publisher = &publish->publishers[connection];
    publish->events += events;
    publisher->waiting -= events < publisher->waiting ? events : publisher->waiting;
    if (publisher->waiting > 0)
        return;
    uint64_t now_us = clock_now_us();
    histogram_record(&publish->run->result.latency, now_us - publisher->due_us);
    if (!publish->run->settings->rate && run_take(publish->run))
        post(publish, connection, now_us);
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
    const struct load load = {&publish, start, post_what_is_due, under_way, failure, forget};
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
