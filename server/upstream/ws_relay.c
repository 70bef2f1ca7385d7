/* ws_relay.c - see ws_relay.h. */
#include "server/upstream/ws_relay.h"

#include "server/core/hub.h"
#include "server/core/session.h"
#include "server/upstream/upstream_log.h"
#include "server/upstream/ws_session.h"

enum {
    CLIENT_UNSENT = 65536, /* while the client has more to read than this, the backend is not read */
    CLIENT_MESSAGES = 64,  /* the same */
    TURNS_UNWRITTEN = 2,   /* input may come so often before the outbox has been written for the first time */
    ROOM_PAUSE_US = 10000, /* until the client's outbox is looked at again */
    CLOSE_US = 5000000,    /* for the backend to take the rest and close the connection */
    DRAINING_US = 1000000, /* the same while the node drains */
    CODE_SERVER_ERROR = 1011,
    CODE_TOO_BIG = 1009,
};

static const struct ws_upstream_options *options_of(const struct ws_session *state)
{
    return &ws_upstream_of(state)->options;
}

static void write_frame(struct ws_session *state, enum ws_opcode opcode, struct str payload)
{
    struct buf frame = {0};
    ws_client_frame(&frame, opcode, payload);
    backend_socket_write(&state->socket, buf_str(&frame));
    buf_fini(&frame);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void on_closing_time(struct timer *timer, uint64_t now_us)
{
    struct ws_session *state = CONTAINER_OF(timer, struct ws_session, timer);
    size_t unsent = backend_socket_unsent(&state->socket);
    (void)now_us;
    if (unsent)
        upstream_warn(state->base.upstream, hub_now_us(state->hub),
                      "%zu bytes of session %s, which has ended, are dropped: the backend does not take them", unsent,
                      state->uuid);
    ws_session_shut(state);
}

/* Sends the close frame. From now on all that comes is thrown away, until the backend closes the connection. */
static void begin_closing(struct ws_session *state, int code, struct str reason)
{
    struct buf frame = {0};
    ws_client_close(&frame, code, reason);
    backend_socket_write(&state->socket, buf_str(&frame));
    buf_fini(&frame);
    state->state = WS_CLOSING;
    turn_stop_timer(state->turn, &state->room);
    turn_start_timer(state->turn, &state->timer, hub_is_draining(state->hub) ? DRAINING_US : CLOSE_US, on_closing_time);
    backend_socket_want_input(&state->socket, true);
}

void ws_relay_end(struct ws_session *state)
{
    begin_closing(state, state->close_code, buf_str(&state->close_reason));
}

/* The connection has failed while it was open: that is the end of the session. */
static void fail(struct ws_session *state, int code, const char *why)
{
    metrics_add_labelled(hub_metrics(state->hub), METRIC_UPSTREAM_FAILURES, ERR_INTERNAL_ERROR, 1);
    upstream_warn(state->base.upstream, hub_now_us(state->hub), "the connection of session %s has failed: %s",
                  state->uuid, why);
    if (state->base.session)
        session_end_with(state->base.session, code, STR("the backend's connection has failed"));
}

void ws_relay_lost(struct ws_session *state, const char *why)
{
    fail(state, CODE_SERVER_ERROR, why);
    ws_session_shut(state);
}

/* --- from the client ---------------------------------------------------------------------------------------------- */

void ws_relay_send(struct ws_session *state, bool binary, struct str bytes)
{
    metrics_add_labelled(hub_metrics(state->hub), METRIC_UPSTREAM_SENT_BYTES, ws_upstream_of(state)->label, bytes.len);
    write_frame(state, binary ? WS_BINARY : WS_TEXT, bytes);
}

/* --- from the backend --------------------------------------------------------------------------------------------- */

static bool has_room(const struct ws_session *state)
{
    const struct session *session = state->base.session;
    return !session || (!state->has_late && session->outbox.bytes + session->unsent_bytes <= CLIENT_UNSENT &&
                        session->outbox.count < CLIENT_MESSAGES);
}

static void pass_on(struct ws_session *state, bool binary, struct str bytes)
{
    if (hub_send(state->hub, state->base.session, binary, bytes))
        metrics_add(hub_metrics(state->hub), METRIC_UPSTREAM_FRAMES, 1);
}

static void on_room_time(struct timer *timer, uint64_t now_us)
{
    struct ws_session *state = CONTAINER_OF(timer, struct ws_session, room);
    (void)now_us;
    if (state->has_late && hub_has_room(state->hub, state->base.session, state->late.len)) {
        pass_on(state, state->late_binary, buf_str(&state->late));
        buf_fini(&state->late);
        state->has_late = false;
    }
    if (has_room(state))
        backend_socket_want_input(&state->socket, true);
    else
        turn_start_timer(state->turn, timer, ROOM_PAUSE_US, on_room_time);
}

/* Until the client has read. */
static void hold_backend(struct ws_session *state)
{
    backend_socket_want_input(&state->socket, false);
    turn_start_timer(state->turn, &state->room, ROOM_PAUSE_US, on_room_time);
}

static void on_close_frame(struct ws_session *state, const struct ws_message *message)
{
    bool has_code = message->close_code != WS_CLOSE_NO_CODE;
    if (state->base.session)
        session_end_with(state->base.session, has_code ? message->close_code : CODE_SERVER_ERROR, message->payload);
    begin_closing(state, has_code ? message->close_code : 0, STR(""));
}

/* A message that is too large for what the client has yet to read waits until that is gone. */
static void on_data(struct ws_session *state, bool binary, struct str bytes)
{
    metrics_add_labelled(hub_metrics(state->hub), METRIC_UPSTREAM_RECEIVED_BYTES, ws_upstream_of(state)->label,
                         bytes.len);
    if (!state->base.session)
        return;
    if (hub_has_room(state->hub, state->base.session, bytes.len)) {
        pass_on(state, binary, bytes);
        return;
    }
    state->has_late = true;
    state->late_binary = binary;
    buf_append(&state->late, bytes);
    hold_backend(state);
}

static void on_message(struct ws_session *state, const struct ws_message *message)
{
    switch (message->opcode) {
    case WS_TEXT: on_data(state, false, message->payload); break;
    case WS_BINARY: on_data(state, true, message->payload); break;
    case WS_PING: /* an answer more or less does no harm (RFC 6455, 5.5.3) where the backend takes nothing */
        if (backend_socket_unsent(&state->socket) <= options_of(state)->waiting_bytes)
            write_frame(state, WS_PONG, message->payload);
        break;
    case WS_CLOSE: on_close_frame(state, message); break;
    case WS_PONG: break;
    }
}

static void on_bad(struct ws_session *state, const char *why)
{
    int code = reason_close_code(state->decoder.reason);
    fail(state, code == CODE_TOO_BIG ? code : CODE_SERVER_ERROR, why);
    begin_closing(state, code, STR(""));
}

/* Messages are decoded until the client's outbox is full. Mostly the end of the turn empties it, and the rest comes
 * after that. If it is full then, the client is slow. */
size_t ws_relay_input(struct ws_session *state, struct str bytes)
{
    struct str rest = bytes;
    struct ws_message message;
    struct error error;
    state->heard = true;
    if (state->state == WS_OPEN && !has_room(state)) {
        if (++state->refused > TURNS_UNWRITTEN)
            hold_backend(state);
        return 0;
    }
    state->refused = 0;
    while (state->state == WS_OPEN && has_room(state)) {
        switch (ws_decoder_next(&state->decoder, &rest, &message, &error)) {
        case WS_DECODED_MORE: return bytes.len;
        case WS_DECODED_MESSAGE: on_message(state, &message); break;
        case WS_DECODED_BAD: on_bad(state, error.text); break;
        }
    }
    return state->state == WS_OPEN ? bytes.len - rest.len : bytes.len;
}

/* --- pings -------------------------------------------------------------------------------------------------------- */

/* A backend that is held back by a slow client is not asked. */
static void on_ping_time(struct timer *timer, uint64_t now_us)
{
    struct ws_session *state = CONTAINER_OF(timer, struct ws_session, timer);
    size_t unsent = backend_socket_unsent(&state->socket);
    bool alive = state->heard || unsent < state->unsent || timer_is_running(&state->room);
    (void)now_us;
    if (!alive && state->pinged) {
        ws_relay_lost(state, "the backend has not answered a ping");
        return;
    }
    if (!alive)
        write_frame(state, WS_PING, STR(""));
    state->pinged = !alive;
    state->heard = false;
    state->unsent = backend_socket_unsent(&state->socket);
    turn_start_timer(state->turn, timer, options_of(state)->timeout_us, on_ping_time);
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

void ws_relay_begin(struct ws_session *state)
{
    state->state = WS_OPEN;
    state->decoder = (struct ws_decoder){.max_message = options_of(state)->frame_bytes};
    state->heard = state->pinged = false;
    state->unsent = 0;
    state->counted = true;
    metrics_add_labelled(hub_metrics(state->hub), METRIC_UPSTREAM_CONNECTIONS, ws_upstream_of(state)->label, 1);
    for (struct ws_waiting *waiting; (waiting = ws_session_take_waiting(state));) {
        ws_relay_send(state, waiting->binary, buf_str(&waiting->bytes));
        ws_waiting_free(waiting);
    }
    turn_start_timer(state->turn, &state->timer, options_of(state)->timeout_us, on_ping_time);
    if (!state->base.session)
        ws_relay_end(state);
    ws_session_settle(state);
}
