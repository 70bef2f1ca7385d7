/* ws_private.h - what the two files of the edge share. ws.c: connections, their messages and their ends; ws_edge.c: the
 * libwebsockets context they live in. */
#ifndef CARILLON_NET_WS_PRIVATE_H
#define CARILLON_NET_WS_PRIVATE_H

#include <libwebsockets.h>

#include "server/net/ws.h"

struct ws {
    struct lws *wsi;
    int fd; /* what ws_write sends on; -1: lws writes all, because of TLS, or because the upgrade is not complete */
    struct ws_edge *edge;
    struct list_link link;        /* in edge->sockets */
    struct list_link doomed_link; /* in edge->doomed */
    struct session *session;      /* NULL before and after */
    struct net_settings *settings;
    const struct net_endpoint *endpoint;
    struct claims *claims; /* until the session has them */
    struct lease lease;
    struct timer deadline; /* of a connection without a session: not yet admitted, refused, or closed by the peer */
    enum reason reason;
    int close_code;
    bool undecided;        /* by TLS, and its request has not come */
    struct address client; /* undecided: the peer */
    struct pending_place pending;
    bool closing;       /* our close frame has been written: nothing more is read or sent */
    struct buf message; /* fragments so far */
    /* ws_meter.c: */
    uint64_t metered_from;  /* bytes that had come when the session began */
    uint64_t message_bytes; /* of its messages since, with some around each */
    uint64_t charged;       /* messages' worth of what came beside */
};

struct ws_edge {
    struct worker *worker;
    struct lws_context *lws; /* set to NULL by lws when it is down */
    struct lws_vhost *vhost;
    SSL_CTX *ssl;        /* the vhost's, owned by lws; NULL without TLS */
    SSL_CTX *ssl_unused; /* for connections that lws would begin */
    struct ws *adopting; /* between ws_adopt and the first callback of the new connection */
    struct list_link sockets;
    struct list_link doomed;
    bool stopping;
    unsigned turns_down; /* since the last connection has gone */
};

/* --- ws.c --- */
/* Ends the connection at the end of the turn, when no callback of it runs. */
void ws_doom(struct ws *ws);
void ws_end_session(struct ws *ws);
/* Other settings hold from now on. An endpoint that is gone keeps those it had. */
void ws_follow(struct ws *ws, struct net_settings *settings);
/* Of all connections; what concerns the context goes to ws_edge.c. */
int ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

/* --- ws_meter.c --- */
/* A session begins. */
void ws_meter_begin(struct ws *ws);

/* --- ws_edge.c --- */
/* During lws_create_vhost: 0, or -1 when the certificate cannot be used. */
int ws_edge_set_up_tls(struct lws *wsi, SSL_CTX *ssl);

#endif
