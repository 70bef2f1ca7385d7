/* ws.c - see ws.h. Facts about libwebsockets that this file is built on:
 *
 * - LWS_WRITE_RAW on an upgraded connection passes frames of ours through; what the kernel does not take is kept
 *   there, and SERVER_WRITEABLE comes when it has been written. While it holds nothing (lws_partial_buffered), bytes
 *   sent on the socket beside it keep their order with its own frames, which it writes whole or keeps.
 * - A connection is ended by LWS_TO_KILL_SYNC, and only while none of its callbacks runs: hence the doomed list.
 * - An adopted socket with a read buffer is served within the call: ESTABLISHED comes before ws_adopt returns.
 * - No protocol but HTTP/1.1 upgrades to websocket: h2c and CONNECT have memory errors and no deadlines.
 * - With TLS it reads the request itself, and we decide in HTTP_CONFIRM_UPGRADE (or HTTP, where there is no upgrade):
 *   an answer is written whole, then -1 ends the connection. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/net/admit.h"
#include "server/net/ws_private.h"
#include "server/net/ws_request.h"

enum {
    STALLED_CHECK_US = 250000,
    WSI_BYTES = 768,     /* about what lws has for a connection */
    AROUND_MESSAGE = 64, /* the header of a frame, and that of a record of TLS */
};

void ws_doom(struct ws *ws)
{
    if (!list_is_linked(&ws->doomed_link))
        list_append(&ws->edge->doomed, &ws->doomed_link);
}

static void on_deadline(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    ws_doom(CONTAINER_OF(timer, struct ws, deadline));
}

static void start_deadline(struct ws *ws, uint64_t timeout_us)
{
    struct hub *hub = ws->edge->worker->hub;
    wheel_start(hub_wheel(hub), &ws->deadline, hub_now_us(hub) + timeout_us, on_deadline);
}

void ws_end_session(struct ws *ws)
{
    if (ws->session)
        hub_gone(ws->edge->worker->hub, ws->session);
    ws->session = NULL;
}

void ws_follow(struct ws *ws, struct net_settings *settings)
{
    const struct net_endpoint *endpoint = NULL;
    if (ws->endpoint && !(endpoint = net_settings_find_endpoint(settings, ws->endpoint->path)))
        return;
    net_settings_unref(ws->settings);
    ws->settings = net_settings_ref(settings);
    ws->endpoint = endpoint;
    if (ws->session)
        ws->session->close_codes = &endpoint->close_codes;
}

static void ws_free(struct ws *ws)
{
    struct worker *worker = ws->edge->worker;
    ws_end_session(ws);
    wheel_stop(hub_wheel(worker->hub), &ws->deadline);
    list_remove(&ws->link);
    list_remove(&ws->doomed_link);
    pending_leave(&worker->pending[false], &ws->pending);
    lease_release(&ws->lease, worker->quota);
    worker_count_socket(worker, false, -1);
    if (ws->claims)
        claims_unref(ws->claims);
    net_settings_unref(ws->settings);
    buf_fini(&ws->message);
    free(ws);
}

/* --- out -------------------------------------------------------------------------------------------------------- */

static bool write_raw(struct ws *ws, struct str frames)
{
    /* Not written to: RAW neither frames nor masks. */
    unsigned char *bytes = (unsigned char *)(uintptr_t)frames.ptr;
    if (lws_write(ws->wsi, bytes, frames.len, LWS_WRITE_RAW) < 0)
        return false;
    if (lws_partial_buffered(ws->wsi))
        lws_callback_on_writable(ws->wsi);
    return true;
}

/* A peer that has ended while lws holds bytes for it wakes lws again and again, until its own 5 s for flushing are
 * over; and lws does not say so. Asked instead while a session is stalled, which is rare. */
static void check_stalled(struct timer *timer, uint64_t now_us)
{
    struct ws *ws = CONTAINER_OF(timer, struct ws, deadline);
    struct pollfd peer = {.fd = lws_get_socket_fd(ws->wsi), .events = POLLRDHUP};
    if (poll(&peer, 1, 0) > 0)
        ws_doom(ws);
    else if (lws_partial_buffered(ws->wsi))
        wheel_start(hub_wheel(ws->edge->worker->hub), timer, now_us + STALLED_CHECK_US, check_stalled);
}

/* What lws does for a whole frame, without passing through it: half of a delivery's instructions were there. Only while
 * lws has nothing unsent, or these frames would overtake its own (pongs, the rest of an earlier write) or land inside
 * one. False: the connection is gone. */
