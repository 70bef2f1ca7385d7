/* redis_connection.c - see redis_connection.h. */
#include "server/broker/redis_connection.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/base/alloc.h"

/* hiredis moves the rest of its buffer to the front for every kilobyte it has parsed: small helpings keep that cheap.
 */
enum { FEED_BYTES = 8192 };

static void finish_close(struct redis_connection *connection);
static void on_timer(uv_timer_t *timer);

static uint64_t loop_now_ms(const struct redis_connection *connection)
{
    return uv_now(connection->turn->wake.loop);
}

/* ---- answers due ---- */

static void expect(struct redis_connection *connection, redis_answered *done, void *argument)
{
    if (connection->expected_count == connection->expected_cap) {
        size_t cap = connection->expected_cap ? connection->expected_cap * 2 : 64;
        struct redis_expected *ring = xcalloc(cap, sizeof *ring);
        for (size_t i = 0; i < connection->expected_count; i++)
            ring[i] = connection->expected[(connection->expected_first + i) & (connection->expected_cap - 1)];
        free(connection->expected);
        connection->expected = ring;
        connection->expected_cap = cap;
        connection->expected_first = 0;
    }
    size_t at = (connection->expected_first + connection->expected_count++) & (connection->expected_cap - 1);
    connection->expected[at] = (struct redis_expected){done, argument, loop_now_ms(connection)};
}

static struct redis_expected take_expected(struct redis_connection *connection)
{
    struct redis_expected first = connection->expected[connection->expected_first];
    connection->expected_first = (connection->expected_first + 1) & (connection->expected_cap - 1);
    connection->expected_count--;
    return first;
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status);

/* Empties it. What a burst took while Redis did not answer is given back: the node would keep it for ever. */
static void drain(struct buf *buf)
{
    enum { KEEP_BYTES = 1 << 20 };
    if (buf->cap > KEEP_BYTES)
        buf_fini(buf);
    else
        buf_clear(buf);
}

/* What goes to the socket next. */
static struct buf *due(struct redis_connection *connection)
{
    if (!connection->tls)
        return &connection->out;
    redis_tls_give(connection->tls, buf_str(&connection->out), &connection->sealed);
    drain(&connection->out);
    return &connection->sealed;
}

static void flush(struct redis_connection *connection)
{
    if (connection->state < REDIS_HANDSHAKE || connection->state == REDIS_CLOSING || connection->write_busy)
        return;
    struct buf *out = due(connection);
    if (out->len == 0)
        return;
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    uv_buf_t bytes = uv_buf_init(out->ptr, (unsigned)out->len);
    int wrote = uv_try_write(stream, &bytes, 1);
    if (wrote < 0 && wrote != UV_EAGAIN) {
        out->len = 0;
        redis_connection_drop(connection, "writing failed: %s", uv_strerror(wrote));
        return;
    }
    if (wrote > 0 && (size_t)wrote == out->len) {
        drain(out);
        return;
    }
    struct buf spare = connection->writing;
    connection->writing = *out;
    *out = spare;
    buf_clear(out);
    size_t skip = wrote > 0 ? (size_t)wrote : 0;
    bytes = uv_buf_init(connection->writing.ptr + skip, (unsigned)(connection->writing.len - skip));
    connection->write_busy = uv_write(&connection->write, stream, &bytes, 1, on_written) == 0;
    if (!connection->write_busy)
        redis_connection_drop(connection, "writing failed");
}

static void on_written(uv_write_t *request, int status)
{
    struct redis_connection *connection = request->data;
    connection->write_busy = false;
    drain(&connection->writing);
    if (status < 0)
        redis_connection_drop(connection, "writing failed: %s", uv_strerror(status));
    else
        flush(connection);
}

static void run_hook(struct turn_hook *hook)
{
    flush(CONTAINER_OF(hook, struct redis_connection, hook));
}

void redis_connection_send(struct redis_connection *connection, size_t argc, const struct str *argv,
                           redis_answered *done, void *argument)
{
    assert(connection->state != REDIS_IDLE);
    if (done)
        expect(connection, done, argument);
    if (connection->state == REDIS_CLOSING)
        return; /* answered with NULL when the connection has closed */
    struct buf *out = &connection->out;
    buf_append_char(out, '*');
    buf_append_u64(out, argc);
    for (size_t i = 0; i < argc; i++) {
        buf_append_lit(out, "\r\n$");
        buf_append_u64(out, argv[i].len);
        buf_append_lit(out, "\r\n");
        buf_append(out, argv[i]);
    }
    buf_append_lit(out, "\r\n");
}

