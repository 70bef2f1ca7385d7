/* echo_backend.c - a backend for measurements, by HTTP and WebSocket.
 *
 *     echo_backend [PORT [WAIT_MS]]    port 0 or none: a free one. It is printed as "listening on 127.0.0.1:PORT".
 *
 * The path of a request decides what it does. It waits WAIT_MS (0) before the first and the second.
 *     /bytes/N      answers N bytes of application/x-ndjson, in lines of LINE_LEN bytes
 *     /never        does not answer
 *     any other     answers the body and the content type of the request
 * A GET opens a WebSocket, on which each message comes back at once.
 *
 * One thread, epoll, HTTP/1.1 with keep-alive. It reads Content-Length only, and requests up to 1 MiB. So it costs as
 * little as a backend can, and what is measured is the other side. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/protocol/ws_decoder.h"
#include "common/protocol/ws_handshake.h"

enum {
    REQUEST_MAX = 1 << 20,
    READ_ROOM = 16384,
    EVENTS = 256,
    HEAD_ROOM = 256,
    LINE_LEN = 1024,
    TYPE_MAX = 100,
    PEERS_MAX = 20000
};

struct bytes {
    char *ptr;
    size_t len;
    size_t cap;
};

/* One connection. It has one request at a time. */
struct peer {
    int fd;
    struct bytes in;
    struct bytes out;
    size_t sent;  /* of out */
    bool blocked; /* the kernel takes no more of it for now */
    bool is_websocket;
    struct ws_decoder decoder;
    uint64_t due_us;   /* when its request may be answered; 0: nothing waits */
    struct peer *next; /* among those that wait, the earliest first */
};

static int epoll_fd;
static uint64_t wait_us;
static struct peer *peers[PEERS_MAX]; /* by descriptor */
static struct peer *first_waiting, *last_waiting;

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static char *grow(struct bytes *bytes, size_t room)
{
    if (bytes->cap - bytes->len < room) {
        bytes->cap = (bytes->len + room) * 2;
        bytes->ptr = realloc(bytes->ptr, bytes->cap);
        if (!bytes->ptr)
            abort();
    }
    return bytes->ptr + bytes->len;
}

static void stop_waiting(struct peer *peer)
{
    struct peer **link = &first_waiting, *before = NULL;
    for (; *link && *link != peer; link = &(*link)->next)
        before = *link;
    if (*link)
        *link = peer->next;
    if (last_waiting == peer)
        last_waiting = before;
    peer->due_us = 0;
}

static void drop(struct peer *peer)
{
    if (peer->due_us)
        stop_waiting(peer);
    peers[peer->fd] = NULL;
    close(peer->fd);
    ws_decoder_fini(&peer->decoder);
    free(peer->in.ptr);
    free(peer->out.ptr);
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

static void expect(struct peer *peer, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = peer->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, peer->fd, &event);
}

/* Sends what the kernel takes. The rest goes when it takes more. */
static void flush(struct peer *peer)
{
    while (peer->sent < peer->out.len) {
        ssize_t n = send(peer->fd, peer->out.ptr + peer->sent, peer->out.len - peer->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            expect(peer, EPOLLIN | EPOLLOUT);
            peer->blocked = true;
            return;
        }
        peer->sent += (size_t)n;
    }
    peer->sent = peer->out.len = 0;
    if (peer->blocked)
        expect(peer, EPOLLIN);
    peer->blocked = false;
}

static void write_lines(struct bytes *out, size_t len)
{
    char *at = grow(out, len);
    memset(at, 'x', len);
    for (size_t start = 0; start < len; start += LINE_LEN) {
        size_t end = start + LINE_LEN < len ? start + LINE_LEN : len;
        at[start] = '"';
        at[end - 2] = '"';
        at[end - 1] = '\n';
    }
    out->len += len;
}

static void answer(struct peer *peer, const char *head_end, size_t body_len)
{
    static const char lines[] = "POST /bytes/";
    const char *type = find_field(peer->in.ptr, head_end, "content-type");
    bool is_lines = strncmp(peer->in.ptr, lines, sizeof lines - 1) == 0;
    size_t len = is_lines ? strtoul(peer->in.ptr + sizeof lines - 1, NULL, 10) : body_len;
    int type_len = 0;
    while (type && *type == ' ')
        type++;
    while (type && type_len < TYPE_MAX && type[type_len] != '\r')
        type_len++;
    if (is_lines || !type) {
        type = is_lines ? "application/x-ndjson" : "text/plain";
        type_len = (int)strlen(type);
    }
    char *head = grow(&peer->out, HEAD_ROOM);
    peer->out.len += (size_t)snprintf(
        head, HEAD_ROOM, "HTTP/1.1 200 OK\r\nContent-Type: %.*s\r\nContent-Length: %zu\r\n\r\n", type_len, type, len);
    if (is_lines) {
        write_lines(&peer->out, len);
    } else {
        memcpy(grow(&peer->out, len), head_end + 4, len);
        peer->out.len += len;
    }
}

