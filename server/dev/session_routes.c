/* session_routes.c - the sessions, with their channels and what they sent and got last. */
#include "common/base/clock.h"
#include "common/json/json.h"
#include "common/protocol/http_head.h"
#include "server/core/control.h"
#include "server/dev/dev_private.h"
#include "server/dev/dev_route.h"

static void append_text(struct buf *out, const char *name, struct str text)
{
    buf_appendf(out, ",\"%s\":", name);
    json_append_string(out, text);
}

static void append_time(struct buf *out, const char *name, uint64_t wall_ms)
{
    char text[CLOCK_RFC3339_LEN + 1];
    clock_format(wall_ms, text);
    if (wall_ms)
        buf_appendf(out, ",\"%s\":\"%s\"", name, text);
    else
        buf_appendf(out, ",\"%s\":null", name);
}

static void append_channels(struct buf *out, const struct session *session)
{
    buf_append_lit(out, ",\"channels\":[");
    for (uint32_t i = 0; i < session->subscription_count; i++) {
        const struct subscription *subscription = &session->subscriptions[i];
        struct position position = {0};
        subscription_position(subscription, &position);
        buf_appendf(out, "%s{\"channel\":", i ? "," : "");
        json_append_string(out, channel_name(subscription->channel));
        buf_appendf(out, ",\"subscribed\":%s,\"recovering\":%s", subscription->confirmed ? "true" : "false",
                    subscription->recovering ? "true" : "false");
        if (position.epoch.len) {
            append_text(out, "epoch", position.epoch);
            buf_appendf(out, ",\"offset\":%llu", (unsigned long long)position.offset);
        }
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

/* The newest line of the session in that direction, as the journal still has it. */
static void append_last(struct buf *out, const struct journal *journal, const struct session *session,
                        const char *direction)
{
    struct journal_line line, last = {.n = 0};
    for (uint64_t after = 0; journal_after(journal, after, &line); after = line.n)
        if (str_eq_cstr(line.note.session, session->uuid) && strcmp(journal_direction(line.note.kind), direction) == 0)
            last = line;
    buf_appendf(out, ",\"last_%s\":", direction);
    if (last.n)
        journal_print(out, &last);
    else
        buf_append_lit(out, "null");
}

static void append_session(struct buf *out, const struct session *session)
{
    buf_append_lit(out, "{\"session_id\":");
    json_append_string(out, str_from_cstr(session->uuid));
    append_text(out, "user", session->claims->sub);
    append_text(out, "address", str_from_cstr(session->address));
    append_text(out, "endpoint", session->endpoint->path);
    append_time(out, "connected_at", session->opened_ms);
    append_time(out, "expires_at", session->claims->exp_ms);
    buf_appendf(out, ",\"outbox_messages\":%u,\"outbox_bytes\":%llu", session->outbox.count,
                (unsigned long long)(session->outbox.bytes + session->unsent_bytes));
    append_channels(out, session);
}

/* A page in the order of the ids; without a limit it is as long as there are sessions. */
static void append_page(struct buf *out, const struct session_index *sessions, struct str after, uint64_t limit)
{
    struct sorted_link *link = sorted_after(&sessions->by_uuid, after);
    const struct session *last = NULL;
    buf_append_lit(out, "{\"sessions\":[");
    for (uint64_t i = 0; link && i < limit; i++, link = sorted_next(link)) {
        last = session_of_uuid(link);
        buf_appendf(out, "%s", i ? "," : "");
        append_session(out, last);
        buf_append_char(out, '}');
    }
    buf_appendf(out, "],\"count\":%zu,\"next\":", sessions->open_count);
    if (link && last)
        buf_appendf(out, "\"%s\"}", last->uuid);
    else
        buf_append_lit(out, "null}");
}

static enum err read_page(struct str query, struct buf *scratch, struct str *out_after, uint64_t *out_limit,
                          struct error *error)
{
    static const char *const names[] = {"limit", "after", NULL};
    struct str limit = {0};
    *out_limit = UINT64_MAX;
    enum err err = http_query_check(query, names, error);
    if (!err)
        err = http_query_get(query, STR("limit"), scratch, &limit, error);
    if (!err && limit.ptr && (!str_to_u64(limit, out_limit) || *out_limit < 1 || *out_limit > CONTROL_PAGE_MAX))
        err = error_set(error, ERR_INVALID_REQUEST, "limit: expected a whole number from 1 to %d", CONTROL_PAGE_MAX);
    if (!err)
        err = http_query_get(query, STR("after"), scratch, out_after, error);
    return err;
}

static void list(struct dev *dev, struct http_call *call, struct str rest)
{
    struct buf scratch = {0};
    struct str after = {0};
    struct error error;
    uint64_t limit;
    (void)rest;
    if (read_page(call->request.query, &scratch, &after, &limit, &error)) {
        dev_refuse(call, 400, &error);
    } else {
        append_page(&call->response.body, hub_sessions(dev->parts.hub), after, limit);
        dev_answer(call);
    }
    buf_fini(&scratch);
}

static void show(struct dev *dev, struct http_call *call, struct str rest)
{
    const struct session *session = session_index_find_uuid(hub_sessions(dev->parts.hub), rest);
    struct error error;
    char quoted[ERROR_QUOTE_LEN];
    if (!session) {
        error_set(&error, ERR_NOT_FOUND, "no open session has the id %s", error_quote(rest, quoted));
        dev_refuse(call, 404, &error);
        return;
    }
    append_session(&call->response.body, session);
    append_last(&call->response.body, &dev->journal, session, "in");
    append_last(&call->response.body, &dev->journal, session, "out");
    buf_append_char(&call->response.body, '}');
    dev_answer(call);
}

const struct dev_route session_routes[] = {
    {"GET", "/dev/v1/sessions", list}, {"GET", "/dev/v1/sessions/{id}", show}, {0}};
