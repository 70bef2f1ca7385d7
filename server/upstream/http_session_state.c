/* http_session_state.c - see http_session_state.h. */
#include "server/upstream/http_session_state.h"

#include "server/core/session.h"
#include "server/upstream/cloudevents.h"

void http_session_refresh(struct http_session *state)
{
    const struct http_upstream_options *options = http_session_options(state);
    const struct session *session = state->base.session;
    struct buf claims = {0};
    if (!session || session->claims == state->claims)
        return;
    claims_ref(session->claims);
    claims_unref(state->claims);
    state->claims = session->claims;
    cloudevent_pick(&claims, session->claims->payload, options->claims, options->claim_count);
    const struct cloudevent_session told = {
        .endpoint = STR("/"),
        .id = str_from(state->uuid, UUID_LEN),
        .user = session->claims->sub,
        .claims = buf_str(&claims),
    };
    buf_clear(&state->lines);
    cloudevent_write_session(&state->lines, &told);
    buf_fini(&claims);
}
