/* session_upstream.c - what goes between a session and its upstream (upstream.h). */
#include "server/core/hub_private.h"

void session_upstream_open(struct hub *hub, struct session *session, struct session_origin *origin)
{
    struct upstream *upstream = session->endpoint->upstream;
    session->upstream = upstream->ops->opened(upstream, hub, session, origin);
}

void session_upstream_take(struct hub *hub, struct session *session, bool binary, struct str bytes)
{
    struct upstream_session *state = session->upstream;
    const struct session_message message = {.bytes = bytes, .binary = binary, .sequence = ++state->messages};
    struct error error;
    if (state->upstream->ops->take(state, &message, &error))
        hub_fail(hub, session, STR(""), error.code, str_from_cstr(error.text));
}

void session_upstream_end(struct session *session)
{
    struct upstream_session *state = session->upstream;
    if (!state)
        return;
    session->upstream = NULL;
    state->session = NULL;
    state->upstream->ops->ended(state, session->closing_reason, session->closing_code);
}

bool hub_send(struct hub *hub, struct session *session, bool binary, struct str bytes)
{
    struct message *message =
        session->state == SESSION_OPEN ? format_raw(&hub->formats, session->format, binary, bytes) : NULL;
    output_message(hub, session, message);
    return message != NULL;
}

void hub_fail(struct hub *hub, struct session *session, struct str id, enum err code, struct str text)
{
    output_error(hub, session, id, STR(""), code, text);
}
