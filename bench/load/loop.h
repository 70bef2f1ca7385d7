/* loop.h - one epoll loop of the load generator, and the sockets that run on it. Level-triggered. One loop a thread; a
 * loop and all that runs on it belong to that thread. */
#ifndef CARILLON_BENCH_LOAD_LOOP_H
#define CARILLON_BENCH_LOAD_LOOP_H

#include <netinet/in.h>
#include <sys/epoll.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/protocol/url.h"

/* A socket, embedded in what it belongs to, which must live as long as the loop. */
struct loop_source {
    int fd; /* -1 when closed */
    void (*ready)(struct loop_source *source, uint32_t events);
};

/* Addresses that connections are made from, in turn: each has ports of its own. */
struct loop_addresses {
    size_t count; /* 0: the kernel chooses */
    struct in_addr *items;
};

struct loop {
    int epoll;
    struct buf input;                       /* scratch for whoever reads: LOOP_INPUT bytes at ptr */
    const struct loop_addresses *addresses; /* borrowed; NULL: as with none */
    size_t next_address;
    int receive_bytes; /* SO_RCVBUF of connections made from now on; 0: the kernel chooses */
    struct loop_source timer;
    uint64_t timer_us; /* that the timer is set to; 0: none */
    struct loop_source bell;
};

enum { LOOP_INPUT = 256 * 1024 };

void loop_init(struct loop *loop);
/* Sources must have been closed. */
void loop_fini(struct loop *loop);

/* The address of a server; borrows the URL's text. */
struct loop_target {
    struct url url;
    struct sockaddr_storage address;
    socklen_t address_len;
};

/* Takes <scheme>://host:port..., without TLS, and resolves the host: its first address counts. Blocks. */
enum err loop_resolve(const char *text, const char *scheme, struct loop_target *out, struct error *error);

/* Begins a connection. If *out_connected, it is there already, as over loopback: source->ready is called for EPOLLIN.
 * Else it is called for EPOLLOUT, when the connection is there or has failed. */
enum err loop_connect(struct loop *loop, struct loop_source *source, const struct loop_target *target,
                      bool *out_connected, struct error *error);
/* Changes what it is called for. */
void loop_expect(struct loop *loop, struct loop_source *source, uint32_t events);
/* A closed source may be closed again. */
void loop_close(struct loop_source *source);

/* The next loop_turn returns at that time, to the microsecond and not to the millisecond. Costs nothing when the time
 * is the one it is set to already. */
void loop_wake_at(struct loop *loop, uint64_t time_us);

/* Makes a loop_turn of the loop's thread return. Any thread. */
void loop_ring(struct loop *loop);

/* Waits for events, at most until the deadline, and calls whoever has some. False: the deadline has passed. */
bool loop_turn(struct loop *loop, uint64_t deadline_us);

/* One recv into loop->input. *out is what came. ERR_UNAVAILABLE: the server has ended the connection, or it broke. */
enum err loop_read(struct loop *loop, struct loop_source *source, struct str *out, struct error *error);

#endif
