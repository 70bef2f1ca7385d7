/* connection.c - see connection.h. */
#include "server/net/http/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "server/net/http/gate.h"
#include "server/net/http/http.h"
#include "server/net/http/proxied.h"

enum {
    LINGER_BYTES = 1048576, /* thrown away at most before a lingering connection is cut */
    LINGER_US = 2000000,
};

static void on_input(struct stream *stream, struct str bytes);
static void on_drained(struct stream *stream);
static void on_gone(struct stream *stream);

static const struct stream_ops stream_operations = {.input = on_input, .drained = on_drained, .gone = on_gone};

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

/* --- its beginning ---------------------------------------------------------------------------------------------- */

static void evict(struct pending_place *place)
{
    struct connection *connection = CONTAINER_OF(place, struct connection, pending);
    struct worker *worker = connection->worker;
    if (connection->stage == STAGE_REQUEST && !stream_read_now(&connection->stream)) /* its request may have come */
        return;
    if (!pending_has(place))
        return;
    metrics_add(worker->metrics, METRIC_CONNECTIONS_EVICTED, 1);
    connection_close(connection);
}

void connection_open(struct worker *worker, int fd, bool internal, const struct address *client, uint64_t due_us,
                     struct str first)
{
    struct pending *pending = &worker->pending[internal];
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->worker = worker;
    connection->internal = internal;
    connection->client = *client;
    connection->pending.evict = evict;
    connection->late_fd = -1;
    if (!stream_open(&connection->stream, worker->edge, fd, internal, &stream_operations)) {
        free(connection);
        return;
    }
    list_append(&worker->connections, &connection->link);
    worker->connection_count++;
    wheel_start(hub_wheel(worker->hub), &connection->deadline, due_us, on_deadline);
    connection->started = true;
    pending_enter(pending, &connection->pending, &connection->client);
    pending_make_room(pending, &connection->pending);
    if (first.len > 0)
        on_input(&connection->stream, first);
}

void connection_arrive(struct mail *mail, void *owner)
{
    (void)owner;
    struct arrival *arrival = CONTAINER_OF(mail, struct arrival, mail);
    struct worker *worker = arrival->worker;
    const struct net_settings *settings = worker->settings;
    worker_note_arrival(worker, arrival->internal);
    if (worker->stopping)
        close(arrival->fd);
    else if (!arrival->internal && settings->proxy_protocol != PROXY_OFF &&
             cidr_contains(settings->trusted_proxies, settings->trusted_proxy_count, &arrival->peer))
        proxied_await(worker, arrival->fd, &arrival->peer);
    else
        connection_open(worker, arrival->fd, arrival->internal, &arrival->peer,
                        hub_now_us(worker->hub) + settings->head_timeout_us, STR(""));
    free(arrival);
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

/* --- its end ---------------------------------------------------------------------------------------------------- */

/* All but the stream and the memory. */
static void leave(struct connection *connection)
{
    struct worker *worker = connection->worker;
    connection->stage = STAGE_CLOSED;
    wheel_stop(hub_wheel(worker->hub), &connection->deadline);
    pending_leave(&worker->pending[connection->internal], &connection->pending);
    lease_release(&connection->lease, worker->quota);
    list_remove(&connection->link);
    worker->connection_count--;
}

void connection_free_if_done(struct connection *connection)
{
    if (stream_is_open(&connection->stream) || connection->call_pending || list_is_linked(&connection->link))
        return;
    http_forget_body(connection);
    buf_fini(&connection->in);
    buf_fini(&connection->early);
    buf_fini(&connection->call.response.body);
    free(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->stage == STAGE_CLOSED)
        return;
    leave(connection);
    stream_cut(&connection->stream);
}

static void on_gone(struct stream *stream)
{
    struct connection *connection = CONTAINER_OF(stream, struct connection, stream);
    if (connection->stage == STAGE_SERVE && connection->internal)
        connection->late_fd = dup(stream->fd);
    if (connection->stage != STAGE_CLOSED)
        leave(connection);
    connection_free_if_done(connection);
}

struct lease connection_hand_over(struct connection *connection)
{
    struct lease lease = connection->lease;
    connection->lease = (struct lease){0};
    leave(connection);
    list_append(&connection->worker->spent, &connection->link);
    return lease;
}

void connection_free_spent(struct worker *worker)
{
    for (struct list_link *link; (link = list_take_first(&worker->spent));)
        connection_free_if_done(CONTAINER_OF(link, struct connection, link));
}

/* Closing at once would reset the connection when the peer has sent more than was read, and the reset can destroy the
 * answer before it is read (RFC 9112, 9.6). */
static void linger(struct connection *connection)
{
    connection->stage = STAGE_LINGER;
    stream_shut(&connection->stream);
    stream_want_input(&connection->stream, true);
    start_deadline(connection, LINGER_US);
}

/* --- out -------------------------------------------------------------------------------------------------------- */

/* What came before its time. */
static void take_early(struct connection *connection)
{
    buf_append(&connection->in, buf_str(&connection->early));
    buf_fini(&connection->early);
    stream_want_input(&connection->stream, true);
}

static void after_answer(struct connection *connection)
{
    if (connection->last) {
        linger(connection);
        return;
    }
    connection->stage = STAGE_REQUEST;
    connection->started = false;
    take_early(connection);
    start_deadline(connection, connection->worker->settings->keepalive_timeout_us);
}

void connection_send(struct connection *connection, struct str bytes)
{
    size_t unsent;
    if (stream_write(&connection->stream, bytes, &unsent) == WRITE_FAILED)
        connection_close(connection);
}

void connection_answer(struct connection *connection, struct str bytes, bool last)
{
    connection->last = last;
    connection_send(connection, bytes);
    if (connection->stage == STAGE_CLOSED)
        return;
    if (!stream_has_unsent(&connection->stream)) {
        after_answer(connection);
        return;
    }
    connection->stage = STAGE_WRITE;
    stream_want_input(&connection->stream, false); /* the next request, or the end, waits in the kernel */
    start_deadline(connection, connection->worker->settings->body_timeout_us);
}

void connection_answer_late(struct connection *connection, struct str bytes)
{
    if (connection->late_fd < 0)
        return;
    (void)!send(connection->late_fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(connection->late_fd);
    connection->late_fd = -1;
}

static void on_drained(struct stream *stream)
{
    struct connection *connection = CONTAINER_OF(stream, struct connection, stream);
    if (connection->stage != STAGE_WRITE)
        return;
    after_answer(connection);
    if (connection->stage == STAGE_REQUEST)
        gate_input(connection);
}

/* --- in --------------------------------------------------------------------------------------------------------- */

static void on_input(struct stream *stream, struct str bytes)
{
    struct connection *connection = CONTAINER_OF(stream, struct connection, stream);
    if (connection->stage == STAGE_LINGER) {
        connection->drained += bytes.len;
        if (connection->drained > LINGER_BYTES)
            connection_close(connection);
    } else if (connection->stage == STAGE_REQUEST) {
        buf_append(&connection->in, bytes);
        gate_input(connection);
    } else if (connection->stage != STAGE_CLOSED) { /* one request at a time, which lies in `in` until it is answered */
        buf_append(&connection->early, bytes);
        stream_want_input(stream, false);
    }
}
