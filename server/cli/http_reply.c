/* http_reply.c - see http_reply.h. */
#include "server/cli/http_reply.h"

#include "common/json/json.h"

void http_reply_fini(struct http_reply *reply)
{
    buf_fini(&reply->body);
}

enum err http_reply_error(const struct http_reply *reply, struct error *error)
{
    struct json_value body;
    struct buf code_text = {0}, message_text = {0};
    struct str code, message;
    bool passes = reply->status >= 500 || reply->status == 408 || reply->status == 425 || reply->status == 429;
    enum err err = passes ? ERR_UNAVAILABLE : ERR_INVALID_REQUEST;
    if (json_check(buf_str(&reply->body), NULL, &body, NULL) == ERR_NONE && body.type == JSON_OBJECT) {
        body = json_member(body, STR("error"));
        if (body.type == JSON_OBJECT && json_text(json_member(body, STR("code")), &code_text, &code) &&
            json_text(json_member(body, STR("message")), &message_text, &message)) {
            error_set(error, err, "%.*s (%.*s, HTTP status %d)", STR_ARG(message), STR_ARG(code), reply->status);
            goto done;
        }
    }
    error_set(error, err, "the server answered with HTTP status %d", reply->status);
done:
    buf_fini(&code_text);
    buf_fini(&message_text);
    return err;
}
