/* multi.c - the multi handles of libcurl on the loop (their "socket action" interface).
 *
 * libcurl takes its interest from a connection's socket at the end of each request, and gives it back with the next
 * one. To tell the kernel would cost two system calls a request. So a socket stays polled for reading meanwhile, until
 * it is closed or something comes that nobody waits for.
 *
 * libcurl 7.88 closes a connection that is not complete without a call of on_close, after it has taken its interest
 * away. libuv would abort if it then told the kernel of that socket. So only a socket that the kernel surely knows
 * stays polled. The state of a socket that was closed in that way is freed when its number comes again. */
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/uv_handle.h"
#include "server/outbound/outbound_private.h"

enum { ROUNDS_PER_TURN = 8 };

struct outbound_socket {
    uv_poll_t poll;
    struct outbound *outbound;
    struct outbound_target *target;
    curl_socket_t fd;
    bool is_connection; /* made here; otherwise libcurl's own, such as that of a name being resolved */
    bool is_wanted;     /* libcurl waits for it */
    bool is_known;      /* to the kernel, with these events: something has come */
    int events;         /* that are polled */
};

/* --- sockets ------------------------------------------------------------------------------------------------------ */

static struct outbound_socket *socket_at(const struct outbound *outbound, curl_socket_t fd)
{
    return (size_t)fd < outbound->socket_cap ? outbound->sockets[fd] : NULL;
}

static struct outbound_socket *socket_add(struct outbound_target *target, curl_socket_t fd, bool is_connection)
{
    struct outbound *outbound = target->outbound;
    size_t cap = outbound->socket_cap;
    if ((size_t)fd >= cap) {
        size_t more = (size_t)fd + 1 > cap * 2 ? (size_t)fd + 1 : cap * 2;
        outbound->sockets = xrealloc(outbound->sockets, more * sizeof(struct outbound_socket *));
        memset(outbound->sockets + cap, 0, (more - cap) * sizeof(struct outbound_socket *));
        outbound->socket_cap = more;
    }
    struct outbound_socket *added = xcalloc(1, sizeof *added);
    if (uv_poll_init(&outbound->loop, &added->poll, fd) != 0) {
        free(added);
        return NULL;
    }
    added->poll.data = added;
    added->outbound = outbound;
    added->target = target;
    added->fd = fd;
    added->is_connection = is_connection;
    outbound->sockets[fd] = added;
    return added;
}

static void on_socket_freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void socket_remove(struct outbound_socket *removed)
{
    removed->outbound->sockets[removed->fd] = NULL;
    uv_poll_stop(&removed->poll);
    uv_close(UV_HANDLE(&removed->poll), on_socket_freed);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct outbound_socket *ready = poll->data;
    turn_begin(&ready->outbound->turn);
    ready->is_known = true;
    if (!ready->is_wanted) {
        uv_poll_stop(poll);
        ready->events = 0;
        return;
    }
    int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    if (status < 0) { /* libuv has stopped to poll it. Reading and writing tell libcurl why. */
        ready->events = 0;
        flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
    }
    int running;
    curl_multi_socket_action(ready->target->multi, ready->fd, flags, &running);
}

/* libcurl: what it waits for on a socket. */
static int on_interest(CURL *easy, curl_socket_t fd, int what, void *owner, void *unused)
{
    struct outbound_target *target = owner;
    struct outbound_socket *known = socket_at(target->outbound, fd);
    (void)easy;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        if (known && known->is_connection && known->is_known && known->events == UV_READABLE)
            known->is_wanted = false;
        else if (known)
            socket_remove(known);
        return 0;
    }
    if (!known)
        known = socket_add(target, fd, false);
    if (!known)
        return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    known->is_wanted = events != 0;
    if (events != known->events && uv_poll_start(&known->poll, events, on_event) == 0) {
        known->events = events;
        known->is_known = false;
    }
    return 0;
}

static curl_socket_t on_open(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct outbound_target *target = owner;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    struct outbound_socket *left = socket_at(target->outbound, fd);
    if (left)
        socket_remove(left);
    if (!socket_add(target, fd, true)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int on_close(void *owner, curl_socket_t fd)
{
    const struct outbound_target *target = owner;
    struct outbound_socket *closed = socket_at(target->outbound, fd);
    if (closed)
        socket_remove(closed);
    return close(fd);
}

void multi_use_sockets(struct outbound_target *target, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, target);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, target);
}

/* --- timeouts ----------------------------------------------------------------------------------------------------- */

static void on_due(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    CONTAINER_OF(timer, struct outbound_target, multi_timer)->multi_is_due = true; /* the end of this turn sees it */
}

/* libcurl: when it wants to be called next. It must not be called from here. */
static int on_timeout(CURLM *multi, long timeout_ms, void *owner)
{
    struct outbound_target *target = owner;
    struct turn *turn = &target->outbound->turn;
    (void)multi;
    target->multi_is_due = timeout_ms == 0;
    if (timeout_ms > 0)
        turn_start_timer(turn, &target->multi_timer, (uint64_t)timeout_ms * 1000, on_due);
    else
        turn_stop_timer(turn, &target->multi_timer);
    return 0;
}

void multi_run(struct outbound_target *target)
{
    for (int round = 0; target->multi_is_due && round < ROUNDS_PER_TURN; round++) {
        int running;
        target->multi_is_due = false;
        curl_multi_socket_action(target->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    if (target->multi_is_due) /* sockets get their turn first */
        turn_again(&target->outbound->turn);
}

void multi_open(struct outbound_target *target)
{
    CURLM *multi = target->multi = curl_multi_init();
    if (!multi)
        abort(); /* no memory */
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_interest);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, target);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, target);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)target->in_flight_max); /* so many are worth keeping */
}

void multi_close(struct outbound_target *target)
{
    struct outbound *outbound = target->outbound;
    curl_multi_cleanup(target->multi);
    target->multi = NULL;
    for (size_t i = 0; i < outbound->socket_cap; i++)
        if (outbound->sockets[i] && outbound->sockets[i]->target == target)
            socket_remove(outbound->sockets[i]);
    turn_stop_timer(&outbound->turn, &target->multi_timer);
}
