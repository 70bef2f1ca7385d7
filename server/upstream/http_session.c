/* http_session.c - see http_session.h. */
#include "server/upstream/http_session.h"

#include "common/base/alloc.h"
#include "common/protocol/channel_name.h"
#include "server/core/hub.h"
#include "server/core/session.h"
#include "server/upstream/answer_orders.h"
#include "server/upstream/azure.h"
#include "server/upstream/backend_call.h"
#include "server/upstream/http_session_state.h"
#include "server/upstream/idempotency.h"
#include "server/upstream/subscribe_call.h"
#include "server/upstream/upstream_log.h"

enum { MESSAGE_COST = 1024 }; /* what a message takes beside its bytes */

struct http_message {
    struct backend_call call;
    struct list_link link; /* in a list of its session */
    struct http_session *session;
    bool binary;
    char *correlation; /* JSON, as the client wrote it; NULL: none */
    char *key;         /* idempotency key, JSON as the client wrote it; NULL: none, or the upstream does not care */
    struct idempotency_entry *entry; /* this message is the first one with the key; NULL: it is not, or is over */
    struct session_id waits_as;
    bool joins;     /* it waits for the answer to another one with the key */
    int close_code; /* the backend wants the session closed after the answer; 0: no */
    char *close_reason;
};

static const struct backend_call_ops message_calls;

/* --- the lists ---------------------------------------------------------------------------------------------------- */

static size_t cost(const struct http_message *message)
{
    return message->call.body.len + MESSAGE_COST;
}

static struct http_message *add(struct http_session *state, enum cloudevent_type type, struct str body)
{
    struct http_message *message = xcalloc(1, sizeof *message);
    message->session = state;
    message->call.ops = &message_calls;
    message->call.upstream = http_upstream_of(state->base.upstream);
    message->call.hub = state->hub;
    message->call.joined = 1;
    message->call.event = (struct cloudevent){
        .type = type, .session_id = str_from(state->uuid, UUID_LEN), .wall_ms = hub_wall_ms(state->hub)};
    buf_append(&message->call.body, body);
    list_append(&state->waiting, &message->link);
    state->bytes += cost(message);
    state->base.in_flight++;
    return message;
}

static struct idempotency *store_of(const struct http_session *state)
{
    return http_session_options(state)->idempotency;
}

static void drop(struct http_message *message)
{
    struct http_session *state = message->session;
    list_remove(&message->link);
    state->bytes -= cost(message);
    state->base.in_flight--;
    if (message->entry)
        idempotency_end(store_of(state), message->entry, IDEMPOTENCY_NO_ANSWER, ERR_NONE, NULL);
    if (message->joins)
        idempotency_leave(store_of(state), state->claims->sub, str_from_cstr(message->key), message->waits_as,
                          message->call.event.sequence);
    backend_call_fini(&message->call);
    free(message->key);
    free(message->correlation);
    free(message->close_reason);
    free(message);
}

/* --- messages with an idempotency key ---------------------------------------------------------------------------- */

static void send_frame(struct http_session *state, bool binary, struct str frame)
{
    if (state->base.session && hub_send(state->hub, state->base.session, binary, frame))
        metrics_add(hub_metrics(state->hub), METRIC_UPSTREAM_FRAMES, 1);
}

/* The frames of the answer to another message. Their id becomes this message's. The correlation is that by which the
 * hub reads messages, also after a reload; NULL: a reload has taken it away. */
static void give_frames(struct http_session *state, const struct http_message *message, struct str frames)
{
    const struct correlation *correlation = state->base.session->endpoint->correlation;
    struct buf rewritten = {0};
    struct str frame;
    bool binary;
    while (idempotency_next_frame(&frames, &binary, &frame)) {
        struct str id = binary || !correlation ? STR("") : correlation_read(correlation, frame).id;
        buf_clear(&rewritten);
        if (id.len && message->correlation) {
            buf_append(&rewritten, str_from(frame.ptr, (size_t)(id.ptr - frame.ptr)));
            buf_append(&rewritten, str_from_cstr(message->correlation));
            buf_append(&rewritten, str_skip(frame, (size_t)(id.ptr - frame.ptr) + id.len));
            frame = buf_str(&rewritten);
        }
        send_frame(state, binary, frame);
    }
    buf_fini(&rewritten);
}

static void on_waited(struct mail *mail, void *owner);