/* ---- reading ---- */

static void give_reply(struct redis_connection *connection, const redisReply *reply)
{
    if (connection->expected_count) {
        struct redis_expected first = take_expected(connection);
        first.done(connection->owner, first.argument, reply);
    } else if (connection->events->pushed) {
        connection->events->pushed(connection, reply);
    } else {
        redis_connection_drop(connection, "sent an answer to no command");
    }
}

static void read_replies(struct redis_connection *connection)
{
    while (connection->state != REDIS_CLOSING) {
        void *reply = NULL;
        if (redisReaderGetReply(connection->reader, &reply) != REDIS_OK) {
            redis_connection_drop(connection, "does not speak the Redis protocol: %s", connection->reader->errstr);
            return;
        }
        if (!reply)
            return;
        give_reply(connection, reply);
        freeReplyObject(reply);
    }
}

static void feed(struct redis_connection *connection, struct str bytes)
{
    for (size_t at = 0; at < bytes.len && connection->state != REDIS_CLOSING; at += FEED_BYTES) {
        size_t len = bytes.len - at < FEED_BYTES ? bytes.len - at : FEED_BYTES;
        redisReaderFeed(connection->reader, bytes.ptr + at, len);
        read_replies(connection);
    }
}

static void log_in(struct redis_connection *connection);

static void open_sealed(struct redis_connection *connection, struct str bytes)
{
    struct error error;
    enum err err = redis_tls_take(connection->tls, bytes, &connection->plain, &error);
    if (connection->state == REDIS_HANDSHAKE && redis_tls_is_ready(connection->tls))
        log_in(connection);
    feed(connection, buf_str(&connection->plain));
    buf_clear(&connection->plain);
    if (err)
        redis_connection_drop(connection, "%s", error.text);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct redis_connection *connection = handle->data;
    *out = uv_buf_init(connection->input, sizeof connection->input);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct redis_connection *connection = stream->data;
    if (got < 0) {
        redis_connection_drop(connection, "%s",
                              got == UV_EOF ? "the server closed the connection" : uv_strerror((int)got));
        return;
    }
    connection->late = false;
    if (connection->tls)
        open_sealed(connection, str_from(bytes->base, (size_t)got));
    else
        feed(connection, str_from(bytes->base, (size_t)got));
}

/* ---- login ---- */

static void on_auth(void *owner, void *argument, const redisReply *reply)
{
    if (reply && reply->type == REDIS_REPLY_ERROR)
        redis_connection_drop(argument, "refused user or password: %.100s", reply->str);
}

/* The first command that is not AUTH hears it. */
static bool wants_password(struct redis_connection *connection, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "NOAUTH", 6) != 0)
        return false;
    redis_connection_drop(connection, "wants %s", connection->config.login_hint);
    return true;
}

static void on_select(void *owner, void *argument, const redisReply *reply)
{
    struct redis_connection *connection = argument;
    if (reply && !wants_password(connection, reply) && reply->type == REDIS_REPLY_ERROR)
        redis_connection_drop(connection, "refused database %u: %.100s", connection->config.login->database,
                              reply->str);
}

static void on_named(void *owner, void *argument, const redisReply *reply)
{
    struct redis_connection *connection = argument;
    if (!reply || connection->state != REDIS_LOGIN)
        return;
    if (wants_password(connection, reply))
        return;
    /* Any other error is about the name alone (an ACL without CLIENT) and does no harm. */
    connection->state = REDIS_READY;
    uint64_t look_ms = connection->config.command_timeout_ms / 4 + 1;
    uv_timer_start(&connection->timer, on_timer, look_ms, look_ms);
    connection->events->up(connection);
}

