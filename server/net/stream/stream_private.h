/* stream_private.h - what the two files that know libwebsockets share. edge.c: its context; stream.c: connections. */
#ifndef CARILLON_NET_STREAM_STREAM_PRIVATE_H
#define CARILLON_NET_STREAM_STREAM_PRIVATE_H

#include <libwebsockets.h>

#include "common/base/mailbox.h"
#include "server/net/stream/socket_counts.h"
#include "server/net/stream/stream.h"
#include "server/net/stream/tls.h"

struct edge {
    unsigned index; /* of the worker */
    uv_loop_t *loop;
    struct turn *turn;
    struct socket_counts *sockets;
    struct lws_context *lws;       /* set to NULL by lws when it is down */
    struct lws_vhost *open;        /* of the public listener's connections */
    struct lws_vhost *internal;    /* of the internal listener's: always plaintext */
    SSL_CTX *ssl;                  /* of the vhost `open`, owned by lws; NULL: it is plaintext */
    struct tls_identity *identity; /* that its handshakes show; one reference */
    SSL_CTX *ssl_unused;           /* for connections that lws would begin */
#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
    lws_log_cx_t log;
#endif
    struct list_link streams;
    struct list_link cut;
    struct stream *reading; /* by stream_read_now; NULL once it has been moved or has gone */
    size_t connections;     /* that lws has not forgotten yet */
    bool stopping;
    unsigned turns_down; /* since the last connection has gone */
};

/* --- stream.c --- */
/* Of all connections; what concerns the context goes to edge.c. */
int stream_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);
/* Ends it for good. Outside of its callbacks. */
void stream_end_now(struct stream *stream);

#endif
