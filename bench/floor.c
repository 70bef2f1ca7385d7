/* floor.c - the limit of this kernel, for comparison: a program that does nothing but epoll and one send() of the same
 * bytes to each subscriber. It speaks the `plain` dialect of `carillon bench` on one port:
 *
 *     GET /ws?channel=<c>        a WebSocket upgrade of whoever asks; the channel is the text as it came
 *     POST /publish?channel=<c>  the body is the data of an event; keep-alive, may be pipelined
 *
 * An event is wrapped as Carillon wraps it, so a delivery has as many bytes. Events of one loop turn leave joined, in
 * one send() a subscriber, as Carillon's do. There is no outbox, no token, no ping, no limit: a subscriber that does
 * not take everything at once is cut off. Not a server to be used for anything else. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/random.h"
#include "common/protocol/event.h"
#include "common/protocol/http_head.h"
#include "common/protocol/ws_client.h"
#include "common/protocol/ws_handshake.h"

enum { BACKLOG = 4096, TURN_EVENTS = 512, READ_BYTES = 65536, HEAD_MAX = 16384, FIRST_SUBSCRIBERS = 8 };

/* Made with its first subscriber, kept for ever. */
struct channel {
    char *name;
    struct peer **subscribers;
    size_t count;
    size_t cap;
    struct buf frames;          /* of this turn's events */
    struct channel *next_dirty; /* the channels that have some */
};

struct peer {
    int fd;
    struct channel *channel; /* of a subscriber; NULL for a publisher, or before the request */
    size_t place;            /* in channel->subscribers */
    struct buf in;           /* the beginning of a request */
    size_t scanned;          /* see http_head_parse */
    struct buf answers;      /* of a publisher, sent at the end of the turn */
    struct peer *next_answered;
    bool dead; /* its descriptor is closed, and it is freed at the end of the turn */
    struct peer *next_dead;
};

static struct {
    int epoll_fd;
    int listen_fd;
    struct map channels;
    struct channel *dirty;
    struct peer *answered;
    struct peer *dead;
} floor_state;

static void drop(struct peer *peer)
{
    if (peer->dead)
        return;
    if (peer->channel) {
        struct channel *channel = peer->channel;
        channel->subscribers[peer->place] = channel->subscribers[--channel->count];
        channel->subscribers[peer->place]->place = peer->place;
    }
    close(peer->fd);
    peer->dead = true;
    peer->next_dead = floor_state.dead;
    floor_state.dead = peer;
}

/* The one send. False, and the peer is dropped, if the kernel does not take it all. */
static bool send_all(struct peer *peer, struct str bytes)
{
    if (send(peer->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)bytes.len)
        return true;
    drop(peer);
    return false;
}

static struct channel *channel_get(struct str name)
{
    struct channel *channel = map_get(&floor_state.channels, name);
    if (!channel) {
        channel = xcalloc(1, sizeof *channel);
        channel->name = str_dup(name);
        map_put(&floor_state.channels, str_from_cstr(channel->name), channel);
    }
    return channel;
}

static void subscribe(struct peer *peer, struct str name)
{
    struct channel *channel = channel_get(name);
    if (channel->count == channel->cap) {
        channel->cap = channel->cap ? 2 * channel->cap : FIRST_SUBSCRIBERS;
        channel->subscribers = xrealloc(channel->subscribers, channel->cap * sizeof(struct peer *));
    }
    peer->channel = channel;
    peer->place = channel->count;
    channel->subscribers[channel->count++] = peer;
}

/* Appends the event as a whole frame to the channel's turn. */
static void publish(struct str name, struct str data)
{
    struct channel *channel = map_get(&floor_state.channels, name);
    if (!channel || channel->count == 0)
        return;
    static struct buf encoded;
    char id[UUID_LEN + 1], timestamp[CLOCK_RFC3339_LEN + 1];
    uint8_t header[WS_HEADER_MAX];
    uint64_t wall_ms = clock_wall_ms();
    uuid_v7(wall_ms, id);
    clock_format(wall_ms, timestamp);
    buf_clear(&encoded);
    event_encode(&encoded, &(struct event){.channel = name,
                                           .type = STR("bench"),
                                           .id = str_from(id, UUID_LEN),
                                           .timestamp = str_from(timestamp, CLOCK_RFC3339_LEN),
                                           .data = data});
    size_t header_len = ws_frame_header(header, WS_TEXT, encoded.len);
    if (channel->frames.len == 0) {
        channel->next_dirty = floor_state.dirty;
        floor_state.dirty = channel;
    }
    buf_append(&channel->frames, str_from((const char *)header, header_len));
    buf_append(&channel->frames, buf_str(&encoded));
}

