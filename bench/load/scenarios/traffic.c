/* traffic.c - see traffic.h. */
#include "bench/load/scenarios/traffic.h"

#include "bench/load/lanes.h"
#include "bench/load/outlet.h"
#include "bench/load/pace.h"
#include "bench/load/payload.h"
#include "common/base/clock.h"

struct traffic {
    struct run *run;
    const struct traffic_extra *extra;
    struct lanes lanes;
    struct ledger ledger;
    struct outlet outlet;
    struct pace pace;
    uint64_t random; /* the state of xorshift64; never 0 */
    uint64_t published;
    bool overfull; /* more events than a ledger takes */
    struct error error;
    uint64_t warmup_events, warmup_deliveries;
};

/* In whatever lane the subscriber is. */
static void on_item(void *owner, size_t client, enum dialect_item item, struct str payload, uint64_t now_us)
{
    struct lane *lane = owner;
    uint64_t number;
    if (item != DIALECT_EVENT ||
        !payload_number(payload, lane->lanes->run->settings->data_bytes, &lane->payload_hint, &number) ||
        !ledger_deliver(&lane->part, client, number, now_us))
        lane_fail(lane, "a subscriber got what is no event of this run", payload);
}

static uint32_t pick_channel(struct traffic *traffic)
{
    const struct run_settings *settings = traffic->run->settings;
    if (settings->channel_count == 1)
        return 0;
    if (settings->in_turn)
        return (uint32_t)(traffic->published % settings->channel_count);
    traffic->random ^= traffic->random << 13;
    traffic->random ^= traffic->random >> 7;
    traffic->random ^= traffic->random << 17;
    return (uint32_t)((traffic->random >> 11) % settings->channel_count);
}

static void publish(struct traffic *traffic, uint32_t channel, size_t data_bytes, uint64_t due_us)
{
    const struct run_settings *settings = traffic->run->settings;
    size_t connection = (size_t)(traffic->published / settings->batch) % traffic->outlet.count;
    outlet_publish(&traffic->outlet, connection, channel, ledger_send(&traffic->ledger, channel, due_us), data_bytes);
    traffic->published++;
    traffic->overfull = traffic->published >= LEDGER_EVENTS_MAX;
}

static void publish_next(struct traffic *traffic, uint64_t due_us)
{
    publish(traffic, pick_channel(traffic), traffic->run->settings->data_bytes, due_us);
}

static void send_all(struct traffic *traffic)
{
    for (size_t i = 0; i < traffic->outlet.count; i++)
        outlet_send(&traffic->outlet, i);
}

static bool publish_what_is_due(struct traffic *traffic, uint64_t now_us)
{
    struct run *run = traffic->run;
    bool any = false;
    while (pace_due_us(&traffic->pace) <= now_us && !traffic->overfull && run_take(run)) {
        publish_next(traffic, pace_due_us(&traffic->pace));
        pace_take(&traffic->pace);
        any = true;
    }
    if (run->allowance > 0)
        loop_wake_at(&run->loop, pace_due_us(&traffic->pace));
    return any;
}

/* At the end of a turn, so that the events that were completed together are followed by as many together. */
static void fill(void *owner)
{
    struct traffic *traffic = owner;
    const struct run_settings *settings = traffic->run->settings;
    uint64_t now_us = clock_now_us();
    bool any = false;
    if (settings->rate > 0)
        any = publish_what_is_due(traffic, now_us);
    else
        for (; ledger_in_flight(&traffic->ledger) < settings->window && !traffic->overfull && run_take(traffic->run);
             any = true)
            publish_next(traffic, now_us);
    if (any)
        send_all(traffic);
}

static void start(void *owner)
{
    struct traffic *traffic = owner;
    pace_begin(&traffic->pace, traffic->run->settings->rate, clock_now_us());
    fill(traffic);
}

static size_t under_way(void *owner)
{
    const struct traffic *traffic = owner;
    return ledger_in_flight(&traffic->ledger) + traffic->outlet.under_way;
}

