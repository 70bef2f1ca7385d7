/* scenario_recover.c - scenario recover. All clients are subscribed, then all are lost at once. Events are published to
 * each channel while nobody is there. Then all clients come back with their positions. The measured time runs from the
 * first connection until the last client has everything, once and in order. */
#include "bench/load/lanes.h"
#include "bench/load/outlet.h"
#include "bench/load/payload.h"
#include "bench/load/scenarios/scenarios.h"
#include "common/base/alloc.h"
#include "common/base/clock.h"

static const uint64_t LOOK_US = 1000; /* how often the first thread looks whether all have everything */

struct recover;

/* A lane's share; its thread's alone. */
struct share {
    struct recover *recover;
    uint32_t *next; /* owned: number of the event that each client should get next */
    uint64_t deliveries;
    uint64_t duplicated;
    uint64_t misordered;
    struct histogram latency; /* of each client, from connect() to its last event */
    uint64_t complete_us;     /* when the latest of its clients had that */
};

/* Where a channel stood when its clients were lost. */
struct bench_position {
    char epoch[TALK_EPOCH_MAX + 1];
    uint64_t offset;
    char id[TALK_ID_MAX + 1];
};

struct recover {
    struct run *run;
    struct lanes lanes;
    struct share shares[LANES_MAX];
    _Atomic size_t complete;          /* clients that have the last event */
    struct bench_position *positions; /* owned: one for each channel */
};

static struct bench_position *position_of(const struct recover *recover, const struct lane *lane, size_t client)
{
    return &recover->positions[(lane->crowd.first + client) % recover->run->settings->channel_count];
}

/* --- being there, and being lost ---------------------------------------------------------------------------------- */

static void on_early(void *lane, size_t client, enum dialect_item item, struct str payload, uint64_t now_us)
{
    (void)client;
    (void)item;
    (void)now_us;
    lane_fail(lane, "a client got what it had not asked for", payload);
}

static void note_places(const struct recover *recover, const struct lane *lane)
{
    for (size_t i = 0; i < lane->crowd.count; i++) {
        const struct talk *talk = &lane->crowd.clients[i].talk;
        struct bench_position *position = position_of(recover, lane, i);
        memcpy(position->epoch, talk->epoch, sizeof position->epoch);
        position->offset = talk->offset;
        memcpy(position->id, talk->id, sizeof position->id);
    }
}

/* Connects all, notes where the channels stand, and drops them. */
static enum err be_there(struct recover *recover, struct error *error)
{
    const struct run_settings *settings = recover->run->settings;
    struct lanes lanes;
    enum err err = lanes_init(&lanes, recover->run, true, on_early, error);
    if (!err)
        err = lanes_connect(&lanes, error);
    lanes_stop(&lanes);
    for (size_t i = 0; i < lanes.count && !err; i++)
        note_places(recover, &lanes.items[i]);
    lanes_fini(&lanes);
    for (size_t i = 0; i < settings->channel_count && !err; i++)
        if (!recover->positions[i].epoch[0])
            err = error_set(
                error, ERR_INVALID_REQUEST,
                "channel %.*s has no history to come back to: give its rule a history.size of at least --missed",
                STR_ARG(settings->channels[i]));
    return err;
}

/* --- what they miss ----------------------------------------------------------------------------------------------- */

static enum err publish_missed(struct run *run, struct error *error)
{
    const struct run_settings *settings = run->settings;
    struct outlet outlet = {.run = run, .count = 1};
    uint64_t deadline_us = clock_now_us() + RUN_OUTLET_US;
    const struct error *failure = NULL;
    enum err err = outlet_open(&outlet, error);
    for (uint32_t number = 0; !err && number < settings->missed; number++)
        for (uint32_t channel = 0; channel < settings->channel_count; channel++)
            outlet_publish(&outlet, 0, channel, number, settings->data_bytes);
    if (!err)
        outlet_send(&outlet, 0);
    while (!err && !(failure = outlet_failure(&outlet)) && outlet.under_way > 0 && loop_turn(&run->loop, deadline_us))
        continue;
    if (failure)
        err = error_set(error, ERR_UNAVAILABLE, "%s", failure->text);
    else if (!err && outlet.under_way > 0)
        err =
            error_set(error, ERR_UNAVAILABLE, "%zu of the events to miss were not accepted in time", outlet.under_way);
    outlet_close(&outlet);
    return err;
}

