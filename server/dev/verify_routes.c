/* verify_routes.c - POST /dev/v1/verify says whether the journal has what was expected. */
#include <stdlib.h>

#include "common/base/alloc.h"
#include "server/dev/dev_json.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"
#include "server/dev/journal_filter.h"
#include "server/dev/line_match.h"

enum {
    EXPECTED_MAX = 1000,
    TOLD_MAX = 20,               /* differences */
    TOLD_BYTES = 256 * 1024,     /* once there are so many, no further difference is told */
    WORK_MAX = 64 * 1024 * 1024, /* bytes of frames that are compared */
};

struct expectation {
    struct json_value value;
    struct journal_filter filter;
    struct buf scratch;
};

/* The last comparison of a frame. */
struct compared {
    size_t at; /* of the expectation */
    const char *frame;
    bool takes;
};

struct verification {
    const struct journal *journal;
    struct json_value expect;
    bool in_order;
    unsigned nothing_else; /* kinds of which no further line may be there */
    uint64_t after;
    struct expectation *expected;
    size_t count;
    uint64_t first; /* n of the first line that counts */
    struct line_match match;
    struct compared compared;
    size_t work;           /* bytes of frames that have been compared */
    struct buf difference; /* text */
    size_t differences;
};

/* --- reading ------------------------------------------------------------------------------------------------------ */