static bool send_past_lws(const struct ws *ws, struct str *frames)
{
    if (ws->fd < 0 || lws_partial_buffered(ws->wsi))
        return true;
    ssize_t n = send(ws->fd, frames->ptr, frames->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    *frames = str_from(frames->ptr + n, frames->len - (size_t)n);
    return true;
}

void ws_fetch(void *owner, const struct session *session)
{
    const struct ws *ws = session->transport;
    const char *wsi = (const char *)ws->wsi;
    (void)owner;
    /* What lws_partial_buffered reads is spread over an object whose layout differs from version to version. */
    for (size_t i = 0; ws->fd >= 0 && i < WSI_BYTES; i += 64)
        __builtin_prefetch(wsi + i);
}

enum write_result ws_write(void *owner, struct session *session, struct str frames, size_t *out_unsent)
{
    struct ws *ws = session->transport;
    (void)owner;
    *out_unsent = 0;
    if (!send_past_lws(ws, &frames))
        return WRITE_FAILED;
    if (frames.len == 0)
        return WRITE_ALL;
    if (!write_raw(ws, frames))
        return WRITE_FAILED;
    /* How much of it lws keeps it does not say: counted as all, until it is writable again. */
    bool partial = lws_partial_buffered(ws->wsi);
    *out_unsent = partial ? frames.len : 0;
    if (partial && !timer_is_running(&ws->deadline)) {
        struct hub *hub = ws->edge->worker->hub;
        wheel_start(hub_wheel(hub), &ws->deadline, hub_now_us(hub) + STALLED_CHECK_US, check_stalled);
    }
    return partial ? WRITE_PARTIAL : WRITE_ALL;
}

void ws_finish(void *owner, struct session *session, bool abrupt)
{
    struct ws *ws = session->transport;
    (void)owner;
    ws->closing = true; /* the peer's answer ends it, or the hub's patience */
    if (abrupt)
        ws_doom(ws);
}

enum reason ws_verify(void *owner, struct session *session, struct str token, struct claims **out_claims)
{
    const struct ws *ws = session->transport;
    struct claims *claims = NULL;
    enum reason reason = worker_verify(owner, token, &claims);
    if (reason == REASON_NONE && !admission_has_scopes(ws->endpoint, claims)) {
        claims_unref(claims);
        return REASON_SCOPE_MISSING;
    }
    if (reason == REASON_NONE)
        *out_claims = claims;
    return reason;
}

static void tell_refusal(struct ws *ws)
{
    struct buf frames = {0};
    admit_write_close(&frames, ws->reason, ws->close_code);
    ws->closing = true;
    start_deadline(ws, ws->edge->worker->settings->close_timeout_us);
    if (!write_raw(ws, buf_str(&frames)))
        ws_doom(ws);
    buf_fini(&frames);
}

/* --- in --------------------------------------------------------------------------------------------------------- */

static void on_established(struct ws *ws)
{
    wheel_stop(hub_wheel(ws->edge->worker->hub), &ws->deadline);
    if (!ws->edge->ssl)
        ws->fd = lws_get_socket_fd(ws->wsi);
    if (ws->reason == REASON_NONE && worker_is_revoked(ws->edge->worker, ws->claims)) { /* since it was admitted */
        ws->reason = REASON_TOKEN_REVOKED;
        ws->close_code = ws->endpoint->close_codes.code[REASON_TOKEN_REVOKED];
    }
    if (ws->reason != REASON_NONE) {
        tell_refusal(ws);
        return;
    }
    char address[ADDRESS_TEXT_LEN + 1];
    struct session_start start = {
        .claims = ws->claims,
        .address = str_from_cstr(address_text(&ws->client, address)),
        .close_codes = &ws->endpoint->close_codes,
        .transport = ws,
    };
    ws_meter_begin(ws);
    ws->session = hub_open(ws->edge->worker->hub, &start);
    claims_unref(ws->claims);
    ws->claims = NULL;
}

static void take_message(struct ws *ws, struct str text)
{
    struct hub *hub = ws->edge->worker->hub;
    if (str_is_utf8(text))
        hub_receive(hub, ws->session, text);
    else
        hub_close(hub, ws->session, REASON_NOT_UTF8);
}

static void on_receive(struct ws *ws, struct str part)
{
    struct hub *hub = ws->edge->worker->hub;
    if (!ws->session || ws->session->state != SESSION_OPEN)
        return;
    if (lws_frame_is_binary(ws->wsi)) {
        hub_close(hub, ws->session, REASON_DATA_KIND);
        return;
    }
    /* A reload may have made the limit less than what has come of this message. */
    if (ws->message.len + part.len + lws_remaining_packet_payload(ws->wsi) >
        ws->edge->worker->settings->message_bytes) {
        buf_fini(&ws->message);
        hub_close(hub, ws->session, REASON_MESSAGE_TOO_BIG);
        return;
    }
    bool final = lws_is_final_fragment(ws->wsi);
    ws->message_bytes += part.len + (final ? AROUND_MESSAGE : 0);
    if (final && ws->message.len == 0) {
        take_message(ws, part);
        return;
    }
    buf_append(&ws->message, part);
    if (final) {
        take_message(ws, buf_str(&ws->message));
        buf_fini(&ws->message); /* most clients send such messages rarely */
    }
}

static void on_writeable(struct ws *ws)
{
    if (lws_partial_buffered(ws->wsi))
        lws_callback_on_writable(ws->wsi);
    else if (ws->session)
        hub_writable(ws->edge->worker->hub, ws->session, 0);
}

/* 0: lws answers with a close frame of its own and ends; -1: it just ends. */
static int on_peer_close(struct ws *ws)
{
    if (ws->closing)
        return -1;
    ws->closing = true;
    ws_end_session(ws);
    start_deadline(ws, ws->edge->worker->settings->close_timeout_us);
    return 0;
}

/* The request has come by TLS; the gate's are decided before. -1: refused, or not readable, and to be closed; 0: lws is
 * to complete the upgrade. */
static int decide(struct ws *ws)
{
    if (!ws->undecided)
        return 0;
    struct worker *worker = ws->edge->worker;
    struct applicant applicant = {.worker = worker, .peer = &ws->client, .lease = &ws->lease};
    struct admission admission;
    struct address client;
    bool head_only;
    ws->undecided = false;
    if (!ws_request_admit(ws->wsi, &applicant, &admission, &client, &head_only))
        return -1;
    if (admission.outcome == REFUSED_HTTP) {
        admit_write_refusal(&worker->scratch, worker, &admission, head_only);
        lws_write(ws->wsi, (unsigned char *)worker->scratch.ptr, worker->scratch.len, LWS_WRITE_HTTP);
        if (admission.claims)
            claims_unref(admission.claims);
        return -1;
    }
    net_settings_unref(ws->settings);
    ws->settings = net_settings_ref(worker->settings); /* those that the endpoint is of */
    ws->endpoint = admission.endpoint;
    ws->claims = admission.claims;
    ws->reason = admission.reason;
    ws->close_code = admission.close_code;
    ws->client = client;
    if (admission.outcome == ADMITTED)
        pending_leave(&worker->pending[false], &ws->pending);
    else
        pending_move(&worker->pending[false], &ws->pending, &client);
    return 0;
}

/* --- from lws --------------------------------------------------------------------------------------------------- */

static void attach(struct lws *wsi)
{
    struct ws_edge *edge = lws_context_user(lws_get_context(wsi));
    struct ws *ws = edge->adopting;
    edge->adopting = NULL;
    if (!ws)
        return;
    ws->wsi = wsi;
    lws_set_opaque_user_data(wsi, ws);
}

int ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct ws *ws = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    if (ws)
        worker_touch(ws->edge->worker);
    switch (reason) {
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED: attach(wsi); return 0;
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS: return ws_edge_set_up_tls(wsi, user);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return ws && ws_request_is_upgrade(wsi) ? decide(ws) : -1;
    case LWS_CALLBACK_HTTP: /* no upgrade: answered, and over */
        if (ws)
            decide(ws);
        return -1;
    case LWS_CALLBACK_RAW_ADOPT: return -1; /* CONNECT */
    default: break;
    }
    if (!ws)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: on_established(ws); return 0;
    case LWS_CALLBACK_RECEIVE: on_receive(ws, str_from(in, len)); return 0;
    case LWS_CALLBACK_RECEIVE_PONG:
        if (ws->session)
            hub_pong(ws->edge->worker->hub, ws->session);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE: on_writeable(ws); return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return on_peer_close(ws);
    case LWS_CALLBACK_CLOSED: ws_end_session(ws); return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        lws_set_opaque_user_data(wsi, NULL);
        ws_free(ws);
        return 0;
    default: return 0;
    }
}

