/* gate.c - see gate.h. */
#include "server/net/http/gate.h"

#include "common/base/log.h"
#include "server/net/admission/net_transport.h"
#include "server/net/admission/subprotocol.h"
#include "server/net/http/answer.h"
#include "server/net/http/connection.h"
#include "server/net/http/http.h"
#include "server/net/http/refusal.h"

static void refuse_by_status(struct connection *connection, const struct admission *admission, enum err code,
                             struct str text)
{
    struct buf *scratch = &connection->set->scratch;
    const struct answer answer = {
        .status = admission->status,
        .retry_after_s = admission->retry_after_s,
        .wall_ms = turn_wall_ms(connection->set->turn),
        .close = true,
        .upgrade = admission->status == 426 ? admission->endpoint->transport->upgrade : NULL,
    };
    buf_clear(scratch);
    answer_write_error(scratch, &answer, code, text, admission->reason, connection->head_only);
    connection_answer(connection, buf_str(scratch), true);
}

/* For clients that see no HTTP status: the request is accepted, and the transport tells the refusal. */
static void refuse_by_close(struct connection *connection, const struct http_head *head,
                            const struct admission *admission, struct str text)
{
    const struct net_endpoint *endpoint = admission->endpoint;
    const struct net_refusal refusal = {
        .endpoint = &endpoint->base, .reason = admission->reason, .text = text, .close_code = admission->close_code};
    struct buf *scratch = &connection->set->scratch;
    buf_clear(scratch);
    endpoint->transport->answer(scratch, head, subprotocol_of_refusal(endpoint, head));
    endpoint->transport->refuse(scratch, &refusal);
    connection_answer(connection, buf_str(scratch), true);
}

/* error: of a refusal that is about the request's form, or of one whose reason alone says too little. Else its code is
 * ERR_NONE. */
static void refuse(struct connection *connection, const struct http_head *head, const struct admission *admission,
                   const struct error *error)
{
    const struct gate *gate = connection->set->owner;
    enum reason reason = admission->reason;
    struct str text = str_from_cstr(error->code ? error->text : reason_sentence(reason));
    char quoted[ERROR_QUOTE_LEN];
    log_debug("net", "refused at %s: %s: %.*s", error_quote(head->path, quoted), reason_text(reason), STR_ARG(text));
    metrics_add_labelled(gate->admitter->metrics, METRIC_CONNECTIONS_REFUSED, reason, 1);
    refusal_tell(gate->hub, connection, head, admission, text);
    if (admission->outcome == REFUSED_CLOSE)
        refuse_by_close(connection, head, admission, text);
    else
        refuse_by_status(connection, admission, reason ? reason_err(reason) : error->code, text);
}

static void hand_over(struct connection *connection, const struct http_head *head)
{
    const struct gate *gate = connection->set->owner;
    struct buf *scratch = &connection->set->scratch;
    struct entry *entry = &connection->entry;
    const struct net_transport *transport = entry->admission.endpoint->transport;
    char address[ADDRESS_TEXT_LEN + 1];
    buf_clear(scratch);
    const struct session_origin *origin = entry->admission.origin; /* an entry step may have selected another one */
    struct str protocol = origin ? origin->subprotocol : subprotocol_select(entry->admission.endpoint, head);
    if (protocol.len == 0)
        refusal_tell_subprotocol(gate->hub, connection, head, entry->admission.endpoint);
    transport->answer(scratch, head, protocol);
    const struct net_start start = {
        .hub = gate->hub,
        .admitter = gate->admitter,
        .lease = connection_hand_over(connection),
        .session = {.uuid = str_from(entry->uuid, UUID_LEN),
                    .claims = entry->admission.claims,
                    .address = str_from_cstr(address_text(&entry->admission.client, address)),
                    .endpoint = &entry->admission.endpoint->base,
                    .slot = entry->slot,
                    .ticket = entry->ticket,
                    .channels = entry->channels,
                    .channel_count = entry->channel_count,
                    .origin = entry->admission.origin},
    };
    struct str rest = str_skip(buf_str(&connection->in), head->length);
    entry->slot = NULL;
    entry->ticket = NULL;
    transport->open(&connection->stream, &start, buf_str(scratch), rest);
    entry_fini(entry);
}

/* reason: REASON_NONE when a reload has removed the endpoint.
 * A connection that is pending gives its places back at once. One that has waited for a step is not pending any more:
 * it counts as a session until it ends. */
