/* scenario_connect.c - scenario connect: what it takes until a client is there and, unless told otherwise, subscribed.
 * The tokens are made before. */
#include "bench/load/lanes.h"
#include "bench/load/scenarios/scenarios.h"

/* Nothing is published, so nothing needs to be looked at. */
static void on_item(void *lane, size_t client, enum dialect_item item, struct str payload, uint64_t now_us)
{
    (void)lane;
    (void)client;
    (void)item;
    (void)payload;
    (void)now_us;
}

enum err scenario_connect(struct run *run, struct error *error)
{
    struct lanes lanes;
    enum err err = lanes_init(&lanes, run, run->settings->subscribes, on_item, error);
    if (!err)
        err = run_weigh(run, error);
    if (!err)
        err = run_begin(run, error);
    if (!err)
        err = lanes_connect(&lanes, error);
    if (!err)
        err = run_end(run, error);
    if (!err)
        err = run_note_growth(run, error);
    lanes_stop(&lanes);
    run->result.operations = lanes_ready(&lanes);
    lanes_add_latency(&lanes, &run->result.latency);
    lanes_fini(&lanes);
    return err;
}