/* True: the message needs no call, since another one with its key has been, or is being, answered. */
static bool begin_once(struct http_session *state, struct http_message *message)
{
    struct idempotency_waiter *waiter = xcalloc(1, sizeof *waiter);
    struct buf frames = {0};
    waiter->mail.deliver = on_waited;
    waiter->reply_to = hub_replies(state->hub);
    waiter->session = message->waits_as = state->base.session->id;
    waiter->sequence = message->call.event.sequence;
    enum idempotency_begun begun = idempotency_begin(store_of(state), state->claims->sub, str_from_cstr(message->key),
                                                     hub_now_us(state->hub), waiter, &message->entry, &frames);
    message->joins = begun == IDEMPOTENCY_JOINS;
    if (!message->joins)
        idempotency_waiter_free(waiter);
    if (begun == IDEMPOTENCY_KNOWN) {
        give_frames(state, message, buf_str(&frames));
        state->calls--;
        drop(message);
    }
    buf_fini(&frames);
    if (begun != IDEMPOTENCY_FIRST)
        metrics_add(hub_metrics(state->hub), METRIC_UPSTREAM_ANSWERED_AGAIN, 1);
    return begun != IDEMPOTENCY_FIRST;
}

static void start(struct http_session *state, struct http_message *message)
{
    http_session_refresh(state);
    list_remove(&message->link);
    list_append(&state->under_way, &message->link);
    state->calls++;
    message->call.lines = &state->lines;
    message->call.state = &state->state;
    message->call.traceparent = http_session_trace(state);
    message->call.correlation = message->correlation;
    message->call.last_try = !state->base.session;
    if (!message->key || !state->base.session || !begin_once(state, message))
        backend_call_start(&message->call);
}

/* `connected` comes before, and `disconnected` after all else. */
static bool may_start(const struct http_session *state, const struct http_message *message)
{
    if (message->call.event.type == CLOUDEVENT_DISCONNECTED)
        return state->calls == 0;
    return state->calls < (http_session_options(state)->in_order ? 1 : SESSION_CALLS_MAX);
}

static void hold_client(struct http_session *state)
{
    size_t most = http_session_options(state)->waiting_bytes;
    if (!state->base.session)
        return;
    if (state->bytes > most)
        hub_hold_input(state->hub, state->base.session, true);
    else if (state->bytes <= most / 2)
        hub_hold_input(state->hub, state->base.session, false);
}

static void pump(struct http_session *state)
{
    while (!list_is_empty(&state->waiting)) {
        struct http_message *message = CONTAINER_OF(state->waiting.next, struct http_message, link);
        if (!may_start(state, message))
            break;
        start(state, message);
    }
    hold_client(state);
}

static void free_if_done(struct http_session *state)
{
    if (state->base.session || state->base.in_flight)
        return;
    upstream_unref(state->base.upstream);
    claims_unref(state->claims);
    endpoint_unref(state->endpoint);
    session_origin_unref(state->origin);
    buf_fini(&state->lines);
    buf_fini(&state->state);
    free(state);
}

/* The call is over. */
static void leave(struct http_message *message)
{
    struct http_session *state = message->session;
    state->calls--;
    drop(message);
    pump(state);
    free_if_done(state);
}

/* --- answers --------------------------------------------------------------------------------------------------- */

static void change_channels(struct http_session *state, struct str names,
                            bool (*change)(struct hub *, struct session *, struct str))
{
    struct str name;
    struct error error;
    while (answer_next_name(&names, &name)) {
        if (channel_check(name, &error))
            upstream_warn(state->base.upstream, hub_now_us(state->hub),
                          "the answer names a channel for session %s, and %s", state->uuid, error.text);
        else
            change(state->hub, state->base.session, name);
    }
}

static void count_late(const struct http_session *state)
{
    metrics_add(hub_metrics(state->hub), METRIC_UPSTREAM_LATE_ANSWERS, 1);
}

/* The session has gone, so the answer is for nobody. A stream could go on for ever, and is cut off. */
static bool take_late(struct http_message *message)
{
    struct http_session *state = message->session;
    const struct backend_call *call = &message->call;
    if (!call->answered || call->frames.kind == ANSWER_OTHER || call->event.type == CLOUDEVENT_DISCONNECTED)
        return true;
    count_late(state);
    if (call->frames.kind != ANSWER_LINES && call->frames.kind != ANSWER_EVENTS)
        return true;
    leave(message);
    return false;
}

