/* stream.c - see stream.h. Facts about libwebsockets that this file is built on (4.1.6 and 4.3.5, in the raw role, on a
 * foreign libuv loop):
 *
 * - lws_write keeps what the kernel does not take. While it keeps something, libwebsockets reads nothing, but poll goes
 *   on waking it for input. So lws_write is not used. This file calls send or SSL_write itself, and libwebsockets says
 *   when there is room again (RAW_WRITEABLE).
 * - LWS_TO_KILL_SYNC ends a connection. It may be used only while none of the connection's callbacks runs. Hence the
 * list of streams that have been cut.
 * - RAW_CLOSE comes for every connection that has been adopted. After it the object lives on until WSI_DESTROY.
 * - A TLS handshake has timeout_secs, and the time after the handshake has timeout_secs again. Other roles end the
 * second timeout themselves. The raw role does not, and libwebsockets would close a good connection. So the first input
 * ends that timeout. */
#include "server/net/stream/stream.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

#include "common/base/alloc.h"
#include "server/net/stream/stream_private.h"

bool stream_is_open(const struct stream *stream)
{
    return stream->wsi != NULL;
}

static void forget_kept(struct stream *stream)
{
    if (!stream->kept)
        return;
    list_remove(&stream->kept->link);
    buf_fini(&stream->kept->bytes);
    free(stream->kept);
    stream->kept = NULL;
}

static void forget(struct stream *stream)
{
    forget_kept(stream);
    list_remove(&stream->link);
    list_remove(&stream->cut_link);
    buf_fini(&stream->unsent);
    stream->wsi = NULL;
    if (stream->edge->reading == stream)
        stream->edge->reading = NULL;
}

/* A handshake takes two kilobytes of a client, but OpenSSL would take a hello of 128 kilobytes from anybody. */
static bool says_too_much(SSL *ssl)
{
    enum { HANDSHAKE_BYTES = 16384 };
    return !SSL_is_init_finished(ssl) && BIO_number_read(SSL_get_rbio(ssl)) > HANDSHAKE_BYTES;
}

/* For each record. Handshake messages of a client are limited: before TLS stands by bytes, afterwards by records (new
 * keys, or a renegotiation that is refused). Each costs the server much more than the client. */
static void watch_handshake(int written, int version, int kind, const void *content, size_t len, SSL *ssl, void *arg)
{
    enum { HANDSHAKES_AFTER = 32 };
    struct stream *stream = arg;
    (void)version;
    if (!stream)
        return; /* begin_tls follows */
    if (!stream->shaken && !SSL_is_init_finished(ssl)) {
        if (says_too_much(ssl))
            stream_cut(stream);
        return;
    }
    stream->shaken = true;
    /* By TLS 1.3 the header of a record does not say what is in it. */
    bool tells_type = len > 0 && (kind == SSL3_RT_HEADER || kind == SSL3_RT_INNER_CONTENT_TYPE);
    if (!written && tells_type && *(const unsigned char *)content == SSL3_RT_HANDSHAKE &&
        ++stream->handshakes_after > HANDSHAKES_AFTER)
        stream_cut(stream);
}

/* The context gives the callback to each connection before its first byte is read: OpenSSL from 3.2 on looks only then
 * whether to tell of records. */
void stream_watch_handshakes(SSL_CTX *context)
{
    SSL_CTX_set_msg_callback(context, watch_handshake);
}

/* The hello may have been read already, when the connection began. */
static void begin_tls(struct stream *stream)
{
    stream->ssl = lws_get_ssl(stream->wsi);
    if (says_too_much(stream->ssl))
        stream_cut(stream);
    SSL_set_msg_callback_arg(stream->ssl, stream);
}

bool stream_open(struct stream *stream, struct edge *edge, int fd, bool internal, const struct stream_ops *ops)
{
    bool tls = !internal && edge->ssl;
    const lws_adopt_desc_t adopt = {
        .vh = internal ? edge->internal : edge->open,
        .type = (lws_adoption_type)(LWS_ADOPT_SOCKET | (tls ? LWS_ADOPT_ALLOW_SSL : 0)),
        .fd = {.sockfd = fd},
        .vh_prot_name = "raw",
    };
    *stream = (struct stream){.ops = ops, .edge = edge, .fd = fd};
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
    if (!wsi)
        return false;
    stream->wsi = wsi;
    stream->timed = tls;
    list_append(&edge->streams, &stream->link);
    lws_set_opaque_user_data(wsi, stream);
    if (tls)
        begin_tls(stream);
    return true;
}

