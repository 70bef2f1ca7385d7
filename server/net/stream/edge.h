/* edge.h - the libwebsockets context of a worker, on the worker's loop. It carries bytes, TLS and nothing else: its raw
 * role knows no HTTP and no WebSocket (stream.h). edge.c and stream.c are all that includes libwebsockets' header. */
#ifndef CARILLON_NET_STREAM_EDGE_H
#define CARILLON_NET_STREAM_EDGE_H

#include "server/net/worker.h"

/* In the main thread, one after the other, and before the worker has a hook or a handle on its loop. ERR_INTERNAL_ERROR
 * says what is missing; the loop has then been run until nothing of libwebsockets is left on it. */
enum err edge_create(struct worker *worker, struct edge **out, struct error *error);
/* The worker has new settings: another certificate, perhaps. */
void edge_configure(struct edge *edge);
/* Cuts all streams and begins to take the context down. */
void edge_stop(struct edge *edge);
/* After that, at the end of each turn of the loop: true once nothing of libwebsockets is left on it. */
bool edge_is_down(struct edge *edge);
void edge_destroy(struct edge *edge);

/* At the end of a turn, when no callback of a stream runs: ends those that have been cut. True if there were any. */
bool edge_reap(struct edge *edge);

#endif
