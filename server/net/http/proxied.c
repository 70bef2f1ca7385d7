/* proxied.c - see proxied.h. */
#include "server/net/http/proxied.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/uv_handle.h"
#include "common/protocol/proxy_header.h"
#include "server/net/http/connection.h"

struct proxied {
    struct connection_set *set;
    struct list_link link; /* in set->proxied */
    uv_poll_t poll;
    int fd; /* -1: handed on, or closed */
    struct address peer;
    struct pending_place pending;
    uint64_t due_us; /* when the request head must have come, the PROXY header before it included */
    struct timer deadline;
    struct buf header; /* as much of it as has been read */
};

static void on_closed(uv_handle_t *handle)
{
    struct proxied *proxied = handle->data;
    proxied->set->polls--;
    buf_fini(&proxied->header);
    free(proxied);
}

/* Gives the socket to the caller. The object is freed when the loop has closed its handle. */
static int release(struct proxied *proxied)
{
    struct connection_set *set = proxied->set;
    int fd = proxied->fd;
    proxied->fd = -1;
    wheel_stop(set->wheel, &proxied->deadline);
    pending_leave(&set->pending[false], &proxied->pending);
    list_remove(&proxied->link);
    socket_counts_change(&set->sockets, false, -1);
    uv_close(UV_HANDLE(&proxied->poll), on_closed); /* stops polling at once: the fd is free for another */
    return fd;
}

static void end(struct proxied *proxied)
{
    close(release(proxied));
}

/* rest: bytes that are no header after all. They would go before those that come by TLS, and neither a record of TLS
 * nor its alert begins like a header. */
static void hand_on(struct proxied *proxied, const struct address *client, struct str rest)
{
    struct connection_set *set = proxied->set;
    if (rest.len > 0 && set->admitter->settings->tls) {
        end(proxied);
        return;
    }
    uint64_t due_us = proxied->due_us;
    connection_open(set, release(proxied), false, client, due_us, rest);
}

/* Peeks at the bytes that wait in the kernel, and takes only those of the header. */
static void read_header(struct proxied *proxied)
{
    const struct connection_set *set = proxied->set;
    struct proxy_header header;
    struct address client = proxied->peer;
    size_t before = proxied->header.len;
    buf_reserve(&proxied->header, PROXY_HEADER_MAX);
    ssize_t n = recv(proxied->fd, proxied->header.ptr + before, PROXY_HEADER_MAX, MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            end(proxied);
        return;
    }
    size_t len = before + (size_t)n, take = 0;
    enum proxy_result result = proxy_header_parse(str_from(proxied->header.ptr, len), &header, NULL);
    if (result == PROXY_NEED_MORE)
        take = len - before;
    else if (result == PROXY_DONE)
        take = header.length - before;
    if (take > 0 && recv(proxied->fd, proxied->header.ptr + before, take, MSG_DONTWAIT) != (ssize_t)take) {
        end(proxied);
        return;
    }
    if (result == PROXY_NEED_MORE)
        proxied->header.len = len;
    else if (result == PROXY_DONE) {
        if (header.has_address)
            address_parse(str_from_cstr(header.address), &client);
        hand_on(proxied, &client, STR(""));
    } else if (result == PROXY_NONE && set->admitter->settings->proxy_protocol != PROXY_REQUIRED)
        hand_on(proxied, &client, buf_str(&proxied->header));
    else
        end(proxied);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct proxied *proxied = poll->data;
    (void)events;
    turn_begin(proxied->set->turn);
    if (proxied->fd < 0) /* by its deadline, just now */
        return;
    if (status < 0)
        end(proxied);
    else
        read_header(proxied);
}

static void on_deadline(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    end(CONTAINER_OF(timer, struct proxied, deadline));
}

static void evict(struct pending_place *place)
{
    struct proxied *proxied = CONTAINER_OF(place, struct proxied, pending);
    metrics_add(proxied->set->admitter->metrics, METRIC_CONNECTIONS_EVICTED, 1);
    end(proxied);
}

void proxied_await(struct connection_set *set, int fd, const struct address *peer)
{
    struct pending *pending = &set->pending[false];
    struct proxied *proxied = xcalloc(1, sizeof *proxied);
    proxied->set = set;
    proxied->fd = fd;
    proxied->peer = *peer;
    proxied->pending.evict = evict;
    list_append(&set->proxied, &proxied->link);
    socket_counts_change(&set->sockets, false, 1);
    uv_poll_init(set->loop, &proxied->poll, fd);
    proxied->poll.data = proxied;
    set->polls++;
    uv_poll_start(&proxied->poll, UV_READABLE, on_poll);
    proxied->due_us = turn_now_us(set->turn) + set->admitter->settings->head_timeout_us;
    wheel_start(set->wheel, &proxied->deadline, proxied->due_us, on_deadline);
    pending_enter(pending, &proxied->pending, peer);
    pending_make_room(pending, &proxied->pending);
}

void proxied_close_all(struct connection_set *set)
{
    while (!list_is_empty(&set->proxied))
        end(CONTAINER_OF(set->proxied.next, struct proxied, link));
}
