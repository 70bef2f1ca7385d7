/* http_session_state.c - see http_session_state.h. */
#include "server/upstream/http_session_state.h"

#include "server/core/session.h"
#include "server/upstream/cloudevents.h"
#include "server/upstream/session_lines.h"

void http_session_write_lines(struct buf *out, const struct http_upstream_options *options, struct str uuid,
                              const struct claims *claims, const struct session_origin *origin)
{
    const struct session_lines lines = {
        .uuid = uuid,
        .claims = claims,
        .names = options->claims,
        .name_count = options->claim_count,
        .origin = origin,
        .azure_hub = options->azure_hub,
    };
    write_session_lines(out, &lines);
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
