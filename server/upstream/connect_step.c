/* connect_step.c - see connect_step.h. */
#include "server/upstream/connect_step.h"

#include "common/base/alloc.h"
#include "server/upstream/azure.h"
#include "server/upstream/backend_call.h"
#include "server/upstream/connect_answer.h"
#include "server/upstream/http_session_state.h"
#include "server/upstream/session_lines.h"
#include "server/upstream/upstream_log.h"

struct connect_call {
    struct backend_call call;
    struct entry *entry;
    struct upstream *upstream; /* one reference */
    struct buf lines;
    struct buf answer;
    struct buf state; /* ce-connectionstate of the answer */
    char uuid[UUID_LEN + 1];
    char traceparent[56];
};

static void destroy(struct connect_call *ask)
{
    backend_call_fini(&ask->call);
    upstream_unref(ask->upstream);
    buf_fini(&ask->lines);
    buf_fini(&ask->answer);
    buf_fini(&ask->state);
    free(ask);
}

/* --- the question ------------------------------------------------------------------------------------------------- */

static void append_text(struct buf *out, const char *name, struct str text)
{
    buf_appendf(out, "%c\"%s\":", out->len ? ',' : '{', name);
    json_append_string(out, text);
}

static void append_values(struct buf *out, const char *name, const struct origin_values *values)
{
    buf_appendf(out, ",\"%s\":", name);
    write_origin_values(out, values);
}

