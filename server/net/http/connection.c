/* connection.c - see connection.h. */
#include "server/net/http/connection.h"

#include <assert.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "server/net/http/answer.h"

enum {
    LINGER_BYTES = 1048576, /* thrown away at most before a lingering connection is cut */
    LINGER_US = 2000000,
};

static void on_input(struct stream *stream, struct str bytes);
static void on_drained(struct stream *stream);
static void on_gone(struct stream *stream);

static const struct stream_ops stream_operations = {.input = on_input, .drained = on_drained, .gone = on_gone};

/* The stream has gone, or goes, and the call is answered by late_fd. */
static bool is_late(const struct connection *connection)
{
    return connection->late_fd >= 0;
}

static void on_deadline(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    struct connection *connection = CONTAINER_OF(timer, struct connection, deadline);
    bool waits = connection->stage == STAGE_REQUEST || connection->stage == STAGE_ENTER;
    if (waits && connection->set->ops->timed_out(connection))
        return;
    connection_close(connection);
}

void connection_start_deadline(struct connection *connection, uint64_t timeout_us)
{
    const struct connection_set *set = connection->set;
    wheel_start(set->wheel, &connection->deadline, turn_now_us(set->turn) + timeout_us, on_deadline);
}

/* --- its beginning ---------------------------------------------------------------------------------------------- */

static void evict(struct pending_place *place)
{
    struct connection *connection = CONTAINER_OF(place, struct connection, pending);
    if (connection->stage == STAGE_REQUEST && !stream_read_now(&connection->stream)) /* its request may have come */
        return;
    if (!pending_has(place))
        return;
    metrics_add(connection->set->admitter->metrics, METRIC_CONNECTIONS_EVICTED, 1);
    connection_close(connection);
}

void connection_open(struct connection_set *set, int fd, bool internal, const struct address *client, uint64_t due_us,
                     struct str first)
{
    struct pending *pending = &set->pending[internal];
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->set = set;
    connection->internal = internal;
    connection->client = *client;
    connection->pending.evict = evict;
    connection->late_fd = -1;
    if (!stream_open(&connection->stream, set->edge, fd, internal, &stream_operations)) {
        free(connection);
        return;
    }
    list_append(&set->connections, &connection->link);
    set->count++;
    wheel_start(set->wheel, &connection->deadline, due_us, on_deadline);
    connection->started = true;
    pending_enter(pending, &connection->pending, &connection->client);
    pending_make_room(pending, &connection->pending);
    if (first.len > 0)
        on_input(&connection->stream, first);
}

bool connection_take_place(struct connection *connection)
{
    struct connection_set *set = connection->set;
    const struct admitter *admitter = set->admitter;
    if (connection->lease.count > 0)
        return true;
    if (!lease_take(&connection->lease, admitter->quota, QUOTA_INTERNAL, STR(""), admitter->settings->max_internal))
        return false;
    pending_leave(&set->pending[true], &connection->pending);
    return true;
}

bool connection_hold(struct connection *connection, size_t bytes)
{
    const struct admitter *admitter = connection->set->admitter;
    if (bytes <= connection->held)
        return true;
    if (!quota_reserve(admitter->quota, QUOTA_BODIES, bytes - connection->held, admitter->settings->bodies_bytes))
        return false;
    connection->held = bytes;
    return true;
}

void connection_hold_none(struct connection *connection)
{
    quota_give_back(connection->set->admitter->quota, QUOTA_BODIES, connection->held);
    connection->held = 0;
}

void connection_begin_call(struct connection *connection)
{
    if (connection->under_way)
        return;
    connection->under_way = true;
    atomic_fetch_add(&connection->set->calls, 1);
}

void connection_end_call(struct connection *connection)
{
    if (!connection->under_way)
        return;
    connection->under_way = false;
    atomic_fetch_sub(&connection->set->calls, 1);
}

/* --- its end ---------------------------------------------------------------------------------------------------- */

/* Ends everything of the connection but the stream and the memory. */
static void leave(struct connection *connection)
{
    struct connection_set *set = connection->set;
    if (connection->stage == STAGE_ENTER)
        set->ops->left(connection);
    connection->stage = STAGE_CLOSED;
    connection_end_call(connection);
    wheel_stop(set->wheel, &connection->deadline);
    pending_leave(&set->pending[connection->internal], &connection->pending);
    lease_release(&connection->lease, set->admitter->quota);
    list_remove(&connection->link);
    set->count--;
}

void connection_free_if_done(struct connection *connection)
{
    if (stream_is_open(&connection->stream) || connection->call_pending || list_is_linked(&connection->link))
        return;
    connection_hold_none(connection);
    if (is_late(connection))
        close(connection->late_fd);
    buf_fini(&connection->in);
    buf_fini(&connection->early);
    buf_fini(&connection->call.response.body);
    buf_fini(&connection->call.response.headers);
    free(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->stage == STAGE_CLOSED)
        return;
    leave(connection);
    if (stream_is_open(&connection->stream))
        stream_cut(&connection->stream);
    else
        list_append(&connection->set->spent, &connection->link);
}

/* A peer that has ended its side may still read. What it has sent before is served. */
static void on_gone(struct stream *stream)
{
    struct connection *connection = CONTAINER_OF(stream, struct connection, stream);
    if (connection->stage == STAGE_SERVE)
        connection->late_fd = dup(stream->fd);
    if (connection->stage == STAGE_SERVE && is_late(connection))
        return;
    if (connection->stage != STAGE_CLOSED)
        leave(connection);
    connection_free_if_done(connection);
}

struct lease connection_hand_over(struct connection *connection)
{
    struct lease lease = connection->lease;
    connection->lease = (struct lease){0};
    leave(connection);
    list_append(&connection->set->spent, &connection->link);
    return lease;
}