static void upgrade(struct peer *peer, const struct http_head *head, struct str channel)
{
    struct str key = STR("");
    char accept[WS_ACCEPT_LEN + 1];
    http_head_find(head, STR("sec-websocket-key"), &key);
    ws_handshake_accept(key, accept);
    struct buf answer = {0};
    buf_appendf(&answer,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Accept: %s\r\n\r\n",
                accept);
    if (send_all(peer, buf_str(&answer)))
        subscribe(peer, channel);
    buf_fini(&answer);
}

static void answer(struct peer *peer)
{
    if (peer->answers.len == 0) {
        peer->next_answered = floor_state.answered;
        floor_state.answered = peer;
    }
    buf_append_lit(&peer->answers, "HTTP/1.1 204 No Content\r\n\r\n");
}

/* Takes one request from the front of *bytes. False if it is not whole yet, or the peer is gone or subscribed. */
static bool take_request(struct peer *peer, struct str *bytes)
{
    struct http_head head;
    struct error error;
    static struct buf scratch;
    struct str channel = {0};
    enum http_head_result result = http_head_parse(*bytes, HEAD_MAX, &peer->scanned, &head, &error);
    if (result == HTTP_HEAD_NEED_MORE)
        return false;
    if (result == HTTP_HEAD_BAD || http_query_get(head.query, STR("channel"), &scratch, &channel, &error) ||
        !channel.ptr) {
        drop(peer);
        return false;
    }
    if (ws_handshake_check(&head, &error) == WS_HANDSHAKE_WEBSOCKET) {
        upgrade(peer, &head, channel);
        return false;
    }
    if (!str_eq(head.method, STR("POST")) || !head.has_content_length) {
        drop(peer);
        return false;
    }
    if (bytes->len - head.length < head.content_length) {
        peer->scanned = 0;
        return false;
    }
    publish(channel, str_from(bytes->ptr + head.length, (size_t)head.content_length));
    answer(peer);
    peer->scanned = 0;
    bytes->ptr += head.length + head.content_length;
    bytes->len -= head.length + (size_t)head.content_length;
    return true;
}

static void read_from(struct peer *peer)
{
    static char bytes[READ_BYTES];
    if (peer->dead)
        return;
    ssize_t got = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            drop(peer);
        return;
    }
    if (peer->channel) /* pongs and such: nobody asks for them here */
        return;
    struct str rest = str_from(bytes, (size_t)got);
    bool kept = peer->in.len > 0;
    if (kept) {
        buf_append(&peer->in, rest);
        rest = buf_str(&peer->in);
    }
    while (rest.len > 0 && take_request(peer, &rest))
        ;
    if (peer->dead || peer->channel)
        buf_fini(&peer->in);
    else if (kept)
        buf_consume(&peer->in, peer->in.len - rest.len);
    else
        buf_append(&peer->in, rest);
}

static void accept_all(void)
{
    int fd, on = 1;
    while ((fd = accept4(floor_state.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = xcalloc(1, sizeof *peer);
        peer->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event interest = {.events = EPOLLIN, .data.ptr = peer};
        if (epoll_ctl(floor_state.epoll_fd, EPOLL_CTL_ADD, fd, &interest) < 0)
            drop(peer);
    }
}

/* Backwards, because whoever is dropped is replaced by the last, who has got his bytes already. */
static void send_turn(void)
{
    for (struct channel *channel; (channel = floor_state.dirty); buf_clear(&channel->frames)) {
        floor_state.dirty = channel->next_dirty;
        for (size_t i = channel->count; i-- > 0;)
            send_all(channel->subscribers[i], buf_str(&channel->frames));
    }
    for (struct peer *peer; (peer = floor_state.answered); buf_clear(&peer->answers)) {
        floor_state.answered = peer->next_answered;
        if (!peer->dead)
            send_all(peer, buf_str(&peer->answers));
    }
    for (struct peer *peer; (peer = floor_state.dead);) {
        floor_state.dead = peer->next_dead;
        buf_fini(&peer->in);
        buf_fini(&peer->answers);
        free(peer);
    }
}

static bool listen_on(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    struct epoll_event interest = {.events = EPOLLIN};
    floor_state.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    floor_state.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(floor_state.listen_fd, (struct sockaddr *)&at, sizeof at) < 0 ||
        listen(floor_state.listen_fd, BACKLOG) < 0 ||
        getsockname(floor_state.listen_fd, (struct sockaddr *)&at, &len) < 0 ||
        epoll_ctl(floor_state.epoll_fd, EPOLL_CTL_ADD, floor_state.listen_fd, &interest) < 0)
        return false;
    *port = ntohs(at.sin_port);
    return true;
}

int main(void)
{
    static struct epoll_event events[TURN_EVENTS];
    uint16_t port;
    if (!listen_on(&port)) {
        perror("floor: cannot listen on a port of 127.0.0.1");
        return 1;
    }
    printf("ready %u\n", port);
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(floor_state.epoll_fd, events, TURN_EVENTS, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr)
                read_from(events[i].data.ptr);
            else
                accept_all();
        send_turn();
    }
}
