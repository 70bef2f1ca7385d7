/* edge.h - the libwebsockets context of a worker, on the worker's loop. It carries bytes and TLS. Its raw role knows no
 * HTTP and no WebSocket (stream.h). Only edge.c and stream.c include libwebsockets' header. */
#ifndef CARILLON_NET_STREAM_EDGE_H
#define CARILLON_NET_STREAM_EDGE_H

#include "common/base/error.h"
#include "common/base/mailbox.h"
#include "server/net/stream/socket_counts.h"
#include "server/net/stream/tls.h"

struct edge;

/* The pointers are borrowed for the edge's life. */
struct edge_options {
    unsigned index; /* of the worker, for the log */
    uv_loop_t *loop;
    struct turn *turn; /* of the loop; the edge begins it before it calls stream_ops */
    struct socket_counts *sockets;
    struct tls_identity *tls; /* a reference is taken; NULL: the public listener speaks plaintext, from now on */
    uint64_t handshake_timeout_us;
};

/* Call in the main thread, for one worker after the other. The worker must have no hook and no handle on its loop yet,
 * because a failure runs the loop until nothing of libwebsockets is left on it. ERR_INTERNAL_ERROR says what is
 * missing. */
enum err edge_create(const struct edge_options *options, struct edge **out, struct error *error);
/* Changes the certificate of an edge that was made with one. A reference is taken. */
void edge_use_identity(struct edge *edge, struct tls_identity *tls);
/* Cuts all streams and begins to take the context down. */
void edge_stop(struct edge *edge);
/* Call after edge_stop at the end of each turn. True: nothing of libwebsockets is left on the loop. */
bool edge_is_down(struct edge *edge);
void edge_destroy(struct edge *edge);

/* Call at the end of a turn, outside of stream_ops. Ends the streams that have been cut, and gives input that was kept
 * to the streams that want input again. True if there were any: then call it again, once the turn's work is done. */
bool edge_reap(struct edge *edge);

#endif
