/* session_life.c - the life of a session: its memory, what it asks of the node, and its end. An end is decided here and
 * carried out by the flush (hub.c). So a walk through subscribers may end any of them. */
#include "common/base/alloc.h"
#include "server/core/hub_private.h"
#include "server/core/session.h"
#include "server/core/session_uuid.h"

struct session *session_create(struct hub *hub, const struct session_start *start)
{
    struct session *session = xcalloc(1, sizeof *session + start->address.len + 1);
    session->hub = hub;
    session->claims = claims_ref(start->claims);
    session->transport = start->transport;
    session->ops = start->ops;
    session->format = formats_get(&hub->formats, start->endpoint, start->ops->framing);
    session->endpoint = endpoint_ref(start->endpoint);
    session->text_use = start->endpoint->text;
    session->binary_use = start->endpoint->binary;
    str_pack(&(char *){session->address}, start->address);
    session->opened_ms = hub->wall_ms;
    session->late_token = session->claims->exp_ms && session->claims->exp_ms <= hub->wall_ms;
    session->session_slot = start->slot;
    if (start->uuid.len == UUID_LEN)
        memcpy(session->uuid, start->uuid.ptr, UUID_LEN);
    else
        session_uuid_make(hub->wall_ms, hub->node_id, session->uuid);
    session_index_add(&hub->sessions, session);
    return session;
}

/* --- its requests ---------------------------------------------------------------------------------------------- */

static void answered(struct request *request, void *owner)
{
    struct hub *hub = owner;
    struct session *session = session_index_find(&hub->sessions, request->session);
    if (session && request->answer)
        request->answer(session, request);
    request_destroy(request);
}

void session_ask(struct session *session, struct request *request,
                 void (*answer)(struct session *session, struct request *request))
{
    struct hub *hub = session->hub;
    request->reply_to = hub->replies;
    request->done = answered;
    request->session = session->id;
    request->answer = answer;
    hub->node->ask(hub->node_owner, request);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* A client is told in words too where it can do something about it. */
static bool wants_error_frame(enum reason reason)
{
    switch (reason) {
    case REASON_GOING_AWAY:
    case REASON_SLOW_CONSUMER:
    case REASON_PONG_TIMEOUT:
    case REASON_PROTOCOL_ERROR: return false;
    default: return true;
    }
}

/* Takes the message, if there is one. The last messages are not limited by the outbox: a session with a full outbox
 * also tells its reason. */
static void append_last(struct session *session, struct message *message)
{
    if (!message)
        return;
    outbox_append(&session->outbox, message);
    message_unref(message);
}

static void leave_open(struct session *session, enum session_state state)
{
    if (session->state == SESSION_OPEN)
        session_index_end(&session->hub->sessions, session);
    session->state = state;
}

static void begin_end(struct session *session, int code)
{
    session->closing_code = (uint16_t)code;
    if (session->has_ticket)
        session->hub->ticket_events->ending(session);
    leave_open(session, SESSION_CLOSING);
    list_append(&session->hub->ending, &session->link);
}

void session_break(struct session *session)
{
    if (session->state == SESSION_OPEN)
        begin_end(session, CLOSE_LOST);
}

void session_end_with(struct session *session, int code, struct str reason_text)
{
    if (session->state != SESSION_OPEN)
        return;
    append_last(session, format_close(&session->hub->formats, session->format, code, reason_text));
    begin_end(session, code);
}

void session_end(struct session *session, enum reason reason)
{
    if (session->state != SESSION_OPEN)
        return;
    session->closing_reason = reason;
    if (wants_error_frame(reason)) {
        const struct reply reply = {.type = REPLY_ERROR,
                                    .error = {reason_err(reason), str_from_cstr(reason_sentence(reason))}};
        append_last(session, format_reply(&session->hub->formats, session->format, &reply));
    }
    session_end_with(session, session->endpoint->close_codes.code[reason], str_from_cstr(reason_text(reason)));
}

void session_forget(struct session *session)
{
    if (session->state == SESSION_OPEN)
        session->closing_code = CLOSE_LOST;
    leave_open(session, SESSION_GONE);
    session_index_remove(&session->hub->sessions, session);
    list_remove(&session->link);
    list_append(&session->hub->reaped, &session->link);
}

void sessions_reap(struct hub *hub)
{
    for (struct list_link *link; (link = list_take_first(&hub->reaped));) {
        struct session *session = CONTAINER_OF(link, struct session, link);
        claims_unref(session->claims);
        endpoint_unref(session->endpoint);
        free(session);
    }
}
