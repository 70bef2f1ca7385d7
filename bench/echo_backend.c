/* echo_backend.c - an HTTP backend for measurements: answers each request with its own body and content type.
 *
 *     echo_backend [PORT]      0 or none: a free port. It is printed as "listening on 127.0.0.1:PORT".
 *
 * One thread, epoll, HTTP/1.1 with keep-alive. It reads Content-Length only, and requests up to 1 MiB. So it costs as
 * little as a backend can, and what is measured is the other side. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 20, EVENTS = 256, HEAD_ROOM = 256 };

struct peer {
    int fd;
    size_t len;
    size_t cap;
    char *bytes;
};

static void drop(struct peer *peer)
{
    close(peer->fd);
    free(peer->bytes);
    free(peer);
}

static const char *find_field(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = head; line && line < end; line = memchr(line, '\n', (size_t)(end - line))) {
        line += *line == '\n';
        if ((size_t)(end - line) > len && strncasecmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1;
    }
    return NULL;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) /* measurements do not fill a socket's buffer with small answers; large ones wait here */
            return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static int answer(const struct peer *peer, const char *head_end, const char *body, size_t body_len)
{
    const char *type = find_field(peer->bytes, head_end, "content-type");
    int type_len = 0;
    while (type && *type == ' ')
        type++;
    while (type && type_len < HEAD_ROOM / 2 && type[type_len] != '\r')
        type_len++;
    char *out = malloc(HEAD_ROOM + body_len);
    int len = snprintf(out, HEAD_ROOM, "HTTP/1.1 200 OK\r\nContent-Type: %.*s\r\nContent-Length: %zu\r\n\r\n",
                       type_len ? type_len : 10, type_len ? type : "text/plain", body_len);
    memcpy(out + len, body, body_len);
    int failed = write_all(peer->fd, out, (size_t)len + body_len);
    free(out);
    return failed;
}

/* Answers each whole request that is there. */
static int serve(struct peer *peer)
{
    for (;;) {
        char *head_end = memmem(peer->bytes, peer->len, "\r\n\r\n", 4);
        if (!head_end)
            return 0;
        const char *field = find_field(peer->bytes, head_end, "content-length");
        size_t body_len = field ? strtoul(field, NULL, 10) : 0;
        size_t head_len = (size_t)(head_end + 4 - peer->bytes);
        if (body_len > REQUEST_MAX)
            return -1;
        if (peer->len < head_len + body_len)
            return 0;
        if (answer(peer, head_end, head_end + 4, body_len) != 0)
            return -1;
        peer->len -= head_len + body_len;
        memmove(peer->bytes, peer->bytes + head_len + body_len, peer->len);
    }
}

static int take(struct peer *peer)
{
    if (peer->cap - peer->len < 16384) {
        if (peer->cap > 2 * REQUEST_MAX)
            return -1;
        peer->cap = peer->cap ? peer->cap * 2 : 32768;
        peer->bytes = realloc(peer->bytes, peer->cap);
    }
    ssize_t n = recv(peer->fd, peer->bytes + peer->len, peer->cap - peer->len, 0);
    if (n <= 0)
        return -1;
    peer->len += (size_t)n;
    return serve(peer);
}

static int listen_on(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        perror("echo_backend");
        exit(1);
    }
    printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    int listener = listen_on(argc > 1 ? (unsigned)atoi(argv[1]) : 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event own = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &own);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer) {
                if (take(peer) != 0)
                    drop(peer);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
            if (fd < 0)
                continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            peer = calloc(1, sizeof *peer);
            peer->fd = fd;
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        }
    }
}
