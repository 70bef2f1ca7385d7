/* journal_routes.c - reads, follows and empties the journal by HTTP. */
#include "common/base/alloc.h"
#include "common/options/option_value.h"
#include "common/protocol/http_head.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"
#include "server/dev/held_call.h"
#include "server/dev/journal_filter.h"

enum { WAIT_MAX_MS = 60000, BEAT_MS = 15000, RETRY_MS = 50, CHUNK = 65536 };

/* What a reader wants. The texts of the filter lie in scratch. */
struct reading {
    uint64_t after;
    unsigned era; /* of the journal that after counts in */
    uint64_t wait_ms;
    struct journal_filter filter;
    struct buf scratch[5];
};

static void reading_fini(struct reading *reading)
{
    for (size_t i = 0; i < sizeof reading->scratch / sizeof *reading->scratch; i++)
        buf_fini(&reading->scratch[i]);
}

static enum err read_query(struct str query, struct reading *out, struct error *error)
{
    static const char *const names[] = {"after", "era", "wait", "kinds", "session", "user", "channel", NULL};
    struct str after, era, wait, kinds;
    uint64_t number;
    struct buf scratch = {0};
    enum err err = http_query_check(query, names, error);
    if (!err)
        err = http_query_get(query, STR("session"), &out->scratch[0], &out->filter.session, error);
    if (!err)
        err = http_query_get(query, STR("user"), &out->scratch[1], &out->filter.user, error);
    if (!err)
        err = http_query_get(query, STR("channel"), &out->scratch[2], &out->filter.channel, error);
    if (!err)
        err = http_query_get(query, STR("after"), &scratch, &after, error);
    if (!err && after.ptr && !str_to_u64(after, &out->after))
        err = error_set(error, ERR_INVALID_REQUEST, "after: expected the number of a line");
    if (!err)
        err = http_query_get(query, STR("era"), &scratch, &era, error);
    if (!err && era.ptr && !str_to_u64(era, &number))
        err = error_set(error, ERR_INVALID_REQUEST, "era: expected the number in Journal-Era of an earlier answer");
    if (!err && era.ptr && number != out->era)
        out->after = 0;
    if (!err)
        err = http_query_get(query, STR("wait"), &scratch, &wait, error);
    if (!err && wait.ptr && (!option_number_parse(OPTION_DURATION, wait, &out->wait_ms) || out->wait_ms > WAIT_MAX_MS))
        err = error_set(error, ERR_INVALID_REQUEST, "wait: expected a duration of at most 60s, such as 5s");
    if (!err)
        err = http_query_get(query, STR("kinds"), &scratch, &kinds, error);
    if (!err)
        err = journal_filter_kinds(kinds, &out->filter.kinds, error);
    buf_fini(&scratch);
    return err;
}

/* Appends the lines after reading->after that the filter takes, and moves it behind them. False: there is nothing more.
 * True: there may be, but the buffer has enough for now. */
static bool take_lines(const struct journal *journal, struct reading *reading, bool events, size_t most,
                       struct buf *out)
{
    if (reading->era != journal->era) { /* it counts anew */
        reading->era = journal->era;
        reading->after = 0;
    }
    for (struct journal_line line; journal_after(journal, reading->after, &line); reading->after = line.n) {
        if (out->len >= most)
            return true;
        if (!journal_filter_takes(&reading->filter, &line))
            continue;
        if (events)
            buf_appendf(out, "id: %llu\ndata: ", (unsigned long long)line.n);
        journal_print(out, &line);
        buf_append(out, events ? STR("\n\n") : STR("\n"));
    }
    return false;
}

/* --- NDJSON, at once or when there are lines ------------------------------------------------------------------- */

struct poll {
    struct held_call held;
    struct reading reading;
};

static struct poll *poll_of(struct held_call *held)
{
    return CONTAINER_OF(held, struct poll, held);
}

static void answer_lines(struct http_call *call, unsigned era)
{
    buf_appendf(&call->response.headers, "Journal-Era: %u\r\n", era);
    call->response.status = 200;
    call->response.content_type = "application/x-ndjson";
    dev_answer(call);
}

static void expire_poll(struct held_call *held)
{
    struct http_call *call = held->call;
    unsigned era = held->set->journal->era;
    held_call_end(held);
    answer_lines(call, era);
}

