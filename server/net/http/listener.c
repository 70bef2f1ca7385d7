/* listener.c - see listener.h. */
#include "server/net/http/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "common/base/uv_handle.h"
#include "server/net/http/connection.h"
#include "server/net/http/listen_socket.h"
#include "server/net/http/proxied.h"

enum {
    SOCKETS_MAX = 8,
    ACCEPTS_PER_TURN = 64, /* then the loop gets to its other work */
    NO_FILES_PAUSE_MS = 100,
    FULL_PAUSE_MS = 2,
};

struct socket {
    struct listener *listener;
    int fd;
    uv_poll_t poll;
};

struct listener {
    struct listener_options options;
    struct net_settings *settings;
    struct socket sockets[SOCKETS_MAX];
    size_t socket_count;
    size_t next_worker; /* where the search for the least loaded begins */
    int spare_fd;       /* given up to accept and refuse one connection when there are no descriptors left */
    bool out_of_fds;    /* and said so */
    bool started;
    bool stopped;
    uv_timer_t pause;
    unsigned open_handles;
};

/* --- the way to a worker ---------------------------------------------------------------------------------------- */

/* Mail to a worker: a socket that the listener has accepted. */
struct arrival {
    struct mail mail;
    struct connection_set *set;
    int fd;
    bool internal;
    struct address peer;
};

/* Runs in the worker's thread. */
static void arrive(struct mail *mail, void *owner)
{
    (void)owner;
    struct arrival *arrival = CONTAINER_OF(mail, struct arrival, mail);
    struct connection_set *set = arrival->set;
    const struct net_settings *settings = set->admitter->settings;
    socket_counts_note_arrival(&set->sockets, arrival->internal);
    if (set->closed)
        close(arrival->fd);
    else if (!arrival->internal && settings->proxy_protocol != PROXY_OFF &&
             cidr_contains(settings->trusted_proxies, settings->trusted_proxy_count, &arrival->peer))
        proxied_await(set, arrival->fd, &arrival->peer);
    else
        connection_open(set, arrival->fd, arrival->internal, &arrival->peer,
                        turn_now_us(set->turn) + settings->head_timeout_us, STR(""));
    free(arrival);
}

/* Sends an accepted socket to the set. Takes fd. */
static void post_arrival(struct connection_set *set, int fd, bool internal, const struct address *peer)
{
    struct arrival *arrival = xcalloc(1, sizeof *arrival);
    arrival->mail.deliver = arrive;
    arrival->set = set;
    arrival->fd = fd;
    arrival->internal = internal;
    arrival->peer = *peer;
    socket_counts_expect(&set->sockets, internal);
    mailbox_post(set->mailbox, &arrival->mail);
}

/* --- accepting -------------------------------------------------------------------------------------------------- */

/* How many sockets of this listener there are, with those on their way to the workers. */
static size_t count_sockets(const struct listener *listener)
{
    size_t count = 0;
    for (size_t i = 0; i < listener->options.worker_count; i++)
        count += socket_counts_get(&listener->options.workers[i]->sockets, listener->options.internal);
    return count;
}

static size_t load_of(const struct connection_set *worker)
{
    return socket_counts_get(&worker->sockets, false) + socket_counts_get(&worker->sockets, true);
}

static struct connection_set *choose_worker(struct listener *listener)
{
    size_t n = listener->options.worker_count;
    struct connection_set *best = listener->options.workers[listener->next_worker % n];
    for (size_t i = 1; i < n; i++) {
        struct connection_set *worker = listener->options.workers[(listener->next_worker + i) % n];
        if (load_of(worker) < load_of(best))
            best = worker;
    }
    listener->next_worker++; /* arrivals not yet counted are spread all the same */
    return best;
}

