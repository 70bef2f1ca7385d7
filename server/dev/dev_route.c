/* dev_route.c - see dev_route.h. */
#include "server/dev/dev_route.h"

#include "common/json/json.h"

void dev_answer(struct http_call *call)
{
    if (!call->response.status)
        call->response.status = call->response.body.len ? 200 : 204;
    buf_append_lit(&call->response.headers, "Cache-Control: no-store\r\n");
    call->respond(call);
}

void dev_refuse(struct http_call *call, int status, const struct error *error)
{
    struct buf *body = &call->response.body;
    call->response.status = status;
    buf_clear(body);
    buf_appendf(body, "{\"error\":{\"code\":\"%s\",\"message\":", err_code(error->code));
    json_append_string(body, str_from_cstr(error->text));
    buf_append_lit(body, "}}");
    call->respond(call);
}
