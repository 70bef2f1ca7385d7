/* session.c - the sessions of a hub: each has a slot, by which others name it, and a place in the order of the open
 * ones. An end is decided here and carried out by the flush (hub.c), so that whoever walks subscribers may end any of
 * them. */
#include "server/core/session.h"

#include "common/base/alloc.h"
#include "server/core/hub_private.h"

static struct str uuid_of(struct sorted_link *link)
{
    return str_from(session_of(link)->uuid, UUID_LEN);
}

void sessions_init(struct hub *hub)
{
    list_init(&hub->ending);
    list_init(&hub->reaped);
    sorted_init(&hub->sessions, uuid_of);
}

static void take_slot(struct hub *hub, struct session *session)
{
    if (hub->first_free == hub->slot_count) {
        if (hub->slot_count == hub->slot_cap) {
            hub->slot_cap = hub->slot_cap ? hub->slot_cap * 2 : 64;
            hub->slots = xrealloc(hub->slots, hub->slot_cap * sizeof *hub->slots);
        }
        hub->slots[hub->slot_count] = (struct hub_slot){.next_free = hub->slot_count + 1};
        hub->slot_count++;
    }
    uint32_t index = hub->first_free;
    struct hub_slot *slot = &hub->slots[index];
    hub->first_free = slot->next_free;
    slot->session = session;
    slot->generation++;
    session->id = (struct session_id){.worker = hub->worker, .slot = index, .generation = slot->generation};
    hub->session_count++;
}

static void give_slot_back(struct hub *hub, struct session *session)
{
    struct hub_slot *slot = &hub->slots[session->id.slot];
    slot->session = NULL;
    slot->next_free = hub->first_free;
    hub->first_free = session->id.slot;
    hub->session_count--;
}

struct session *session_create(struct hub *hub, const struct session_start *start)
{
    struct session *session = xcalloc(1, sizeof *session);
    session->hub = hub;
    session->claims = claims_ref(start->claims);
    session->transport = start->transport;
    session->ops = start->ops;
    session->format = formats_get(&hub->formats, start->dialect, start->ops->framing);
    session->close_codes = start->close_codes;
    session->address = str_dup(start->address);
    session->opened_ms = hub->wall_ms;
    session->late_token = session->claims->exp_ms && session->claims->exp_ms <= hub->wall_ms;
    uuid_v7(hub->wall_ms, session->uuid);
    take_slot(hub, session);
    sorted_put(&hub->sessions, &session->by_id);
    hub->open_count++;
    return session;
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

/* Takes the message, if there is one. What is said at the end has no limit to fit into: the reason stays, however full
 * the outbox is. */
static void append_last(struct session *session, struct message *message)
{
    if (!message)
        return;
    outbox_append(&session->outbox, message);
    message_unref(message);
}

static void leave_open(struct session *session, enum session_state state)
{
    if (session->state == SESSION_OPEN) {
        sorted_remove(&session->hub->sessions, &session->by_id);
        session->hub->open_count--;
    }
    session->state = state;
}

void session_end_with(struct session *session, int code, struct str reason_text)
{
    if (session->state != SESSION_OPEN)
        return;
    append_last(session, format_close(&session->hub->formats, session->format, code, reason_text));
    leave_open(session, SESSION_CLOSING);
    list_append(&session->hub->ending, &session->link);
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
    session_end_with(session, session->close_codes->code[reason], str_from_cstr(reason_text(reason)));
}

void session_forget(struct session *session)
{
    leave_open(session, SESSION_GONE);
    give_slot_back(session->hub, session);
    list_remove(&session->link);
    list_append(&session->hub->reaped, &session->link);
}

void sessions_reap(struct hub *hub)
{
    for (struct list_link *link; (link = list_take_first(&hub->reaped));) {
        struct session *session = CONTAINER_OF(link, struct session, link);
        claims_unref(session->claims);
        free(session->address);
        free(session);
    }
}

/* --- who is there ------------------------------------------------------------------------------------------------- */

struct session *hub_find(struct hub *hub, struct session_id id)
{
    if (id.generation == 0 || id.worker != hub->worker || id.slot >= hub->slot_count)
        return NULL;
    const struct hub_slot *slot = &hub->slots[id.slot];
    return slot->generation == id.generation ? slot->session : NULL;
}

size_t hub_session_count(const struct hub *hub)
{
    return hub->session_count;
}

struct session *hub_next_session(struct hub *hub, size_t *cursor)
{
    while (*cursor < hub->slot_count) {
        struct session *session = hub->slots[(*cursor)++].session;
        if (session)
            return session;
    }
    return NULL;
}

const struct sorted *hub_sessions_in_order(const struct hub *hub)
{
    return &hub->sessions;
}

size_t hub_open_count(const struct hub *hub)
{
    return hub->open_count;
}

size_t hub_session_places(const struct hub *hub)
{
    return hub->slot_count;
}

struct session *hub_session_at(struct hub *hub, size_t place)
{
    return place < hub->slot_count ? hub->slots[place].session : NULL;
}
