/* ws_connect.c - see ws_connect.h. */
#include "server/upstream/ws_connect.h"

#include <stdio.h>

#include "server/core/hub.h"
#include "server/core/session.h"
#include "server/core/session_origin.h"
#include "server/upstream/cloudevents.h"
#include "server/upstream/session_lines.h"
#include "server/upstream/upstream_log.h"
#include "server/upstream/webhook.h"
#include "server/upstream/ws_relay.h"
#include "server/upstream/ws_session.h"

enum {
    ANSWER_HEAD_MAX = 16384,
    HURRY_US = 5000000, /* for a connection that messages of an ended session wait for */
    HURRY_DRAINING_US = 1000000,
    CODE_TRY_AGAIN = 1013,
    SWITCHING_PROTOCOLS = 101,
};

static const struct backend_socket_ops socket_ops;

static const struct ws_upstream_options *options_of(const struct ws_session *state)
{
    return &ws_upstream_of(state)->options;
}

/* --- the request -------------------------------------------------------------------------------------------------- */

static void write_lines(struct buf *out, const struct ws_session *state)
{
    const struct ws_upstream_options *options = options_of(state);
    const struct cloudevent event = {.type = CLOUDEVENT_CONNECTED,
                                     .session_id = str_from(state->uuid, UUID_LEN),
                                     .wall_ms = hub_wall_ms(state->hub)};
    const struct session_lines session = {
        .uuid = event.session_id,
        .claims = state->base.session->claims,
        .names = options->claims,
        .name_count = options->claim_count,
        .origin = state->origin,
    };
    struct buf id = {0};
    write_session_lines(out, &session);
    cloudevent_write(out, &event);
    buf_append_lit(out, "traceparent: ");
    if (state->origin && traceparent_is_valid(state->origin->traceparent))
        buf_append(out, state->origin->traceparent);
    else
        traceparent_make(out);
    buf_append_lit(out, "\r\n");
    cloudevent_append_id(&id, &event);
    webhook_write(out, options->secrets, buf_str(&id), event.wall_ms / 1000, STR(""));
    buf_fini(&id);
}

