/* ws.c - see ws.h. Section numbers are those of RFC 6455. */
#include "server/net/ws/ws.h"

#include "common/base/alloc.h"
#include "common/protocol/ws_decoder.h"
#include "common/protocol/ws_frame.h"
#include "common/protocol/ws_handshake.h"
#include "server/core/session_slot.h"
#include "server/core/session_ticket.h"
#include "server/net/stream/stream.h"

struct ws {
    struct stream stream;
    struct session *session; /* NULL: the connection failed before it had one */
    struct admitter *admitter;
    struct ws_decoder decoder;
    bool deaf;        /* what comes is thrown away: the connection has failed, or the peer's close frame has come */
    bool peer_closed; /* by its close frame */
    struct lease lease;
};

static void on_input(struct stream *stream, struct str bytes);
static void on_drained(struct stream *stream);
static void on_gone(struct stream *stream);

static const struct stream_ops stream_operations = {.input = on_input, .drained = on_drained, .gone = on_gone};

static void on_gone(struct stream *stream)
{
    struct ws *ws = CONTAINER_OF(stream, struct ws, stream);
    if (ws->session)
        hub_gone(ws->session->hub, ws->session);
    lease_release(&ws->lease, ws->admitter->quota);
    ws_decoder_fini(&ws->decoder);
    free(ws);
}

void ws_part(struct session *session, struct stream *to, const struct stream_ops *ops)
{
    struct ws *ws = session->transport;
    stream_move(&ws->stream, to, ops);
    on_gone(&ws->stream);
}

/* --- out -------------------------------------------------------------------------------------------------------- */

/* The kernel has taken all that there was to write: the hub calls finish no sooner. The peer is told that nothing more
 * comes. A peer that has sent its close frame sends nothing after it (5.5.1), so the stream is cut. Another peer has
 * time to end its side until the hub cuts the stream (hub_settings.close_timeout_us). */
static void shut(struct ws *ws)
{
    stream_shut(&ws->stream);
    if (ws->peer_closed)
        stream_cut(&ws->stream);
}

static enum write_result write_frames(struct session *session, struct str frames, uint32_t *out_unsent)
{
    struct ws *ws = session->transport;
    return stream_write(&ws->stream, frames, out_unsent);
}

static void finish(struct session *session, bool abrupt)
{
    struct ws *ws = session->transport;
    if (abrupt)
        stream_cut(&ws->stream);
    else if (ws->deaf) /* no close frame of the peer is waited for: it has come, or would not be understood */
        shut(ws);
}

static void hold(struct session *session, bool hold)
{
    struct ws *ws = session->transport;
    stream_want_input(&ws->stream, !hold);
}

const struct transport_ops ws_transport_ops = {.write = write_frames,
                                               .finish = finish,
                                               .hold = hold,
                                               .receive = hub_receive,
                                               .receive_binary = hub_receive_binary,
                                               .ping = hub_ping,
                                               .pong = hub_pong,
                                               .closed = hub_closed,
                                               .writable = hub_writable,
                                               .framing = &ws_framing};

struct stream *ws_stream(struct session *session)
{
    struct ws *ws = session->transport;
    return &ws->stream;
}

static void on_drained(struct stream *stream)
{
    struct ws *ws = CONTAINER_OF(stream, struct ws, stream);
    if (ws->session)
        ws->session->ops->writable(ws->session->hub, ws->session, 0);
}

/* --- in --------------------------------------------------------------------------------------------------------- */

/* The connection fails (7.1.7): nothing more is read. */
static void fail(struct ws *ws, enum reason reason)
{
    ws->deaf = true;
    if (ws->session->finished) /* after our close frame, in the place of its answer */
        stream_cut(&ws->stream);
    else
        session_end(ws->session, reason);
}

/* 5.5.1, 7.1.1: the peer gets its code back, after what was on its way to it, and the server ends the connection. A
 * peer that ends its side of the connection too does not wait for that. */
static void on_peer_close(struct ws *ws, int code, struct str reason)
{
    ws->deaf = ws->peer_closed = true;
    if (ws->session->finished) { /* the answer to our own */
        hub_close_answered(ws->session->hub, ws->session);
        shut(ws);
    } else {
        ws->session->ops->closed(ws->session->hub, ws->session, code == WS_CLOSE_NO_CODE ? 0 : code, reason);
    }
}