static void refuse_entry(struct connection *connection, const struct http_head *head, enum reason reason)
{
    struct entry *entry = &connection->entry;
    struct error error;
    error.code = ERR_NONE;
    if (reason == REASON_NONE) {
        admission_refuse_path(&entry->admission, &error);
    } else {
        entry_refuse(entry, reason);
        if (entry->explanation)
            error_set(&error, reason_err(reason), "%s", entry->explanation);
    }
    if (pending_has(&connection->pending))
        lease_release(&connection->lease, entry->admitter->quota);
    refuse(connection, head, &entry->admission, &error);
    entry_fini(entry);
}

static void go_on(struct connection *connection, const struct http_head *head)
{
    enum reason reason = REASON_NONE;
    switch (entry_run(&connection->entry, head, &reason)) {
    case ENTRY_PASSES: hand_over(connection, head); break;
    case ENTRY_IS_REFUSED: refuse_entry(connection, head, reason); break;
    case ENTRY_WAITS: connection_await_entry(connection); break;
    }
}

/* The head still lies at the beginning of `in`. It is parsed again, without a limit: a reload may have lowered that. */
static void resume(struct connection *connection, enum reason reason)
{
    struct http_head head;
    size_t scanned = 0;
    connection_resume(connection);
    http_head_parse(buf_str(&connection->in), SIZE_MAX, &scanned, &head, NULL);
    if (reason == REASON_NONE && entry_has_endpoint(&connection->entry))
        go_on(connection, &head);
    else
        refuse_entry(connection, &head, reason);
}

static void answered(struct entry *entry, enum reason reason)
{
    resume(CONTAINER_OF(entry, struct connection, entry), reason);
}

static void enter(struct connection *connection, const struct http_head *head)
{
    const struct gate *gate = connection->set->owner;
    const struct entry_start start = {
        .admitter = gate->admitter,
        .lease = &connection->lease,
        .node_id = gate->node_id,
        .steps = gate->steps,
        .step_count = gate->step_count,
        .answered = answered,
    };
    struct admission admission;
    struct error error;
    admission_decide(gate->admitter, head, &connection->client, &admission, &error);
    if (admission.outcome != ADMITTED) {
        refuse(connection, head, &admission, &error);
        return;
    }
    entry_init(&connection->entry, &start, &admission);
    go_on(connection, head);
}

static void left(struct connection *connection)
{
    entry_cancel(&connection->entry);
    entry_fini(&connection->entry);
}

static void refuse_unreadable(struct connection *connection, int status, enum err code, const char *text)
{
    const struct gate *gate = connection->set->owner;
    if (!connection->internal)
        refusal_tell_unreadable(gate->hub, connection, status, text);
    connection_refuse(connection, status, code, text);
}

static bool timed_out(struct connection *connection)
{
    if (connection->stage == STAGE_ENTER) {
        resume(connection, entry_give_up(&connection->entry));
        return true;
    }
    if (connection->in.len == 0) /* idle, or silent from the start: nobody waits for an answer */
        return false;
    static const char late[] = "the request did not come in time";
    if (connection->request_len > 0 || connection->chunks_from > 0)
        http_refuse_body(connection, 408, ERR_INVALID_REQUEST, late);
    else
        refuse_unreadable(connection, 408, ERR_INVALID_REQUEST, late);
    return true;
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

/* Of the public listener: is the path one where requests are answered? */
static bool is_served(const struct connection *connection, struct str path)
{
    const struct connection_set *set = connection->set;
    return set->public_handler && set->public_handler->has(set->public_owner, path);
}

/* False: there is no whole request yet, or the connection does not take another. */
static bool take_request(struct connection *connection)
{
    struct http_head head;
    struct error error;
    const struct net_settings *settings = connection->set->admitter->settings;
    bool has_body = connection->request_len > 0 || connection->chunks_from > 0;
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
            connection_start_deadline(connection, settings->head_timeout_us);
        connection->started = true;
        return false;
    case HTTP_HEAD_BAD: refuse_unreadable(connection, head.status, error.code, error.text); return false;
    case HTTP_HEAD_DONE: break;
    }
    connection->head_only = str_eq(head.method, STR("HEAD"));
    if (connection->internal && !connection_take_place(connection)) {
        connection_refuse(connection, 429, ERR_RATE_LIMITED, "the internal listener has as many connections as it may");
        return false;
    }
    if (connection->internal || has_body || is_served(connection, head.path))
        return http_request(connection, &head);
    enter(connection, &head);
    return false;
}

static void input(struct connection *connection)
{
    while (connection->stage == STAGE_REQUEST && connection->in.len > 0 && take_request(connection))
        ;
    if (connection->stage == STAGE_REQUEST && connection->in.len == 0)
        connection_end_call(connection);
}

const struct connection_ops gate_operations = {.input = input, .timed_out = timed_out, .left = left};
