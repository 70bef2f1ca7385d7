/* gate.c - see gate.h. */
#include "server/net/http/gate.h"

#include "common/protocol/ws_handshake.h"
#include "server/net/admission/admission.h"
#include "server/net/http/answer.h"
#include "server/net/http/connection.h"
#include "server/net/http/http.h"
#include "server/net/ws/ws.h"

static bool timed_out(struct connection *connection)
{
    if (connection->in.len == 0) /* idle, or silent from the start: nobody waits for an answer */
        return false;
    connection_refuse(connection, 408, ERR_INVALID_REQUEST, "the request did not come in time");
    return true;
}

static void refuse_by_status(struct connection *connection, const struct admission *admission)
{
    struct buf *scratch = &connection->set->scratch;
    const struct answer answer = {
        .status = admission->status,
        .retry_after_s = admission->retry_after_s,
        .wall_ms = turn_wall_ms(connection->set->turn),
        .close = true,
        .websocket_wanted = admission->status == 426,
    };
    buf_clear(scratch);
    answer_write_error(scratch, &answer, admission->error.code, str_from_cstr(admission->error.text), admission->reason,
                       connection->head_only);
    connection_answer(connection, buf_str(scratch), true);
}

/* For clients that see no HTTP status: the upgrade is completed, and the refusal told in frames. What they may say to
 * it is not read. */
static void refuse_by_close(struct connection *connection, const struct http_head *head,
                            const struct admission *admission)
{
    struct buf *scratch = &connection->set->scratch;
    buf_clear(scratch);
    ws_handshake_answer(scratch, head, admission_refusal_protocol(head));
    ws_write_refusal(scratch, admission->reason, admission->close_code);
    connection_answer(connection, buf_str(scratch), true);
}

static void hand_over(struct connection *connection, const struct http_head *head, const struct admission *admission)
{
    const struct gate *gate = connection->set->owner;
    struct buf *scratch = &connection->set->scratch;
    char address[ADDRESS_TEXT_LEN + 1];
    buf_clear(scratch);
    ws_handshake_answer(scratch, head, admission->protocol_offered ? STR(ADMISSION_PROTOCOL) : STR(""));
    const struct ws_start start = {
        .hub = gate->hub,
        .admitter = gate->admitter,
        .lease = connection_hand_over(connection),
        .endpoint = admission->endpoint,
        .claims = admission->claims,
        .address = str_from_cstr(address_text(&admission->client, address)),
    };
    struct str rest = str_skip(buf_str(&connection->in), head->length);
    ws_open(&connection->stream, &start, buf_str(scratch), rest);
}

static void enter(struct connection *connection, const struct http_head *head)
{
    const struct gate *gate = connection->set->owner;
    struct admission admission;
    admission_decide(gate->admitter, head, &connection->client, &connection->lease, &admission);
    switch (admission.outcome) {
    case ADMITTED: hand_over(connection, head, &admission); break;
    case REFUSED_CLOSE: refuse_by_close(connection, head, &admission); break;
    case REFUSED_HTTP: refuse_by_status(connection, &admission); break;
    }
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
    const struct net_settings *settings = connection->set->admitter->settings;
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
    case HTTP_HEAD_BAD: connection_refuse(connection, head.status, error.code, error.text); return false;
    case HTTP_HEAD_DONE: break;
    }
    connection->head_only = str_eq(head.method, STR("HEAD"));
    if (connection->internal && !connection_take_place(connection)) {
        connection_refuse(connection, 429, ERR_RATE_LIMITED, "the internal listener has as many connections as it may");
        return false;
    }
    if (connection->internal)
        return http_request(connection, &head);
    enter(connection, &head);
    return false;
}

static void input(struct connection *connection)
{
    while (connection->stage == STAGE_REQUEST && connection->in.len > 0 && take_request(connection))
        ;
}

const struct connection_ops gate_operations = {.input = input, .timed_out = timed_out};
