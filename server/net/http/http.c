/* http.c - see http.h. A request borrows its bytes from the connection's buffer until the call has been answered. When
 * the connection ends before that, its object stays until then. */
#include "server/net/http/http.h"

#include "server/net/http/answer.h"

enum { HOLD_STEP_BYTES = 65536 }; /* by which a body of unknown length is counted */

static const struct http_handler *handler_of(const struct connection *connection)
{
    return connection->internal ? connection->set->handler : connection->set->public_handler;
}

static void *handler_owner(const struct connection *connection)
{
    return connection->internal ? connection->set->handler_owner : connection->set->public_owner;
}

static size_t max_body(const struct connection *connection)
{
    size_t max = handler_of(connection)->max_body;
    return max ? max : connection->set->admitter->settings->body_bytes;
}

static void forget_request(struct connection *connection)
{
    connection_hold_none(connection);
    size_t len = connection->request_len < connection->in.len ? connection->request_len : connection->in.len;
    buf_consume(&connection->in, len);
    connection->chunks_from = 0;
    if (connection->in.len == 0)
        buf_clear_burst(&connection->in);
    connection->request_len = 0;
    connection->scanned = 0;
    connection->head_only = false;
    connection->admitted = false;
    buf_clear_burst(&connection->call.response.body);
    buf_fini(&connection->call.response.headers);
}

/* The peer has sent something of a next request. */
static bool has_next(const struct connection *connection)
{
    return connection->in.len > connection->request_len || connection->early.len > 0;
}

/* The rest of an answer that has been pushed: there is none but the end of the connection. */
static void end_pushed(struct connection *connection)
{
    forget_request(connection);
    if (connection->stage == STAGE_CLOSED)
        connection_free_if_done(connection);
    else
        connection_answer(connection, STR(""), true);
}

static enum http_push push(struct http_call *call, struct str bytes)
{
    struct connection *connection = CONTAINER_OF(call, struct connection, call);
    struct buf *scratch = &connection->set->scratch;
    if (connection->stage == STAGE_CLOSED)
        return HTTP_PUSH_GONE;
    if (stream_has_unsent(&connection->stream))
        return HTTP_PUSH_LATER;
    buf_clear(scratch);
    if (!connection->pushed) {
        const struct answer answer = {
            .status = call->response.status,
            .content_type = call->response.content_type,
            .more = buf_str(&call->response.headers),
            .wall_ms = turn_wall_ms(connection->set->turn),
            .open_ended = true,
            .close = true,
        };
        answer_write_head(scratch, &answer, 0);
        connection->pushed = true;
    }
    if (!connection->head_only)
        buf_append(scratch, bytes);
    connection_send(connection, buf_str(scratch));
    return connection->stage == STAGE_CLOSED ? HTTP_PUSH_GONE : HTTP_PUSHED;
}

static void respond(struct http_call *call)
{
    struct connection *connection = CONTAINER_OF(call, struct connection, call);
    const struct connection_set *set = connection->set;
    struct buf *scratch = &connection->set->scratch;
    const struct http_response *response = &call->response;
    connection->call_pending = false;
    if (connection->pushed) {
        end_pushed(connection);
        return;
    }
    bool ends = set->admitter->unavailable != REASON_NONE && !has_next(connection);
    bool last = !connection->keep_alive || ends;
    struct answer answer = {
        .status = response->status,
        .content_type = response->content_type,
        .allow = response->allow,
        .retry_after_s = response->retry_after_s,
        .more = buf_str(&response->headers),
        .wall_ms = turn_wall_ms(set->turn),
        .close = last,
        .keep_alive = connection->old_version,
    };
    if (!response->content_type && response->status != 204)
        buf_append_char(&call->response.body, '\n'); /* JSON ends its line, for those who read it in a terminal */
    buf_clear(scratch);
    answer_write_head(scratch, &answer, response->body.len);
    if (!connection->head_only)
        buf_append(scratch, buf_str(&response->body));
    forget_request(connection);
    if (connection->stage == STAGE_CLOSED) {
        connection_answer_late(connection, buf_str(scratch));
        connection_free_if_done(connection);
        return;
    }
    connection_answer(connection, buf_str(scratch), last);
    if (!connection->in_handler)
        connection_go_on(connection);
}

/* At the public listener a trusted proxy may name the client in a header. */
static void name_client(struct connection *connection, const struct http_head *head, struct http_request *request)
{
    const struct net_settings *settings = connection->set->admitter->settings;
    struct address client = connection->client;
    request->address_key = STR("");
    if (!connection->internal) {
        client = address_of_client(&client, &head->fields, settings->trusted_proxies, settings->trusted_proxy_count);
        request->address_key = str_from_cstr(address_key(&client, connection->address_key));
    }
    request->address = str_from_cstr(address_text(&client, connection->address));
}

/* The call as far as the head tells it. */
static void begin_call(struct connection *connection, const struct http_head *head)
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
        .content_type = STR(""),
        .has_body = head->content_length > 0 || head->transfer != HTTP_TRANSFER_PLAIN,
        .body = STR(""),
        .origin = STR(""),
        .fields = &head->fields,
        .host = head->host,
        .admitted = connection->admitted,
    };
    name_client(connection, head, request);
    http_head_find(head, STR("origin"), &request->origin);
    http_head_find(head, STR("authorization"), &request->authorization);
    http_head_find(head, STR("x-api-key"), &request->api_key);
    http_head_find(head, STR("content-type"), &request->content_type);
    *response = (struct http_response){.body = body};
    connection->call.respond = respond;
    connection->call.push = push;
    connection->keep_alive = http_head_keep_alive(head);
    connection->old_version = head->minor == 0;
    connection->call_pending = true;
    connection->in_handler = true;
}

