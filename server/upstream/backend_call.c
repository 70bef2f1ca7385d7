/* backend_call.c - see backend_call.h. */
#include "server/upstream/backend_call.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "server/core/hub.h"
#include "server/upstream/azure.h"
#include "server/upstream/http_upstream_private.h"
#include "server/upstream/request_lines.h"
#include "server/upstream/upstream_log.h"
#include "server/upstream/webhook.h"

enum {
    FIRST_PAUSE_US = 100000, /* before the second try; it doubles */
    DETAIL_MAX = 200,
    DISCARD_MAX = 65536, /* of an answer that nobody reads; a longer one costs the connection */
};

static const struct outbound_ops outbound_operations;

/* --- the request ------------------------------------------------------------------------------------------------- */

static void write_event(struct buf *lines, const struct backend_call *call)
{
    struct cloudevent event = call->event;
    if (call->state)
        event.state = buf_str(call->state);
    buf_append(lines, buf_str(call->lines));
    if (call->upstream->options.azure_hub.len)
        azure_write(lines, &event, call->upstream->options.secrets);
    else
        cloudevent_write(lines, &event);
    if (call->joined > 1)
        buf_appendf(lines, "ce-joined: %zu\r\n", call->joined);
    if (call->content_type.len)
        cloudevent_write_passed(lines, STR("content-type"), call->content_type);
    buf_append_lit(lines, "traceparent: ");
    if (call->traceparent.len)
        buf_append(lines, call->traceparent);
    else
        traceparent_make(lines);
    buf_append_lit(lines, "\r\n");
}