static void write_question(struct buf *out, const struct entry *entry, const struct http_upstream_options *options)
{
    const struct session_origin *origin = entry->admission.origin;
    const struct claims *claims = entry->admission.claims;
    if (options->azure_hub.len) {
        struct buf picked = {0};
        cloudevent_pick(&picked, claims->payload, options->claims, options->claim_count);
        azure_write_connect(out, json_value_of(buf_str(&picked)), origin);
        buf_fini(&picked);
        return;
    }
    append_text(out, "session_id", str_from(entry->uuid, UUID_LEN));
    append_text(out, "user", claims->sub);
    buf_append_lit(out, ",\"claims\":");
    size_t before = out->len;
    cloudevent_pick(out, claims->payload, options->claims, options->claim_count);
    if (out->len == before)
        buf_append_lit(out, "{}");
    append_text(out, "endpoint", origin->endpoint);
    append_values(out, "path", &origin->names);
    append_values(out, "query", &origin->query);
    append_values(out, "headers", &origin->headers);
    buf_append_lit(out, ",\"subprotocols\":[");
    for (size_t i = 0; i < origin->offered_count; i++) {
        if (i)
            buf_append_char(out, ',');
        json_append_string(out, origin->offered[i]);
    }
    buf_append_char(out, ']');
    append_text(out, "address", origin->address);
    buf_append_char(out, '}');
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static bool on_head(struct backend_call *call, const struct backend_answer *answer)
{
    struct connect_call *ask = CONTAINER_OF(call, struct connect_call, call);
    buf_clear(&ask->state);
    if (connection_state_is_valid(answer->state))
        buf_append(&ask->state, answer->state);
    return true;
}

static void on_frame(struct backend_call *call, bool binary, struct str frame)
{
    struct connect_call *ask = CONTAINER_OF(call, struct connect_call, call);
    (void)binary;
    buf_append(&ask->answer, frame);
}

static bool has_room(struct backend_call *call, size_t bytes)
{
    (void)call;
    (void)bytes;
    return true;
}

static bool offers(const struct session_origin *origin, struct str subprotocol)
{
    for (size_t i = 0; i < origin->offered_count; i++)
        if (str_eq(origin->offered[i], subprotocol))
            return true;
    return false;
}

static void subscribe(const struct connect_call *ask, struct json_value names)
{
    struct json_cursor at = json_walk(names);
    struct json_value item;
    struct error error;
    struct str key, name;
    while (json_next(&at, &key, &item)) {
        struct buf scratch = {0};
        if (json_text(item, &scratch, &name) && entry_subscribe(ask->entry, name, true, &error))
            upstream_warn(ask->upstream, hub_now_us(ask->call.hub),
                          "the answer to connect of session %s names a channel, and %s", ask->uuid, error.text);
        buf_fini(&scratch);
    }
}

static void apply(const struct connect_call *ask, struct connect_answer *answer)
{
    struct admission *admission = &ask->entry->admission;
    struct session_origin changed = *admission->origin;
    if (answer->claims) {
        claims_unref(admission->claims);
        admission->claims = claims_ref(answer->claims);
    }
    if (offers(admission->origin, answer->subprotocol))
        changed.subprotocol = answer->subprotocol;
    else if (answer->subprotocol.len)
        upstream_warn(ask->upstream, hub_now_us(ask->call.hub),
                      "the answer to connect of session %s names a subprotocol that its client does not offer",
                      ask->uuid);
    changed.state = buf_str(answer->state.len ? &answer->state : &ask->state);
    struct session_origin *origin = session_origin_create(&changed);
    session_origin_unref(admission->origin);
    admission->origin = origin;
    if (answer->subscribe.type)
        subscribe(ask, answer->subscribe);
}

static bool is_azure(const struct connect_call *ask)
{
    return ask->call.upstream->options.azure_hub.len > 0;
}

static enum reason take_answer(const struct connect_call *ask)
{
    struct connect_answer answer;
    struct error error;
    if (connect_answer_read(buf_str(&ask->answer), is_azure(ask), ask->entry->admission.claims, &answer, &error)) {
        upstream_warn(ask->upstream, hub_now_us(ask->call.hub), "the answer to connect of session %s is wrong: %s",
                      ask->uuid, error.text);
        return REASON_BACKEND_UNAVAILABLE;
    }
    apply(ask, &answer);
    uint64_t end_ms = answer.claims ? claims_end_by_backend(answer.claims) : 0;
    connect_answer_fini(&answer);
    return end_ms && end_ms <= hub_wall_ms(ask->call.hub) ? REASON_TOKEN_EXPIRED : REASON_NONE;
}

/* 403; and in the dialect of azure.h any 4xx, which its server answers by fail(). */
static bool is_denied(const struct connect_call *ask, const struct backend_result *result)
{
    return result->status == 403 || (is_azure(ask) && !ask->call.asks_leave && backend_call_is_refused(result));
}

static enum reason decide(const struct connect_call *ask, const struct backend_result *result)
{
    enum reason reason = REASON_BACKEND_UNAVAILABLE;
    if (result->err == ERR_NONE)
        reason = take_answer(ask);
    else if (result->status == 401)
        reason = REASON_TOKEN_INVALID;
    else if (result->status == 429)
        reason = REASON_CONNECTION_LIMIT;
    else if (is_denied(ask, result))
        reason = REASON_BACKEND_DENIED;
    bool accepts = ask->call.upstream->options.accepts_connect;
    return reason == REASON_BACKEND_UNAVAILABLE && accepts ? REASON_NONE : reason;
}

static void on_done(struct backend_call *call, const struct backend_result *result)
{
    struct connect_call *ask = CONTAINER_OF(call, struct connect_call, call);
    struct entry *entry = ask->entry;
    enum reason reason = decide(ask, result);
    entry->waiter = NULL;
    destroy(ask);
    entry_answer(entry, reason);
}

static const struct backend_call_ops connect_calls = {
    .head = on_head, .frame = on_frame, .has_room = has_room, .done = on_done};

/* --- the step -------------------------------------------------------------------------------------------------- */

static void start(struct hub *hub, struct entry *entry, struct upstream *upstream)
{
    struct connect_call *ask = xcalloc(1, sizeof *ask);
    struct backend_call *call = &ask->call;
    const struct session_origin *origin = entry->admission.origin;
    ask->entry = entry;
    ask->upstream = upstream_ref(upstream);
    memcpy(ask->uuid, entry->uuid, sizeof ask->uuid);
    if (traceparent_is_valid(origin->traceparent))
        memcpy(ask->traceparent, origin->traceparent.ptr, origin->traceparent.len);
    call->ops = &connect_calls;
    call->upstream = http_upstream_of(upstream);
    call->hub = hub;
    call->event = (struct cloudevent){
        .type = CLOUDEVENT_CONNECT, .session_id = str_from(ask->uuid, UUID_LEN), .wall_ms = hub_wall_ms(hub)};
    http_session_write_lines(&ask->lines, &call->upstream->options, call->event.session_id, entry->admission.claims,
                             origin);
    write_question(&call->body, entry, &call->upstream->options);
    call->lines = &ask->lines;
    call->traceparent = str_from_cstr(ask->traceparent);
    call->content_type = STR("application/json");
    entry->waiter = ask;
    backend_call_start(call);
}

static enum entry_verdict begin(void *owner, struct entry *entry, const struct http_head *head, enum reason *out_reason)
{
    const struct connect_step *step = owner;
    struct upstream *upstream = entry->admission.endpoint->base.upstream;
    (void)head;
    *out_reason = REASON_NONE; /* on_done tells a refusal */
    if (!upstream || !http_upstream_is(upstream) || !http_upstream_of(upstream)->options.asks_connect)
        return ENTRY_PASSES;
    start(step->hub, entry, upstream);
    return ENTRY_WAITS;
}

static void cancel(void *owner, struct entry *entry)
{
    (void)owner;
    destroy(entry->waiter);
    entry->waiter = NULL;
}

struct entry_step connect_step(struct connect_step *step)
{
    return (struct entry_step){.begin = begin, .cancel = cancel, .owner = step};
}
