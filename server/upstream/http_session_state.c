/* http_session_state.c - see http_session_state.h. */
#include "server/upstream/http_session_state.h"

#include "server/core/session.h"
#include "server/upstream/azure.h"
#include "server/upstream/cloudevents.h"

void write_origin_values(struct buf *out, const struct origin_values *values)
{
    char before = '{';
    for (size_t i = 0; i < values->count; i++) {
        buf_append_char(out, before);
        json_append_string(out, values->items[i].name);
        buf_append_char(out, ':');
        json_append_string(out, values->items[i].value);
        before = ',';
    }
    if (before == '{')
        buf_append_char(out, '{');
    buf_append_char(out, '}');
}

static void write_passed_headers(struct buf *out, const struct session_origin *origin)
{
    for (size_t i = 0; i < origin->headers.count; i++)
        if (cloudevent_may_pass(origin->headers.items[i].name))
            cloudevent_write_passed(out, origin->headers.items[i].name, origin->headers.items[i].value);
}

void http_session_write_lines(struct buf *out, const struct http_upstream_options *options, struct str uuid,
                              const struct claims *claims, const struct session_origin *origin)
{
    struct buf picked = {0}, query = {0}, path = {0};
    struct cloudevent_session told = {.endpoint = STR("/"), .id = uuid, .user = claims->sub};
    cloudevent_pick(&picked, claims->payload, options->claims, options->claim_count);
    told.claims = buf_str(&picked);
    if (origin) {
        told.endpoint = origin->endpoint;
        told.subprotocol = origin->subprotocol;
        if (origin->query.count)
            write_origin_values(&query, &origin->query);
        if (origin->names.count)
            write_origin_values(&path, &origin->names);
        told.query = buf_str(&query);
        told.path = buf_str(&path);
    }
    buf_clear(out);
    if (options->azure_hub.len)
        azure_write_session(out, options->azure_hub, &told, options->secrets);
    else
        cloudevent_write_session(out, &told);
    if (origin)
        write_passed_headers(out, origin);
    buf_fini(&picked);
    buf_fini(&query);
    buf_fini(&path);
}

struct str http_session_trace(const struct http_session *state)
{
    bool has_one = state->origin && traceparent_is_valid(state->origin->traceparent);
    return has_one ? state->origin->traceparent : STR("");
}

void http_session_refresh(struct http_session *state)
{
    const struct session *session = state->base.session;
    if (!session || session->claims == state->claims)
        return;
    claims_ref(session->claims);
    claims_unref(state->claims);
    state->claims = session->claims;
    http_session_write_lines(&state->lines, http_session_options(state), str_from(state->uuid, UUID_LEN),
                             session->claims, state->origin);
}