static void log_in(struct redis_connection *connection)
{
    const struct redis_login *login = connection->config.login;
    connection->state = REDIS_LOGIN;
    struct str user = str_from_cstr(login->user);
    struct str password = str_from_cstr(login->password);
    if (password.len && user.len)
        redis_connection_send(connection, 3, (struct str[]){STR("AUTH"), user, password}, on_auth, connection);
    else if (password.len)
        redis_connection_send(connection, 2, (struct str[]){STR("AUTH"), password}, on_auth, connection);
    if (login->database) {
        char number[16];
        snprintf(number, sizeof number, "%u", login->database);
        redis_connection_send(connection, 2, (struct str[]){STR("SELECT"), str_from_cstr(number)}, on_select,
                              connection);
    }
    struct str name = str_from_cstr(connection->config.name);
    redis_connection_send(connection, 3, (struct str[]){STR("CLIENT"), STR("SETNAME"), name}, on_named, connection);
}

/* ---- connecting ---- */

static void tune_socket(struct redis_connection *connection)
{
    uv_tcp_nodelay(&connection->tcp, 1);
    if (connection->config.keepalive_s)
        uv_tcp_keepalive(&connection->tcp, 1, connection->config.keepalive_s);
    uv_os_fd_t fd;
    unsigned timeout_ms = (unsigned)connection->config.command_timeout_ms * 2;
    /* Best effort: without it a dead peer is still noticed, by the overdue answer. */
    if (uv_fileno((uv_handle_t *)&connection->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

/* Goes on with the next address of the host, if there is one. */
static void leave_address(struct redis_connection *connection, int why)
{
    redis_connection_drop(connection, "%s", uv_strerror(why));
    connection->again = ++connection->tried < connection->addresses;
}

static void on_connected(uv_connect_t *request, int status)
{
    struct redis_connection *connection = request->data;
    if (connection->state != REDIS_CONNECTING)
        return;
    if (status < 0) {
        leave_address(connection, status);
        return;
    }
    tune_socket(connection);
    int err = uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read);
    if (err < 0) {
        redis_connection_drop(connection, "%s", uv_strerror(err));
    } else if (connection->config.tls) {
        connection->tls = redis_tls_stream_create(connection->config.tls, connection->config.endpoint->host);
        connection->state = REDIS_HANDSHAKE; /* the hook sends its beginning */
        if (!connection->tls)
            redis_connection_drop(connection, "OpenSSL has no memory for a connection");
    } else {
        log_in(connection);
    }
}

static void connect_to(struct redis_connection *connection, const struct addrinfo *list)
{
    const struct addrinfo *chosen = list;
    connection->addresses = 0;
    for (const struct addrinfo *at = list; at; at = at->ai_next)
        if (connection->addresses++ == connection->tried)
            chosen = at;
    connection->state = REDIS_CONNECTING;
    connection->connect.data = connection;
    int err = uv_tcp_connect(&connection->connect, &connection->tcp, chosen->ai_addr, on_connected);
    if (err < 0)
        leave_address(connection, err);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct redis_connection *connection = request->data;
    if (connection->state == REDIS_RESOLVING) {
        if (status < 0 || !list)
            redis_connection_drop(connection, "the host name was not resolved: %s", uv_strerror(status));
        else
            connect_to(connection, list);
    }
    if (list)
        uv_freeaddrinfo(list);
    connection->open--;
    finish_close(connection);
}

static void on_timer(uv_timer_t *timer)
{
    struct redis_connection *connection = timer->data;
    if (connection->state == REDIS_CONNECTING) {
        leave_address(connection, UV_ETIMEDOUT);
        return;
    }
    if (connection->state != REDIS_READY) {
        redis_connection_drop(connection, "no %s within %llu ms",
                              connection->state == REDIS_LOGIN       ? "answer to the login"
                              : connection->state == REDIS_HANDSHAKE ? "TLS handshake"
                                                                     : "address of the host name",
                              (unsigned long long)connection->config.connect_timeout_ms);
        return;
    }
    uint64_t limit_ms = connection->config.command_timeout_ms;
    bool overdue = connection->expected_count &&
                   loop_now_ms(connection) - connection->expected[connection->expected_first].sent_ms > limit_ms;
    /* Twice in a row with nothing read between: after a pause of this process the answer may lie in the socket. */
    if (overdue && connection->late)
        redis_connection_drop(connection, "no answer to a command within %llu ms", (unsigned long long)limit_ms);
    connection->late = overdue;
}

static void begin(struct redis_connection *connection)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    uv_loop_t *loop = connection->turn->wake.loop;
    const struct redis_endpoint *endpoint = connection->config.endpoint;
    assert(connection->state == REDIS_IDLE);
    connection->state = REDIS_RESOLVING;
    connection->again = connection->late = false;
    connection->reader = redisReaderCreate();
    uv_tcp_init(loop, &connection->tcp);
    uv_timer_init(loop, &connection->timer);
    connection->tcp.data = connection->timer.data = connection;
    connection->resolve.data = connection->write.data = connection;
    connection->open = 2;
    uv_timer_start(&connection->timer, on_timer, connection->config.connect_timeout_ms, 0);
    int err = uv_getaddrinfo(loop, &connection->resolve, on_resolved, endpoint->host, endpoint->port, &hints);
    if (err < 0)
        redis_connection_drop(connection, "the host name was not resolved: %s", uv_strerror(err));
    else
        connection->open++;
}

void redis_connection_start(struct redis_connection *connection)
{
    connection->tried = 0;
    begin(connection);
}

/* ---- the end ---- */

static void finish_close(struct redis_connection *connection)
{
    if (connection->open || connection->state != REDIS_CLOSING)
        return;
    redisReaderFree(connection->reader);
    connection->reader = NULL;
    redis_tls_stream_destroy(connection->tls);
    connection->tls = NULL;
    drain(&connection->plain);
    drain(&connection->sealed);
    drain(&connection->out);
    drain(&connection->writing);
    while (connection->expected_count) {
        struct redis_expected first = take_expected(connection);
        first.done(connection->owner, first.argument, NULL);
    }
    connection->state = REDIS_IDLE;
    if (connection->again)
        begin(connection);
    else
        connection->events->down(connection, connection->why);
}

static void on_closed(uv_handle_t *closed)
{
    struct redis_connection *connection = closed->data;
    connection->open--;
    finish_close(connection);
}

static bool is_ended(const struct redis_connection *connection)
{
    return connection->state == REDIS_IDLE || connection->state == REDIS_CLOSING;
}

static void begin_close(struct redis_connection *connection, bool reset, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void begin_close(struct redis_connection *connection, bool reset, const char *format, va_list args)
{
    const struct redis_endpoint *endpoint = connection->config.endpoint;
    int len = snprintf(connection->why, sizeof connection->why, "%s at %.80s:%s: ", connection->config.what,
                       endpoint->host, endpoint->port);
    vsnprintf(connection->why + len, sizeof connection->why - (size_t)len, format, args);
    if (connection->state == REDIS_RESOLVING)
        uv_cancel((uv_req_t *)&connection->resolve);
    connection->state = REDIS_CLOSING;
    /* A reset fails where there is no socket yet. */
    if (!reset || uv_tcp_close_reset(&connection->tcp, on_closed) < 0)
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
    uv_close((uv_handle_t *)&connection->timer, on_closed);
}

void redis_connection_drop(struct redis_connection *connection, const char *format, ...)
{
    va_list args;
    connection->again = false;
    if (is_ended(connection))
        return;
    va_start(args, format);
    begin_close(connection, true, format, args);
    va_end(args);
}

void redis_connection_finish(struct redis_connection *connection, const char *format, ...)
{
    va_list args;
    connection->again = false;
    if (is_ended(connection))
        return;
    if (connection->state == REDIS_READY && connection->out.len && !connection->write_busy) {
        const struct buf *out = due(connection);
        uv_buf_t bytes = uv_buf_init(out->ptr, (unsigned)out->len);
        (void)uv_try_write((uv_stream_t *)&connection->tcp, &bytes, 1);
    }
    va_start(args, format);
    begin_close(connection, false, format, args);
    va_end(args);
}

void redis_connection_init(struct redis_connection *connection, const struct redis_connection_config *config,
                           const struct redis_connection_events *events, void *owner, struct turn *turn)
{
    memset(connection, 0, offsetof(struct redis_connection, input));
    connection->config = *config;
    connection->events = events;
    connection->owner = owner;
    connection->turn = turn;
    connection->hook.run = run_hook;
    turn_add_hook(turn, &connection->hook);
}

void redis_connection_fini(struct redis_connection *connection)
{
    assert(connection->state == REDIS_IDLE);
    turn_remove_hook(connection->turn, &connection->hook);
    buf_fini(&connection->plain);
    buf_fini(&connection->sealed);
    buf_fini(&connection->out);
    buf_fini(&connection->writing);
    free(connection->expected);
    connection->expected = NULL;
}
