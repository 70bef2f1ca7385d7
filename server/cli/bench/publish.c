/* publish.c - scenario publish: what taking events in costs, one a request or in batches, when nobody listens. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/json/json.h"
#include "server/cli/bench/run.h"

struct publish {
    struct run *run;
    struct http_pool pool;
    uint64_t *sent_us; /* of the request under way on each connection */
    uint64_t events;
    uint32_t next_number;
    bool failed;
    struct error error;
    struct buf body;
};

static void append_event(struct publish *publish)
{
    const struct run_settings *settings = publish->run->settings;
    struct buf *body = &publish->body;
    buf_append_lit(body, "{\"channel\":");
    json_append_string(body, settings->channel);
    buf_append_lit(body, ",\"type\":\"bench\",\"data\":");
    run_append_data(body, publish->next_number++, settings->data_bytes);
    buf_append_char(body, '}');
}

static void post(struct publish *publish, size_t connection)
{
    struct buf *body = &publish->body;
    size_t batch = publish->run->settings->batch;
    buf_clear(body);
    if (batch == 1) {
        append_event(publish);
    } else {
        buf_append_lit(body, "{\"commands\":[");
        for (size_t i = 0; i < batch; i++) {
            buf_append(body, i ? STR(",{\"publish\":") : STR("{\"publish\":"));
            append_event(publish);
            buf_append_char(body, '}');
        }
        buf_append_lit(body, "]}");
    }
    publish->sent_us[connection] = clock_now_us();
    http_pool_post(&publish->pool, connection, buf_str(body));
    http_pool_send(&publish->pool, connection);
}

static void start(void *owner)
{
    struct publish *publish = owner;
    for (size_t i = 0; i < publish->pool.count; i++)
        if (publish->pool.connections[i].under_way == 0 && run_take(publish->run))
            post(publish, i);
}

static size_t count_of(struct str text, const char *part, size_t part_len)
{
    size_t count = 0;
    for (const char *at; (at = memmem(text.ptr, text.len, part, part_len)); count++)
        text = str_from(at + part_len, text.len - (size_t)(at + part_len - text.ptr));
    return count;
}

static void on_answer(void *owner, size_t connection, int status, struct str body)
{
    struct publish *publish = owner;
    size_t batch = publish->run->settings->batch;
    histogram_record(&publish->run->result.latency, clock_now_us() - publish->sent_us[connection]);
    if (status != 200 || count_of(body, "\"id\":", 5) != batch) {
        if (!publish->failed)
            error_set(&publish->error, ERR_UNAVAILABLE, "a request was refused (HTTP status %d): %.*s", status,
                      STR_ARG(body));
        publish->failed = true;
        return;
    }
    publish->events += batch;
    if (run_take(publish->run))
        post(publish, connection);
}

static size_t under_way(void *owner)
{
    return ((struct publish *)owner)->pool.under_way;
}

static const struct error *failure(void *owner)
{
    struct publish *publish = owner;
    if (publish->pool.failed)
        return &publish->pool.error;
    return publish->failed ? &publish->error : NULL;
}

static void forget(void *owner)
{
    ((struct publish *)owner)->events = 0;
}

enum err scenario_publish(struct run *run, struct error *error)
{
    struct publish publish = {.run = run};
    const struct load load = {&publish, start, NULL, under_way, failure, forget};
    size_t batch = run->settings->batch;
    publish.pool = (struct http_pool){
        .loop = &run->loop,
        .target = run->api,
        .path = batch == 1 ? STR("/api/v1/publish") : STR("/api/v1/batch"),
        .api_key = run->settings->api_key,
        .count = run->settings->connections,
        .on_answer = on_answer,
        .owner = &publish,
    };
    http_pool_init(&publish.pool);
    publish.sent_us = xcalloc(publish.pool.count, sizeof *publish.sent_us);
    enum err err = http_pool_connect(&publish.pool, 10 * 1000 * 1000, error);
    if (!err)
        err = run_load(run, &load, error);
    run->result.operations = publish.events;
    run->result.lost = publish.pool.under_way * batch;
    http_pool_fini(&publish.pool);
    free(publish.sent_us);
    buf_fini(&publish.body);
    return err;
}
