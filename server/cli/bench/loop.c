/* loop.c - see loop.h. */
#include "server/cli/bench/loop.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { EVENTS_PER_TURN = 512 };

void loop_init(struct loop *loop)
{
    *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (loop->epoll < 0) {
        perror("carillon bench: epoll_create1");
        abort();
    }
    buf_reserve(&loop->input, LOOP_INPUT);
}

void loop_fini(struct loop *loop)
{
    close(loop->epoll);
    buf_fini(&loop->input);
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

enum err loop_connect(struct loop *loop, struct loop_source *source, const struct loop_target *target, uint32_t events,
                      struct error *error)
{
    int on = 1;
    int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    source->fd = -1;
    if (fd < 0)
        return error_set(error, ERR_UNAVAILABLE, "cannot make a socket: %s%s", strerror(errno),
                         errno == EMFILE ? " (raise the limit: ulimit -n)" : "");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&target->address;
    if (connect(fd, address, target->address_len) != 0 && errno != EINPROGRESS) {
        error_set(error, ERR_UNAVAILABLE, "cannot connect to %.*s: %s%s", STR_ARG(target->url.authority),
                  strerror(errno), errno == EADDRNOTAVAIL ? " (all local ports are taken)" : "");
        close(fd);
        return ERR_UNAVAILABLE;
    }
    source->fd = fd;
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        error_set(error, ERR_UNAVAILABLE, "cannot wait for a socket: %s", strerror(errno));
        loop_close(source);
        return ERR_UNAVAILABLE;
    }
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