void connection_postpone_all(struct connection_set *set, uint64_t us)
{
    LIST_EACH(link, &set->connections)
    {
        struct timer *deadline = &CONTAINER_OF(link, struct connection, link)->deadline;
        if (timer_is_running(deadline))
            wheel_start(set->wheel, deadline, deadline->due_tick * WHEEL_TICK_US + us, deadline->fire);
    }
}

void connection_free_spent(struct connection_set *set)
{
    for (struct list_link *link; (link = list_take_first(&set->spent));)
        connection_free_if_done(CONTAINER_OF(link, struct connection, link));
}

/* The call that the handler has is answered when the connection has gone. */
static void end_with_answer(struct connection *connection)
{
    if (connection->stage == STAGE_SERVE && !is_late(connection))
        connection->late_fd = dup(connection->stream.fd);
    else if (connection->stage == STAGE_REQUEST && connection->under_way)
        connection_refuse(connection, 503, ERR_UNAVAILABLE, "this node has stopped before the whole request came");
    connection_close(connection);
}

void connection_close_all(struct connection_set *set)
{
    set->closed = true;
    LIST_EACH(link, &set->connections)
    end_with_answer(CONTAINER_OF(link, struct connection, link));
}

/* Reads the bytes of a request that the kernel has. The peer sent them before it could know of the drain. */
static void drain(struct connection *connection)
{
    const struct connection_set *set = connection->set;
    if (connection->stage == STAGE_REQUEST && !is_late(connection) && !stream_read_now(&connection->stream))
        return;
    if (connection->stage == STAGE_ENTER)
        set->ops->timed_out(connection);
    else if (connection->internal && connection->stage == STAGE_REQUEST && connection->in.len == 0)
        connection_close(connection);
}

void connection_drain_all(struct connection_set *set)
{
    LIST_EACH(link, &set->connections)
    drain(CONTAINER_OF(link, struct connection, link));
    atomic_store(&set->draining, true);
}

/* If the peer has sent more than was read, closing at once would reset the connection. The reset can destroy the answer
 * before the peer reads it (RFC 9112, 9.6). */
static void linger(struct connection *connection)
{
    if (is_late(connection)) { /* nothing is left to be read */
        connection_close(connection);
        return;
    }
    connection->stage = STAGE_LINGER;
    stream_shut(&connection->stream);
    stream_want_input(&connection->stream, true);
    connection_start_deadline(connection, LINGER_US);
}

/* --- out -------------------------------------------------------------------------------------------------------- */

/* Bytes that came while the request before was served follow now. */
static void take_early(struct connection *connection)
{
    buf_append(&connection->in, buf_str(&connection->early));
    buf_fini(&connection->early);
    stream_want_input(&connection->stream, true);
}

void connection_await_entry(struct connection *connection)
{
    assert(timer_is_running(&connection->deadline));
    connection->stage = STAGE_ENTER;
    pending_leave(&connection->set->pending[connection->internal], &connection->pending);
}

void connection_resume(struct connection *connection)
{
    connection->stage = STAGE_REQUEST;
    take_early(connection);
}

static void after_answer(struct connection *connection)
{
    if (connection->last) {
        connection_end_call(connection);
        linger(connection);
        return;
    }
    connection->stage = STAGE_REQUEST;
    connection->started = false;
    take_early(connection);
    connection_start_deadline(connection, connection->set->admitter->settings->keepalive_timeout_us);
}

/* False: the kernel has not taken all of it, and nobody waits until it can. */
static bool send_late(const struct connection *connection, struct str bytes)
{
    return send(connection->late_fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)bytes.len;
}

void connection_send(struct connection *connection, struct str bytes)
{
    uint32_t unsent;
    if (is_late(connection)) {
        if (!send_late(connection, bytes))
            connection_close(connection);
    } else if (stream_write(&connection->stream, bytes, &unsent) == WRITE_FAILED)
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
    connection_start_deadline(connection, connection->set->admitter->settings->body_timeout_us);
}

void connection_refuse(struct connection *connection, int status, enum err code, const char *message)
{
    struct connection_set *set = connection->set;
    const struct answer answer = {
        .status = status,
        .wall_ms = turn_wall_ms(set->turn),
        .retry_after_s = status == 503 || status == 429 ? set->admitter->settings->retry_after_s : 0,
        .close = true,
    };
    buf_clear(&set->scratch);
    answer_write_error(&set->scratch, &answer, code, str_from_cstr(message ? message : err_text(code)), REASON_NONE,
                       connection->head_only);
    connection_answer(connection, buf_str(&set->scratch), true);
}

void connection_answer_late(struct connection *connection, struct str bytes)
{
    if (is_late(connection))
        (void)send_late(connection, bytes);
}

void connection_go_on(struct connection *connection)
{
    connection->set->ops->input(connection);
    if (is_late(connection) && connection->stage == STAGE_REQUEST) /* the rest of the request will not come */
        connection_close(connection);
}

static void on_drained(struct stream *stream)
{
    struct connection *connection = CONTAINER_OF(stream, struct connection, stream);
    if (connection->stage != STAGE_WRITE)
        return;
    after_answer(connection);
    if (connection->stage == STAGE_REQUEST)
        connection->set->ops->input(connection);
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
        connection->set->ops->input(connection);
    } else if (connection->stage != STAGE_CLOSED) { /* one request at a time, which lies in `in` until it is answered */
        buf_append(&connection->early, bytes);
        /* A client that waits to enter is read from up to a limit, so that the server sees when it goes away. */
        stream_want_input(stream, connection->stage == STAGE_ENTER &&
                                      connection->early.len < connection->set->admitter->settings->head_bytes);
    }
}
