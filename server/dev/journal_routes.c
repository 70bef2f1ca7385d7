/* journal_routes.c - reads and empties the journal by HTTP. */
#include "common/protocol/http_head.h"
#include "server/dev/dev_http.h"
#include "server/dev/dev_private.h"

static enum err read_after(const struct http_call *call, uint64_t *out, struct error *error)
{
    static const char *const names[] = {"after", NULL};
    struct buf scratch = {0};
    struct str text = STR("");
    *out = 0;
    enum err err = http_query_check(call->request.query, names, error);
    if (err == ERR_NONE)
        err = http_query_get(call->request.query, STR("after"), &scratch, &text, error);
    if (err == ERR_NONE && text.len && !str_to_u64(text, out))
        err = error_set(error, ERR_INVALID_REQUEST, "after: the number of a line is expected");
    buf_fini(&scratch);
    return err;
}

/* NDJSON: one line for each line of the journal, the oldest first. */
static void list(struct dev *dev, struct http_call *call, struct str rest)
{
    struct error error;
    uint64_t after;
    (void)rest;
    if (read_after(call, &after, &error)) {
        dev_refuse(call, 400, &error);
        return;
    }
    call->response.content_type = "application/x-ndjson";
    for (const struct journal_line *line; (line = journal_after(&dev->journal, after)); after = line->n) {
        journal_print(&call->response.body, line);
        buf_append_char(&call->response.body, '\n');
    }
    dev_answer(call);
}

static void empty(struct dev *dev, struct http_call *call, struct str rest)
{
    (void)rest;
    journal_empty(&dev->journal);
    dev_answer(call);
}

const struct dev_route journal_routes[] = {{"GET", "/dev/v1/journal", list}, {"DELETE", "/dev/v1/journal", empty}, {0}};