void stream_move(struct stream *from, struct stream *to, const struct stream_ops *ops)
{
    bool cut = list_is_linked(&from->cut_link);
    *to = *from;
    to->ops = ops;
    to->link = to->cut_link = (struct list_link){0};
    list_append(&to->edge->streams, &to->link);
    if (cut)
        list_append(&to->edge->cut, &to->cut_link);
    lws_set_opaque_user_data(to->wsi, to);
    if (to->ssl)
        SSL_set_msg_callback_arg(to->ssl, to);
    if (to->kept)
        to->kept->stream = to;
    from->unsent = (struct buf){0};
    from->kept = NULL;
    forget(from);
}

/* --- out -------------------------------------------------------------------------------------------------------- */

bool stream_has_unsent(const struct stream *stream)
{
    return stream->unsent.len > 0;
}

/* How many bytes have been taken; -1: the connection is broken. */
static ssize_t send_some(const struct stream *stream, struct str bytes)
{
    if (!stream->ssl) {
        ssize_t n = send(stream->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
        return n;
    }
    ERR_clear_error();
    int n = SSL_write(stream->ssl, bytes.ptr, bytes.len < INT_MAX ? (int)bytes.len : INT_MAX);
    if (n > 0)
        return n;
    /* A write wants to read only in the midst of a handshake message. Such a client has sent a part of one and holds
     * back the rest, so the connection counts as broken. */
    return SSL_get_error(stream->ssl, n) == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* Takes from the front of *bytes what can be sent now. False: the connection is broken. */
static bool send_all(const struct stream *stream, struct str *bytes)
{
    while (bytes->len > 0) {
        ssize_t n = send_some(stream, *bytes);
        if (n <= 0)
            return n == 0;
        *bytes = str_from(bytes->ptr + n, bytes->len - (size_t)n);
    }
    return true;
}

enum write_result stream_write(struct stream *stream, struct str bytes, uint32_t *out_unsent)
{
    *out_unsent = 0;
    if (!stream->wsi || (stream->unsent.len == 0 && !send_all(stream, &bytes)))
        return WRITE_FAILED;
    if (bytes.len == 0 && stream->unsent.len == 0)
        return WRITE_ALL;
    if (stream->unsent.len == 0)
        lws_callback_on_writable(stream->wsi);
    buf_append(&stream->unsent, bytes);
    *out_unsent = (uint32_t)stream->unsent.len;
    return WRITE_PARTIAL;
}

static void on_writeable(struct stream *stream)
{
    struct str rest = buf_str(&stream->unsent);
    if (rest.len == 0)
        return;
    if (!send_all(stream, &rest)) {
        stream_cut(stream);
        return;
    }
    buf_consume(&stream->unsent, stream->unsent.len - rest.len);
    if (rest.len > 0) {
        lws_callback_on_writable(stream->wsi);
        return;
    }
    buf_fini(&stream->unsent);
    stream->ops->drained(stream);
}

void stream_shut(struct stream *stream)
{
    assert(!stream_has_unsent(stream));
    if (stream->ssl && SSL_is_init_finished(stream->ssl)) {
        ERR_clear_error();
        SSL_shutdown(stream->ssl);
    }
    shutdown(stream->fd, SHUT_WR);
}

void stream_end_output(struct stream *stream)
{
    if (stream->wsi)
        shutdown(stream->fd, SHUT_WR);
}

/* --- in --------------------------------------------------------------------------------------------------------- */

bool stream_read_now(struct stream *stream)
{
    struct edge *edge = stream->edge;
    struct lws_pollfd peer = {.fd = stream->fd, .events = POLLIN};
    if (stream->ssl && SSL_get_state(stream->ssl) == TLS_ST_BEFORE) /* no more than a hello, whose answer is costly */
        return true;
    if (poll(&peer, 1, 0) <= 0)
        return true;
    edge->reading = stream;
    lws_service_fd(edge->lws, &peer);
    bool still = edge->reading == stream;
    edge->reading = NULL;
    return still;
}

void stream_want_input(struct stream *stream, bool wanted)
{
    if (!stream->wsi || stream->paused != wanted)
        return;
    stream->paused = !wanted;
    if (!stream->kept)
        lws_rx_flow_control(stream->wsi, wanted);
    else if (!wanted)
        list_remove(&stream->kept->link);
    else
        list_append(&stream->edge->resumed, &stream->kept->link);
}

/* While there is something kept, libwebsockets stays paused. So nothing else comes before it. */
void stream_keep(struct stream *stream, struct str bytes)
{
    assert(stream->paused);
    if (bytes.len == 0 || !stream->wsi)
        return;
    if (!stream->kept) {
        stream->kept = xcalloc(1, sizeof *stream->kept);
        stream->kept->stream = stream;
    }
    buf_append(&stream->kept->bytes, bytes);
}

/* The owner may keep the rest again. */
void stream_resume(struct kept_input *kept)
{
    struct stream *stream = kept->stream;
    struct buf bytes = kept->bytes;
    list_remove(&kept->link);
    free(kept);
    stream->kept = NULL;
    if (!list_is_linked(&stream->cut_link))
        stream->ops->input(stream, buf_str(&bytes));
    if (stream->wsi && !stream->paused)
        lws_rx_flow_control(stream->wsi, 1);
    buf_fini(&bytes);
}

static void on_input(struct lws *wsi, struct stream *stream, struct str bytes)
{
    if (stream->timed)
        lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    stream->timed = false;
    if (!list_is_linked(&stream->cut_link))
        stream->ops->input(stream, bytes);
}

/* --- its end ---------------------------------------------------------------------------------------------------- */

void stream_cut(struct stream *stream)
{
    if (stream->wsi && !list_is_linked(&stream->cut_link))
        list_append(&stream->edge->cut, &stream->cut_link);
}

/* A socket that does not linger drops what it has yet to send when it is closed, and the peer is reset. */
void stream_reset(struct stream *stream)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (!stream->wsi)
        return;
    setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    stream_cut(stream);
}

void stream_end_now(struct stream *stream)
{
    lws_set_timeout(stream->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* A peer that has ended by close_notify gets one before the end (RFC 8446, 6.1), unless it has had one. */
static void end_tls(const struct stream *stream)
{
    const int sent_and_received = SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN;
    if (!stream->ssl)
        return;
    SSL_set_msg_callback(stream->ssl, NULL); /* it would outlive the stream */
    if (stream->unsent.len > 0 || (SSL_get_shutdown(stream->ssl) & sent_and_received) != SSL_RECEIVED_SHUTDOWN)
        return;
    ERR_clear_error();
    SSL_shutdown(stream->ssl);
}

static void on_close(struct lws *wsi, struct stream *stream)
{
    lws_set_opaque_user_data(wsi, NULL);
    forget(stream);
    stream->ops->gone(stream);
}

/* A connection counts for as long as its descriptor is open. */
static void count(struct edge *edge, struct lws *wsi, int change)
{
    edge->connections += (size_t)change;
    socket_counts_change(edge->sockets, lws_get_vhost(wsi) == edge->internal, change);
}

int stream_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    if (!wsi) /* of the context, not of a connection */
        return 0;
    struct edge *edge = lws_context_user(lws_get_context(wsi));
    struct stream *stream = lws_get_opaque_user_data(wsi);
    switch (reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS: edge->ssl = user; return 0;
    case LWS_CALLBACK_WSI_CREATE: count(edge, wsi, 1); return 0;
    case LWS_CALLBACK_WSI_DESTROY: count(edge, wsi, -1); break;
    default: break;
    }
    if (!stream)
        return 0;
    turn_begin(edge->turn);
    switch (reason) {
    case LWS_CALLBACK_RAW_RX: on_input(wsi, stream, str_from(in, len)); return 0;
    case LWS_CALLBACK_RAW_WRITEABLE: on_writeable(stream); return 0;
    case LWS_CALLBACK_RAW_CLOSE:
        end_tls(stream);
        on_close(wsi, stream);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY: on_close(wsi, stream); return 0;
    default: return 0;
    }
}
