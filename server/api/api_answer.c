/* api_answer.c - what every route does: it reads a body, asks the node, and answers with a result or an error. */
#include "common/base/alloc.h"
#include "server/api/api_private.h"

void api_respond(const struct api_request *request, int status)
{
    request->call->response.status = status;
    metrics_add_labelled2(request->api->metrics, METRIC_HTTP_REQUESTS, request->route, metrics_status(status), 1);
    request->call->respond(request->call);
}

void api_append_error(struct buf *out, const struct error *error)
{
    buf_appendf(out, "\"error\":{\"code\":\"%s\",\"message\":", err_code(error->code));
    json_append_string(out, str_from_cstr(error->text));
    buf_append_char(out, '}');
}

void api_respond_error(const struct api_request *request, const struct error *error)
{
    struct buf *body = &request->call->response.body;
    buf_clear(body);
    buf_append_char(body, '{');
    api_append_error(body, error);
    buf_append_char(body, '}');
    api_respond(request, err_http_status(error->code));
}

/* A request of a backend that waits for the node's answer. */
struct waiter {
    struct api_request request;
    api_answer *answer;
};

static void answered(struct request *asked, void *owner)
{
    struct waiter *waiter = asked->waiter;
    enum err code = request_code(asked);
    (void)owner;
    if (code == ERR_UNAVAILABLE || code == ERR_RATE_LIMITED)
        waiter->request.call->response.retry_after_s = asked->retry_after_ms / 1000 + 1;
    if (code)
        api_respond_error(&waiter->request, asked->error);
    else
        waiter->answer(&waiter->request, asked);
    free(waiter);
    request_destroy(asked);
}

void api_ask(const struct api_request *request, struct request *asked, api_answer *answer)
{
    struct api *api = request->api;
    struct waiter *waiter = xmalloc(sizeof *waiter);
    *waiter = (struct waiter){.request = *request, .answer = answer};
    asked->reply_to = api->replies;
    asked->done = answered;
    asked->waiter = waiter;
    api->ops->ask(api->owner, asked);
}

enum err api_read_body(const struct api_request *request, struct json_value *out, struct error *error)
{
    struct str body = request->call->request.body;
    /* The size is bounded already, and the depth that matters is that of each event's data (event_offer_check): one
     * that is too deep is that event's fault, not of the others in the request. */
    const struct json_limits limits = {.depth = JSON_DEPTH_MAX, .values = body.len + 1};
    if (body.len == 0)
        return error_set(error, ERR_INVALID_REQUEST, "the body is empty; a JSON object is expected");
    buf_clear(&request->api->scratch);
    if (memchr(body.ptr, '\\', body.len))
        buf_reserve(&request->api->scratch, body.len); /* so that unescaped texts in it do not move */
    return json_check(body, &limits, out, error);
}

enum err api_text(struct api *api, const char *name, struct json_value value, struct str *out, struct error *error)
{
    if (value.type && !json_text(value, &api->scratch, out))
        return error_set(error, ERR_INVALID_REQUEST, "%s: must not contain \\u0000", name);
    return ERR_NONE;
}
