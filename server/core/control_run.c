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

/* --- one session -------------------------------------------------------------------------------------------------- */

static struct str name_of(const struct subscription *subscription)
{
    return channel_name(subscription->channel);
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(name_of(*(const struct subscription *const *)a),
                       name_of(*(const struct subscription *const *)b));
}

/* Finds the first request->limit channels after request->after. The session's list is in no order. Whenever twice as
 * many have been found, the last half is dropped, and a name after those that stay is not kept any more. Returns their
 * number. out has room for twice as many. */
static size_t find_page(const struct session *session, const struct control_request *request,
                        const struct subscription **out, bool *out_more)
{
    size_t limit = (size_t)request->limit, count = 0;
    bool more = false;
    for (uint32_t i = 0; i < session->subscription_count; i++) {
        struct str name = name_of(&session->subscriptions[i]);
        if (str_compare(name, request->after) <= 0 || (more && str_compare(name, name_of(out[limit - 1])) > 0))
            continue;
        out[count++] = &session->subscriptions[i];
        if (count == 2 * limit) {
            qsort(out, count, sizeof *out, compare_names);
            count = limit;
            more = true;
        }
    }
    if (count)
        qsort(out, count, sizeof *out, compare_names);
    *out_more = more || count > limit;
    return count < limit ? count : limit;
}

static void look_at_session(struct hub *hub, const struct control_request *request, struct control_result *out)
{
    const struct session *session = session_index_find_uuid(hub_sessions(hub), request->session_id);
    struct control_row row;
    if (!session)
        return;
    make_session_row(session, &row);
    control_result_set_session(out, &row);
    const struct subscription **page = xmalloc(2 * (size_t)request->limit * sizeof *page);
    size_t count = find_page(session, request, page, &out->more);
    struct control_row *rows = xcalloc(count, sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        struct position position = {0};
        subscription_position(page[i], &position);
        rows[i] = (struct control_row){.key = name_of(page[i]),
                                       .epoch = position.epoch,
                                       .offset = position.offset,
                                       .subscribed = page[i]->confirmed,
                                       .recovering = page[i]->recovering};
    }
    control_result_append(out, rows, count);
    free(rows);
    free(page);
}

/* --- one channel -------------------------------------------------------------------------------------------------- */

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
    case CONTROL_SESSION: look_at_session(hub, request, out); break;
    case CONTROL_CHANNELS: return list(hub_channels_in_order(hub), request, walk, make_channel_row, out);
    case CONTROL_CHANNEL: return look_at_channel(hub, request, out);
    case CONTROL_INFO: out->count += hub_sessions(hub)->open_count; break;
    case CONTROL_OP_COUNT: break;
    }
    return true;
}
