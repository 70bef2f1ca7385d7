/* scenario_request.c - scenario request: messages to an endpoint that gives each of them back, or takes it in silence.
 * In the closed loop each connection sends its next message when the one before has come back. With a rate the
 * connections take turns, whatever is under way, and each message is timed from when it was due. */
#include "bench/load/lanes.h"
#include "bench/load/pace.h"
#include "bench/load/payload.h"
#include "bench/load/scenarios/scenarios.h"
#include "common/base/alloc.h"
#include "common/base/clock.h"

enum { UNDER_WAY_MAX = 1024 }; /* of one connection */

/* Messages of a connection are numbered from 1. */
struct requester {
    uint32_t sent;
    uint32_t answered;
    uint64_t *due_us; /* owned; of message n at n % UNDER_WAY_MAX */
};

struct request_load {
    struct run *run;
    struct lanes lanes; /* one */
    struct crowd *crowd;
    struct requester *requesters; /* owned, one for each connection */
    struct pace pace;
    size_t next; /* whose turn it is, with a rate */
    uint64_t under_way;
    uint64_t operations;
    uint64_t misordered;
    size_t hint; /* see payload_number */
    bool failed;
    struct error error;
    struct buf text;
};

static void fail(struct request_load *request, const char *what, struct str words)
{
    if (!request->failed)
        error_set(&request->error, ERR_UNAVAILABLE, "%s%.*s", what, STR_ARG(words));
    request->failed = true;
}

static void ask(struct request_load *request, size_t index, uint64_t due_us)
{
    const struct run_settings *settings = request->run->settings;
    struct requester *requester = &request->requesters[index];
    if (settings->answered && requester->sent - requester->answered == UNDER_WAY_MAX) {
        fail(request, "a connection has 1024 messages without an answer: the rate is too high", STR(""));
        return;
    }
    buf_clear(&request->text);
    payload_append(&request->text, ++requester->sent, settings->data_bytes);
    if (settings->answered) {
        requester->due_us[requester->sent % UNDER_WAY_MAX] = due_us;
        request->under_way++;
    } else {
        request->operations++;
    }
    crowd_queue(request->crowd, index, buf_str(&request->text));
    crowd_flush(request->crowd, index);
}

static void ask_what_is_due(void *owner)
{
    struct request_load *request = owner;
    struct run *run = request->run;
    if (!run->settings->rate)
        return;
    uint64_t now_us = clock_now_us();
    while (pace_due_us(&request->pace) <= now_us && !request->failed && run_take(run)) {
        ask(request, request->next++ % request->crowd->count, pace_due_us(&request->pace));
        pace_take(&request->pace);
    }
    if (run->allowance > 0)
        loop_wake_at(&run->loop, pace_due_us(&request->pace));
}

static void start(void *owner)
{
    struct request_load *request = owner;
    uint64_t now_us = clock_now_us();
    pace_begin(&request->pace, request->run->settings->rate, now_us);
    for (size_t i = 0; !request->run->settings->rate && i < request->crowd->count; i++)
        if (request->requesters[i].sent == request->requesters[i].answered && run_take(request->run))
            ask(request, i, now_us);
    ask_what_is_due(request);
}

static void on_item(void *owner, size_t index, enum dialect_item item, struct str text, uint64_t now_us)
{
    struct request_load *request = ((struct lane *)owner)->owner;
    const struct run_settings *settings = request->run->settings;
    struct requester *requester = &request->requesters[index];
    uint64_t number;
    (void)item;
    if (!settings->answered || !payload_number(text, settings->data_bytes, &request->hint, &number) ||
        requester->answered == requester->sent || number == 0 || number > requester->sent) {
        fail(request, "a client got what is no answer to its message: ", text);
        return;
    }
    histogram_record(&request->run->result.latency, now_us - requester->due_us[number % UNDER_WAY_MAX]);
    if (number != ++requester->answered)
        request->misordered++;
    request->under_way--;
    request->operations++;
    if (!settings->rate && run_take(request->run))
        ask(request, index, clock_now_us());
}

/* Messages without an answer are under way until the kernel has taken them. */
static size_t under_way(void *owner)
{
    const struct request_load *request = owner;
    size_t unsent = 0;
    for (size_t i = 0; i < request->crowd->count; i++)
        unsent += request->crowd->clients[i].stream.blocked;
    return request->under_way + unsent;
}

static const struct error *failure(void *owner)
{
    struct request_load *request = owner;
    return request->failed ? &request->error : lanes_failure(&request->lanes);
}

static void forget(void *owner)
{
    ((struct request_load *)owner)->operations = 0;
}

static enum err measure(struct request_load *request, struct error *error)
{
    const struct load load = {request, start, ask_what_is_due, under_way, failure, forget};
    struct run_result *result = &request->run->result;
    enum err err = lanes_connect_and_weigh(&request->lanes, error);
    if (!err)
        err = run_load(request->run, &load, error);
    result->operations = request->operations;
    result->lost = request->under_way;
    result->misordered = request->misordered;
    return err;
}

enum err scenario_request(struct run *run, struct error *error)
{
    struct request_load request = {.run = run};
    enum err err = lanes_init(&request.lanes, run, false, on_item, error);
    request.lanes.items[0].owner = &request;
    request.crowd = &request.lanes.items[0].crowd;
    request.crowd->sends_binary = run->settings->binary;
    request.requesters = xcalloc(request.crowd->count, sizeof *request.requesters);
    for (size_t i = 0; i < request.crowd->count; i++)
        request.requesters[i].due_us = xcalloc(UNDER_WAY_MAX, sizeof *request.requesters[i].due_us);
    if (!err)
        err = measure(&request, error);
    for (size_t i = 0; i < request.crowd->count; i++)
        free(request.requesters[i].due_us);
    free(request.requesters);
    lanes_fini(&request.lanes);
    buf_fini(&request.text);
    return err;
}
