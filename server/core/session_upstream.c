/* session_upstream.c - what goes between a session and its upstream (upstream.h). */
#include <assert.h>

#include "server/core/hub_private.h"

void session_upstream_open(struct hub *hub, struct session *session, struct session_origin *origin)
{
    struct upstream *upstream = session->endpoint->upstream;
    session->upstream = upstream->ops->opened(upstream, hub, session, origin);
}

void session_upstream_take(struct hub *hub, struct session *session, bool binary, struct str bytes)
{
    struct upstream_session *state = session->upstream;
    assert(state); /* an endpoint with this use has one */
    const struct session_message message = {.bytes = bytes,
                                            .binary = binary,
                                            .sequence = ++state->messages,
                                            .correlated = session_correlate(session, binary, bytes)};
    struct error error;
    if (state->upstream->ops->take(state, &message, &error))
        hub_fail(hub, session, message.correlated.id, error.code, str_from_cstr(error.text));
}

void session_upstream_note_close(struct session *session, struct str reason)
{
    if (session->upstream && session->state == SESSION_OPEN)
        buf_append(&session->upstream->close_reason, reason);
}

void session_upstream_end(struct session *session)
{
    struct upstream_session *state = session->upstream;
    if (!state)
        return;
    session->upstream = NULL;
    state->session = NULL;
    struct buf given = state->close_reason;
    state->close_reason = (struct buf){0};
    enum reason reason = session->closing_reason;
    state->upstream->ops->ended(state, session->closing_code,
                                reason ? str_from_cstr(reason_text(reason)) : buf_str(&given));
    buf_fini(&given);
}

bool hub_send(struct hub *hub, struct session *session, bool binary, struct str bytes)
{
    struct message *message =
        session->state == SESSION_OPEN ? format_raw(&hub->formats, session->format, binary, bytes) : NULL;
    output_message(hub, session, message);
    return message != NULL;
}

enum { FRAME_BESIDE = 16 }; /* header of a frame; no framing adds more to a raw message */

bool hub_has_room(const struct hub *hub, const struct session *session, size_t bytes)
{
    return output_has_room(hub, session, bytes + FRAME_BESIDE);
}

bool hub_make_room(struct hub *hub, struct session *session, size_t unsent, size_t bytes)
{
    return session->state != SESSION_OPEN || output_make_room(hub, session, unsent, bytes + FRAME_BESIDE);
}

struct correlated session_correlate(const struct session *session, bool binary, struct str bytes)
{
    const struct correlation *correlation = session->endpoint->correlation;
    return correlation && !binary ? correlation_read(correlation, bytes) : (struct correlated){0};
}

void hub_fail(struct hub *hub, struct session *session, struct str id, enum err code, struct str text)
{
    const struct correlation *correlation = session->endpoint->correlation;
    struct buf frame = {0};
    if (correlation && correlation_write_error(correlation, id, code, text, &frame))
        hub_send(hub, session, false, buf_str(&frame));
    else
        output_error(hub, session, id, STR(""), code, text);
    buf_fini(&frame);
}
