/* http.c - see http.h. The bytes of a request stay in the connection's buffer, and the request borrows them, until the
 * call has been answered; a connection that ends before that leaves its object behind for the call. */
#include "server/net/http.h"

#include "server/net/answer.h"
#include "server/net/gate.h"

enum { KEEP_BUFFER_BYTES = 65536 }; /* of an idle connection; larger ones were for one request */

static void forget_request(struct connection *connection)
{
    buf_consume(&connection->in, connection->request_len);
    if (connection->in.len == 0 && connection->in.cap > KEEP_BUFFER_BYTES)
        buf_fini(&connection->in);
    connection->request_len = 0;
    connection->scanned = 0;
    connection->head_only = false;
    struct buf *body = &connection->call.response.body;
    if (body->cap > KEEP_BUFFER_BYTES)
        buf_fini(body);
    buf_clear(body);
}

static void respond(struct http_call *call)
{
    struct connection *connection = CONTAINER_OF(call, struct connection, call);
    struct worker *worker = connection->worker;
    const struct http_response *response = &call->response;
    connection->call_pending = false;
    if (connection->stage == STAGE_CLOSED) {
        connection_free_if_done(connection);
        return;
    }
    bool last = !connection->keep_alive || worker->unavailable != REASON_NONE;
    struct answer answer = {
        .status = response->status,
        .content_type = response->content_type,
        .allow = response->allow,
        .retry_after_s = response->retry_after_s,
        .wall_ms = hub_wall_ms(worker->hub),
        .close = last,
    };
    if (!response->content_type)
        buf_append_char(&call->response.body, '\n'); /* JSON ends its line, for those who read it in a terminal */
    buf_clear(&worker->scratch);
    answer_write_head(&worker->scratch, &answer, response->body.len);
    if (!connection->head_only)
        buf_append(&worker->scratch, buf_str(&response->body));
    forget_request(connection);
    connection_answer(connection, buf_str(&worker->scratch), last);
    if (!connection->in_handler)
        gate_input(connection);
}

static void serve(struct connection *connection, const struct http_head *head)
{
    struct http_request *request = &connection->call.request;
    struct http_response *response = &connection->call.response;
    struct buf body = response->body; /* empty; its memory is used again */
    *request = (struct http_request){
        .method = head->method,
        .path = head->path,
        .query = head->query,
        .authorization = STR(""),
        .api_key = STR(""),
        .body = str_from(connection->in.ptr + head->length, connection->request_len - head->length),
        .address = str_from_cstr(address_text(&connection->client, connection->address)),
    };
    http_head_find(head, STR("authorization"), &request->authorization);
    http_head_find(head, STR("x-api-key"), &request->api_key);
    *response = (struct http_response){.body = body};
    connection->call.respond = respond;
    connection->keep_alive = http_head_keep_alive(head);
    connection->stage = STAGE_SERVE;
    wheel_stop(hub_wheel(connection->worker->hub), &connection->deadline);
    connection->call_pending = true;
    connection->in_handler = true;
    connection->worker->serve(connection->worker->serve_owner, &connection->call);
    connection->in_handler = false;
}

bool http_request(struct connection *connection, const struct http_head *head)
{
    const struct net_settings *settings = connection->worker->settings;
    if (head->has_transfer_encoding) {
        gate_refuse(connection, 501, ERR_INVALID_REQUEST,
                    "chunked requests are not read here: send the body with Content-Length");
        return false;
    }
    if (head->content_length > settings->body_bytes) {
        gate_refuse(connection, 413, ERR_TOO_LARGE, "the request body is over the size limit");
        return false;
    }
    bool first = connection->request_len == 0;
    connection->request_len = head->length + (size_t)head->content_length;
    if (connection->in.len < connection->request_len) {
        connection_await_request(connection, settings->body_timeout_us);
        if (first && head->minor == 1 && connection->in.len == head->length &&
            http_head_has_token(head, STR("expect"), STR("100-continue")))
            connection_send(connection, STR("HTTP/1.1 100 Continue\r\n\r\n"));
        return false;
    }
    serve(connection, head);
    return connection->stage == STAGE_REQUEST;
}