static bool on_head(struct backend_call *call, const struct backend_answer *head)
{
    struct http_message *message = CONTAINER_OF(call, struct http_message, call);
    struct http_session *state = message->session;
    struct str reason;
    if (!state->base.session)
        return take_late(message);
    if (answer_close(head->close, &message->close_code, &reason))
        message->close_reason = str_dup(reason);
    else if (head->close.len)
        upstream_warn(state->base.upstream, hub_now_us(state->hub),
                      "carillon-close of the answer to session %s is no code and reason", state->uuid);
    if (head->status < 200 || head->status > 299)
        return true;
    if (head->state.len && connection_state_is_valid(head->state)) {
        buf_clear(&state->state);
        buf_append(&state->state, head->state);
    } else if (head->state.len) {
        upstream_warn(state->base.upstream, hub_now_us(state->hub),
                      "ce-connectionstate of the answer to session %s is over %d bytes, or no visible ASCII",
                      state->uuid, CONNECTION_STATE_MAX);
    }
    change_channels(state, head->subscribe, hub_subscribe);
    change_channels(state, head->unsubscribe, hub_unsubscribe);
    return true;
}

static void on_frame(struct backend_call *call, bool binary, struct str frame)
{
    struct http_message *message = CONTAINER_OF(call, struct http_message, call);
    if (message->entry)
        idempotency_add(store_of(message->session), message->entry, binary, frame);
    send_frame(message->session, binary, frame);
}

static bool has_room(struct backend_call *call, size_t bytes)
{
    struct http_session *state = CONTAINER_OF(call, struct http_message, call)->session;
    return !state->base.session || answer_turns_ask(&state->turns, call, bytes);
}

/* Messages that wait for an ended session's backend, which does not answer. The event of the end is still sent. */
static void drop_waiting(struct http_session *state)
{
    size_t count = 0;
    LIST_EACH(link, &state->waiting)
    {
        struct http_message *message = CONTAINER_OF(link, struct http_message, link);
        if (message->call.event.type == CLOUDEVENT_DISCONNECTED)
            continue;
        drop(message);
        count++;
    }
    if (count)
        upstream_warn(state->base.upstream, hub_now_us(state->hub),
                      "%zu messages of session %s, which has ended, are dropped after the failure", count, state->uuid);
}

static void finish(struct http_session *state, const struct http_message *message, const struct backend_result *result)
{
    struct session *session = state->base.session;
    if (result->err && message->call.event.type == CLOUDEVENT_MESSAGE) {
        hub_fail(state->hub, session, str_from_cstr(message->correlation), result->err, str_from_cstr(result->text));
        if (http_session_options(state)->close_on_failure && !message->close_code)
            session_end(session, REASON_SERVER_ERROR);
    }
    if (message->close_code)
        session_end_with(session, message->close_code, str_from_cstr(message->close_reason));
}

static void on_done(struct backend_call *call, const struct backend_result *result)
{
    struct http_message *message = CONTAINER_OF(call, struct http_message, call);
    struct http_session *state = message->session;
    if (message->entry)
        idempotency_end(store_of(state), message->entry, result->err ? IDEMPOTENCY_FAILED : IDEMPOTENCY_ANSWERED,
                        result->err, result->text);
    message->entry = NULL;
    if (state->base.session)
        finish(state, message, result);
    else if (result->err == ERR_UNAVAILABLE)
        drop_waiting(state);
    leave(message);
}

static struct http_message *find_joined(struct http_session *state, uint64_t sequence)
{
    LIST_EACH(link, &state->under_way)
    {
        struct http_message *message = CONTAINER_OF(link, struct http_message, link);
        if (message->joins && message->call.event.sequence == sequence)
            return message;
    }
    return NULL;
}

/* The message that this one has waited for is over. */
static void take_outcome(struct http_message *message, const struct idempotency_waiter *waiter)
{
    const struct backend_result result = {.err = waiter->err, .text = waiter->text};
    message->joins = false;
    if (waiter->outcome == IDEMPOTENCY_NO_ANSWER) {
        backend_call_start(&message->call);
        return;
    }
    if (waiter->outcome == IDEMPOTENCY_ANSWERED)
        give_frames(message->session, message, buf_str(&waiter->frames));
    else
        finish(message->session, message, &result);
    leave(message);
}

static void on_waited(struct mail *mail, void *owner)
{
    struct idempotency_waiter *waiter = CONTAINER_OF(mail, struct idempotency_waiter, mail);
    struct hub *hub = owner;
    struct session *session = session_index_find(hub_sessions(hub), waiter->session);
    if (session && session->upstream) {
        struct http_message *message = find_joined(http_session_of(session->upstream), waiter->sequence);
        if (message)
            take_outcome(message, waiter);
    }
    idempotency_waiter_free(waiter);
}

static const struct backend_call_ops message_calls = {
    .head = on_head, .frame = on_frame, .has_room = has_room, .done = on_done};

/* --- the session ----------------------------------------------------------------------------------------------- */

