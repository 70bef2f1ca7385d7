/* ws.h - the edge to libwebsockets: one context a worker, on the worker's loop. It only translates: upgrades that the
 * gate has let through (by TLS: that admit.h lets through) go in, messages come out to the hub, whole frames from the
 * hub go to the socket. ws.c, ws_edge.c, ws_meter.c and ws_request.c are all that includes libwebsockets' header. */
#ifndef CARILLON_NET_WS_H
#define CARILLON_NET_WS_H

#include "server/net/worker.h"

/* An upgrade that has been admitted, to be completed. */
struct ws_start {
    int fd;                              /* taken */
    struct lease lease;                  /* taken */
    struct net_settings *settings;       /* a reference is taken */
    const struct net_endpoint *endpoint; /* of these settings */
    struct claims *claims;               /* a reference is taken */
    struct address client;
};

/* In the main thread, one after the other. ERR_INTERNAL_ERROR says what is missing. */
enum err ws_edge_create(struct worker *worker, struct ws_edge **out, struct error *error);
/* The worker has new settings: open connections follow those of their endpoint, where it is still there. */
void ws_edge_configure(struct ws_edge *edge);
/* At each tick of the worker: charges some of its sessions for what they have sent beside messages. */
void ws_edge_meter(struct ws_edge *edge);
/* Cuts all connections and begins to take the context down. */
void ws_edge_stop(struct ws_edge *edge);
/* After that, at the end of each turn of the loop: true once nothing of libwebsockets is left on it. */
bool ws_edge_is_down(struct ws_edge *edge);
void ws_edge_destroy(struct ws_edge *edge);

/* head: the canonical head, and what the client has already sent after its own. */
void ws_adopt(struct ws_edge *edge, const struct ws_start *start, struct str head);

/* Where the settings have tls: a connection from its first byte on. Takes fd. */
void ws_accept(struct ws_edge *edge, int fd, const struct address *peer);

/* hub_ops; owner is the worker. */
/* See hub_ops. */
void ws_fetch(void *owner, const struct session *session);
enum write_result ws_write(void *owner, struct session *session, struct str frames, size_t *out_unsent);
void ws_finish(void *owner, struct session *session, bool abrupt);
enum reason ws_verify(void *owner, struct session *session, struct str token, struct claims **out_claims);

/* Ends the connections that had to wait until no callback of theirs is running. True if there were any. */
bool ws_edge_reap(struct ws_edge *edge);

#endif
