/* wait_routes.c - POST /dev/v1/wait answers when something has happened, POST /dev/v1/verify says whether the journal
 * has what was expected. */
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
    NEAREST = 5,
    QUIET_MS = 50,
    COUNT_MAX = JOURNAL_LINES,
    EXPECTED_MAX = 1000
};

/* Appends lines as a JSON array without its brackets. */
static void append_line(struct buf *out, const struct journal_line *line)
{
    if (out->len)
        buf_append_char(out, ',');
    journal_print(out, line);
}

/* The last few lines that come near to what the filter asks for, the oldest first. */
static void append_nearest(const struct journal *journal, const struct journal_filter *filter, uint64_t after,
                           struct buf *out)
{
    struct journal_line nearest[NEAREST];
    size_t count = 0;
    for (struct journal_line line; journal_after(journal, after, &line); after = line.n)
        if (journal_filter_nearly_takes(filter, &line))
            nearest[count++ % NEAREST] = line;
    for (size_t i = count < NEAREST ? 0 : count - NEAREST; i < count; i++)
        append_line(out, &nearest[i % NEAREST]);
}

/* --- wait --------------------------------------------------------------------------------------------------------- */

struct wait {
    struct held_call held;
    char *body; /* a copy of the request's; the filter borrows from it, and from scratch */
    struct buf scratch;
    struct journal_filter filter;
    uint64_t count;
    uint64_t timeout_ms;
    uint64_t after; /* the last line that has been looked at */
    uint64_t from;
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

static void look(struct held_call *held)
{
    struct wait *wait = wait_of(held);
    for (struct journal_line line; wait->found < wait->count && journal_after(held->set->journal, wait->after, &line);
         wait->after = line.n)
        if (journal_filter_takes(&wait->filter, &line)) {
            append_line(&wait->lines, &line);
            wait->found++;
        }
    if (wait->found >= wait->count)
        answer_found(held);
}

static void expire(struct held_call *held)
{
    struct wait *wait = wait_of(held);
    struct http_call *call = held->call;
    struct buf nearest = {0};
    append_nearest(held->set->journal, &wait->filter, wait->from, &nearest);
    call->response.status = 408;
    buf_appendf(&call->response.body,
                "{\"error\":{\"code\":\"timed_out\",\"message\":\"%llu of %llu such lines came within %llu ms\"},"
                "\"lines\":[%s],\"nearest\":[%s]}",
                (unsigned long long)wait->found, (unsigned long long)wait->count, (unsigned long long)wait->timeout_ms,
                buf_cstr(&wait->lines), buf_cstr(&nearest));
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
    bool quiet = !held->set->ending && held->set->journal->last == wait->after;
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
    if (!err && !wait->idle)
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
    if (wait->idle) {
        wait->after = dev->journal.last;
        wait->held.look = look_later;
        wait->held.expire = on_quiet;
    }
    held_call_begin(&dev->held, &wait->held, wait->idle ? QUIET_MS : wait->timeout_ms);
}

/* --- verify ------------------------------------------------------------------------------------------------------- */

struct verification {
    struct json_value expect;
    bool in_order;
    unsigned nothing_else; /* kinds of which no further line may be there */
    uint64_t after;
    /* The lines that have been expected, by their numbers. */
    uint64_t *taken;
    size_t taken_count;
    struct buf difference; /* text, a line for each thing that is wrong */
};

static bool is_taken(const struct verification *verification, uint64_t n)
{
    for (size_t i = 0; i < verification->taken_count; i++)
        if (verification->taken[i] == n)
            return true;
    return false;
}

/* The first line that the filter takes and that no other expectation has. */
static bool find(const struct verification *verification, const struct journal *journal,
                 const struct journal_filter *filter, uint64_t after, struct journal_line *out)
{
    for (; journal_after(journal, after, out); after = out->n)
        if (journal_filter_takes(filter, out) && !is_taken(verification, out->n))
            return true;
    return false;
}

static void append_json_lines(struct buf *out, struct str lines)
{
    buf_append_lit(out, "\n      ");
    buf_append(out, lines);
}

static void tell_missing(struct verification *verification, const struct journal *journal, size_t at,
                         struct json_value expected, const struct journal_filter *filter)
{
    struct buf *out = &verification->difference;
    struct journal_line late;
    struct buf nearest = {0};
    buf_appendf(out, "%sexpect[%zu] %.*s", out->len ? "\n" : "", at, STR_ARG(expected.raw));
    if (verification->in_order && find(verification, journal, filter, verification->after, &late)) {
        buf_appendf(out, "\n    came too early, as line %llu:", (unsigned long long)late.n);
        append_line(&nearest, &late);
    } else {
        append_nearest(journal, filter, verification->after, &nearest);
        buf_appendf(out, "\n    did not come%s", nearest.len ? "; near to it:" : "");
    }
    if (nearest.len)
        append_json_lines(out, buf_str(&nearest));
    buf_fini(&nearest);
}

static enum err verify_expected(struct verification *verification, const struct journal *journal, struct error *error)
{
    struct json_cursor cursor = json_walk(verification->expect);
    struct str none;
    struct json_value expected;
    uint64_t from = verification->after;
    enum err err = ERR_NONE;
    for (size_t at = 0; err == ERR_NONE && json_next(&cursor, &none, &expected); at++) {
        struct journal_filter filter;
        struct buf scratch = {0};
        if (at == EXPECTED_MAX)
            return error_set(error, ERR_TOO_LARGE, "expect: at most %d lines", EXPECTED_MAX);
        err = journal_filter_read(expected, "expect", &filter, &scratch, error);
        struct journal_line line;
        if (!err && find(verification, journal, &filter, from, &line)) {
            verification->taken[verification->taken_count++] = line.n;
            from = verification->in_order ? line.n : verification->after;
        } else if (!err) {
            tell_missing(verification, journal, at, expected, &filter);
        }
        buf_fini(&scratch);
    }
    return err;
}

static void verify_nothing_else(struct verification *verification, const struct journal *journal)
{
    struct buf *out = &verification->difference;
    uint64_t after = verification->after;
    for (struct journal_line line; journal_after(journal, after, &line); after = line.n) {
        if (!(verification->nothing_else >> line.note.kind & 1) || is_taken(verification, line.n))
            continue;
        buf_appendf(out, "%snothing else of \"%s\" was expected, but there is\n      ", out->len ? "\n" : "",
                    journal_kind_text(line.note.kind));
        journal_print(out, &line);
    }
}

static enum err read_verification(struct verification *out, struct str body, struct error *error)
{
    struct json_value in_order = {0}, nothing_else = {0}, after = {0};
    const struct json_field fields[] = {{"expect", JSON_ARRAY, false, &out->expect},
                                        {"in_order", JSON_BOOL, false, &in_order},
                                        {"nothing_else", JSON_ARRAY, false, &nothing_else},
                                        {"after", JSON_NUMBER, false, &after}};
    enum err err = dev_json_bind(body, fields, sizeof fields / sizeof *fields, error);
    out->in_order = str_eq(in_order.raw, STR("true"));
    if (!err && nothing_else.type)
        err = journal_filter_kinds_of(nothing_else, &out->nothing_else, error);
    if (!err && after.type && !json_u64(after, &out->after))
        err = error_set(error, ERR_INVALID_REQUEST, "after: expected the number of a line");
    return err;
}

static void answer_difference(struct http_call *call, struct verification *verification)
{
    buf_append_lit(&call->response.body, "{\"error\":{\"code\":\"different\",\"message\":");
    json_append_string(&call->response.body, buf_str(&verification->difference));
    buf_append_lit(&call->response.body, "}}");
    call->response.status = 422;
    call->respond(call);
}

static void order_verify(struct dev *dev, struct http_call *call, struct str rest)
{
    struct verification verification = {.taken = xcalloc(EXPECTED_MAX, sizeof(uint64_t))};
    struct error error;
    (void)rest;
    enum err err = read_verification(&verification, call->request.body, &error);
    if (!err)
        err = verify_expected(&verification, &dev->journal, &error);
    if (!err)
        verify_nothing_else(&verification, &dev->journal);
    if (err) {
        dev_refuse(call, 400, &error);
    } else if (verification.difference.len) {
        answer_difference(call, &verification);
    } else {
        buf_appendf(&call->response.body, "{\"verified\":%zu}", verification.taken_count);
        dev_answer(call);
    }
    buf_fini(&verification.difference);
    free(verification.taken);
}

const struct dev_route wait_routes[] = {
    {"POST", "/dev/v1/wait", order_wait}, {"POST", "/dev/v1/verify", order_verify}, {0}};
