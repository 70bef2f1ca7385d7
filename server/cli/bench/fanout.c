/* fanout.c - scenario fanout: every subscriber of one channel gets every event, in the same order, once. */
#include "common/base/clock.h"
#include "common/json/json.h"
#include "server/cli/bench/ledger.h"
#include "server/cli/bench/run.h"

struct fanout {
    struct run *run;
    struct crowd crowd;
    struct http_pool pool;
    size_t next; /* connection to publish over */
    struct ledger ledger;
    size_t in_flight; /* events that have not reached every subscriber */
    struct buf body;
    bool failed;
    struct error error;
};

static void post_event(struct fanout *fanout)
{
    const struct run_settings *settings = fanout->run->settings;
    uint32_t number = ledger_send(&fanout->ledger, clock_now_us());
    struct buf *body = &fanout->body;
    buf_clear(body);
    buf_append_lit(body, "{\"channel\":");
    json_append_string(body, settings->channel);
    buf_append_lit(body, ",\"type\":\"bench\",\"data\":");
    run_append_data(body, number, settings->data_bytes);
    buf_append_char(body, '}');
    fanout->in_flight++;
    http_pool_post(&fanout->pool, fanout->next, buf_str(body));
    fanout->next = (fanout->next + 1) % fanout->pool.count;
}

/* At the end of a turn, so that the events that were completed together are followed by as many together. */
static void fill(void *owner)
{
    struct fanout *fanout = owner;
    bool any = false;
    while (fanout->in_flight < fanout->run->settings->window && run_take(fanout->run)) {
        post_event(fanout);
        any = true;
    }
    for (size_t i = 0; any && i < fanout->pool.count; i++)
        http_pool_send(&fanout->pool, i);
}

static void fail(struct fanout *fanout, const char *who, struct str words)
{
    if (!fanout->failed)
        error_set(&fanout->error, ERR_UNAVAILABLE, "%s: %.*s", who, STR_ARG(words));
    fanout->failed = true;
}

static void on_answer(void *owner, size_t connection, int status, struct str body)
{
    struct fanout *fanout = owner;
    (void)connection;
    if (status != 200)
        fail(fanout, "an event was refused", body);
}

static void on_text(void *owner, size_t client, struct str text)
{
    struct fanout *fanout = owner;
    static const char mark[] = "\"data\":{\"n\":";
    const char *at = memmem(text.ptr, text.len, mark, sizeof mark - 1);
    uint64_t number = 0;
    struct str rest =
        at ? str_from(at + sizeof mark - 1, text.len - (size_t)(at - text.ptr) - (sizeof mark - 1)) : text;
    if (!at || rest.len + sizeof mark - 1 < fanout->run->settings->data_bytes ||
        !str_to_u64(str_split(&rest, ','), &number) || number >= fanout->ledger.event_count) {
        fail(fanout, "a subscriber got what is no event of this run", text);
        return;
    }
    uint64_t duplicated = fanout->ledger.duplicated;
    if (ledger_deliver(&fanout->ledger, client, (uint32_t)number))
        fanout->in_flight--;
    if (fanout->ledger.duplicated == duplicated)
        histogram_record(&fanout->run->result.latency, clock_now_us() - fanout->ledger.events[number].sent_us);
}

static size_t under_way(void *owner)
{
    const struct fanout *fanout = owner;
    return fanout->in_flight + fanout->pool.under_way;
}

static const struct error *failure(void *owner)
{
    struct fanout *fanout = owner;
    if (fanout->crowd.gone > 0)
        return &fanout->crowd.error;
    if (fanout->pool.failed)
        return &fanout->pool.error;
    return fanout->failed ? &fanout->error : NULL;
}

/* Losses of the warm-up stay in the count: they are losses. */
static void forget(void *owner)
{
    struct fanout *fanout = owner;
    fanout->run->result.operations = fanout->ledger.deliveries;
}

static enum err measure(struct fanout *fanout, struct error *error)
{
    struct run *run = fanout->run;
    struct run_result *result = &run->result;
    const struct load load = {fanout, fill, fill, under_way, failure, forget};
    enum err err = http_pool_connect(&fanout->pool, 10 * 1000 * 1000, error);
    if (!err)
        err = run_load(run, &load, error);
    if (err)
        return err;
    result->operations = fanout->ledger.deliveries - result->operations;
    result->lost = ledger_missing(&fanout->ledger);
    result->duplicated = fanout->ledger.duplicated;
    result->misordered = fanout->ledger.misordered;
    return ERR_NONE;
}

enum err scenario_fanout(struct run *run, struct error *error)
{
    struct fanout fanout = {.run = run};
    struct buf *tokens = NULL;
    fanout.crowd.on_text = on_text;
    fanout.crowd.owner = &fanout;
    fanout.pool = (struct http_pool){
        .loop = &run->loop,
        .target = run->api,
        .path = STR("/api/v1/publish"),
        .api_key = run->settings->api_key,
        .count = run->settings->publishers,
        .on_answer = on_answer,
        .owner = &fanout,
    };
    http_pool_init(&fanout.pool);
    ledger_init(&fanout.ledger, run->settings->connections);
    enum err err = run_connect(run, &fanout.crowd, &tokens, error);
    if (!err)
        err = measure(&fanout, error);
    crowd_fini(&fanout.crowd);
    http_pool_fini(&fanout.pool);
    ledger_fini(&fanout.ledger);
    run_free_tokens(tokens, run->settings->connections);
    buf_fini(&fanout.body);
    return err;
}
