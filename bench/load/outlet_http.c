/* outlet_http.c - events by POST, one a request, or many where the dialect's API has batches. */
#include <stdio.h>

#include "bench/load/outlet_kind.h"
#include "common/base/alloc.h"
#include "common/protocol/http_answer.h"

enum { ANSWER_HEAD_MAX = 16 * 1024 };

static size_t count_of(struct str text, struct str part)
{
    size_t count = 0;
    for (const char *at; (at = memmem(text.ptr, text.len, part.ptr, part.len)); count++)
        text = str_from(at + part.len, text.len - (size_t)(at + part.len - text.ptr));
    return count;
}

static void on_answer(struct outlet *outlet, size_t connection, int status, struct str body)
{
    const char *mark = outlet->run->settings->dialect->accepted_mark;
    char how[32];
    size_t events = mark ? count_of(body, str_from_cstr(mark)) : 1;
    snprintf(how, sizeof how, "HTTP status %d", status);
    if (status / 100 != 2 || events == 0 || (mark && count_of(body, STR("\"error\":")) > 0))
        outlet_refuse(outlet, how, body);
    else
        outlet_accept(outlet, connection, events);
}

/* Cuts one answer off the front of *bytes. False: more has to come, or *error is set. */
static bool take_answer(struct str *bytes, int *out_status, struct str *out_body, struct error *error)
{
    struct http_answer answer;
    struct str value;
    uint64_t length = 0;
    size_t scanned = 0;
    if (http_answer_parse(*bytes, ANSWER_HEAD_MAX, &scanned, &answer, error) != HTTP_HEAD_DONE)
        return false;
    if (answer.status != 204 && /* has no body: RFC 9110, 6.4.1 */
        (!http_fields_find(&answer.fields, STR("content-length"), &value) || !str_to_u64(value, &length))) {
        error_set(error, ERR_INVALID_REQUEST, "the answer (HTTP status %d) has no Content-Length", answer.status);
        return false;
    }
    size_t rest = bytes->len - answer.length;
    if (rest < length)
        return false;
    *out_status = answer.status;
    *out_body = str_from(bytes->ptr + answer.length, (size_t)length);
    *bytes = str_from(out_body->ptr + out_body->len, rest - out_body->len);
    return true;
}

static enum err receive(void *owner, size_t connection, struct str *bytes, struct error *error)
{
    struct outlet *outlet = owner;
    struct str body;
    int status;
    error->code = ERR_NONE;
    while (outlet->posts[connection] > 0 && take_answer(bytes, &status, &body, error)) {
        outlet->posts[connection]--;
        on_answer(outlet, connection, status, body);
    }
    if (!error->code && outlet->posts[connection] == 0 && bytes->len > 0)
        error_set(error, ERR_INVALID_REQUEST, "an answer came that was not asked for");
    return error->code;
}

static enum err open_http(struct outlet *outlet, struct error *error)
{
    struct run *run = outlet->run;
    outlet->pool = (struct pool){
        .loop = &run->loop,
        .target = run->api,
        .server = "the API",
        .count = outlet->count,
        .receive = receive,
        .owner = outlet,
    };
    pool_init(&outlet->pool);
    outlet->posts = xcalloc(outlet->count, sizeof *outlet->posts);
    outlet->batches = xcalloc(outlet->count, sizeof *outlet->batches);
    outlet->batched = xcalloc(outlet->count, sizeof *outlet->batched);
    return pool_connect(&outlet->pool, RUN_OUTLET_US, error);
}

/* Several may be under way: RFC 9112, 9.3.2. */
static void post(struct outlet *outlet, size_t connection, struct str target, struct str body)
{
    const struct run *run = outlet->run;
    struct buf *out = pool_out(&outlet->pool, connection);
    outlet->posts[connection]++;
    buf_append_lit(out, "POST ");
    buf_append(out, target);
    buf_append_lit(out, " HTTP/1.1\r\nHost: ");
    buf_append(out, run->api->url.authority);
    if (run->settings->api_key.len > 0) {
        buf_append_lit(out, "\r\nX-API-Key: ");
        buf_append(out, run->settings->api_key);
    }
    buf_append_lit(out, "\r\nContent-Type: application/json\r\nContent-Length: ");
    buf_append_u64(out, body.len);
    buf_append_lit(out, "\r\n\r\n");
    buf_append(out, body);
}

static void end_batch(struct outlet *outlet, size_t connection)
{
    struct buf *batch = &outlet->batches[connection];
    buf_append_lit(batch, "]}");
    post(outlet, connection, str_from_cstr(outlet->run->settings->dialect->batch_path), buf_str(batch));
    buf_clear(batch);
    outlet->batched[connection] = 0;
}

static void publish(struct outlet *outlet, size_t connection, struct str channel, struct str data)
{
    const struct run_settings *settings = outlet->run->settings;
    const struct bench_dialect *dialect = settings->dialect;
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
    post(outlet, connection, str_from(target->ptr, target_len),
         str_from(target->ptr + target_len, target->len - target_len));
}

static void send_http(struct outlet *outlet, size_t connection)
{
    if (outlet->batched[connection] > 0)
        end_batch(outlet, connection);
    pool_send(&outlet->pool, connection);
}

static void close_http(struct outlet *outlet)
{
    pool_fini(&outlet->pool);
    for (size_t i = 0; i < outlet->count; i++)
        buf_fini(&outlet->batches[i]);
    free(outlet->posts);
    free(outlet->batches);
    free(outlet->batched);
}

static const struct error *failure(const struct outlet *outlet)
{
    return outlet->pool.failed ? &outlet->pool.error : NULL;
}

const struct outlet_kind outlet_http = {open_http, publish, send_http, close_http, failure};
