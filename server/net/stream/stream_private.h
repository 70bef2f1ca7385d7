/* stream_private.h - shared by the two files that use libwebsockets: edge.c has its context, stream.c its connections.
 */
#ifndef CARILLON_NET_STREAM_STREAM_PRIVATE_H
#define CARILLON_NET_STREAM_STREAM_PRIVATE_H

#include <libwebsockets.h>

#include "common/base/mailbox.h"
#include "server/net/stream/socket_counts.h"
#include "server/net/stream/stream.h"
#include "server/net/stream/tls.h"

/* Input that its owner has given back (stream_keep). */
struct kept_input {
    struct stream *stream;
    struct list_link link; /* in edge->resumed */
    struct buf bytes;
};

struct edge {
    unsigned index; /* of the worker */
    uv_loop_t *loop;
    struct turn *turn;
    struct socket_counts *sockets;
    struct lws_context *lws;       /* lws sets it to NULL when the context is down */
    struct lws_vhost *open;        /* of the public listener's connections */
    struct lws_vhost *internal;    /* of the internal listener's: always plaintext */
    SSL_CTX *ssl;                  /* of the vhost `open`, owned by lws; NULL: it is plaintext */
    struct tls_identity *identity; /* the certificate that its handshakes show; one reference */
    SSL_CTX *ssl_unused;           /* lws makes it for outgoing connections, which there are none of */
#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
    lws_log_cx_t log;
#endif
    struct list_link streams;
    struct list_link cut;
    struct list_link resumed; /* struct kept_input, of streams whose input is wanted again */
    struct stream *reading;   /* the stream that stream_read_now reads; NULL once it has been moved or has gone */
    size_t connections;       /* connections that lws has not destroyed yet */
    bool stopping;
    unsigned turns_down; /* since the last connection has gone */
};

/* --- stream.c --- */
/* The callback of all connections. It passes what concerns the context to edge.c. */
int stream_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);
/* Limits what clients may send in handshakes: for all connections made with the context from now on. */
void stream_watch_handshakes(SSL_CTX *context);
/* Ends the connection now. Call it outside of the connection's callbacks. */
void stream_end_now(struct stream *stream);
/* Gives the input to the stream's owner again, and frees it. Call it as stream_end_now. */
void stream_resume(struct kept_input *kept);

#endif
