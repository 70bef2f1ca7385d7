/* control_run.c - one hub answers a question of a backend (control.h). A question may concern many sessions or
 * channels. A turn looks at some of them, in the order of their names. The next turn goes on after the last one. */
#include <assert.h>

#include "common/base/alloc.h"
#include "server/core/control.h"

enum { PART = 500 }; /* sessions or channels looked at in a turn */

static bool disconnect(struct hub *hub, struct session *session, const struct control_request *request)
{
    (void)hub;
    if (request->code)
        session_end_with(session, (int)request->code, request->reason);
    else
        session_end(session, REASON_DISCONNECTED);
    return true;
}

static bool subscribe(struct hub *hub, struct session *session, const struct control_request *request)
{
    return hub_subscribe(hub, session, request->channel);
}

static bool unsubscribe(struct hub *hub, struct session *session, const struct control_request *request)
{
    return hub_unsubscribe(hub, session, request->channel);
}

static bool send_message(struct hub *hub, struct session *session, const struct control_request *request)
{
    return hub_send(hub, session, request->binary, request->message);
}

typedef bool action(struct hub *hub, struct session *session, const struct control_request *request);

/* --- walks -------------------------------------------------------------------------------------------------------- */

/* Where this part begins. first: where the first part begins. */
static struct sorted_link *go_on(const struct sorted *order, const struct control_walk *walk, struct sorted_link *first)
{
    return walk->begun ? sorted_after(order, str_from(walk->name, walk->name_len)) : first;
}

/* The next part begins after this name. */
static void note(struct control_walk *walk, struct str name)
{
    assert(name.len <= sizeof walk->name);
    walk->begun = true;
    walk->name_len = name.len;
    memcpy(walk->name, name.ptr, name.len);
}

static bool change_by_user(struct hub *hub, const struct control_request *request, struct control_walk *walk,
                           action *act, struct control_result *out)
{
    const struct sorted order = session_index_of_user(hub_sessions(hub), request->user);
    struct sorted_link *link = go_on(&order, walk, sorted_from(&order, STR("")));
    for (size_t seen = 0; link; seen++) {
        struct session *session = session_of_user(link);
        if (seen == PART)
            return false;
        note(walk, str_from(session->uuid, UUID_LEN));
        link = sorted_next(link); /* before the session ends, which takes it out */
        if (act(hub, session, request))
            out->count++;
    }
    return true;
}

static bool change(struct hub *hub, const struct control_request *request, struct control_walk *walk, action *act,
                   struct control_result *out)
{
    if (request->session_id.len == 0)
        return change_by_user(hub, request, walk, act, out);
    struct session *session = session_index_find_uuid(hub_sessions(hub), request->session_id);
    if (session && act(hub, session, request))
        out->count++;
    return true;
}

static bool send(struct hub *hub, const struct control_request *request, struct control_walk *walk,
                 struct control_result *out)
{
    if (request->channel.len == 0)
        return change(hub, request, walk, send_message, out);
    out->count += hub_send_to_channel(hub, request->channel, request->binary, request->message);
    return true;
}

/* --- pages -------------------------------------------------------------------------------------------------------- */

/* False if the thing is not shown. */
typedef bool make_row(struct sorted_link *link, struct control_row *out);

static void make_session_row(const struct session *session, struct control_row *out)
{
    *out = (struct control_row){
        .key = str_from(session->uuid, UUID_LEN),
        .user = session->claims->sub,
        .address = str_from_cstr(session->address),
        .connected_ms = session->opened_ms,
        .expires_ms = session->claims->exp_ms,
        .channels = session->subscription_count,
        .outbox_bytes = session->outbox.bytes + session->unsent_bytes,
    };
}

static bool make_row_by_uuid(struct sorted_link *link, struct control_row *out)
{
    make_session_row(session_of_uuid(link), out);
    return true;
}

static bool make_row_by_user(struct sorted_link *link, struct control_row *out)
{
    make_session_row(session_of_user(link), out);
    return true;
}

static bool make_channel_row(struct sorted_link *link, struct control_row *out)
{
    const struct channel *channel = channel_of(link);
    if (channel_subscribers(channel) == 0)
        return false;
    *out = (struct control_row){.key = channel_name(channel), .subscribers = channel_subscribers(channel)};
    return true;
}

static struct sorted_link *first_of(const struct sorted *order, const struct control_request *request)
{
    return str_compare(request->prefix, request->after) > 0 ? sorted_from(order, request->prefix)
                                                            : sorted_after(order, request->after);
}

static bool list(const struct sorted *order, const struct control_request *request, struct control_walk *walk,
                 make_row *make, struct control_result *out)
{
    assert(request->limit >= 1 && request->limit <= CONTROL_PAGE_MAX);
    size_t room = (size_t)request->limit - out->row_count, count = 0, seen = 0;
    struct control_row *rows = xmalloc((PART < room ? PART : room) * sizeof *rows + 1);
    bool done = true;
    struct sorted_link *link = go_on(order, walk, first_of(order, request));
    for (; link && str_starts_with(order->name(link), request->prefix); link = sorted_next(link)) {
        struct control_row row;
        if (seen++ == PART) {
            done = false;
            break;
        }
        note(walk, order->name(link));
        if (!make(link, &row))
            continue;
        if (count == room) {
            out->more = true;
            break;
        }
        rows[count++] = row;
    }
    control_result_append(out, rows, count);
    free(rows);
    return done;
}

static bool list_sessions(const struct hub *hub, const struct control_request *request, struct control_walk *walk,
                          struct control_result *out)
{
    const struct session_index *sessions = hub_sessions(hub);
    if (request->user.len == 0)
        return list(&sessions->by_uuid, request, walk, make_row_by_uuid, out);
    const struct sorted of_user = session_index_of_user(sessions, request->user);
    return list(&of_user, request, walk, make_row_by_user, out);
}

static bool look_at_channel(struct hub *hub, const struct control_request *request, struct control_result *out)
{
    const struct channel *channel = hub_channel(hub, request->channel);
    if (!channel || channel_subscribers(channel) == 0)
        return true;
    struct control_row row = {.key = channel_name(channel), .subscribers = channel_subscribers(channel)};
    control_result_append(out, &row, 1);
    return true;
}

bool control_run(struct hub *hub, const struct control_request *request, struct control_walk *walk,
                 struct control_result *out)
{
    switch (request->op) {
    case CONTROL_DISCONNECT: return change(hub, request, walk, disconnect, out);
    case CONTROL_SUBSCRIBE: return change(hub, request, walk, subscribe, out);
    case CONTROL_UNSUBSCRIBE: return change(hub, request, walk, unsubscribe, out);
    case CONTROL_SEND: return send(hub, request, walk, out);
    case CONTROL_SESSIONS: return list_sessions(hub, request, walk, out);
    case CONTROL_CHANNELS: return list(hub_channels_in_order(hub), request, walk, make_channel_row, out);
    case CONTROL_CHANNEL: return look_at_channel(hub, request, out);
    case CONTROL_INFO: out->count += hub_sessions(hub)->open_count; break;
    case CONTROL_OP_COUNT: break;
    }
    return true;
}