/* While the session is there: it is sent once the socket is open. */
static void write_request(struct ws_session *state)
{
    struct buf lines = {0};
    write_lines(&lines, state);
    ws_client_key(state->key);
    const struct ws_request request = {
        .host = ws_target_host(options_of(state)->target),
        .target = ws_target_path(options_of(state)->target),
        .protocols = state->origin ? state->origin->subprotocol : STR(""),
        .lines = buf_str(&lines),
    };
    ws_client_request(&state->request, &request, state->key);
    buf_fini(&lines);
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

struct ws_failure {
    enum err err;
    const char *text; /* for the client */
    bool lasts;       /* trying again does not help */
};

static const struct ws_failure failures[OUTBOUND_RESULT_COUNT] = {
    [OUTBOUND_REFUSED] = {ERR_UNAVAILABLE, "the backend cannot be reached", false},
    [OUTBOUND_DNS] = {ERR_UNAVAILABLE, "the backend cannot be reached", false},
    [OUTBOUND_TLS] = {ERR_UNAVAILABLE, "the backend cannot be reached", true},
    [OUTBOUND_TIMEOUT] = {ERR_UNAVAILABLE, "the backend has not answered in time", false},
    [OUTBOUND_RESET] = {ERR_UNAVAILABLE, "the backend has broken off the connection", false},
    [OUTBOUND_INVALID] = {ERR_INTERNAL_ERROR, "the backend's answer is not valid", true},
    [OUTBOUND_BREAKER_OPEN] = {ERR_UNAVAILABLE, "the backend has failed too often and is left alone for a while",
                               false},
    [OUTBOUND_TOO_MANY] = {ERR_UNAVAILABLE, "too many connections to the backend are open", false},
};

static struct ws_failure told_of_status(int status)
{
    static const char text[] = "the backend has refused the connection";
    switch (status) {
    case 401: return (struct ws_failure){ERR_UNAUTHORIZED, text, true};
    case 403: return (struct ws_failure){ERR_FORBIDDEN, text, true};
    case 404: return (struct ws_failure){ERR_NOT_FOUND, text, true};
    case 429: return (struct ws_failure){ERR_RATE_LIMITED, text, false};
    case 502:
    case 503:
    case 504: return (struct ws_failure){ERR_UNAVAILABLE, text, false};
    default: return (struct ws_failure){ERR_INTERNAL_ERROR, text, true};
    }
}

/* How the opening has ended. status: of the answer, where result is OUTBOUND_OK. */
static void report(struct ws_session *state, enum outbound_result result, int status)
{
    bool is_upgraded = result == OUTBOUND_OK && status == SWITCHING_PROTOCOLS;
    unsigned outcome = is_upgraded ? METRICS_OUTCOME_UPGRADED : outbound_outcome(result, status);
    metrics_add_labelled2(hub_metrics(state->hub), METRIC_UPSTREAM_REQUESTS, ws_upstream_of(state)->label, outcome, 1);
    if (state->state == WS_DENIED)
        return;
    metrics_observe_labelled(hub_metrics(state->hub), METRIC_UPSTREAM_DURATION, ws_upstream_of(state)->label,
                             hub_now_us(state->hub) - state->began_us);
    ws_target_tell(options_of(state)->target, state->probe, outbound_verdict(result, status), hub_now_us(state->hub));
}

void ws_connect_drop_waiting(struct ws_session *state)
{
    if (state->waiting_count)
        upstream_warn(state->base.upstream, hub_now_us(state->hub),
                      "%zu messages of session %s, which has ended, are dropped: there is no connection",
                      state->waiting_count, state->uuid);
    for (struct ws_waiting *waiting; (waiting = ws_session_take_waiting(state));)
        ws_waiting_free(waiting);
}

static void fail_waiting(struct ws_session *state, const struct ws_failure *told)
{
    for (struct ws_waiting *waiting; (waiting = ws_session_take_waiting(state));) {
        hub_fail(state->hub, state->base.session, str_from_cstr(waiting->correlation), told->err,
                 str_from_cstr(told->text));
        ws_waiting_free(waiting);
    }
}

static void end_session(struct session *session, const struct ws_failure *told)
{
    if (told->lasts)
        session_end(session, REASON_SERVER_ERROR);
    else
        session_end_with(session, CODE_TRY_AGAIN, str_from_cstr(told->text));
}

static void fail(struct ws_session *state, enum outbound_result result, int status, const char *why)
{
    const struct ws_failure told = result == OUTBOUND_OK ? told_of_status(status) : failures[result];
    report(state, result, status);
    metrics_add_labelled(hub_metrics(state->hub), METRIC_UPSTREAM_FAILURES, told.err, 1);
    upstream_warn(state->base.upstream, hub_now_us(state->hub),
                  "no connection for session %s: %s: %s; %zu messages waited for it", state->uuid, told.text, why,
                  state->waiting_count);
    if (state->base.session) {
        fail_waiting(state, &told);
        if (options_of(state)->close_on_failure)
            end_session(state->base.session, &told);
    } else {
        ws_connect_drop_waiting(state);
    }
    if (state->state == WS_DENIED)
        state->state = WS_IDLE;
    else
        ws_session_shut(state);
    ws_session_settle(state);
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static bool protocol_is_good(const struct ws_session *state, const struct http_answer *answer)
{
    struct str selected;
    if (!http_fields_find(&answer->fields, STR("sec-websocket-protocol"), &selected))
        return true;
    return state->origin && str_eq(selected, state->origin->subprotocol);
}

/* The head of the last answer. Those of interim answers before it are dropped, up to ANSWER_HEAD_MAX bytes of them. */
static enum http_head_result parse_head(struct ws_session *state, struct http_answer *out, struct error *error)
{
    for (;;) {
        enum http_head_result result =
            http_answer_parse(buf_str(&state->answer), ANSWER_HEAD_MAX, &state->scanned, out, error);
        if (result != HTTP_HEAD_DONE || !http_answer_is_interim(out))
            return result;
        if (state->dropped + out->length > ANSWER_HEAD_MAX) {
            error_set(error, ERR_TOO_LARGE, "interim answers of over %d bytes came before the answer", ANSWER_HEAD_MAX);
            return HTTP_HEAD_BAD;
        }
        state->dropped += out->length;
        state->scanned = 0;
        buf_consume(&state->answer, out->length);
    }
}

/* Returns how many of the bytes belong to the head of the answer. */
static size_t take_head(struct ws_session *state, struct str bytes)
{
    struct http_answer answer;
    struct error error;
    char why[32];
    buf_append(&state->answer, bytes);
    switch (parse_head(state, &answer, &error)) {
    case HTTP_HEAD_NEED_MORE: return bytes.len;
    case HTTP_HEAD_BAD: fail(state, OUTBOUND_INVALID, 0, error.text); return bytes.len;
    case HTTP_HEAD_DONE: break;
    }
    const size_t taken = bytes.len - (state->answer.len - answer.length);
    if (answer.status != SWITCHING_PROTOCOLS) {
        snprintf(why, sizeof why, "status %d", answer.status);
        fail(state, OUTBOUND_OK, answer.status, why);
        return bytes.len;
    }
    if (ws_client_check(&answer, state->key, &error) != ERR_NONE) {
        fail(state, OUTBOUND_INVALID, 0, error.text);
        return bytes.len;
    }
    if (!protocol_is_good(state, &answer)) {
        fail(state, OUTBOUND_INVALID, 0, "the backend has selected a subprotocol that was not offered");
        return bytes.len;
    }
    buf_fini(&state->answer);
    report(state, OUTBOUND_OK, SWITCHING_PROTOCOLS);
    ws_relay_begin(state);
    return taken;
}

/* --- the socket --------------------------------------------------------------------------------------------------- */

static struct ws_session *session_of(struct backend_socket *socket)
{
    return CONTAINER_OF(socket, struct ws_session, socket);
}

static void on_open(struct backend_socket *socket)
{
    struct ws_session *state = session_of(socket);
    state->state = WS_UPGRADING;
    backend_socket_write(socket, buf_str(&state->request));
    buf_fini(&state->request);
}

static size_t on_input(struct backend_socket *socket, struct str bytes)
{
    struct ws_session *state = session_of(socket);
    return state->state == WS_UPGRADING ? take_head(state, bytes) : ws_relay_input(state, bytes);
}

static void on_written(struct backend_socket *socket)
{
    ws_session_settle(session_of(socket));
}

static void on_ended(struct backend_socket *socket, enum outbound_result result, const char *why)
{
    struct ws_session *state = session_of(socket);
    switch (state->state) {
    case WS_CONNECTING:
    case WS_UPGRADING: fail(state, result == OUTBOUND_OK ? OUTBOUND_RESET : result, 0, why); break;
    case WS_OPEN: ws_relay_lost(state, why); break;
    default: ws_session_shut(state); break;
    }
}

static void on_closed(struct backend_socket *socket)
{
    struct ws_session *state = session_of(socket);
    ws_target_leave(options_of(state)->target);
    hub_count_link(state->hub, -1);
    if (state->counted)
        metrics_add_labelled(hub_metrics(state->hub), METRIC_UPSTREAM_CONNECTIONS, ws_upstream_of(state)->label,
                             (uint64_t)-1);
    state->counted = false;
    state->state = WS_IDLE;
    if (!state->base.session)
        ws_session_free(state);
    else if (state->waiting_count)
        ws_connect_start(state);
}

static const struct backend_socket_ops socket_ops = {
    .open = on_open, .input = on_input, .written = on_written, .ended = on_ended, .closed = on_closed};

/* --- the beginning ------------------------------------------------------------------------------------------------ */

static void on_timeout(struct timer *timer, uint64_t now_us)
{
    struct ws_session *state = CONTAINER_OF(timer, struct ws_session, timer);
    (void)now_us;
    fail(state, OUTBOUND_TIMEOUT, 0,
         state->state == WS_UPGRADING ? "no answer to the upgrade request in time" : "not connected in time");
}

static void on_denied(struct timer *timer, uint64_t now_us)
{
    struct ws_session *state = CONTAINER_OF(timer, struct ws_session, timer);
    (void)now_us;
    fail(state, state->denied, 0, "not tried");
}

void ws_connect_start(struct ws_session *state)
{
    const struct ws_upstream_options *options = options_of(state);
    state->denied = ws_target_enter(options->target, hub_now_us(state->hub), &state->probe);
    if (state->denied != OUTBOUND_OK) {
        state->state = WS_DENIED;
        turn_start_timer(state->turn, &state->timer, 0, on_denied);
        return;
    }
    write_request(state);
    state->began_us = hub_now_us(state->hub);
    hub_count_link(state->hub, 1);
    state->state = WS_CONNECTING;
    turn_start_timer(state->turn, &state->timer, options->timeout_us, on_timeout);
    backend_socket_open(&state->socket, state->turn, ws_target_address(options->target), &socket_ops);
}

void ws_connect_cancel(struct ws_session *state)
{
    report(state, OUTBOUND_CANCELLED, 0);
    ws_session_shut(state);
}

void ws_connect_hurry(struct ws_session *state)
{
    uint64_t most_us = hub_is_draining(state->hub) ? HURRY_DRAINING_US : HURRY_US;
    if (most_us < options_of(state)->timeout_us)
        turn_start_timer(state->turn, &state->timer, most_us, on_timeout);
}
