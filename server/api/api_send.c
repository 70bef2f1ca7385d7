/* api_send.c - messages of backends that go to sessions as they are: to one session, to those of a user, to the
 * subscribers of a channel. An answer comes when the message stands in the outboxes. So a caller that awaits each
 * answer, or that uses one connection, has its messages in order. */
#include "common/token/base64url.h"
#include "server/api/api_private.h"

/* --- a body as it is ---------------------------------------------------------------------------------------------- */

/* The type without its parameters: "text/plain". */
static struct str media_type_of(const struct api_request *request)
{
    struct str rest = request->call->request.content_type;
    return str_trim(str_split(&rest, ';'));
}

static bool ends_with_nocase(struct str text, struct str end)
{
    return text.len >= end.len && str_eq_nocase(str_skip(text, text.len - end.len), end);
}

static bool is_text(struct str type)
{
    return str_eq_nocase(str_from(type.ptr, type.len < 5 ? type.len : 5), STR("text/")) ||
           str_eq_nocase(type, STR("application/json")) || ends_with_nocase(type, STR("+json"));
}

/* The types of HTML forms are what programs send when nobody has thought of a type. */
static enum err read_type(const struct api_request *request, bool *out_binary, struct error *error)
{
    struct str type = media_type_of(request);
    if (type.len == 0 || str_eq_nocase(type, STR("application/x-www-form-urlencoded")) ||
        str_eq_nocase(type, STR("multipart/form-data")))
        return error_set(error, ERR_UNSUPPORTED_TYPE,
                         "Content-Type: expected text/* or application/json for a text message, or another type, such "
                         "as application/octet-stream, for a binary one");
    *out_binary = !is_text(type);
    return ERR_NONE;
}

static void answer_session(const struct api_request *request, struct request *asked)
{
    const struct survey *survey = survey_of(asked);
    struct error error;
    if (survey->result.count) {
        api_respond_count(request, asked);
        return;
    }
    if (survey->partial) {
        request->call->response.retry_after_s = 1;
        error_set(&error, ERR_UNAVAILABLE,
                  "the node of this session has not answered; it is not known whether the message was sent");
    } else {
        error_set(&error, ERR_GONE, "the session has ended; nothing was sent");
    }
    api_respond_error(request, &error);
}

void api_session_send(const struct api_request *request)
{
    struct control_request question = {
        .op = CONTROL_SEND, .session_id = request->segment, .message = request->call->request.body};
    struct error error;
    enum err err = ERR_NONE;
    if (!session_id_is_formed(request->segment))
        err = error_set(&error, ERR_NOT_FOUND, "this is not the id of a session; session_init tells it to the client");
    if (!err)
        err = read_type(request, &question.binary, &error);
    if (err)
        api_respond_error(request, &error);
    else
        api_survey(request, &question, answer_session);
}

/* --- a message in JSON -------------------------------------------------------------------------------------------- */

/* Standard base64 (RFC 4648, 4) or base64url, with or without padding. */
static enum err decode_base64(struct str text, struct buf *out, struct error *error)
{
    struct buf url = {0};
    bool padded = text.len && text.len % 4 == 0 && text.ptr[text.len - 1] == '=';
    if (padded)
        text.len -= text.ptr[text.len - 2] == '=' ? 2 : 1;
    buf_append(&url, text);
    for (size_t i = 0; i < url.len; i++)
        url.ptr[i] = url.ptr[i] == '+' ? '-' : url.ptr[i] == '/' ? '_' : url.ptr[i];
    bool good = base64url_decode(buf_str(&url), out);
    buf_fini(&url);
    return good ? ERR_NONE : error_set(error, ERR_INVALID_REQUEST, "binary: expected base64");
}

/* The message; decoded is the buffer for a binary one. */
static enum err read_message(struct api *api, struct json_value text, struct json_value json, struct json_value binary,
                             struct buf *decoded, struct control_request *out, struct error *error)
{
    struct str encoded = STR("");
    if ((text.type != 0) + (json.type != 0) + (binary.type != 0) != 1)
        return error_set(error, ERR_INVALID_REQUEST, "expected one of text, json and binary");
    out->message = json.raw;
    out->binary = binary.type != 0;
    if (text.type)
        return api_text(api, "text", text, &out->message, error);
    if (json.type)
        return ERR_NONE;
    enum err err = api_text(api, "binary", binary, &encoded, error);
    if (!err)
        err = decode_base64(encoded, decoded, error);
    out->message = buf_str(decoded);
    return err;
}

void api_send(const struct api_request *request)
{
    struct json_value body, session_id = {0}, user = {0}, channel = {0}, text = {0}, json = {0}, binary = {0};
    const struct json_field fields[] = {
        {"session_id", JSON_STRING, false, &session_id},
        {"user", JSON_STRING, false, &user},
        {"channel", JSON_STRING, false, &channel},
        {"text", JSON_STRING, false, &text},
        {"json", JSON_ANY, false, &json},
        {"binary", JSON_STRING, false, &binary},
    };
    struct api *api = request->api;
    struct control_request question = {.op = CONTROL_SEND};
    struct buf decoded = {0};
    struct error error;
    enum err err = api_read_body(request, &body, &error);
    if (!err)
        err = json_bind_given(body, "", fields, sizeof fields / sizeof *fields, &error);
    if (!err)
        err = api_text(api, "session_id", session_id, &question.session_id, &error);
    if (!err)
        err = api_text(api, "user", user, &question.user, &error);
    if (!err)
        err = api_text(api, "channel", channel, &question.channel, &error);
    if (!err)
        err = read_message(api, text, json, binary, &decoded, &question, &error);
    if (err)
        api_respond_error(request, &error);
    else
        api_survey(request, &question, api_respond_count);
    buf_fini(&decoded);
}