static const struct error *failure(void *owner)
{
    struct traffic *traffic = owner;
    const struct error *found = outlet_failure(&traffic->outlet);
    if (found)
        return found;
    if (traffic->overfull) {
        error_set(&traffic->error, ERR_TOO_LARGE, "over a thousand million events: give a shorter --duration");
        return &traffic->error;
    }
    return lanes_failure(&traffic->lanes);
}

/* TCP treats a connection by the longest segment that it has carried, so each connection carries a long one first. */
static enum err send_first(struct traffic *traffic, struct error *error)
{
    const struct run_settings *settings = traffic->run->settings;
    uint64_t now_us = clock_now_us();
    const struct error *failed = NULL;
    for (uint32_t channel = 0; settings->first_bytes && channel < settings->channel_count; channel++)
        publish(traffic, channel, settings->first_bytes, now_us);
    send_all(traffic);
    while (!(failed = failure(traffic)) && under_way(traffic) > 0)
        if (!loop_turn(&traffic->run->loop, now_us + settings->patience_us))
            return ERR_NONE; /* run_load finds it under way, and its losses are counted */
    return failed ? error_set(error, ERR_UNAVAILABLE, "%s", failed->text) : ERR_NONE;
}

static uint64_t deliveries(const struct traffic *traffic)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < traffic->lanes.count; i++)
        sum += traffic->lanes.items[i].part.deliveries;
    return sum;
}

/* Losses of the warm-up stay in the count: they are losses. */
static void forget(void *owner)
{
    struct traffic *traffic = owner;
    traffic->warmup_events = traffic->published;
    traffic->warmup_deliveries = deliveries(traffic);
    for (size_t i = 0; i < traffic->lanes.count; i++)
        ledger_part_forget(&traffic->lanes.items[i].part);
    if (traffic->extra && traffic->extra->measuring)
        traffic->extra->measuring(traffic->extra->owner);
}

static void sum_up(struct traffic *traffic)
{
    struct run_result *result = &traffic->run->result;
    lanes_stop(&traffic->lanes);
    result->has_events = true;
    result->events = traffic->published - traffic->warmup_events;
    result->operations = deliveries(traffic) - traffic->warmup_deliveries;
    result->lost = traffic->ledger.expected - deliveries(traffic);
    for (size_t i = 0; i < traffic->lanes.count; i++) {
        const struct ledger_part *part = &traffic->lanes.items[i].part;
        result->duplicated += part->duplicated;
        result->misordered += part->misordered;
        histogram_add(&result->latency, &part->latency);
        histogram_add(&result->first, &part->first);
        histogram_add(&result->last, &part->last);
    }
}

static enum err measure(struct traffic *traffic, struct error *error)
{
    const struct load load = {traffic, start, fill, under_way, failure, forget};
    const struct traffic_extra *extra = traffic->extra;
    for (size_t i = 0; i < traffic->lanes.count; i++) {
        struct lane *lane = &traffic->lanes.items[i];
        ledger_part_init(&lane->part, &traffic->ledger, lane->crowd.first, lane->crowd.count);
    }
    enum err err = lanes_connect_and_weigh(&traffic->lanes, error);
    if (!err && extra && extra->connected)
        err = extra->connected(extra->owner, error);
    if (!err)
        err = outlet_open(&traffic->outlet, error);
    if (!err)
        err = send_first(traffic, error);
    if (!err)
        err = run_load(traffic->run, &load, error);
    if (!err)
        sum_up(traffic);
    return err;
}

enum err traffic_run(struct run *run, const struct traffic_extra *extra, struct error *error)
{
    const struct run_settings *settings = run->settings;
    struct traffic traffic = {
        .run = run,
        .extra = extra,
        .outlet = {.run = run, .count = settings->publishers},
        .random = settings->seed * UINT64_C(0x9E3779B97F4A7C15) | 1,
    };
    ledger_init(&traffic.ledger, settings->channel_count);
    enum err err = lanes_init(&traffic.lanes, run, true, on_item, error);
    if (!err)
        err = measure(&traffic, error);
    lanes_fini(&traffic.lanes);
    outlet_close(&traffic.outlet);
    ledger_fini(&traffic.ledger);
    return err;
}
