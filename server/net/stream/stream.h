/* stream.h - a connection as bytes, in plaintext or by TLS. libwebsockets' raw role carries it: it waits, reads, and
 * shakes hands for TLS; what is written goes to the socket at once, and what the kernel does not take is kept here. A
 * stream has no deadlines and no limits: its owner sets them. One thread: the worker's. */
#ifndef CARILLON_NET_STREAM_STREAM_H
#define CARILLON_NET_STREAM_STREAM_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "server/core/hub.h"

struct edge;
struct lws;
struct stream;

struct stream_ops {
    /* Bytes have come. They may be changed in place, and are gone afterwards. The stream may be moved or cut meanwhile.
     */
    void (*input)(struct stream *stream, struct str bytes);
    /* The kernel has taken all that was written. */
    void (*drained)(struct stream *stream);
    /* It has ended: the peer has gone, or it was cut. The last call; of this interface, only from within
     * stream_read_now. */
    void (*gone)(struct stream *stream);
};

/* A member of its owner. All of it is private to stream.c and edge.c. */
struct stream {
    int fd;
    bool paused;              /* its owner wants no input */
    bool timed;               /* by libwebsockets, until the first input */
    bool shaken;              /* the TLS handshake is over */
    uint8_t handshakes_after; /* records of handshake messages since then */
    struct ssl_st *ssl;       /* NULL: plaintext. Owned by libwebsockets */
    struct buf unsent;        /* what the kernel has not taken */
    struct lws *wsi;          /* NULL before it has been opened, and once it has gone */
    const struct stream_ops *ops;
    struct edge *edge;
    struct list_link link;     /* in edge->streams */
    struct list_link cut_link; /* in edge->cut */
};

/* Takes fd, and counts it as a socket of the worker until it is closed. internal: of the internal listener, in
 * plaintext; the public one may speak TLS. False: it has failed, fd is closed and `gone` does not come. With TLS the
 * handshake has only begun: write after the first input. */
bool stream_open(struct stream *stream, struct edge *edge, int fd, bool internal, const struct stream_ops *ops);
bool stream_is_open(const struct stream *stream);

/* Gives the connection another owner: `from` is as if it had never been opened. */
void stream_move(struct stream *from, struct stream *to, const struct stream_ops *ops);

/* Writes at once; what the kernel does not take is kept and written until `drained`. *out_unsent: bytes kept so far.
 * WRITE_FAILED: the connection is broken, cut it. */
enum write_result stream_write(struct stream *stream, struct str bytes, size_t *out_unsent);
bool stream_has_unsent(const struct stream *stream);

/* Reads at once what the peer has sent, if anything, instead of when the loop comes to it. Not from within a call of
 * stream_ops. False: the stream has been moved, or has ended (`gone` has been called). */
bool stream_read_now(struct stream *stream);
/* No input until it is wanted again. */
void stream_want_input(struct stream *stream, bool wanted);

/* Nothing more will be written: tells the peer so (by TLS with close_notify too). What it still sends is read on. Only
 * while nothing is unsent. */
void stream_shut(struct stream *stream);

/* Ends the connection at the end of the turn, when `gone` comes. There is no more input. */
void stream_cut(struct stream *stream);

#endif
