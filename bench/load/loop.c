/* loop.c - see loop.h. */
#include "bench/load/loop.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/base/clock.h"

/* Few, because what is due for sending waits until a turn is over. */
enum { EVENTS_PER_TURN = 64 };

/* That the turn ends is all it is for. Edge-triggered: nothing needs to be read. */
static void wake(struct loop_source *source, uint32_t events)
{
    (void)source;
    (void)events;
}

static int must(int fd, const char *what)
{
    if (fd < 0) {
        fprintf(stderr, "carillon bench: %s: %s\n", what, strerror(errno));
        abort();
    }
    return fd;
}

static void add_wake(struct loop *loop, struct loop_source *source, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = source};
    *source = (struct loop_source){fd, wake};
    must(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

void loop_init(struct loop *loop)
{
    *loop = (struct loop){.epoll = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
    add_wake(loop, &loop->timer, must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create"));
    add_wake(loop, &loop->bell, must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"));
    buf_reserve(&loop->input, LOOP_INPUT);
}

void loop_fini(struct loop *loop)
{
    loop_close(&loop->timer);
    loop_close(&loop->bell);
    close(loop->epoll);
    buf_fini(&loop->input);
}

void loop_wake_at(struct loop *loop, uint64_t time_us)
{
    if (loop->timer_us == time_us)
        return;
    const struct itimerspec when = {.it_value = {(time_t)(time_us / 1000000), (long)(time_us % 1000000) * 1000}};
    timerfd_settime(loop->timer.fd, TFD_TIMER_ABSTIME, &when, NULL);
    loop->timer_us = time_us;
}

void loop_ring(struct loop *loop)
{
    eventfd_write(loop->bell.fd, 1);
}

enum err loop_resolve(const char *text, const char *scheme, struct loop_target *out, struct error *error)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    struct loop_target target = {0};
    char service[6];
    enum err err = url_parse(str_from_cstr(text), scheme, &target.url, error);
    if (err)
        return err;
    if (target.url.secure)
        return error_set(error, ERR_INVALID_REQUEST, "%s: the load generator speaks no TLS; give the %s:// address",
                         text, scheme);
    char *host = str_dup(target.url.host);
    snprintf(service, sizeof service, "%u", target.url.port);
    int result = getaddrinfo(host, service, &hints, &found);
    free(host);
    if (result != 0)
        return error_set(error, ERR_NOT_FOUND, "%s: %s", text, gai_strerror(result));
    memcpy(&target.address, found->ai_addr, found->ai_addrlen);
    target.address_len = found->ai_addrlen;
    freeaddrinfo(found);
    *out = target;
    return ERR_NONE;
}

/* The port is left to connect(), which knows the other end and so may use one that is taken towards another. */
static enum err bind_source(struct loop *loop, int fd, const struct loop_target *target, struct error *error)
{
    int on = 1;
    if (!loop->addresses || loop->addresses->count == 0 || target->address.ss_family != AF_INET)
        return ERR_NONE;
    const struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr = loop->addresses->items[loop->next_address++ % loop->addresses->count],
    };
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)(const void *)&from, sizeof from) != 0)
        return error_set(error, ERR_INVALID_REQUEST, "cannot connect from an address of --sources: %s",
                         strerror(errno));
    return ERR_NONE;
}

/* connect() says EINPROGRESS also where the kernel has made the connection within it. */
static bool is_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    return getpeername(fd, (struct sockaddr *)(void *)&peer, &len) == 0;
}

enum err loop_connect(struct loop *loop, struct loop_source *source, const struct loop_target *target,
                      bool *out_connected, struct error *error)
{
    int on = 1;
    int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    source->fd = -1;
    if (fd < 0)
        return error_set(error, ERR_UNAVAILABLE, "cannot make a socket: %s%s", strerror(errno),
                         errno == EMFILE ? " (raise the limit: ulimit -n)" : "");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (loop->receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &loop->receive_bytes, sizeof loop->receive_bytes);
    if (bind_source(loop, fd, target, error) != ERR_NONE) {
        close(fd);
        return ERR_UNAVAILABLE;
    }
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&target->address;
    if (connect(fd, address, target->address_len) != 0 && errno != EINPROGRESS) {
        error_set(error, ERR_UNAVAILABLE, "cannot connect to %.*s: %s%s", STR_ARG(target->url.authority),
                  strerror(errno),
                  errno == EADDRNOTAVAIL ? " (all local ports are taken; --sources adds addresses)" : "");
        close(fd);
        return ERR_UNAVAILABLE;
    }
    source->fd = fd;
    bool connected = is_connected(fd);
    struct epoll_event event = {.events = connected ? EPOLLIN : EPOLLOUT, .data.ptr = source};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        error_set(error, ERR_UNAVAILABLE, "cannot wait for a socket: %s", strerror(errno));
        loop_close(source);
        return ERR_UNAVAILABLE;
    }
    *out_connected = connected;
    return ERR_NONE;
}

void loop_expect(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &event);
}

void loop_close(struct loop_source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
}

bool loop_turn(struct loop *loop, uint64_t deadline_us)
{
    struct epoll_event events[EVENTS_PER_TURN];
    uint64_t now_us = clock_now_us();
    if (now_us >= deadline_us)
        return false;
    int wait_ms = deadline_us - now_us < 1000000 ? (int)((deadline_us - now_us) / 1000) + 1 : 1000;
    int count = epoll_wait(loop->epoll, events, EVENTS_PER_TURN, wait_ms);
    for (int i = 0; i < count; i++) {
        struct loop_source *source = events[i].data.ptr;
        if (source->fd >= 0) /* closed by one before it in this turn */
            source->ready(source, events[i].events);
    }
    return true;
}

enum err loop_read(struct loop *loop, struct loop_source *source, struct str *out, struct error *error)
{
    ssize_t got;
    do
        got = recv(source->fd, loop->input.ptr, LOOP_INPUT, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return error_set(error, ERR_UNAVAILABLE, "the server has ended the connection");
    if (got < 0 && errno != EAGAIN)
        return error_set(error, ERR_UNAVAILABLE, "the connection was lost: %s", strerror(errno));
    *out = str_from(loop->input.ptr, got > 0 ? (size_t)got : 0);
    return ERR_NONE;
}