static enum err send_request(struct backend_call *call, struct error *error)
{
    const struct http_upstream_options *options = &call->upstream->options;
    struct buf lines = {0}, id = {0};
    buf_reserve(&lines, call->lines->len + 768);
    call->asks_leave = !atomic_load_explicit(&call->upstream->is_allowed, memory_order_relaxed);
    if (call->asks_leave)
        buf_append_lit(&lines, "webhook-request-origin: " AZURE_ORIGIN "\r\nce-awpsversion: 1.0\r\n");
    else
        write_event(&lines, call);
    cloudevent_append_id(&id, &call->event);
    if (!options->azure_hub.len)
        webhook_write(&lines, options->secrets, buf_str(&id), hub_wall_ms(call->hub) / 1000, buf_str(&call->body));
    size_t field_count;
    struct outbound_field *fields = request_lines_split(buf_str(&lines), &field_count);
    const struct outbound_request request = {
        .target = options->target,
        .method = call->asks_leave ? STR("OPTIONS") : STR("POST"),
        .fields = fields,
        .field_count = field_count,
        .body = call->asks_leave ? STR("") : buf_str(&call->body),
        .id = buf_str(&id),
        .reply_to = hub_replies(call->hub),
        .ops = &outbound_operations,
        .owner = call,
    };
    call->tries++;
    enum err err = outbound_start(options->outbound, &request, &call->outbound, error);
    free(fields);
    buf_fini(&lines);
    buf_fini(&id);
    return err;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void clear_answer(struct backend_call *call)
{
    list_remove(&call->turn);
    buf_fini(&call->rest);
    answer_frames_fini(&call->frames);
    call->frames = (struct answer_frames){0};
    call->answered = call->waits = call->over = false;
    call->unread = 0;
    call->retry_after_s = 0;
    call->status = 0;
    call->error.text[0] = '\0';
}

void backend_call_fini(struct backend_call *call)
{
    if (call->outbound)
        outbound_cancel(call->outbound);
    call->outbound = NULL;
    if (call->hub)
        wheel_stop(hub_wheel(call->hub), &call->timer);
    clear_answer(call);
    buf_fini(&call->body);
}

/* Without the quotes of a JSON string: the log has its own. */
static struct str unquoted(struct str json)
{
    bool is_string = json.len >= 2 && json.ptr[0] == '"';
    return is_string ? str_from(json.ptr + 1, json.len - 2) : json;
}

/* The line of the log for a failure. what is ours, detail may quote the backend, and the id is the client's. */
static void log_failure(const struct backend_call *call, const char *what, struct str detail)
{
    char correlation[ERROR_QUOTE_LEN] = "none";
    struct buf id = {0}, line = {0};
    cloudevent_append_id(&id, &call->event);
    if (call->correlation)
        error_quote(unquoted(str_from_cstr(call->correlation)), correlation);
    cloudevent_append_printable(&line, detail.len < DETAIL_MAX ? detail : str_from(detail.ptr, DETAIL_MAX));
    upstream_warn(&call->upstream->base, hub_now_us(call->hub), "%s failed after %u %s: %s%s%s; correlation id %s",
                  buf_cstr(&id), call->tries, call->tries == 1 ? "try" : "tries", what, detail.len ? ": " : "",
                  buf_cstr(&line), correlation);
    buf_fini(&id);
    buf_fini(&line);
}

/* The backend was asked for its word, and its word is no: nothing has failed. */
static bool is_decision(const struct backend_call *call, const struct backend_result *result)
{
    bool is_azure = call->upstream->options.azure_hub.len && !call->asks_leave;
    if (call->event.type == CLOUDEVENT_SUBSCRIBE || (call->event.type == CLOUDEVENT_CONNECT && is_azure))
        return backend_call_is_refused(result);
    return call->event.type == CLOUDEVENT_CONNECT &&
           (call->status == 401 || call->status == 403 || call->status == 429);
}

static void end(struct backend_call *call, enum err err, const char *text, struct str detail)
{
    const struct backend_result result = {.err = err, .text = text, .status = call->status};
    if (err && !is_decision(call, &result)) {
        metrics_add_labelled(hub_metrics(call->hub), METRIC_UPSTREAM_FAILURES, err, 1);
        log_failure(call, text, detail);
    }
    call->ops->done(call, &result);
}

/* What a client is told of a status that is no success. */
static enum err err_of_status(int status)
{
    switch (status) {
    case 401: return ERR_UNAUTHORIZED;
    case 403: return ERR_FORBIDDEN;
    case 404: return ERR_NOT_FOUND;
    case 409: return ERR_CONFLICT;
    case 413: return ERR_TOO_LARGE;
    case 429: return ERR_RATE_LIMITED;
    case 502:
    case 503:
    case 504: return ERR_UNAVAILABLE;
    default: return status >= 400 && status < 500 ? ERR_INVALID_REQUEST : ERR_INTERNAL_ERROR;
    }
}

static void end_with_status(struct backend_call *call)
{
    char detail[32];
    snprintf(detail, sizeof detail, "status %d", call->status);
    end(call, err_of_status(call->status), "the backend has refused the message", str_from_cstr(detail));
}

static const struct {
    enum err err;
    const char *text;
} failures[OUTBOUND_RESULT_COUNT] = {
    [OUTBOUND_REFUSED] = {ERR_UNAVAILABLE, "the backend cannot be reached"},
    [OUTBOUND_DNS] = {ERR_UNAVAILABLE, "the backend cannot be reached"},
    [OUTBOUND_TLS] = {ERR_UNAVAILABLE, "the backend cannot be reached"},
    [OUTBOUND_TIMEOUT] = {ERR_UNAVAILABLE, "the backend has not answered in time"},
    [OUTBOUND_RESET] = {ERR_INTERNAL_ERROR, "the backend has broken off its answer"},
    [OUTBOUND_INVALID] = {ERR_INTERNAL_ERROR, "the backend's answer is not valid"},
    [OUTBOUND_TOO_LARGE] = {ERR_TOO_LARGE, "the backend's answer is too large"},
    [OUTBOUND_BREAKER_OPEN] = {ERR_UNAVAILABLE, "the backend has failed too often and is left alone for a while"},
    [OUTBOUND_TOO_MANY] = {ERR_UNAVAILABLE, "too many messages wait for the backend"},
    [OUTBOUND_CANCELLED] = {ERR_UNAVAILABLE, "this node is shutting down"},
};

/* --- tries ----------------------------------------------------------------------------------------------------- */

static void try_again(struct timer *timer, uint64_t now_us)
{
    struct backend_call *call = CONTAINER_OF(timer, struct backend_call, timer);
    struct error error;
    (void)now_us;
    clear_answer(call);
    if (send_request(call, &error))
        end(call, ERR_INTERNAL_ERROR, "the request could not be made", str_from_cstr(error.text));
}

void backend_call_start(struct backend_call *call)
{
    const struct http_upstream_options *options = &call->upstream->options;
    call->deadline_us = hub_now_us(call->hub) + options->timeout_us;
    if (send_request(call, &call->error)) /* `done` comes later: the owner is not ready for it yet */
        wheel_start(hub_wheel(call->hub), &call->timer, hub_now_us(call->hub), try_again);
}

/* True: a next try has been arranged. See http_upstream.h. */
static bool retry(struct backend_call *call, enum outbound_result result)
{
    if (call->last_try)
        return false;
    uint64_t pause_us = (uint64_t)FIRST_PAUSE_US << (call->tries - 1 < 6 ? call->tries - 1 : 6);
    switch (result) {
    case OUTBOUND_REFUSED:
    case OUTBOUND_DNS:
        if (call->tries >= TRIES_MAX)
            return false;
        break;
    case OUTBOUND_TOO_MANY:
        if (!call->upstream->options.in_order)
            return false;
        break;
    case OUTBOUND_OK:
        if (call->status != 503 || !call->retry_after_s || call->retry_after_s > RETRY_AFTER_MAX_S || call->tries > 1)
            return false;
        pause_us = call->retry_after_s * 1000000;
        break;
    default: return false;
    }
    uint64_t now_us = hub_now_us(call->hub);
    if (now_us + pause_us > call->deadline_us)
        return false;
    metrics_add(hub_metrics(call->hub), METRIC_UPSTREAM_RETRIES, 1);
    wheel_start(hub_wheel(call->hub), &call->timer, now_us + pause_us, try_again);
    return true;
}

/* --- the answer ------------------------------------------------------------------------------------------------ */

static bool means_success(int status)
{
    return status >= 200 && status < 300;
}

/* Notes why no frame can be made of the answer's body, if it has one. */
static void refuse_body(struct backend_call *call, const char *what, struct str value, const char *why)
{
    call->frames.kind = ANSWER_OTHER;
    error_set(&call->error, ERR_INTERNAL_ERROR, "%s %.*s, %s", what, value.len < 100 ? (int)value.len : 100, value.ptr,
              why);
}

static void on_head(struct outbound_call *outbound, void *mailbox_owner, const struct outbound_head *head)
{
    struct backend_call *call = outbound_call_owner(outbound);
    (void)mailbox_owner;
    const struct backend_answer told = {
        .status = head->status,
        .state = head->fields[FIELD_CONNECTION_STATE],
        .subscribe = head->fields[FIELD_SUBSCRIBE],
        .unsubscribe = head->fields[FIELD_UNSUBSCRIBE],
        .close = head->fields[FIELD_CLOSE],
    };
    call->status = head->status;
    if (call->asks_leave) {
        call->has_leave = means_success(head->status) && azure_is_allowed(head->fields[FIELD_ALLOWED_ORIGIN]);
        return;
    }
    if (!str_to_u64(head->fields[FIELD_RETRY_AFTER], &call->retry_after_s))
        call->retry_after_s = 0;
    call->frames = (struct answer_frames){.kind = answer_kind_of(head->content_type),
                                          .frame_max = call->upstream->options.frame_bytes};
    /* 202: the answer's body tells of the request, and is for nobody (RFC 9110, 15.3.3). */
    call->answered = means_success(head->status) && head->status != 202;
    if (!call->ops->head(call, &told))
        return;
    struct str encoding = head->fields[FIELD_CONTENT_ENCODING];
    if (call->answered && encoding.len && !str_eq_nocase(encoding, STR("identity")))
        refuse_body(call, "content encoding", encoding, "which was not asked for");
    else if (call->answered && call->frames.kind == ANSWER_OTHER && head->content_type.len)
        refuse_body(call, "content type", head->content_type, "of which no frame is made");
}

/* The answer cannot be used: the rest is not wanted, and the connection is closed. */
static void give_up(struct backend_call *call)
{
    if (call->outbound)
        outbound_cancel(call->outbound);
    call->outbound = NULL;
    wheel_stop(hub_wheel(call->hub), &call->timer);
    end(call, call->error.code,
        failures[call->error.code == ERR_TOO_LARGE ? OUTBOUND_TOO_LARGE : OUTBOUND_INVALID].text,
        str_from_cstr(call->error.text));
}

size_t backend_call_held(const struct backend_call *call)
{
    const struct answer_frames *frames = &call->frames;
    return call->rest.len + (frames->taken ? 0 : frames->line.len + frames->data.len + frames->has_data);
}

/* Asks for room for a frame that is made of what is held and of so many more bytes. */
static bool has_room(struct backend_call *call, size_t more)
{
    call->waits = !call->ops->has_room(call, backend_call_held(call) + more);
    return !call->waits;
}

/* Gives the client the frames of *bytes while it has room. ANSWER_FRAME: it has none, and *bytes has what is left. */
static enum answer_result give_frames(struct backend_call *call, struct str *bytes)
{
    struct str frame;
    while (bytes->len) {
        if (!has_room(call, bytes->len))
            return ANSWER_FRAME;
        enum answer_result result = answer_next(&call->frames, bytes, &frame, &call->error);
        if (result != ANSWER_FRAME)
            return result;
        call->ops->frame(call, call->frames.kind == ANSWER_BINARY, frame);
    }
    return ANSWER_MORE;
}

/* The frames of what the answer's end has ended: the last one may lie in what is held. */
static enum answer_result give_last_frames(struct backend_call *call)
{
    struct str frame;
    for (;;) {
        if (backend_call_held(call) && !has_room(call, 0))
            return ANSWER_FRAME;
        enum answer_result result = answer_end(&call->frames, &frame, &call->error);
        if (result != ANSWER_FRAME)
            return result;
        call->ops->frame(call, call->frames.kind == ANSWER_BINARY, frame);
    }
}

static void end_with_result(struct backend_call *call)
{
    end(call, failures[call->result].err, failures[call->result].text, str_from_cstr(call->error.text));
}

/* The client does not read, and its call is not kept for ever. */
static void on_unread(struct timer *timer, uint64_t now_us)
{
    struct backend_call *call = CONTAINER_OF(timer, struct backend_call, timer);
    (void)now_us;
    if (call->result == OUTBOUND_OK) {
        call->result = OUTBOUND_TIMEOUT;
        error_set(&call->error, ERR_UNAVAILABLE, "the client has not read the answer");
    }
    end_with_result(call);
}

/* The answer is over, and its last frames wait. */
static void wait_for_client(struct backend_call *call)
{
    if (!timer_is_running(&call->timer))
        wheel_start(hub_wheel(call->hub), &call->timer, call->deadline_us, on_unread);
}

/* The answer is over, and all that came before its end has been given. */
static void finish(struct backend_call *call)
{
    enum answer_result result = ANSWER_MORE;
    if (call->result != OUTBOUND_OK) {
        end_with_result(call);
        return;
    }
    if (!means_success(call->status)) {
        end_with_status(call);
        return;
    }
    if (call->answered && call->frames.kind != ANSWER_OTHER)
        result = give_last_frames(call);
    if (result == ANSWER_BAD)
        end(call, call->error.code, failures[OUTBOUND_INVALID].text, str_from_cstr(call->error.text));
    else if (result == ANSWER_FRAME)
        wait_for_client(call);
    else
        end(call, ERR_NONE, NULL, STR(""));
}

/* Takes what has come as far as the client has room, and keeps the rest. */
static void take_part(struct backend_call *call, struct str part)
{
    switch (give_frames(call, &part)) {
    case ANSWER_BAD: give_up(call); break;
    case ANSWER_FRAME: buf_append(&call->rest, part); break;
    case ANSWER_MORE:
        if (call->over) {
            finish(call);
            break;
        }
        outbound_more(call->outbound, call->unread);
        call->unread = 0;
        break;
    }
}

void backend_call_go_on(struct backend_call *call)
{
    struct buf rest = call->rest;
    call->waits = false;
    call->rest = (struct buf){0};
    take_part(call, buf_str(&rest));
    buf_fini(&rest);
}

static void on_body(struct outbound_call *outbound, void *mailbox_owner, struct str part)
{
    struct backend_call *call = outbound_call_owner(outbound);
    (void)mailbox_owner;
    if (call->asks_leave) {
        outbound_more(outbound, part.len);
        return;
    }
    if (!call->answered) {
        call->unread += part.len; /* counts what has been thrown away */
        if (call->unread <= DISCARD_MAX) {
            outbound_more(outbound, part.len);
            return;
        }
        outbound_cancel(outbound);
        call->outbound = NULL;
        if (means_success(call->status))
            end(call, ERR_NONE, NULL, STR(""));
        else if (!retry(call, OUTBOUND_OK))
            end_with_status(call);
        return;
    }
    if (call->frames.kind == ANSWER_OTHER) {
        if (!call->error.text[0])
            error_set(&call->error, ERR_INTERNAL_ERROR, "a body without a content type");
        give_up(call);
        return;
    }
    call->unread += part.len;
    if (call->waits)
        buf_append(&call->rest, part);
    else
        take_part(call, part);
}

/* The backend has answered OPTIONS. */
static void take_leave(struct backend_call *call)
{
    if (!call->has_leave) {
        end(call, ERR_UNAVAILABLE, "the backend does not allow requests of this server",
            STR("its answer to OPTIONS has no WebHook-Allowed-Origin for " AZURE_ORIGIN));
        return;
    }
    atomic_store_explicit(&call->upstream->is_allowed, true, memory_order_relaxed);
    call->tries--;
    try_again(&call->timer, hub_now_us(call->hub));
}

static void on_end(struct outbound_call *outbound, void *mailbox_owner, const struct outbound_end *ended)
{
    struct backend_call *call = outbound_call_owner(outbound);
    (void)mailbox_owner;
    call->outbound = NULL;
    wheel_stop(hub_wheel(call->hub), &call->timer);
    if (call->asks_leave && ended->result == OUTBOUND_OK) {
        take_leave(call);
        return;
    }
    if (!(call->answered && ended->result != OUTBOUND_OK) && retry(call, ended->result))
        return;
    uint64_t total_us = call->upstream->options.total_timeout_us;
    uint64_t left_us = total_us > ended->duration_us ? total_us - ended->duration_us : 0;
    call->deadline_us = hub_now_us(call->hub) + left_us;
    call->over = true;
    call->result = ended->result;
    if (ended->result != OUTBOUND_OK)
        error_set(&call->error, failures[ended->result].err, "%.*s", STR_ARG(ended->text));
    if (call->waits && ended->result != OUTBOUND_CANCELLED)
        wait_for_client(call);
    else
        finish(call);
}

static const struct outbound_ops outbound_operations = {.head = on_head, .body = on_body, .end = on_end};
