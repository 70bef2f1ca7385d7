/* api_sessions.c - who is connected, and what a backend does with them: sessions, one session, disconnect, subscribe,
 * unsubscribe, info. All of it concerns every worker of every node: the question goes out as a survey. */
#include "common/base/clock.h"
#include "server/api/api_private.h"

static void append_time(struct buf *out, const char *name, uint64_t wall_ms)
{
    char text[CLOCK_RFC3339_LEN + 1];
    clock_format(wall_ms, text);
    if (wall_ms)
        buf_appendf(out, ",\"%s\":\"%s\"", name, text);
    else
        buf_appendf(out, ",\"%s\":null", name);
}

/* Leaves the object open. */
static void append_session(struct buf *out, const struct control_row *row)
{
    buf_append_lit(out, "{\"session_id\":");
    json_append_string(out, row->key);
    buf_append_lit(out, ",\"user\":");
    json_append_string(out, row->user);
    buf_append_lit(out, ",\"node\":");
    json_append_string(out, row->node);
    buf_append_lit(out, ",\"address\":");
    json_append_string(out, row->address);
    append_time(out, "connected_at", row->connected_ms);
    append_time(out, "expires_at", row->expires_ms);
}

static void answer_sessions(const struct api_request *request, struct request *asked)
{
    const struct survey *survey = survey_of(asked);
    struct buf *out = &request->call->response.body;
    buf_append_lit(out, "{\"sessions\":[");
    for (size_t i = 0; i < survey->result.row_count; i++) {
        if (i)
            buf_append_char(out, ',');
        const struct control_row *row = &survey->result.rows[i];
        append_session(out, row);
        buf_appendf(out, ",\"channels\":%llu,\"outbox_bytes\":%llu}", (unsigned long long)row->channels,
                    (unsigned long long)row->outbox_bytes);
    }
    api_respond_page(request, survey);
}

void api_sessions(const struct api_request *request)
{
    api_survey_page(request, (struct control_request){.op = CONTROL_SESSIONS}, "user", answer_sessions);
}

/* --- one session ------------------------------------------------------------------------------------------------- */

static void append_channel(struct buf *out, const struct control_row *row)
{
    buf_append_lit(out, "{\"channel\":");
    json_append_string(out, row->key);
    buf_appendf(out, ",\"subscribed\":%s,\"recovering\":%s,\"recoverable\":%s", row->subscribed ? "true" : "false",
                row->recovering ? "true" : "false", row->epoch.len ? "true" : "false");
    if (row->epoch.len) {
        buf_append_lit(out, ",\"epoch\":");
        json_append_string(out, row->epoch);
        buf_appendf(out, ",\"offset\":%llu", (unsigned long long)row->offset);
    }
    buf_append_char(out, '}');
}

static void refuse_session(const struct api_request *request, bool partial)
{
    struct error error;
    if (partial) {
        request->call->response.retry_after_s = 1;
        error_set(&error, ERR_UNAVAILABLE, "not all nodes have answered, and no other one has this session");
    } else {
        error_set(&error, ERR_NOT_FOUND, "no open session has this id");
    }
    api_respond_error(request, &error);
}

static void answer_session(const struct api_request *request, struct request *asked)
{
    const struct survey *survey = survey_of(asked);
    const struct control_row *session = survey->result.session;
    struct buf *out = &request->call->response.body;
    if (!session) {
        refuse_session(request, survey->partial);
        return;
    }
    append_session(out, session);
    buf_appendf(out, ",\"outbox_bytes\":%llu,\"channel_count\":%llu,\"channels\":[",
                (unsigned long long)session->outbox_bytes, (unsigned long long)session->channels);
    for (size_t i = 0; i < survey->result.row_count; i++) {
        if (i)
            buf_append_char(out, ',');
        append_channel(out, &survey->result.rows[i]);
    }
    api_respond_page(request, survey);
}