/* azure.h wants an object. */
static void tell_connected(struct http_session *state)
{
    bool has_body = http_session_options(state)->azure_hub.len > 0;
    struct http_message *message = add(state, CLOUDEVENT_CONNECTED, has_body ? STR("{}") : STR(""));
    if (has_body)
        message->call.content_type = STR("application/json");
}

struct upstream_session *http_session_opened(struct upstream *upstream, struct hub *hub, struct session *session,
                                             struct session_origin *origin)
{
    struct http_session *state = xcalloc(1, sizeof *state);
    upstream_session_begin(&state->base, upstream, session);
    state->hub = hub;
    state->endpoint = endpoint_ref(session->endpoint);
    memcpy(state->uuid, session->uuid, sizeof state->uuid);
    list_init(&state->waiting);
    list_init(&state->under_way);
    list_init(&state->questions);
    answer_turns_begin(&state->turns, hub, session);
    if (origin) {
        state->origin = session_origin_ref(origin);
        buf_append(&state->state, origin->state);
    }
    http_session_refresh(state);
    if (http_session_options(state)->tells_connected) {
        tell_connected(state);
        pump(state);
    }
    return &state->base;
}

/* A binary message joins the one before if that waits too. */
static bool join(struct http_session *state, const struct session_message *message)
{
    const struct http_upstream_options *options = http_session_options(state);
    if (!options->in_order || !options->join_bytes || !message->binary || list_is_empty(&state->waiting))
        return false;
    struct http_message *last = CONTAINER_OF(state->waiting.prev, struct http_message, link);
    struct backend_call *call = &last->call;
    if (!last->binary || call->body.len + message->bytes.len > options->join_bytes)
        return false;
    buf_append(&call->body, message->bytes);
    call->event.sequence = message->sequence;
    call->joined++;
    state->bytes += message->bytes.len;
    return true;
}

/* What begins like a document of JSON and is one, is JSON. In azure's dialect text is text. */
static struct str text_type(const struct http_session *state, struct str text)
{
    struct json_value value;
    struct str trimmed = str_trim(text);
    bool looks_like_json =
        !http_session_options(state)->azure_hub.len && trimmed.len && (trimmed.ptr[0] == '{' || trimmed.ptr[0] == '[');
    if (looks_like_json && json_check(text, NULL, &value, NULL) == ERR_NONE)
        return STR("application/json");
    return STR("text/plain; charset=utf-8");
}

enum err http_session_take(struct upstream_session *base, const struct session_message *message, struct error *error)
{
    struct http_session *state = http_session_of(base);
    (void)error;
    metrics_add(hub_metrics(state->hub), METRIC_UPSTREAM_MESSAGES, 1);
    if (!join(state, message)) {
        struct http_message *added = add(state, CLOUDEVENT_MESSAGE, message->bytes);
        added->binary = message->binary;
        if (message->correlated.id.len)
            added->correlation = str_dup(message->correlated.id);
        if (message->correlated.idempotency_key.len && store_of(state))
            added->key = str_dup(message->correlated.idempotency_key);
        added->call.event.sequence = message->sequence;
        added->call.content_type =
            message->binary ? str_from_cstr(state->endpoint->binary_type) : text_type(state, message->bytes);
    }
    pump(state);
    return ERR_NONE;
}

/* Calls that have an answer already, and those that wait for their next try, end here: nobody is left for them. So what
 * is under way has been handed over, and comes back when the node ends. */
static void end_calls(struct http_session *state)
{
    LIST_EACH(link, &state->under_way)
    {
        struct http_message *message = CONTAINER_OF(link, struct http_message, link);
        message->call.last_try = true;
        if (message->call.outbound && !message->call.answered)
            continue;
        if (message->call.answered)
            count_late(state);
        state->calls--;
        drop(message);
    }
}

void http_session_ask(struct upstream_session *base, struct subscribe_question *question)
{
    subscribe_call_start(http_session_of(base), question);
}

static void tell_disconnected(struct http_session *state, int code, struct str reason)
{
    struct buf body = {0};
    if (http_session_options(state)->azure_hub.len) {
        azure_write_disconnected(&body, reason);
    } else {
        buf_appendf(&body, "{\"code\":%d,\"reason\":", code);
        json_append_string(&body, reason);
        buf_append_char(&body, '}');
    }
    add(state, CLOUDEVENT_DISCONNECTED, buf_str(&body))->call.content_type = STR("application/json");
    buf_fini(&body);
}

void http_session_ended(struct upstream_session *base, int code, struct str reason)
{
    struct http_session *state = http_session_of(base);
    subscribe_calls_end(state);
    end_calls(state);
    answer_turns_end(&state->turns);
    if (http_session_options(state)->tells_disconnected)
        tell_disconnected(state, code, reason);
    pump(state);
    free_if_done(state);
}
