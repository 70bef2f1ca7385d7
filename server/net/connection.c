/* connection.c - see connection.h. */
#include "server/net/connection.h"

#include <errno.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/protocol/proxy_header.h"
#include "server/net/gate.h"
#include "server/net/http.h"
#include "server/net/ws.h"

enum {
    READ_MIN = 2048,        /* what an idle connection keeps for reading */
    CHUNKS_READ = 65536,    /* of a chunked body before it is decoded */
    LINGER_BYTES = 1048576, /* thrown away at most before a lingering connection is cut */
    LINGER_US = 2000000,
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_readable(struct connection *connection);

static void set_events(struct connection *connection, int events)
{
    if (events == connection->poll_events)
        return;
    connection->poll_events = events;
    if (events)
        uv_poll_start(&connection->poll, events, on_poll);
    else
        uv_poll_stop(&connection->poll);
}

static void on_deadline(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    struct connection *connection = CONTAINER_OF(timer, struct connection, deadline);
    if (connection->stage == STAGE_REQUEST && gate_timed_out(connection))
        return;
    connection_close(connection);
}

static void start_deadline(struct connection *connection, uint64_t timeout_us)
{
    struct hub *hub = connection->worker->hub;
    wheel_start(hub_wheel(hub), &connection->deadline, hub_now_us(hub) + timeout_us, on_deadline);
}

void connection_await_request(struct connection *connection, uint64_t timeout_us)
{
    start_deadline(connection, timeout_us);
}

static void accept_tls(struct arrival *arrival)
{
    struct worker *worker = arrival->worker;
    if (worker->stopping)
        close(arrival->fd);
    else
        ws_accept(worker->edge, arrival->fd, &arrival->peer);
    free(arrival);
}

static void evict(struct pending_place *place)
{
    struct connection *connection = CONTAINER_OF(place, struct connection, pending);
    struct worker *worker = connection->worker;
    if (connection->stage == STAGE_REQUEST)
        on_readable(connection); /* its request may have come meanwhile */
    if (!pending_has(place))
        return;
    metrics_add(worker->metrics, METRIC_CONNECTIONS_EVICTED, 1);
    connection_close(connection);
}

void connection_arrive(struct mail *mail, void *owner)
{
    (void)owner;
    struct arrival *arrival = CONTAINER_OF(mail, struct arrival, mail);
    struct worker *worker = arrival->worker;
    const struct net_settings *settings = worker->settings;
    worker_note_arrival(worker, arrival->internal);
    if (settings->tls && !arrival->internal) {
        accept_tls(arrival);
        return;
    }
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->worker = worker;
    connection->fd = arrival->fd;
    connection->internal = arrival->internal;
    connection->client = arrival->peer;
    connection->wants_proxy_header =
        !arrival->internal && settings->proxy_protocol != PROXY_OFF &&
        cidr_contains(settings->trusted_proxies, settings->trusted_proxy_count, &arrival->peer);
    free(arrival);
    list_append(&worker->connections, &connection->link);
    worker->connection_count++;
    worker_count_socket(worker, connection->internal, 1);
    uv_poll_init(worker->loop, &connection->poll, connection->fd);
    connection->poll.data = connection;
    if (worker->stopping) {
        connection_close(connection);
        return;
    }
    set_events(connection, UV_READABLE);
    start_deadline(connection, settings->head_timeout_us);
    struct pending *pending = &worker->pending[connection->internal];
    connection->pending.evict = evict;
    pending_enter(pending, &connection->pending, &connection->client);
    pending_make_room(pending, &connection->pending);
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    connection->handle_closed = true;
    connection->worker->connection_count--; /* an object that waits for its call needs the loop no more */
    connection_free_if_done(connection);
}

void connection_free_if_done(struct connection *connection)
{
    if (!connection->handle_closed || connection->call_pending)
        return;
    http_forget_body(connection);
    buf_fini(&connection->in);
    buf_fini(&connection->out);
    buf_fini(&connection->call.response.body);
    free(connection);
}

int connection_release(struct connection *connection, struct lease *out_lease)
{
    struct worker *worker = connection->worker;
    int fd = connection->fd;
    *out_lease = connection->lease;
    connection->lease = (struct lease){0};
    connection->fd = -1;
    connection->stage = STAGE_CLOSED;
    wheel_stop(hub_wheel(worker->hub), &connection->deadline);
    pending_leave(&worker->pending[connection->internal], &connection->pending);
    list_remove(&connection->link);
    worker_count_socket(worker, connection->internal, -1);
    uv_close((uv_handle_t *)&connection->poll, on_closed); /* stops polling at once: the fd is free for another */
    return fd;
}

void connection_speaks_for(struct connection *connection, const struct address *client)
{
    connection->client = *client;
    pending_move(&connection->worker->pending[connection->internal], &connection->pending, client);
}

bool connection_take_place(struct connection *connection)
{
    struct worker *worker = connection->worker;
    if (connection->lease.count > 0)
        return true;
    if (!lease_take(&connection->lease, worker->quota, "internal", STR(""), worker->settings->max_internal))
        return false;
    pending_leave(&worker->pending[true], &connection->pending);
    return true;
}

void connection_close(struct connection *connection)
{
    if (connection->stage == STAGE_CLOSED)
        return;
    struct lease lease;
    int fd = connection_release(connection, &lease);
    lease_release(&lease, connection->worker->quota);
    close(fd);
}

/* Closing at once would reset the connection when the peer has sent more than was read, and the reset can destroy the
 * answer before it is read (RFC 9112, 9.6). */
static void linger(struct connection *connection)
{
    connection->stage = STAGE_LINGER;
    shutdown(connection->fd, SHUT_WR);
    set_events(connection, UV_READABLE);
    start_deadline(connection, LINGER_US);
}

static void after_answer(struct connection *connection)
{
    if (connection->last) {
        linger(connection);
        return;
    }
    connection->stage = STAGE_REQUEST;
    connection->started = false;
    set_events(connection, UV_READABLE);
    start_deadline(connection, connection->worker->settings->keepalive_timeout_us);
}

/* False: the connection is gone. */
static bool send_now(struct connection *connection, struct str *bytes)
{
    while (bytes->len > 0) {
        ssize_t n = send(connection->fd, bytes->ptr, bytes->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        *bytes = str_from(bytes->ptr + n, bytes->len - (size_t)n);
    }
    return true;
}

void connection_send(struct connection *connection, struct str bytes)
{
    if (connection->out.len == 0 && !send_now(connection, &bytes)) {
        connection_close(connection);
        return;
    }
    buf_append(&connection->out, bytes);
}

void connection_answer(struct connection *connection, struct str bytes, bool last)
{
    connection->last = last;
    connection_send(connection, bytes);
    if (connection->stage == STAGE_CLOSED)
        return;
    if (connection->out.len == 0) {
        after_answer(connection);
        return;
    }
    connection->stage = STAGE_WRITE;
    set_events(connection, UV_WRITABLE);
    start_deadline(connection, connection->worker->settings->body_timeout_us);
}

static void on_writable(struct connection *connection)
{
    struct str rest = buf_str(&connection->out);
    if (!send_now(connection, &rest)) {
        connection_close(connection);
        return;
    }
    buf_consume(&connection->out, connection->out.len - rest.len);
    if (connection->out.len > 0)
        return;
    buf_fini(&connection->out);
    after_answer(connection);
    if (connection->stage == STAGE_REQUEST)
        gate_input(connection);
}

/* One recv into room for `want` bytes; -1: nothing now; 0: the peer has ended. */
static ssize_t receive(struct connection *connection, void *into, size_t want)
{
    ssize_t n = recv(connection->fd, into, want, MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return 0;
    return n;
}

static void drain(struct connection *connection)
{
    char thrown_away[16384];
    ssize_t n = receive(connection, thrown_away, sizeof thrown_away);
    if (n > 0)
        connection->drained += (size_t)n;
    if (n == 0 || connection->drained > LINGER_BYTES)
        connection_close(connection);
}

static void on_readable(struct connection *connection)
{
    if (connection->stage == STAGE_LINGER) {
        drain(connection);
        return;
    }
    if (connection->stage != STAGE_REQUEST) {
        set_events(connection, connection->poll_events & ~UV_READABLE); /* one request at a time */
        return;
    }
    struct buf *in = &connection->in;
    size_t limit = connection->worker->settings->head_bytes + PROXY_HEADER_MAX;
    if (connection->request_len > limit)
        limit = connection->request_len;
    if (connection->chunks_from > 0)
        limit = in->len + CHUNKS_READ;
    if (in->len >= limit) /* a head that a reload has made too large */
        limit = in->len + 1;
    /* All there is, up to the limit: what a publisher has pipelined is taken in one turn and so delivered in one. */
    ssize_t n;
    size_t before = in->len;
    size_t room;
    do {
        if (in->cap - in->len < READ_MIN / 2)
            buf_reserve(in, limit - in->len < READ_MIN ? limit - in->len : READ_MIN);
        room = in->cap - in->len < limit - in->len ? in->cap - in->len : limit - in->len;
        n = receive(connection, in->ptr + in->len, room);
        if (n > 0)
            in->len += (size_t)n;
    } while (n > 0 && (size_t)n == room && in->len < limit);
    if (in->len > before)
        gate_input(connection); /* an end that has been read too is read again in the next turn */
    else if (n == 0)
        connection_close(connection);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct connection *connection = poll->data;
    worker_touch(connection->worker);
    if (connection->stage == STAGE_CLOSED) /* by its deadline, just now */
        return;
    if (status < 0) {
        connection_close(connection);
        return;
    }
    if (events & UV_WRITABLE && connection->stage == STAGE_WRITE)
        on_writable(connection);
    if (events & UV_READABLE && connection->stage != STAGE_CLOSED)
        on_readable(connection);
}
