/* redis_connection.c - see redis_connection.h. How a connection comes up: addresses, login, timers. The bytes of a
 * connection are in redis_connection_stream.c, and its end is in redis_connection_close.c. */
#include <assert.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/base/alloc.h"
#include "common/base/uv_handle.h"
#include "server/broker/redis/client/redis_connection_private.h"

static void on_timer(struct timer *timer, uint64_t now_us);

/* ---- login ---- */

static void on_auth(void *owner, void *argument, const redisReply *reply)
{
    if (reply && reply->type == REDIS_REPLY_ERROR)
        redis_connection_drop(argument, "refused user or password: %.100s", reply->str);
}

/* Redis says that it wants a password at the first command that is not AUTH. */
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

/* Checks in a moment whether answers are overdue. */
static void look_again(struct redis_connection *connection)
{
    uint64_t look_ms = connection->config.command_timeout_ms / 4 + 1;
    turn_start_timer(connection->turn, &connection->timer, look_ms * 1000, on_timer);
}

static void on_named(void *owner, void *argument, const redisReply *reply)
{
    struct redis_connection *connection = argument;
    if (!reply || connection->state != REDIS_LOGIN)
        return;
    if (wants_password(connection, reply))
        return;
    /* Any other error concerns the name alone, such as an ACL without CLIENT. It does no harm. */
    connection->state = REDIS_READY;
    look_again(connection);
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
    /* An error does no harm: a dead peer is noticed by the overdue answer as well. */
    if (uv_fileno(UV_HANDLE(&connection->tcp), &fd) == 0)
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
    int err = redis_connection_read_start(connection);
    if (err < 0) {
        redis_connection_drop(connection, "%s", uv_strerror(err));
    } else if (connection->config.tls) {
        connection->tls = redis_tls_begin(connection->config.tls, connection->config.endpoint->host);
        connection->state = REDIS_HANDSHAKE; /* the hook sends the first bytes of the handshake */
        if (!connection->tls)
            redis_connection_drop(connection,
                                  "OpenSSL has no memory for a connection, or does not take the name of the server");
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

static void on_found(void *owner, struct addrinfo *addresses, const char *why)
{
    struct redis_connection *connection = owner;
    connection->lookup = NULL;
    if (addresses)
        connect_to(connection, addresses);
    else
        redis_connection_drop(connection, "the host name was not resolved: %s", why);
    if (addresses)
        freeaddrinfo(addresses);
}

static void on_timer(struct timer *timer, uint64_t now_us)
{
    struct redis_connection *connection = CONTAINER_OF(timer, struct redis_connection, timer);
    (void)now_us;
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
    bool overdue = redis_connection_waits_ms(connection) > limit_ms;
    /* After a pause of this process the answer may lie in the socket. So the connection is dropped if the answer is
     * overdue at two checks in a row and nothing was read in between. */
    if (overdue && connection->late)
        redis_connection_drop(connection, "no answer to a command within %llu ms", (unsigned long long)limit_ms);
    else
        look_again(connection);
    connection->late = overdue;
}

static void begin(struct redis_connection *connection)
{
    uv_loop_t *loop = connection->turn->loop;
    const struct redis_endpoint *endpoint = connection->config.endpoint;
    assert(connection->state == REDIS_IDLE);
    connection->state = REDIS_RESOLVING;
    connection->again = connection->late = false;
    uv_tcp_init(loop, &connection->tcp);
    connection->tcp.data = connection->write.data = connection;
    connection->open = 1;
    turn_start_timer(connection->turn, &connection->timer, connection->config.connect_timeout_ms * 1000, on_timer);
    connection->lookup = name_lookup_start(connection->turn, endpoint->host, endpoint->port, on_found, connection);
}

void redis_connection_start(struct redis_connection *connection)
{
    connection->tried = 0;
    begin(connection);
}

/* ---- the end ---- */

/* All handles are closed. */
static void on_closed(struct redis_connection *connection)
{
    redis_connection_stream_end(connection);
    connection->state = REDIS_IDLE;
    if (connection->again)
        begin(connection);
    else
        connection->events->down(connection, connection->why);
}

static const struct redis_connection_steps steps = {.established = log_in, .closed = on_closed};

void redis_connection_finish(struct redis_connection *connection, const char *format, ...)
{
    char why[sizeof connection->why];
    va_list args;
    connection->again = false;
    if (redis_connection_is_ended(connection))
        return;
    if (connection->state == REDIS_READY)
        redis_connection_flush_last(connection);
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    redis_connection_close(connection, false, why);
}

static void run_hook(struct turn_hook *hook)
{
    redis_connection_flush(CONTAINER_OF(hook, struct redis_connection, hook));
}

void redis_connection_init(struct redis_connection *connection, const struct redis_connection_config *config,
                           const struct redis_connection_events *events, void *owner, struct turn *turn)
{
    memset(connection, 0, offsetof(struct redis_connection, input));
    connection->config = *config;
    connection->events = events;
    connection->owner = owner;
    connection->turn = turn;
    connection->steps = &steps;
    connection->hook.run = run_hook;
    turn_add_hook(turn, &connection->hook);
}

void redis_connection_fini(struct redis_connection *connection)
{
    assert(connection->state == REDIS_IDLE);
    turn_remove_hook(connection->turn, &connection->hook);
    redis_connection_stream_fini(connection);
}
