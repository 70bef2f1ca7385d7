/* scenario_idle.c - scenario idle: what connections cost that are only there: subscribed, answering pings, and getting
 * nothing.
 */
#include "bench/load/lanes.h"
#include "bench/load/scenarios/scenarios.h"
#include "common/base/clock.h"

static void on_item(void *lane, size_t client, enum dialect_item item, struct str payload, uint64_t now_us)
{
    (void)client;
    (void)item;
    (void)now_us;
    lane_fail(lane, "a client got what it had not asked for", payload);
}

/* Turns until then; the clients' threads do the same by themselves. */
static enum err wait_until(struct lanes *lanes, uint64_t deadline_us, struct error *error)
{
    const struct error *failure = NULL;
    while (!(failure = lanes_failure(lanes)) && loop_turn(&lanes->run->loop, deadline_us))
        continue;
    return failure ? error_set(error, ERR_UNAVAILABLE, "a connection was lost: %s", failure->text) : ERR_NONE;
}

enum err scenario_idle(struct run *run, struct error *error)
{
    const struct run_settings *settings = run->settings;
    struct lanes lanes;
    enum err err = lanes_init(&lanes, run, true, on_item, error);
    if (!err)
        err = lanes_connect_and_weigh(&lanes, error);
    if (!err)
        err = wait_until(&lanes, clock_now_us() + settings->warmup_us, error);
    if (!err)
        err = run_begin(run, error);
    if (!err)
        err = wait_until(&lanes, run->began_us + settings->measure_us, error);
    if (!err)
        err = run_end(run, error);
    lanes_stop(&lanes);
    run->result.operations = lanes_ready(&lanes);
    lanes_fini(&lanes);
    return err;
}