static void serve(struct connection *connection, const struct http_head *head)
{
    const struct connection_set *set = connection->set;
    begin_call(connection, head);
    connection->call.request.body = str_from(connection->in.ptr + head->length, connection->request_len - head->length);
    connection->stage = STAGE_SERVE;
    wheel_stop(set->wheel, &connection->deadline);
    handler_of(connection)->serve(handler_owner(connection), &connection->call);
    connection->in_handler = false;
}

/* False: the handler has answered; the body is not read, so the connection cannot be used any further. */
static bool admit(struct connection *connection, const struct http_head *head)
{
    begin_call(connection, head);
    connection->keep_alive = false;
    bool good = handler_of(connection)->admit(handler_owner(connection), &connection->call);
    connection->admitted = good;
    connection->in_handler = false;
    if (good)
        connection->call_pending = false;
    return good;
}

void http_refuse_body(struct connection *connection, int status, enum err code, const char *message)
{
    const struct http_handler *handler = handler_of(connection);
    const struct net_settings *settings = connection->set->admitter->settings;
    struct http_head head;
    size_t scanned = 0;
    if (!handler->refuse ||
        http_head_parse(buf_str(&connection->in), SIZE_MAX, &scanned, &head, NULL) != HTTP_HEAD_DONE) {
        connection_refuse(connection, status, code, message);
        return;
    }
    begin_call(connection, &head);
    connection->keep_alive = false;
    if (status == 503)
        connection->call.response.retry_after_s = settings->retry_after_s;
    handler->refuse(handler_owner(connection), &connection->call, status, code, str_from_cstr(message));
    connection->in_handler = false;
}

/* Counts a body of so many bytes, unless it is no larger than any connection's head may be. False: refused, since too
 * many bytes of bodies are held. */
static bool hold(struct connection *connection, size_t bytes)
{
    if (bytes <= connection->set->admitter->settings->head_bytes || connection_hold(connection, bytes))
        return true;
    http_refuse_body(connection, 503, ERR_UNAVAILABLE,
                     "too many bytes of request bodies are being received; see api.max_bodies");
    return false;
}

/* Decodes what has come. False: refused. request_len tells whether it is whole. */
static bool decode(struct connection *connection)
{
    struct buf *in = &connection->in;
    size_t at = connection->chunks_from + connection->chunked.body, decoded, used;
    struct error error;
    switch (http_chunked_decode(&connection->chunked, in->ptr + at, in->len - at, &decoded, &used, &error)) {
    case HTTP_CHUNKED_NEED_MORE: in->len = at + decoded; return true;
    case HTTP_CHUNKED_DONE: break;
    case HTTP_CHUNKED_BAD: http_refuse_body(connection, 400, error.code, error.text); return false;
    case HTTP_CHUNKED_TOO_LARGE: http_refuse_body(connection, 413, error.code, error.text); return false;
    }
    size_t rest = in->len - at - used; /* of the next request */
    memmove(in->ptr + at + decoded, in->ptr + at + used, rest);
    in->len = at + decoded + rest;
    connection->request_len = at + decoded;
    connection->chunks_from = 0;
    return true;
}

static bool hold_chunks(struct connection *connection)
{
    size_t steps = (connection->chunked.body + HOLD_STEP_BYTES - 1) / HOLD_STEP_BYTES;
    bool small = connection->chunked.body <= connection->set->admitter->settings->head_bytes;
    return small || hold(connection, steps * HOLD_STEP_BYTES);
}

bool http_take_chunks(struct connection *connection)
{
    if (!decode(connection))
        return false;
    return hold_chunks(connection) && connection->request_len > 0;
}

/* The head has just come. False: refused. */
static bool begin_body(struct connection *connection, const struct http_head *head)
{
    switch (head->transfer) {
    case HTTP_TRANSFER_UNKNOWN:
        http_refuse_body(connection, 501, ERR_INVALID_REQUEST, "of transfer codings, only chunked is read here");
        return false;
    case HTTP_TRANSFER_CHUNKED:
        connection->chunks_from = head->length;
        connection->chunked = (struct http_chunked){.max_body = max_body(connection)};
        return decode(connection);
    case HTTP_TRANSFER_PLAIN: break;
    }
    if (head->content_length > max_body(connection)) {
        http_refuse_body(connection, 413, ERR_TOO_LARGE, "the request body is over the size limit");
        return false;
    }
    connection->request_len = head->length + (size_t)head->content_length;
    return true;
}

static bool is_whole(const struct connection *connection)
{
    return connection->request_len > 0 && connection->request_len <= connection->in.len;
}

bool http_request(struct connection *connection, const struct http_head *head)
{
    bool nothing_yet = connection->in.len == head->length;
    connection_begin_call(connection);
    if (!is_whole(connection) && !begin_body(connection, head))
        return false;
    if (is_whole(connection)) {
        serve(connection, head);
        return connection->stage == STAGE_REQUEST;
    }
    bool chunked = head->transfer == HTTP_TRANSFER_CHUNKED;
    if (!admit(connection, head) ||
        !(chunked ? hold_chunks(connection) : hold(connection, (size_t)head->content_length)))
        return false;
    connection_start_deadline(connection, connection->set->admitter->settings->body_timeout_us);
    if (nothing_yet && head->minor == 1 && http_head_has_token(head, STR("expect"), STR("100-continue")))
        connection_send(connection, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    return false;
}
