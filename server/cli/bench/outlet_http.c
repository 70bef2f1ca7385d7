/* outlet_http.c - events by POST, one a request, or many where the dialect's API has batches. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "server/cli/bench/outlet.h"

static size_t count_of(struct str text, struct str part)
{
    size_t count = 0;
    for (const char *at; (at = memmem(text.ptr, text.len, part.ptr, part.len)); count++)
        text = str_from(at + part.len, text.len - (size_t)(at + part.len - text.ptr));
    return count;
}

static void on_answer(void *owner, size_t connection, int status, struct str body)
{
    struct outlet *outlet = owner;
    const char *mark = outlet->run->settings->dialect->accepted_mark;
    char how[32];
    size_t events = mark ? count_of(body, str_from_cstr(mark)) : 1;
    snprintf(how, sizeof how, "HTTP status %d", status);
    if (status / 100 != 2 || events == 0 || (mark && count_of(body, STR("\"error\":")) > 0))
        outlet_refuse(outlet, how, body);
    else
        outlet_accept(outlet, connection, events);
}

static enum err open_http(struct outlet *outlet, struct error *error)
{
    struct run *run = outlet->run;
    outlet->http = (struct http_pool){
        .loop = &run->loop,
        .target = run->api,
        .api_key = run->settings->api_key,
        .count = outlet->count,
        .on_answer = on_answer,
        .owner = outlet,
    };
    http_pool_init(&outlet->http);
    outlet->batches = xcalloc(outlet->count, sizeof *outlet->batches);
    outlet->batched = xcalloc(outlet->count, sizeof *outlet->batched);
    return http_pool_connect(&outlet->http, RUN_OUTLET_US, error);
}

static void end_batch(struct outlet *outlet, size_t connection)
{
    struct buf *batch = &outlet->batches[connection];
    buf_append_lit(batch, "]}");
    http_pool_post(&outlet->http, connection, str_from_cstr(outlet->run->settings->dialect->batch_path),
                   buf_str(batch));
    buf_clear(batch);
    outlet->batched[connection] = 0;
}

static void publish(struct outlet *outlet, size_t connection, struct str channel, struct str data)
{
    const struct run_settings *settings = outlet->run->settings;
    const struct dialect *dialect = settings->dialect;
    outlet->under_way++;
    if (settings->batch > 1) {
        struct buf *batch = &outlet->batches[connection];
        buf_append(batch, batch->len ? STR(",{\"publish\":") : STR("{\"commands\":[{\"publish\":"));
        dialect->append_post_body(batch, channel, data);
        buf_append_char(batch, '}');
        if (++outlet->batched[connection] == settings->batch)
            end_batch(outlet, connection);
        return;
    }
    struct buf *target = &outlet->message;
    buf_clear(target);
    dialect->append_post_target(target, channel);
    size_t target_len = target->len;
    dialect->append_post_body(target, channel, data);
    http_pool_post(&outlet->http, connection, str_from(target->ptr, target_len),
                   str_from(target->ptr + target_len, target->len - target_len));
}

static void send_http(struct outlet *outlet, size_t connection)
{
    if (outlet->batched[connection] > 0)
        end_batch(outlet, connection);
    http_pool_send(&outlet->http, connection);
}

static void close_http(struct outlet *outlet)
{
    http_pool_fini(&outlet->http);
    for (size_t i = 0; i < outlet->count; i++)
        buf_fini(&outlet->batches[i]);
    free(outlet->batches);
    free(outlet->batched);
}

static const struct error *failure(const struct outlet *outlet)
{
    return outlet->http.failed ? &outlet->http.error : NULL;
}

const struct outlet_kind outlet_http = {open_http, publish, send_http, close_http, failure};