/* --- coming back -------------------------------------------------------------------------------------------------- */

static void on_item(void *owner, size_t client, enum dialect_item item, struct str payload, uint64_t now_us)
{
    struct lane *lane = owner;
    struct share *share = lane->owner;
    const struct run_settings *settings = share->recover->run->settings;
    uint64_t number;
    if (item != DIALECT_EVENT || !payload_number(payload, settings->data_bytes, &lane->payload_hint, &number)) {
        lane_fail(lane, "a client got what it had not asked for", payload);
        return;
    }
    uint32_t *next = &share->next[client];
    if (number < *next) {
        share->duplicated++;
        return;
    }
    share->deliveries++;
    share->misordered += number > *next;
    *next = (uint32_t)number + 1;
    if (*next < settings->missed)
        return;
    histogram_record(&share->latency, now_us - lane->crowd.clients[client].began_us);
    share->complete_us = now_us;
    atomic_fetch_add(&share->recover->complete, 1);
}

static void take_share(struct recover *recover, size_t index)
{
    struct lane *lane = &recover->lanes.items[index];
    struct share *share = &recover->shares[index];
    share->recover = recover;
    share->next = xcalloc(lane->crowd.count, sizeof *share->next);
    histogram_clear(&share->latency);
    lane->owner = share;
    for (size_t i = 0; i < lane->crowd.count; i++) {
        struct talk *talk = &lane->crowd.clients[i].talk;
        const struct bench_position *position = position_of(recover, lane, i);
        memcpy(talk->epoch, position->epoch, sizeof talk->epoch);
        talk->offset = position->offset;
        memcpy(talk->id, position->id, sizeof talk->id);
    }
}

static enum err wait_for_all(struct recover *recover, struct error *error)
{
    const struct run_settings *settings = recover->run->settings;
    uint64_t deadline_us = clock_now_us() + settings->patience_us;
    const struct error *failure = NULL;
    while (!(failure = lanes_failure(&recover->lanes)) && atomic_load(&recover->complete) < settings->connections &&
           clock_now_us() < deadline_us)
        loop_turn(&recover->run->loop, clock_now_us() + LOOK_US);
    return failure ? error_set(error, ERR_UNAVAILABLE, "%s", failure->text) : ERR_NONE;
}

static enum err come_back(struct recover *recover, struct error *error)
{
    struct run *run = recover->run;
    enum err err = lanes_init(&recover->lanes, run, true, on_item, error);
    for (size_t i = 0; i < recover->lanes.count; i++)
        take_share(recover, i);
    if (!err)
        err = run_begin(run, error);
    if (!err)
        err = lanes_connect(&recover->lanes, error);
    if (!err)
        err = wait_for_all(recover, error);
    if (!err)
        err = run_end(run, error);
    lanes_stop(&recover->lanes);
    return err;
}

static void sum_up(struct recover *recover)
{
    struct run_result *result = &recover->run->result;
    const struct run_settings *settings = recover->run->settings;
    uint64_t complete_us = 0;
    for (size_t i = 0; i < recover->lanes.count; i++) {
        const struct share *share = &recover->shares[i];
        complete_us = share->complete_us > complete_us ? share->complete_us : complete_us;
        result->operations += share->deliveries;
        result->duplicated += share->duplicated;
        result->misordered += share->misordered;
        histogram_add(&result->latency, &share->latency);
    }
    result->has_events = true;
    result->events = settings->missed * settings->channel_count;
    result->lost = settings->missed * settings->connections - result->operations;
    result->recovered_clients = atomic_load(&recover->complete);
    if (result->recovered_clients == settings->connections)
        result->caught_up_us = complete_us - recover->run->began_us;
}

enum err scenario_recover(struct run *run, struct error *error)
{
    struct recover *recover = xcalloc(1, sizeof *recover);
    recover->run = run;
    recover->positions = xcalloc(run->settings->channel_count, sizeof *recover->positions);
    enum err err = be_there(recover, error);
    if (!err)
        err = publish_missed(run, error);
    if (!err) {
        err = come_back(recover, error);
        sum_up(recover);
        for (size_t i = 0; i < recover->lanes.count; i++)
            free(recover->shares[i].next);
        lanes_fini(&recover->lanes);
    }
    free(recover->positions);
    free(recover);
    return err;
}