static void look_for_lines(struct held_call *held)
{
    struct poll *poll = poll_of(held);
    take_lines(held->set->journal, &poll->reading, false, SIZE_MAX, &held->call->response.body);
    if (held->call->response.body.len)
        expire_poll(held);
}

static void fini_poll(struct held_call *held)
{
    reading_fini(&poll_of(held)->reading);
}

/* --- server-sent events ------------------------------------------------------------------------------------------- */

static void end_stream(struct held_call *held)
{
    struct http_call *call = held->call;
    held_call_end(held);
    call->respond(call);
}

/* False: the stream has ended, or the client has to take what it was sent first. */
static bool push(struct held_call *held, struct str bytes)
{
    switch (held->call->push(held->call, bytes)) {
    case HTTP_PUSHED: held_call_extend(held, BEAT_MS); return true;
    case HTTP_PUSH_LATER: held_call_extend(held, RETRY_MS); return false;
    case HTTP_PUSH_GONE: end_stream(held); return false;
    }
    return false;
}

static void stream_lines(struct held_call *held)
{
    struct poll *poll = poll_of(held);
    struct buf out = {0};
    bool more = true;
    while (more) {
        uint64_t before = poll->reading.after;
        buf_clear(&out);
        more = take_lines(held->set->journal, &poll->reading, true, CHUNK, &out);
        if (out.len == 0 || push(held, buf_str(&out)))
            continue;
        if (held->call)
            poll->reading.after = before; /* not sent */
        break;
    }
    buf_fini(&out);
}

/* Nothing was sent for a while, or the client had to take something first. */
static void beat(struct held_call *held)
{
    if (held->set->ending)
        end_stream(held);
    else if (push(held, STR(":\n\n")))
        stream_lines(held);
}

static void begin_stream(struct dev *dev, struct http_call *call, struct poll *poll)
{
    call->response.status = 200;
    call->response.content_type = "text/event-stream";
    buf_append_lit(&call->response.headers, "Cache-Control: no-store\r\n");
    poll->held.call = call;
    poll->held.look = stream_lines;
    poll->held.expire = beat;
    held_call_begin(&dev->held, &poll->held, 0); /* the first beat sends the head */
}

/* --- the routes --------------------------------------------------------------------------------------------------- */

/* Does a GET accept server-sent events? The order of types and their weights do not matter. */
static bool wants_events(const struct http_request *request)
{
    struct str rest;
    if (!str_eq_cstr(request->method, "GET") || !http_fields_find(request->fields, STR("accept"), &rest))
        return false;
    while (rest.ptr) {
        struct str type = str_split(&rest, ',');
        if (str_eq(str_trim(str_split(&type, ';')), STR("text/event-stream")))
            return true;
    }
    return false;
}

static void list(struct dev *dev, struct http_call *call, struct str rest)
{
    struct poll *poll = xcalloc(1, sizeof *poll);
    struct error error;
    (void)rest;
    poll->held = (struct held_call){.call = call, .look = look_for_lines, .expire = expire_poll, .fini = fini_poll};
    poll->reading.era = dev->journal.era;
    if (read_query(call->request.query, &poll->reading, &error)) {
        reading_fini(&poll->reading);
        free(poll);
        dev_refuse(call, 400, &error);
        return;
    }
    bool events = wants_events(&call->request);
    struct str last;
    if (events && http_fields_find(call->request.fields, STR("last-event-id"), &last)) /* an EventSource comes back */
        str_to_u64(last, &poll->reading.after);
    if (poll->reading.after > dev->journal.last) /* it counted before a reset, or in another process */
        poll->reading.after = 0;
    if (events) {
        begin_stream(dev, call, poll);
        return;
    }
    take_lines(&dev->journal, &poll->reading, false, SIZE_MAX, &call->response.body);
    if (call->response.body.len == 0 && poll->reading.wait_ms) {
        held_call_begin(&dev->held, &poll->held, poll->reading.wait_ms);
        return;
    }
    reading_fini(&poll->reading);
    free(poll);
    answer_lines(call, dev->journal.era);
}

static void empty(struct dev *dev, struct http_call *call, struct str rest)
{
    (void)rest;
    journal_empty(&dev->journal);
    dev_answer(call);
}

const struct dev_route journal_routes[] = {{"GET", "/dev/v1/journal", list}, {"DELETE", "/dev/v1/journal", empty}, {0}};