static void write_frame(struct bytes *out, enum ws_opcode opcode, struct str payload)
{
    char *at = grow(out, WS_HEADER_MAX + payload.len);
    size_t head = ws_frame_header((uint8_t *)at, opcode, payload.len);
    memcpy(at + head, payload.ptr, payload.len);
    out->len += head + payload.len;
}

/* False: the other side has ended. */
static bool serve_websocket(struct peer *peer)
{
    struct str bytes = str_from(peer->in.ptr, peer->in.len);
    struct ws_message message;
    enum ws_decoded result;
    bool ended = false;
    while ((result = ws_decoder_next(&peer->decoder, &bytes, &message, NULL)) == WS_DECODED_MESSAGE) {
        ended |= message.opcode == WS_CLOSE;
        if (message.opcode == WS_CLOSE)
            write_frame(&peer->out, WS_CLOSE, STR(""));
        else if (message.opcode != WS_PONG)
            write_frame(&peer->out, message.opcode == WS_PING ? WS_PONG : message.opcode, message.payload);
    }
    peer->in.len = 0;
    flush(peer);
    return result == WS_DECODED_MORE && !ended;
}

static bool open_websocket(struct peer *peer, const char *head_end)
{
    const char *field = find_field(peer->in.ptr, head_end, "sec-websocket-key");
    struct str rest = field ? str_from(field, (size_t)(head_end + 2 - field)) : STR("");
    struct str key = str_trim(str_split(&rest, '\r'));
    char accept[WS_ACCEPT_LEN + 1];
    if (!key.len)
        return false;
    ws_handshake_accept(key, accept);
    char *head = grow(&peer->out, HEAD_ROOM);
    peer->out.len += (size_t)snprintf(head, HEAD_ROOM,
                                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                      "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                                      accept);
    peer->is_websocket = true;
    peer->decoder.from_client = true;
    peer->in.len -= (size_t)(head_end + 4 - peer->in.ptr);
    memmove(peer->in.ptr, head_end + 4, peer->in.len);
    return serve_websocket(peer);
}

/* Answers each whole request that is there. False: the peer is none that we understand. */
static bool serve(struct peer *peer)
{
    static const char never[] = "POST /never ";
    while (peer->in.len && !peer->due_us) {
        char *head_end = memmem(peer->in.ptr, peer->in.len, "\r\n\r\n", 4);
        const char *field = head_end ? find_field(peer->in.ptr, head_end, "content-length") : NULL;
        size_t body_len = field ? strtoul(field, NULL, 10) : 0;
        if (!head_end || body_len > REQUEST_MAX)
            return body_len <= REQUEST_MAX;
        if (strncmp(peer->in.ptr, "GET ", 4) == 0)
            return open_websocket(peer, head_end);
        size_t whole = (size_t)(head_end + 4 - peer->in.ptr) + body_len;
        if (peer->in.len < whole || strncmp(peer->in.ptr, never, sizeof never - 1) == 0)
            return true;
        answer(peer, head_end, body_len);
        peer->in.len -= whole;
        memmove(peer->in.ptr, peer->in.ptr + whole, peer->in.len);
    }
    flush(peer);
    return true;
}

static bool take(struct peer *peer)
{
    if (peer->in.len > 2 * REQUEST_MAX)
        return false;
    ssize_t n = recv(peer->fd, grow(&peer->in, READ_ROOM), READ_ROOM, 0);
    if (n <= 0)
        return false;
    peer->in.len += (size_t)n;
    if (peer->is_websocket)
        return serve_websocket(peer);
    if (!wait_us)
        return serve(peer);
    if (peer->due_us)
        return true;
    peer->due_us = now_us() + wait_us;
    peer->next = NULL;
    if (last_waiting)
        last_waiting->next = peer;
    else
        first_waiting = peer;
    last_waiting = peer;
    return true;
}

/* Those that have waited for long enough are answered. Returns the milliseconds until the next one. -1: there is none.
 */
static int serve_waiting(void)
{
    uint64_t now = now_us();
    while (first_waiting && first_waiting->due_us <= now) {
        struct peer *peer = first_waiting;
        stop_waiting(peer);
        if (!serve(peer))
            drop(peer);
    }
    return first_waiting ? (int)((first_waiting->due_us - now + 999) / 1000) : -1;
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

static void add_peer(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
    if (fd >= PEERS_MAX)
        close(fd);
    if (fd < 0 || fd >= PEERS_MAX)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        abort();
    peer->fd = fd;
    peers[fd] = peer;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv)
{
    int listener = listen_on(argc > 1 ? (unsigned)atoi(argv[1]) : 0);
    wait_us = argc > 2 ? strtoul(argv[2], NULL, 10) * 1000 : 0;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event own = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &own);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll_fd, events, EVENTS, serve_waiting());
        for (int i = 0; i < count; i++) {
            struct peer *peer = peers[events[i].data.fd];
            if (events[i].data.fd == listener) {
                add_peer(listener);
                continue;
            }
            if (events[i].events & EPOLLOUT)
                flush(peer);
            if (events[i].events & ~(uint32_t)EPOLLOUT && !take(peer))
                drop(peer);
        }
    }
}
