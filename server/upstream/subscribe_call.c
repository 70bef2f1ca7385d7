/* subscribe_call.c - see subscribe_call.h. */
#include "server/upstream/subscribe_call.h"

#include "common/base/alloc.h"
#include "server/core/hub.h"
#include "server/core/subscribe_question.h"
#include "server/upstream/backend_call.h"
#include "server/upstream/http_session_state.h"

struct subscribe_call {
    struct backend_call call;
    struct list_link link;
    struct http_session *state;
    struct subscribe_question *question; /* owned; NULL: it has been answered */
};

static void drop(struct subscribe_call *ask)
{
    list_remove(&ask->link);
    ask->state->base.in_flight--;
    backend_call_fini(&ask->call);
    free(ask->question);
    free(ask);
}

static bool on_head(struct backend_call *call, const struct backend_answer *answer)
{
    (void)call;
    (void)answer;
    return true;
}

static void on_frame(struct backend_call *call, bool binary, struct str frame)
{
    (void)call;
    (void)binary;
    (void)frame;
}

static bool has_room(struct backend_call *call, size_t bytes)
{
    (void)call;
    (void)bytes;
    return true;
}

static void on_done(struct backend_call *call, const struct backend_result *result)
{
    struct subscribe_call *ask = CONTAINER_OF(call, struct subscribe_call, call);
    struct http_session *state = ask->state;
    enum err err = ERR_NONE;
    const char *text = "";
    if (backend_call_is_refused(result)) {
        err = ERR_FORBIDDEN;
        text = "the backend does not allow this channel";
    } else if (result->err && !http_session_options(state)->accepts_subscribe) {
        err = ERR_UNAVAILABLE;
        text = "the backend has not said whether this channel is allowed";
    }
    hub_answer_subscribe(state->hub, state->base.session, ask->question, err, str_from_cstr(text));
    ask->question = NULL;
    drop(ask);
}

static const struct backend_call_ops subscribe_calls = {
    .head = on_head, .frame = on_frame, .has_room = has_room, .done = on_done};

void subscribe_call_start(struct http_session *state, struct subscribe_question *question)
{
    struct subscribe_call *ask = xcalloc(1, sizeof *ask);
    struct backend_call *call = &ask->call;
    ask->state = state;
    ask->question = question;
    list_append(&state->questions, &ask->link);
    state->base.in_flight++;
    http_session_refresh(state);
    call->ops = &subscribe_calls;
    call->upstream = http_upstream_of(state->base.upstream);
    call->hub = state->hub;
    call->event = (struct cloudevent){.type = CLOUDEVENT_SUBSCRIBE,
                                      .session_id = str_from(state->uuid, UUID_LEN),
                                      .sequence = ++state->questions_asked,
                                      .wall_ms = hub_wall_ms(state->hub)};
    call->lines = &state->lines;
    call->state = &state->state;
    call->traceparent = http_session_trace(state);
    call->content_type = STR("application/json");
    buf_append_lit(&call->body, "{\"channel\":");
    json_append_string(&call->body, question->command.channel);
    buf_append_char(&call->body, '}');
    backend_call_start(call);
}

void subscribe_calls_end(struct http_session *state)
{
    LIST_EACH(link, &state->questions)
    drop(CONTAINER_OF(link, struct subscribe_call, link));
}
