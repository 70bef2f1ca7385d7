/* input.c - what comes from a client, and what becomes of it by the endpoint that its session began with. */
#include "common/json/json.h"
#include "server/core/hub_private.h"

/* Of a message that is no command. False: it is dropped, and the client is told. */
static bool pay(struct hub *hub, struct session *session, bool binary, struct str bytes)
{
    enum rate_counts kind = binary ? RATE_BINARY : RATE_TEXT;
    struct error error;
    uint64_t retry_us;
    if (!(session->endpoint->rate_counts & kind) || command_pay(session, 1, &retry_us)) {
        session->bad_messages = 0;
        return true;
    }
    command_too_fast(retry_us, &error);
    hub_fail(hub, session, session_correlate(session, binary, bytes).id, error.code, str_from_cstr(error.text));
    command_count_bad(session, METRIC_RATE_LIMITED_MESSAGES, REASON_RATE_LIMITED);
    return false;
}

static void use(struct hub *hub, struct session *session, enum message_use use, bool binary, struct str bytes)
{
    if (use == USE_REJECT)
        session_end(session, REASON_DATA_KIND);
    else if (!pay(hub, session, binary, bytes))
        return;
    else if (use == USE_UPSTREAM)
        session_upstream_take(hub, session, binary, bytes);
    else if (use == USE_ECHO)
        hub_send(hub, session, binary, bytes);
}

static bool begin(struct hub *hub, struct session *session, struct str bytes)
{
    if (session->state != SESSION_OPEN)
        return false;
    session->heard = true;
    session->messages++;
    metrics_add(hub->metrics, METRIC_RECEIVED_BYTES, bytes.len);
    return true;
}

void hub_receive(struct hub *hub, struct session *session, struct str text)
{
    if (!begin(hub, session, text))
        return;
    if (session->text_use == USE_COMMANDS)
        command_receive(hub, session, text);
    else
        use(hub, session, session->text_use, false, text);
}

/* A binary command need not be UTF-8. The dialect's parser takes nothing else. */
void hub_receive_binary(struct hub *hub, struct session *session, struct str bytes)
{
    if (!begin(hub, session, bytes))
        return;
    if (session->binary_use == USE_COMMANDS)
        command_receive(hub, session, bytes);
    else
        use(hub, session, session->binary_use, true, bytes);
}

void hub_ping(struct hub *hub, struct session *session, struct str payload)
{
    if (session->state != SESSION_OPEN)
        return;
    session->heard = true;
    output_message(hub, session, format_pong(&hub->formats, session->format, payload));
}

void hub_pong(struct hub *hub, struct session *session)
{
    liveness_hear_pong(hub, session);
    if (session->has_ticket)
        session_ticket_proven(session);
}

void hub_closed(struct hub *hub, struct session *session, int code, struct str reason)
{
    (void)hub;
    session_upstream_note_close(session, reason);
    session_end_with(session, code, STR(""));
}

void hub_close_answered(struct hub *hub, struct session *session)
{
    (void)hub;
    if (session->has_ticket)
        session_ticket_proven(session);
}

void hub_hold_input(struct hub *hub, struct session *session, bool hold)
{
    (void)hub;
    if (!session->ops->hold || session->held == hold || (hold && session->state != SESSION_OPEN))
        return;
    session->held = hold;
    session->heard = true; /* its pongs may wait to be read */
    session->ops->hold(session, hold);
}
