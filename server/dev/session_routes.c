/* session_routes.c - the sessions, with their channels and what they sent and got last. */
#include "common/base/clock.h"
#include "common/json/json.h"
#include "server/dev/dev_http.h"
#include "server/dev/dev_private.h"

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
        const struct position position = channel_position(subscription->channel);
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
    const struct journal_line *last = NULL;
    uint64_t after = 0;
    for (const struct journal_line *line; (line = journal_after(journal, after)); after = line->n)
        if (str_eq_cstr(line->note.session, session->uuid) &&
            strcmp(journal_direction(line->note.kind), direction) == 0)
            last = line;
    buf_appendf(out, ",\"last_%s\":", direction);
    if (last)
        journal_print(out, last);
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

static void list(struct dev *dev, struct http_call *call, struct str rest)
{
    struct buf *out = &call->response.body;
    const char *comma = "";
    size_t cursor = 0;
    (void)rest;
    buf_append_lit(out, "{\"sessions\":[");
    for (struct session *session; (session = session_index_next(hub_sessions(dev->parts.hub), &cursor));) {
        if (session->state != SESSION_OPEN)
            continue;
        buf_appendf(out, "%s", comma);
        append_session(out, session);
        buf_append_char(out, '}');
        comma = ",";
    }
    buf_append_lit(out, "]}");
    dev_answer(call);
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