static void evict(struct pending_place *place)
{
    struct ws *ws = CONTAINER_OF(place, struct ws, pending);
    struct worker *worker = ws->edge->worker;
    pending_leave(&worker->pending[false], place);
    metrics_add(worker->metrics, METRIC_CONNECTIONS_EVICTED, 1);
    ws_doom(ws);
}

static struct ws *ws_create(struct ws_edge *edge, struct net_settings *settings, const struct address *client)
{
    struct ws *ws = xcalloc(1, sizeof *ws);
    ws->edge = edge;
    ws->fd = -1;
    ws->settings = net_settings_ref(settings);
    ws->client = *client;
    ws->pending.evict = evict;
    list_append(&edge->sockets, &ws->link);
    worker_count_socket(edge->worker, false, 1);
    return ws;
}

/* If lws has not even made an object for it, and has closed the socket. */
static void drop_unadopted(struct ws_edge *edge)
{
    if (edge->adopting)
        ws_free(edge->adopting);
    edge->adopting = NULL;
}

void ws_adopt(struct ws_edge *edge, const struct ws_start *start, struct str head)
{
    struct ws *ws = ws_create(edge, start->settings, &start->client);
    ws->lease = start->lease;
    ws->endpoint = start->endpoint;
    ws->claims = start->claims ? claims_ref(start->claims) : NULL;
    edge->adopting = ws;
    lws_adopt_socket_vhost_readbuf(edge->vhost, start->fd, head.ptr, head.len);
    drop_unadopted(edge);
}

void ws_accept(struct ws_edge *edge, int fd, const struct address *peer)
{
    struct pending *pending = &edge->worker->pending[false];
    struct ws *ws = ws_create(edge, edge->worker->settings, peer);
    ws->undecided = true;
    start_deadline(ws, ws->settings->head_timeout_us);
    pending_enter(pending, &ws->pending, peer);
    pending_make_room(pending, &ws->pending);
    edge->adopting = ws;
    lws_adopt_socket_vhost(edge->vhost, fd);
    drop_unadopted(edge);
}