static enum err read_expected(struct verification *out, struct error *error)
{
    struct json_cursor cursor = json_walk(out->expect);
    struct str none;
    struct json_value value;
    out->expected = xcalloc(EXPECTED_MAX, sizeof *out->expected);
    while (json_next(&cursor, &none, &value)) {
        if (out->count == EXPECTED_MAX)
            return error_set(error, ERR_TOO_LARGE, "expect: at most %d lines", EXPECTED_MAX);
        struct expectation *each = &out->expected[out->count++];
        each->value = value;
        enum err err = journal_filter_read(value, "expect", &each->filter, &each->scratch, error);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
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
    return err || !out->expect.type ? err : read_expected(out, error);
}

static void fini(struct verification *verification)
{
    for (size_t i = 0; i < verification->count; i++)
        buf_fini(&verification->expected[i].scratch);
    free(verification->expected);
    line_match_fini(&verification->match);
    buf_fini(&verification->difference);
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

/* The same frame again, as an event has it that went to many sessions, is compared once. */
static bool takes_frame(struct verification *verification, size_t at, const struct journal_note *note)
{
    const struct journal_filter *filter = &verification->expected[at].filter;
    struct compared *last = &verification->compared;
    if (!filter->frame.type)
        return true;
    if (last->at != at || last->frame != note->frame.ptr || !last->frame) {
        verification->work += note->frame.len;
        *last = (struct compared){.at = at, .frame = note->frame.ptr};
        last->takes = verification->work <= WORK_MAX && journal_filter_takes_frame(filter, journal_filter_frame(note));
    }
    return last->takes;
}

static bool takes(void *owner, size_t expectation, size_t at)
{
    struct verification *verification = owner;
    struct journal_line line;
    journal_after(verification->journal, verification->first + at - 1, &line);
    return journal_filter_takes_rest(&verification->expected[expectation].filter, &line.note) &&
           takes_frame(verification, expectation, &line.note);
}

static void assign(struct verification *verification)
{
    const struct journal *journal = verification->journal;
    struct journal_line oldest;
    size_t from = 0, lines = 0;
    if (journal_after(journal, verification->after, &oldest)) {
        verification->first = oldest.n;
        lines = (size_t)(journal->last - oldest.n) + 1;
    }
    line_match_init(&verification->match, verification->count, lines, takes, verification);
    for (size_t i = 0; i < verification->count; i++) {
        if (!verification->in_order) {
            line_match_find(&verification->match, i);
            continue;
        }
        size_t line = line_match_next(&verification->match, i, from);
        if (line == LINE_MATCH_NONE)
            continue;
        line_match_take(&verification->match, i, line);
        from = line + 1;
    }
}

/* --- the difference ----------------------------------------------------------------------------------------------- */

/* Begins to tell one more thing that is wrong. False: enough has been told. */
static bool tells(struct verification *verification)
{
    struct buf *out = &verification->difference;
    if (++verification->differences > TOLD_MAX || out->len > TOLD_BYTES)
        return false;
    if (out->len)
        buf_append_char(out, '\n');
    return true;
}

static void tell_line(struct verification *verification, size_t at)
{
    struct journal_line line;
    journal_after(verification->journal, verification->first + at - 1, &line);
    buf_append_lit(&verification->difference, "\n      ");
    journal_print(&verification->difference, &line);
}

static size_t early_line(struct verification *verification, size_t at)
{
    size_t line = line_match_next(&verification->match, at, 0);
    while (line != LINE_MATCH_NONE && verification->match.taken_by[line] != LINE_MATCH_NONE)
        line = line_match_next(&verification->match, at, line + 1);
    return line;
}

static void tell_missing(struct verification *verification, size_t at)
{
    const struct expectation *expected = &verification->expected[at];
    struct buf *out = &verification->difference, nearest = {0};
    if (!tells(verification))
        return;
    size_t early = verification->in_order ? early_line(verification, at) : LINE_MATCH_NONE;
    buf_appendf(out, "expect[%zu] %.*s", at, STR_ARG(expected->value.raw));
    if (early != LINE_MATCH_NONE) {
        buf_appendf(out, "\n    came too early, as line %llu:", (unsigned long long)(verification->first + early));
        tell_line(verification, early);
        return;
    }
    journal_filter_append_nearest(&expected->filter, verification->journal, verification->after, &nearest);
    buf_appendf(out, "\n    did not come%s%s", nearest.len ? "; near to it:\n      " : "", buf_cstr(&nearest));
    buf_fini(&nearest);
}

static void tell_more(struct verification *verification)
{
    struct journal_line line;
    for (size_t at = 0; verification->nothing_else && at < verification->match.lines; at++) {
        journal_after(verification->journal, verification->first + at - 1, &line);
        bool taken = verification->match.taken_by[at] != LINE_MATCH_NONE;
        if (taken || !(verification->nothing_else >> line.note.kind & 1) || !tells(verification))
            continue;
        buf_appendf(&verification->difference, "nothing else of \"%s\" was expected, but there is",
                    journal_kind_text(line.note.kind));
        tell_line(verification, at);
    }
}

/* Nobody knows what was in lines that have left the journal. They matter where something is missing, and where nothing
 * else may be there. */
static void tell_gone(struct verification *verification)
{
    uint64_t gone = journal_gone(verification->journal, verification->after);
    if (gone && (verification->nothing_else || verification->differences) && tells(verification))
        journal_append_gone(&verification->difference, gone);
}

/* --- the route ---------------------------------------------------------------------------------------------------- */

static void answer_difference(struct http_call *call, struct verification *verification)
{
    size_t told = verification->differences < TOLD_MAX ? verification->differences : TOLD_MAX;
    if (verification->differences > told)
        buf_appendf(&verification->difference, "\nand more: %zu differences in all", verification->differences);
    buf_append_lit(&call->response.body, "{\"error\":{\"code\":\"different\",\"message\":");
    json_append_string(&call->response.body, buf_str(&verification->difference));
    buf_append_lit(&call->response.body, "}}");
    call->response.status = 422;
    call->respond(call);
}

static void tell_differences(struct verification *verification)
{
    for (size_t i = 0; i < verification->count; i++)
        if (verification->match.line_of[i] == LINE_MATCH_NONE)
            tell_missing(verification, i);
    tell_more(verification);
    tell_gone(verification);
}

static void order(struct dev *dev, struct http_call *call, struct str rest)
{
    struct verification verification = {.journal = &dev->journal};
    struct error error;
    (void)rest;
    enum err err = read_verification(&verification, call->request.body, &error);
    if (!err) {
        assign(&verification);
        tell_differences(&verification);
    }
    if (verification.work > WORK_MAX)
        err = error_set(&error, ERR_TOO_LARGE,
                        "expect: too much to compare; name kind, channel or user beside each frame, or give after");
    if (err) {
        dev_refuse(call, 400, &error);
    } else if (verification.differences) {
        answer_difference(call, &verification);
    } else {
        buf_appendf(&call->response.body, "{\"verified\":%zu}", verification.count);
        dev_answer(call);
    }
    fini(&verification);
}

const struct dev_route verify_routes[] = {{"POST", "/dev/v1/verify", order}, {0}};