static void let_in(struct listener *listener, int fd, const struct sockaddr_storage *from)
{
    int on = 1;
    if (!listener->options.internal)
        metrics_add(listener->options.metrics, METRIC_CONNECTIONS_OPENED, 1);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const struct address peer = address_from_socket(from);
    post_arrival(choose_worker(listener), fd, listener->options.internal, &peer);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void set_polling(struct listener *listener, bool on)
{
    for (size_t i = 0; i < listener->socket_count; i++) {
        if (on)
            uv_poll_start(&listener->sockets[i].poll, UV_READABLE, on_readable);
        else
            uv_poll_stop(&listener->sockets[i].poll);
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    struct listener *listener = timer->data;
    if (!listener->stopped)
        set_polling(listener, true);
}

/* New connections wait in the kernel's queue meanwhile. */
static void pause_accepting(struct listener *listener, uint64_t ms)
{
    if (listener->stopped)
        return;
    set_polling(listener, false);
    uv_timer_start(&listener->pause, on_pause_over, ms, 0);
}

/* No descriptor left: the queue would wake the loop for ever. One waiting connection is refused with the spare
 * descriptor, so that its client knows, and then nothing is accepted for a moment. */
static void run_out_of_fds(struct listener *listener, int listen_fd)
{
    if (!listener->out_of_fds)
        log_error("net", "no file descriptors left: new connections are refused until some are closed; "
                         "raise the limit on open files or lower limits.connections");
    listener->out_of_fds = true;
    if (listener->spare_fd >= 0)
        close(listener->spare_fd);
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pause_accepting(listener, NO_FILES_PAUSE_MS);
}

/* False: there is nothing more to accept now. */
static bool accept_one(struct socket *socket)
{
    struct listener *listener = socket->listener;
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    int fd = accept4(socket->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        listener->out_of_fds = false;
        let_in(listener, fd, &from);
        return true;
    }
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: run_out_of_fds(listener, socket->fd); return false;
    case EAGAIN: return false;
    default: return errno != EINVAL && errno != EBADF; /* a connection that died in the queue: the next one */
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct socket *socket = poll->data;
    struct listener *listener = socket->listener;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        /* Each newcomer that a worker has no room for sends an older one away, so there is room in a moment. */
        if (count_sockets(listener) >= net_settings_sockets(listener->settings, listener->options.internal)) {
            pause_accepting(listener, FULL_PAUSE_MS);
            return;
        }
        if (!accept_one(socket))
            return;
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

struct listener *listener_create(const struct listener_options *options, struct net_settings *settings)
{
    struct listener *listener = xcalloc(1, sizeof *listener);
    listener->options = *options;
    listener->settings = net_settings_ref(settings);
    listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    uv_timer_init(options->loop, &listener->pause);
    listener->pause.data = listener;
    listener->open_handles = 1;
    return listener;
}

void listener_configure(struct listener *listener, struct net_settings *settings)
{
    net_settings_ref(settings);
    net_settings_unref(listener->settings);
    listener->settings = settings;
}

static void add_socket(struct listener *listener, int fd)
{
    struct socket *socket = &listener->sockets[listener->socket_count++];
    socket->listener = listener;
    socket->fd = fd;
    uv_poll_init(listener->options.loop, &socket->poll, fd);
    socket->poll.data = socket;
    listener->open_handles++;
}

enum err listener_bind(struct listener *listener, const char *host, uint16_t port, struct error *error)
{
    int fds[SOCKETS_MAX];
    size_t count = 0;
    enum err err = listen_sockets_open(host, port, fds, SOCKETS_MAX - listener->socket_count, &count, error);
    for (size_t i = 0; i < count; i++)
        add_socket(listener, fds[i]);
    return err;
}

size_t listener_inherit(struct listener *listener, const char *name)
{
    int fds[SOCKETS_MAX];
    size_t count = listen_sockets_inherited(name, fds, SOCKETS_MAX - listener->socket_count);
    for (size_t i = 0; i < count; i++)
        add_socket(listener, fds[i]);
    return count;
}

void listener_start(struct listener *listener)
{
    listener->started = true;
    set_polling(listener, true);
}

static struct sockaddr_storage bound_to(const struct listener *listener)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    if (listener->socket_count > 0)
        getsockname(listener->sockets[0].fd, (struct sockaddr *)&at, &len);
    return at;
}

uint16_t listener_port(const struct listener *listener)
{
    struct sockaddr_storage at = bound_to(listener);
    return listen_socket_port(&at);
}

const char *listener_address(const struct listener *listener, char out[LISTENER_ADDRESS_LEN + 1])
{
    struct sockaddr_storage at = bound_to(listener);
    struct address address = address_from_socket(&at);
    char text[ADDRESS_TEXT_LEN + 1];
    address_text(&address, text);
    snprintf(out, LISTENER_ADDRESS_LEN + 1, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, listen_socket_port(&at));
    return out;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    listener->open_handles--;
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct socket *socket = handle->data;
    socket->listener->open_handles--;
}

void listener_stop(struct listener *listener)
{
    if (listener->stopped)
        return;
    listener->stopped = true;
    for (size_t i = 0; i < listener->socket_count; i++) {
        struct socket *socket = &listener->sockets[i];
        while (listener->started && accept_one(socket))
            ;
        uv_close(UV_HANDLE(&socket->poll), on_socket_closed);
        close(socket->fd);
    }
    uv_close(UV_HANDLE(&listener->pause), on_handle_closed);
    close(listener->spare_fd);
}

void listener_destroy(struct listener *listener)
{
    listener_stop(listener);
    while (listener->open_handles > 0)
        uv_run(listener->options.loop, UV_RUN_NOWAIT);
    net_settings_unref(listener->settings);
    free(listener);
}
