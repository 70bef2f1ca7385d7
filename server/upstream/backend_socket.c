/* backend_socket.c - see backend_socket.h. */
#include "server/upstream/backend_socket.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/uv_handle.h"
#include "common/tls/tls_stream.h"

enum {
    READ_BYTES = 65536,
    ADDRESS_US = 2000000, /* for an address that is not the last one */
};

static bool is_over(const struct backend_socket *socket)
{
    return socket->state == SOCKET_ENDED || socket->state == SOCKET_CLOSING;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void let_go(struct backend_socket *socket)
{
    if (--socket->held > 0 || socket->state != SOCKET_CLOSING)
        return;
    if (socket->addresses)
        freeaddrinfo(socket->addresses);
    tls_stream_destroy(socket->tls);
    buf_fini(&socket->in);
    buf_fini(&socket->out);
    buf_fini(&socket->writing);
    const struct backend_socket_ops *ops = socket->ops;
    turn_begin(socket->turn);
    *socket = (struct backend_socket){.ops = ops};
    ops->closed(socket);
}

static void on_handle_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

static void end(struct backend_socket *socket, enum outbound_result result, const char *why)
{
    if (is_over(socket))
        return;
    socket->state = SOCKET_ENDED;
    socket->ops->ended(socket, result, why);
}

static void tell_failure(struct timer *timer, uint64_t now_us)
{
    struct backend_socket *socket = CONTAINER_OF(timer, struct backend_socket, timer);
    (void)now_us;
    if (!is_over(socket))
        end(socket, socket->failure, socket->why);
}

/* The owner is told later: it is calling, or libuv has yet to let go of a handle. */
static void fail_later(struct backend_socket *socket, enum outbound_result result, const char *why)
{
    if (socket->failure)
        return;
    socket->failure = result;
    snprintf(socket->why, sizeof socket->why, "%s", why);
    turn_start_timer(socket->turn, &socket->timer, 0, tell_failure);
}

static void say_goodbye(struct backend_socket *socket)
{
    if (!socket->tls || socket->writing.len || socket->out.len)
        return;
    tls_stream_end(socket->tls, &socket->out);
    uv_buf_t bytes = uv_buf_init(socket->out.ptr, (unsigned)socket->out.len);
    if (socket->out.len)
        (void)uv_try_write((uv_stream_t *)&socket->tcp, &bytes, 1);
}

void backend_socket_close(struct backend_socket *socket)
{
    assert(socket->state != SOCKET_NONE && socket->state != SOCKET_CLOSING);
    if (socket->lookup)
        name_lookup_cancel(socket->lookup);
    socket->lookup = NULL;
    turn_stop_timer(socket->turn, &socket->timer);
    say_goodbye(socket);
    socket->state = SOCKET_CLOSING;
    uv_close(UV_HANDLE(&socket->again), on_handle_closed);
    if (socket->has_tcp && !uv_is_closing(UV_HANDLE(&socket->tcp)))
        uv_close(UV_HANDLE(&socket->tcp), on_handle_closed);
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

static void flush(struct backend_socket *socket);

static void on_written(uv_write_t *request, int status)
{
    struct backend_socket *socket = request->data;
    buf_fini(&socket->writing);
    if (is_over(socket))
        return;
    turn_begin(socket->turn);
    if (status < 0) {
        end(socket, OUTBOUND_RESET, uv_strerror(status));
        return;
    }
    flush(socket);
    if (socket->state == SOCKET_OPEN)
        socket->ops->written(socket);
}

static void flush(struct backend_socket *socket)
{
    uv_stream_t *stream = (uv_stream_t *)&socket->tcp;
    if (socket->writing.len || !socket->out.len || is_over(socket))
        return;
    uv_buf_t bytes = uv_buf_init(socket->out.ptr, (unsigned)socket->out.len);
    int wrote = uv_try_write(stream, &bytes, 1);
    if (wrote >= 0 && (size_t)wrote == socket->out.len) {
        buf_clear_burst(&socket->out);
        return;
    }
    size_t skip = wrote > 0 ? (size_t)wrote : 0;
    bytes = uv_buf_init(socket->out.ptr + skip, (unsigned)(socket->out.len - skip));
    socket->writing = socket->out;
    socket->out = (struct buf){0};
    int err = wrote < 0 && wrote != UV_EAGAIN ? wrote : uv_write(&socket->write, stream, &bytes, 1, on_written);
    if (err < 0) {
        buf_fini(&socket->writing);
        fail_later(socket, OUTBOUND_RESET, uv_strerror(err));
    }
}

void backend_socket_write(struct backend_socket *socket, struct str bytes)
{
    if (socket->state != SOCKET_OPEN)
        return;
    if (socket->tls)
        tls_stream_give(socket->tls, bytes, &socket->out);
    else
        buf_append(&socket->out, bytes);
    flush(socket);
}

size_t backend_socket_unsent(const struct backend_socket *socket)
{
    return socket->out.len +
           (socket->writing.len ? uv_stream_get_write_queue_size((const uv_stream_t *)&socket->tcp) : 0);
}

/* --- in ----------------------------------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    static _Thread_local char bytes[READ_BYTES]; /* until on_read, which follows at once */
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(bytes, sizeof bytes);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes);
static void on_again(uv_idle_t *idle);

/* The loop reads, or what is kept comes again, or neither. */
static void go_on(struct backend_socket *socket)
{
    bool wanted = !socket->unwanted && !is_over(socket);
    if (wanted && socket->in.len)
        uv_idle_start(&socket->again, on_again);
    else
        uv_idle_stop(&socket->again);
    if (wanted && !socket->in.len)
        uv_read_start((uv_stream_t *)&socket->tcp, on_alloc, on_read);
    else
        uv_read_stop((uv_stream_t *)&socket->tcp);
}

/* Gives what is kept to the owner. */
static void give_kept(struct backend_socket *socket)
{
    if (socket->in.len && !socket->unwanted) {
        size_t taken = socket->ops->input(socket, buf_str(&socket->in));
        buf_consume(&socket->in, taken);
        if (!socket->in.len)
            buf_fini(&socket->in);
    }
    if (is_over(socket))
        return;
    if (!socket->in.len && socket->peer_done)
        end(socket, OUTBOUND_OK, "the backend has closed the connection");
    else
        go_on(socket);
}

static void on_again(uv_idle_t *idle)
{
    struct backend_socket *socket = idle->data;
    turn_begin(socket->turn);
    give_kept(socket);
}

static void give(struct backend_socket *socket, struct str bytes)
{
    size_t taken = socket->ops->input(socket, bytes);
    buf_append(&socket->in, str_skip(bytes, taken));
    if (!is_over(socket))
        go_on(socket);
}

static void explain_tls(const struct backend_socket *socket, char *out, size_t size)
{
    const struct tls_failure failure = tls_stream_failure(socket->tls);
    if (failure.other_host)
        snprintf(out, size, "the certificate is for another host");
    else if (failure.untrusted)
        snprintf(out, size, "the certificate is not trusted: %s", failure.certificate);
    else
        snprintf(out, size, "TLS failed: %s", failure.text);
}

static void open_sealed(struct backend_socket *socket, struct str bytes)
{
    enum tls_taken taken = tls_stream_take(socket->tls, bytes, &socket->in);
    if (taken == TLS_FAILED) {
        char why[sizeof socket->why];
        enum outbound_result result = socket->state == SOCKET_HANDSHAKE ? OUTBOUND_TLS : OUTBOUND_RESET;
        explain_tls(socket, why, sizeof why);
        tls_stream_give(socket->tls, STR(""), &socket->out); /* the alert */
        flush(socket);
        end(socket, result, why);
        return;
    }
    tls_stream_give(socket->tls, STR(""), &socket->out);
    flush(socket);
    if (socket->state == SOCKET_HANDSHAKE && tls_stream_is_ready(socket->tls)) {
        socket->state = SOCKET_OPEN;
        socket->ops->open(socket);
    }
    socket->peer_done |= taken == TLS_ENDED;
    if (!is_over(socket))
        give_kept(socket);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct backend_socket *socket = stream->data;
    turn_begin(socket->turn);
    if (is_over(socket) || got == 0)
        return;
    if (got == UV_EOF)
        end(socket, socket->state == SOCKET_OPEN ? OUTBOUND_OK : OUTBOUND_RESET,
            "the backend has closed the connection");
    else if (got < 0)
        end(socket, OUTBOUND_RESET, uv_strerror((int)got));
    else if (socket->tls)
        open_sealed(socket, str_from(bytes->base, (size_t)got));
    else
        give(socket, str_from(bytes->base, (size_t)got));
}

void backend_socket_want_input(struct backend_socket *socket, bool wanted)
{
    if (socket->state != SOCKET_OPEN || socket->unwanted == !wanted)
        return;
    socket->unwanted = !wanted;
    go_on(socket);
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

static void begin_tls(struct backend_socket *socket)
{
    socket->state = SOCKET_HANDSHAKE;
    socket->tls = tls_stream_create(socket->address->context, socket->address->host);
    if (!socket->tls) {
        end(socket, OUTBOUND_TLS, "OpenSSL has no memory, or does not take the name of the host");
        return;
    }
    tls_stream_give(socket->tls, STR(""), &socket->out);
    flush(socket);
    go_on(socket);
}

static void try_next(struct backend_socket *socket);

static void on_address_left(uv_handle_t *handle)
{
    struct backend_socket *socket = handle->data;
    socket->has_tcp = false;
    if (is_over(socket)) {
        let_go(socket);
        return;
    }
    turn_begin(socket->turn);
    socket->held--;
    try_next(socket);
}

static void leave_address(struct backend_socket *socket, int error)
{
    turn_stop_timer(socket->turn, &socket->timer);
    if (socket->next)
        uv_close(UV_HANDLE(&socket->tcp), on_address_left);
    else
        end(socket, error == UV_ETIMEDOUT ? OUTBOUND_TIMEOUT : OUTBOUND_REFUSED, uv_strerror(error));
}

static void on_address_time(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    leave_address(CONTAINER_OF(timer, struct backend_socket, timer), UV_ETIMEDOUT);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct backend_socket *socket = request->data;
    if (socket->state != SOCKET_CONNECTING || uv_is_closing(UV_HANDLE(&socket->tcp)))
        return;
    turn_begin(socket->turn);
    if (status < 0) {
        leave_address(socket, status);
        return;
    }
    turn_stop_timer(socket->turn, &socket->timer);
    uv_tcp_nodelay(&socket->tcp, 1);
    if (socket->address->context) {
        begin_tls(socket);
        return;
    }
    socket->state = SOCKET_OPEN;
    socket->ops->open(socket);
    if (!is_over(socket))
        go_on(socket);
}

static void try_next(struct backend_socket *socket)
{
    const struct addrinfo *address = socket->next;
    socket->next = address->ai_next;
    socket->state = SOCKET_CONNECTING;
    uv_tcp_init(socket->turn->loop, &socket->tcp);
    socket->tcp.data = socket->connect.data = socket->write.data = socket;
    socket->has_tcp = true;
    socket->held++;
    int err = uv_tcp_connect(&socket->connect, &socket->tcp, address->ai_addr, on_connected);
    if (err < 0)
        leave_address(socket, err);
    else if (socket->next)
        turn_start_timer(socket->turn, &socket->timer, ADDRESS_US, on_address_time);
}

static void on_found(void *owner, struct addrinfo *addresses, const char *why)
{
    struct backend_socket *socket = owner;
    socket->lookup = NULL;
    socket->addresses = addresses; /* freed with the socket */
    socket->next = addresses;
    if (addresses)
        try_next(socket);
    else
        end(socket, OUTBOUND_DNS, why);
}

void backend_socket_open(struct backend_socket *socket, struct turn *turn, const struct backend_address *address,
                         const struct backend_socket_ops *ops)
{
    uv_loop_t *loop = turn->loop;
    *socket =
        (struct backend_socket){.ops = ops, .turn = turn, .address = address, .state = SOCKET_RESOLVING, .held = 1};
    uv_idle_init(loop, &socket->again);
    socket->again.data = socket;
    socket->lookup = name_lookup_start(turn, address->host, address->port, on_found, socket);
}
