/* gate.c - see gate.h. */
#include "server/net/gate.h"

#include "common/protocol/proxy_header.h"
#include "common/protocol/ws_client.h"
#include "server/net/admit.h"
#include "server/net/answer.h"
#include "server/net/http.h"
#include "server/net/ws.h"

void gate_refuse(struct connection *connection, int status, enum err code, const char *message)
{
    struct buf *scratch = &connection->worker->scratch;
    const struct answer answer = {
        .status = status,
        .wall_ms = hub_wall_ms(connection->worker->hub),
        .retry_after_s = status == 503 || status == 429 ? connection->worker->settings->retry_after_s : 0,
        .close = true,
    };
    buf_clear(scratch);
    answer_write_error(scratch, &answer, code, str_from_cstr(message ? message : err_text(code)), REASON_NONE,
                       connection->head_only);
    connection_answer(connection, buf_str(scratch), true);
}

bool gate_timed_out(struct connection *connection)
{
    if (connection->in.len == 0) /* idle, or silent from the start: nobody waits for an answer */
        return false;
    gate_refuse(connection, 408, ERR_INVALID_REQUEST, "the request did not come in time");
    return true;
}

/* False: not yet, or not at all. */
static bool take_proxy_header(struct connection *connection)
{
    struct proxy_header header;
    struct address address;
    switch (proxy_header_parse(buf_str(&connection->in), &header, NULL)) {
    case PROXY_NEED_MORE: return false;
    case PROXY_NONE:
        if (connection->worker->settings->proxy_protocol == PROXY_REQUIRED)
            break;
        connection->wants_proxy_header = false;
        return true;
    case PROXY_DONE:
        if (header.has_address && address_parse(str_from_cstr(header.address), &address))
            connection_speaks_for(connection, &address);
        buf_consume(&connection->in, header.length);
        connection->wants_proxy_header = false;
        return true;
    case PROXY_BAD: break;
    }
    connection_close(connection);
    return false;
}

static void hand_over(struct connection *connection, const struct http_head *head, const struct admission *admission,
                      const struct address *client)
{
    struct worker *worker = connection->worker;
    struct ws_start start = {
        .settings = worker->settings,
        .endpoint = admission->endpoint,
        .claims = admission->claims,
    };
    start.client = *client;
    buf_clear(&worker->scratch);
    http_head_write_upgrade(&worker->scratch, head, admission->protocol_offered ? STR(ADMISSION_PROTOCOL) : STR(""));
    buf_append(&worker->scratch, str_from(connection->in.ptr + head->length, connection->in.len - head->length));
    start.fd = connection_release(connection, &start.lease);
    ws_adopt(worker->edge, &start, buf_str(&worker->scratch));
}

/* Completes the upgrade, tells, and closes: libwebsockets need not meet a stranger for that. */
static void refuse_by_close(struct connection *connection, const struct http_head *head,
                            const struct admission *admission)
{
    struct buf *out = &connection->worker->scratch;
    struct str key = STR(""), protocol = admission_refusal_protocol(head);
    char accept[WS_ACCEPT_LEN + 1];
    http_head_find(head, STR("sec-websocket-key"), &key);
    ws_client_accept(key, accept);
    buf_clear(out);
    buf_appendf(out,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Accept: %s\r\n",
                accept);
    if (protocol.len > 0)
        buf_appendf(out, "Sec-WebSocket-Protocol: %.*s\r\n", STR_ARG(protocol));
    buf_append_lit(out, "\r\n");
    admit_write_close(out, admission->reason, admission->close_code);
    connection_answer(connection, buf_str(out), true);
}

static void enter(struct connection *connection, const struct http_head *head)
{
    struct worker *worker = connection->worker;
    const struct applicant applicant = {
        .worker = worker,
        .head = head,
        .peer = &connection->client,
        .lease = &connection->lease,
    };
    struct admission admission;
    struct address client;
    admit(&applicant, &admission, &client);
    if (admission.outcome == REFUSED_HTTP) {
        admit_write_refusal(&worker->scratch, worker, &admission, connection->head_only);
        connection_answer(connection, buf_str(&worker->scratch), true);
    } else if (admission.outcome == REFUSED_CLOSE) {
        refuse_by_close(connection, head, &admission);
    } else {
        hand_over(connection, head, &admission, &client);
    }
    if (admission.claims)
        claims_unref(admission.claims);
}

/* RFC 9112, 2.2: some clients end a body with a CRLF that does not belong to it. */
static void skip_empty_lines(struct connection *connection)
{
    size_t len = 0;
    while (connection->in.len - len >= 2 && memcmp(connection->in.ptr + len, "\r\n", 2) == 0)
        len += 2;
    if (len > 0)
        connection->scanned = 0;
    buf_consume(&connection->in, len);
}

/* False: there is no whole request yet, or the connection does not take another. */
static bool take_request(struct connection *connection)
{
    struct http_head head;
    struct error error;
    const struct net_settings *settings = connection->worker->settings;
    if (connection->request_len > connection->in.len)
        return false;
    if (connection->chunks_from > 0 && !http_take_chunks(connection))
        return false;
    if (connection->request_len > 0)
        connection->scanned = 0; /* the head is parsed again now that its body has come */
    else
        skip_empty_lines(connection);
    if (connection->in.len == 0)
        return false;
    switch (http_head_parse(buf_str(&connection->in), settings->head_bytes, &connection->scanned, &head, &error)) {
    case HTTP_HEAD_NEED_MORE:
        if (!connection->started)
            connection_await_request(connection, settings->head_timeout_us);
        connection->started = true;
        return false;
    case HTTP_HEAD_BAD: gate_refuse(connection, head.status, error.code, error.text); return false;
    case HTTP_HEAD_DONE: break;
    }
    connection->head_only = str_eq(head.method, STR("HEAD"));
    if (connection->internal && !connection_take_place(connection)) {
        gate_refuse(connection, 429, ERR_RATE_LIMITED, "the internal listener has as many connections as it may");
        return false;
    }
    if (connection->internal)
        return http_request(connection, &head);
    enter(connection, &head);
    return false;
}

void gate_input(struct connection *connection)
{
    while (connection->stage == STAGE_REQUEST && connection->in.len > 0) {
        bool more = connection->wants_proxy_header ? take_proxy_header(connection) : take_request(connection);
        if (!more)
            return;
    }
}
