/* stream.h - a stream is a connection as bytes, in plaintext or by TLS. libwebsockets' raw role waits for input, reads
 * it and does the TLS handshake. Output goes to the socket at once, and the stream keeps what the kernel does not take.
 * A stream has no deadlines and no limits: its owner sets them. One thread: the worker's. */
#ifndef CARILLON_NET_STREAM_STREAM_H
#define CARILLON_NET_STREAM_STREAM_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "server/core/hub.h"

struct edge;
struct kept_input;
struct lws;
struct stream;

struct stream_ops {
    /* Bytes have come. They are valid for the call and may be changed. The call may move or cut the stream. */
    void (*input)(struct stream *stream, struct str bytes);
    /* The kernel has taken all that was written. */
    void (*drained)(struct stream *stream);
    /* The stream has ended: the peer has gone, or the stream was cut. No call follows. stream_read_now may make this
     * call before it returns. No other function below does. */
    void (*gone)(struct stream *stream);
};

/* A member of its owner. All of it is private to stream.c and edge.c. */
struct stream {
    int fd;
    bool paused;              /* its owner wants no input */
    bool timed;               /* libwebsockets' timer runs, until the first input */
    bool shaken;              /* the TLS handshake is over */
    uint8_t handshakes_after; /* records of handshake messages since then */
    struct ssl_st *ssl;       /* NULL: plaintext. Owned by libwebsockets */
    struct buf unsent;        /* what the kernel has not taken */
    struct kept_input *kept;  /* what its owner has given back; NULL: nothing */
    struct lws *wsi;          /* NULL before it has been opened, and once it has gone */
    const struct stream_ops *ops;
    struct edge *edge;
    struct list_link link;     /* in edge->streams */
    struct list_link cut_link; /* in edge->cut */
};

/* Takes fd, and counts it as a socket of the worker until it is closed. internal: the connection is of the internal
 * listener, and plaintext. The public listener may speak TLS: then the handshake has only begun, so write after the
 * first input. False: the connection failed, fd is closed, and `gone` does not come. */
bool stream_open(struct stream *stream, struct edge *edge, int fd, bool internal, const struct stream_ops *ops);
bool stream_is_open(const struct stream *stream);

/* Gives the connection another owner. `from` is then like a stream that was never opened. */
void stream_move(struct stream *from, struct stream *to, const struct stream_ops *ops);

/* Writes at once. The stream keeps what the kernel does not take, and calls `drained` when all of it has been written.
 * *out_unsent: how many bytes it keeps, below 4 GiB. WRITE_FAILED: the connection is broken, so cut it. */
enum write_result stream_write(struct stream *stream, struct str bytes, uint32_t *out_unsent);
bool stream_has_unsent(const struct stream *stream);

/* Reads at once what the peer has sent, before the loop would. Do not call it from stream_ops. False: the stream has
 * been moved, or has ended (`gone` has been called). */
bool stream_read_now(struct stream *stream);
/* No input until it is wanted again. */
void stream_want_input(struct stream *stream, bool wanted);
/* Gives back input that has not been used, while none is wanted. It is copied. Once input is wanted again, it comes at
 * the end of the turn, before any other. */
void stream_keep(struct stream *stream, struct str bytes);

/* Tells the peer that nothing more will be written (with TLS by close_notify too). Input is still read. Call it only
 * when nothing is unsent. */
void stream_shut(struct stream *stream);

/* Ends the server's side of a connection in the midst of what it says: the peer sees the end of the stream. What the
 * peer sends is still read. Nothing may be written any more. */
void stream_end_output(struct stream *stream);

/* The connection ends at the end of the turn, as stream_cut ends it, and the peer gets a reset (RFC 9293, 3.10.4). */
void stream_reset(struct stream *stream);

/* No input comes any more. The connection ends, and `gone` comes, at the end of the turn. */
void stream_cut(struct stream *stream);

#endif