static void take_message(struct ws *ws, const struct ws_message *message)
{
    enum { FREE = 64 }; /* bytes of a ping and of fragments */
    ws->decoder.beside -= ws->decoder.beside < FREE ? ws->decoder.beside : FREE;
    struct session *session = ws->session;
    if (message->opcode == WS_TEXT)
        session->ops->receive(session->hub, session, message->payload);
    else
        session->ops->receive_binary(session->hub, session, message->payload);
    if (ws->session->closing_reason == REASON_DATA_KIND) /* as if it could not be decoded */
        ws->deaf = true;
}

static void on_message(struct ws *ws, const struct ws_message *message)
{
    struct hub *hub = ws->session->hub;
    if (message->opcode == WS_CLOSE)
        on_peer_close(ws, message->close_code, message->payload);
    else if (ws->session->state != SESSION_OPEN) /* only the answer to our close frame is waited for */
        return;
    else if (message->opcode == WS_TEXT || message->opcode == WS_BINARY)
        take_message(ws, message);
    else if (message->opcode == WS_PING)
        ws->session->ops->ping(hub, ws->session, message->payload);
    else
        ws->session->ops->pong(hub, ws->session);
}

/* Control frames and small fragments could come without end and never be a message. So many bytes of them as the
 * largest control frame has count as one; some go free with each message. */
static void charge_what_is_beside(struct ws *ws)
{
    const uint64_t unit = 2 + sizeof ws->decoder.mask + WS_CONTROL_MAX;
    if (ws->decoder.beside < unit)
        return;
    hub_charge(ws->session->hub, ws->session, ws->decoder.beside / unit);
    ws->decoder.beside %= unit;
}

static void on_input(struct stream *stream, struct str bytes)
{
    struct ws *ws = CONTAINER_OF(stream, struct ws, stream);
    struct ws_message message;
    while (!ws->deaf) {
        if (ws->session->held) {
            stream_keep(stream, bytes);
            return;
        }
        ws->decoder.max_message = ws->session->endpoint->limits.message_bytes;
        switch (ws_decoder_next(&ws->decoder, &bytes, &message, NULL)) {
        case WS_DECODED_MORE: charge_what_is_beside(ws); return;
        case WS_DECODED_MESSAGE: on_message(ws, &message); break;
        case WS_DECODED_BAD: fail(ws, ws->decoder.reason); break;
        }
    }
}

/* --- the upgrade, or its refusal --------------------------------------------------------------------------------- */

static int check(const struct http_head *head, struct error *error)
{
    switch (ws_handshake_check(head, error)) {
    case WS_HANDSHAKE_WEBSOCKET: return 0;
    case WS_HANDSHAKE_BAD_VERSION: return 426;
    case WS_HANDSHAKE_BAD: return 400;
    case WS_HANDSHAKE_NONE:
    case WS_HANDSHAKE_OTHER: break;
    }
    error_set(error, ERR_INVALID_REQUEST, "this is a WebSocket endpoint: connect with a WebSocket client");
    return 426;
}

static void open_session(struct stream *stream, const struct net_start *start, struct str answer, struct str rest)
{
    uint32_t unsent;
    struct ws *ws = xcalloc(1, sizeof *ws);
    struct session_start session = start->session;
    if (!session.ops)
        session.ops = &ws_transport_ops;
    session.transport = ws;
    ws->admitter = start->admitter;
    ws->lease = start->lease;
    ws->decoder.from_client = true;
    stream_move(stream, &ws->stream, &stream_operations);
    if (stream_write(&ws->stream, answer, &unsent) == WRITE_FAILED) {
        ws->deaf = true;
        stream_cut(&ws->stream);
        if (session.slot)
            session_slot_leave(session.slot);
        if (session.ticket)
            session_ticket_leave(session.ticket);
        return;
    }
    ws->session = hub_open(start->hub, &session);
    on_input(&ws->stream, rest);
}

static void refuse(struct buf *out, const struct net_refusal *refusal)
{
    struct buf text = {0};
    const struct endpoint *endpoint = refusal->endpoint;
    const struct reply reply = {.type = REPLY_ERROR, .error = {reason_err(refusal->reason), refusal->text}};
    if (endpoint->frames >> REPLY_ERROR & 1)
        endpoint->dialect->reply(&text, &reply);
    if (text.len > 0) /* else the dialect has no words for it, or they are not sent */
        ws_framing.message(out, buf_str(&text));
    ws_framing.close(out, refusal->close_code, str_from_cstr(reason_text(refusal->reason)));
    buf_fini(&text);
}

const struct net_transport ws_transport = {
    .check = check,
    .upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    .answer = ws_handshake_answer,
    .refuse = refuse,
    .open = open_session,
};
