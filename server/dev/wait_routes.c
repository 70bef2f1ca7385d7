/* wait_routes.c - POST /dev/v1/wait answers when something has happened. */
#include <stdlib.h>

#include "common/base/alloc.h"
#include "server/dev/dev_json.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"
#include "server/dev/held_call.h"
#include "server/dev/journal_filter.h"

enum {
    TIMEOUT_MS = 5000,
    TIMEOUT_MAX_MS = 600000,
    QUIET_MS = 50,
    COUNT_MAX = JOURNAL_LINES,
};

/* Appends lines as a JSON array without its brackets. */
static void append_line(struct buf *out, const struct journal_line *line)
{
    if (out->len)
        buf_append_char(out, ',');
    journal_print(out, line);
}

struct wait {
    struct held_call held;
    char *body; /* a copy of the request's; the filter borrows from it, and from scratch */
    struct buf scratch;
    struct journal_filter filter;
    uint64_t count;
    uint64_t timeout_ms;
    uint64_t after; /* the last line that has been looked at */
    uint64_t from;
    unsigned era; /* of the journal that both count in */
    uint64_t found;
    struct buf lines;
    bool idle; /* waits until nothing has happened for QUIET_MS, and not for a line */
};

static struct wait *wait_of(struct held_call *held)
{
    return CONTAINER_OF(held, struct wait, held);
}

static void fini_wait(struct held_call *held)
{
    struct wait *wait = wait_of(held);
    buf_fini(&wait->scratch);
    buf_fini(&wait->lines);
    free(wait->body);
}

static void answer_found(struct held_call *held)
{
    struct http_call *call = held->call;
    buf_appendf(&call->response.body, "{\"lines\":[%s]}", buf_cstr(&wait_of(held)->lines));
    held_call_end(held);
    dev_answer(call);
}

/* A journal that has been rewound counts anew. */
static void follow_era(struct wait *wait)
{
    if (wait->era == wait->held.set->journal->era)
        return;
    wait->era = wait->held.set->journal->era;
    wait->from = wait->after = 0;
}

static void look(struct held_call *held)
{
    struct wait *wait = wait_of(held);
    follow_era(wait);
    for (struct journal_line line; wait->found < wait->count && journal_after(held->set->journal, wait->after, &line);
         wait->after = line.n)
        if (journal_filter_takes(&wait->filter, &line)) {
            append_line(&wait->lines, &line);
            wait->found++;
        }
    if (wait->found >= wait->count)
        answer_found(held);
}

static void append_reason(const struct wait *wait, struct buf *out)
{
    uint64_t gone = wait->idle ? 0 : journal_gone(wait->held.set->journal, wait->from);
    if (wait->idle)
        buf_appendf(out, "there was no pause of %d ms", QUIET_MS);
    else
        buf_appendf(out, "%llu of %llu such lines came", (unsigned long long)wait->found,
                    (unsigned long long)wait->count);
    buf_appendf(out, " within %llu ms", (unsigned long long)wait->timeout_ms);
    if (gone) {
        buf_append_lit(out, "; ");
        journal_append_gone(out, gone);
    }
}

static void expire(struct held_call *held)
{
    struct wait *wait = wait_of(held);
    struct http_call *call = held->call;
    struct buf nearest = {0};
    follow_era(wait);
    if (!wait->idle)
        journal_filter_append_nearest(&wait->filter, held->set->journal, wait->from, &nearest);
    call->response.status = 408;
    buf_append_lit(&call->response.body, "{\"error\":{\"code\":\"timed_out\",\"message\":\"");
    append_reason(wait, &call->response.body);
    buf_appendf(&call->response.body, "\"},\"lines\":[%s],\"nearest\":[%s]}", buf_cstr(&wait->lines),
                buf_cstr(&nearest));
    buf_fini(&nearest);
    held_call_end(held);
    call->respond(call);
}

/* The timer looks. */
static void look_later(struct held_call *held)
{
    (void)held;
}

static void on_quiet(struct held_call *held)
{
    struct wait *wait = wait_of(held);
    unsigned era = wait->era;
    follow_era(wait);
    bool quiet = !held->set->ending && era == wait->era && held->set->journal->last == wait->after;
    wait->after = held->set->journal->last;
    if (quiet)
        answer_found(held);
    else if (held->set->ending || held_call_age_ms(held) >= wait->timeout_ms)
        expire(held);
    else
        held_call_extend(held, QUIET_MS);
}

static bool is_idle(struct json_value what)
{
    return str_eq(json_member(what, STR("kind")).raw, STR("\"idle\""));
}

/* Nothing else can be wanted of an idle server. */
static enum err read_idle(struct json_value what, struct json_value count, struct json_value after, struct error *error)
{
    struct json_value kind = {0};
    const struct json_field fields[] = {{"kind", JSON_STRING, true, &kind}};
    if (count.type || after.type)
        return error_set(error, ERR_INVALID_REQUEST, "%s: is not for the kind idle", count.type ? "count" : "after");
    return dev_json_bind_object(what, "for", fields, 1, error);
}

static enum err read_wait(struct wait *wait, struct str body, struct error *error)
{
    struct json_value what = {0}, count = {0}, timeout = {0}, after = {0};
    const struct json_field fields[] = {{"for", JSON_OBJECT, true, &what},
                                        {"count", JSON_NUMBER, false, &count},
                                        {"timeout", JSON_STRING, false, &timeout},
                                        {"after", JSON_NUMBER, false, &after}};
    wait->count = 1;
    wait->timeout_ms = TIMEOUT_MS;
    enum err err = dev_json_bind(body, fields, sizeof fields / sizeof *fields, error);
    wait->idle = !err && is_idle(what);
    if (wait->idle)
        err = read_idle(what, count, after, error);
    else if (!err)
        err = journal_filter_read(what, "for", &wait->filter, &wait->scratch, error);
    if (!err && count.type && (!json_u64(count, &wait->count) || wait->count < 1 || wait->count > COUNT_MAX))
        err = error_set(error, ERR_INVALID_REQUEST, "count: expected a whole number from 1 to %d", COUNT_MAX);
    if (!err && timeout.type)
        err = dev_json_duration(timeout, "timeout", &wait->timeout_ms, error);
    if (!err && wait->timeout_ms > TIMEOUT_MAX_MS)
        err = error_set(error, ERR_INVALID_REQUEST, "timeout: at most 10m");
    if (!err && after.type && !json_u64(after, &wait->from))
        err = error_set(error, ERR_INVALID_REQUEST, "after: expected the number of a line");
    wait->after = wait->from;
    return err;
}

static void order_wait(struct dev *dev, struct http_call *call, struct str rest)
{
    struct wait *wait = xcalloc(1, sizeof *wait);
    struct error error;
    (void)rest;
    wait->held = (struct held_call){.call = call, .look = look, .expire = expire, .fini = fini_wait};
    wait->body = str_dup(call->request.body);
    if (read_wait(wait, str_from(wait->body, call->request.body.len), &error)) {
        fini_wait(&wait->held);
        free(wait);
        dev_refuse(call, 400, &error);
        return;
    }
    wait->era = dev->journal.era;
    if (wait->from > dev->journal.last) /* it counted before a reset */
        wait->after = wait->from = 0;
    if (wait->idle) {
        wait->after = dev->journal.last;
        wait->held.look = look_later;
        wait->held.expire = on_quiet;
    }
    held_call_begin(&dev->held, &wait->held, wait->idle ? QUIET_MS : wait->timeout_ms);
}

const struct dev_route wait_routes[] = {{"POST", "/dev/v1/wait", order_wait}, {0}};