void api_session(const struct api_request *request)
{
    struct control_request question = {.op = CONTROL_SESSION, .session_id = request->segment};
    struct error error;
    if (session_id_is_formed(request->segment)) {
        api_survey_page(request, question, NULL, answer_session);
        return;
    }
    error_set(&error, ERR_NOT_FOUND, "this is not the id of a session; session_init tells it to the client");
    api_respond_error(request, &error);
}

/* --- what is done to them
 * --------------------------------------------------------------------------------------------- */

static enum err read_code(struct json_value code, struct control_request *question, struct error *error)
{
    if (code.type && (!json_u64(code, &question->code) || question->code == 0))
        return error_set(error, ERR_INVALID_REQUEST, "code: expected a close code (1000 to 4999), found %.*s",
                         STR_ARG(code.raw.len > 40 ? str_from(code.raw.ptr, 40) : code.raw));
    /* One of the two may be left out. */
    if (!code.type && question->reason.len)
        question->code = (uint64_t)reason_close_code(REASON_DISCONNECTED);
    if (code.type && question->reason.len == 0)
        question->reason = str_from_cstr(reason_text(REASON_DISCONNECTED));
    return ERR_NONE;
}

static void change_sessions(const struct api_request *request, enum control_op op)
{
    struct json_value body, user = {0}, session_id = {0}, channel = {0}, code = {0}, reason = {0};
    bool closes = op == CONTROL_DISCONNECT;
    struct json_field fields[] = {
        {"user", JSON_STRING, false, &user},
        {"session_id", JSON_STRING, false, &session_id},
        {closes ? "code" : "channel", closes ? JSON_NUMBER : JSON_STRING, !closes, closes ? &code : &channel},
        {"reason", JSON_STRING, false, &reason},
    };
    struct control_request question = {.op = op};
    struct error error;
    enum err err = api_read_body(request, &body, &error);
    if (!err)
        err = json_bind_given(body, "", fields, closes ? 4 : 3, &error);
    if (!err)
        err = api_text(request->api, "user", user, &question.user, &error);
    if (!err)
        err = api_text(request->api, "session_id", session_id, &question.session_id, &error);
    if (!err && user.type && session_id.type)
        err = error_set(&error, ERR_INVALID_REQUEST, "expected only one of user and session_id");
    if (!err)
        err = api_text(request->api, "channel", channel, &question.channel, &error);
    if (!err)
        err = api_text(request->api, "reason", reason, &question.reason, &error);
    if (!err)
        err = read_code(code, &question, &error);
    if (err)
        api_respond_error(request, &error);
    else
        api_survey(request, &question, api_respond_count);
}

void api_disconnect(const struct api_request *request)
{
    change_sessions(request, CONTROL_DISCONNECT);
}

void api_subscribe(const struct api_request *request)
{
    change_sessions(request, CONTROL_SUBSCRIBE);
}

void api_unsubscribe(const struct api_request *request)
{
    change_sessions(request, CONTROL_UNSUBSCRIBE);
}

/* --- info
 * ------------------------------------------------------------------------------------------------------------- */

static void answer_info(const struct api_request *request, struct request *asked)
{
    const struct survey *survey = survey_of(asked);
    const struct api_identity *identity = &request->api->identity;
    struct buf *out = &request->call->response.body;
    buf_append(out, str_from(identity->build.ptr, identity->build.len - 1)); /* its members without the brace */
    buf_append_lit(out, ",\"node\":");
    json_append_string(out, identity->node_id);
    buf_appendf(out, ",\"sessions\":%llu,\"nodes\":[", (unsigned long long)survey->result.count);
    buf_append(out, buf_str(&survey->nodes));
    buf_append_char(out, ']');
    api_respond_survey(request, survey);
}

void api_info(const struct api_request *request)
{
    struct control_request question = {.op = CONTROL_INFO};
    api_survey(request, &question, answer_info);
}
