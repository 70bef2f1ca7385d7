/* connection_set.h - the connections of one worker that speak HTTP, and what they share: loop, timers, limits, and the
 * reader of their requests. One thread: the worker's. */
#ifndef CARILLON_NET_HTTP_CONNECTION_SET_H
#define CARILLON_NET_HTTP_CONNECTION_SET_H

#include "common/base/buf.h"
#include "common/base/wheel.h"
#include "common/protocol/http_message.h"
#include "server/net/admission/admission.h"
#include "server/net/http/pending.h"
#include "server/net/stream/edge.h"

struct connection;

/* Reads the requests of a connection. The connection may be closed, or gone, after each call. */
struct connection_ops {
    /* There are new bytes, or it is time for the next request. */
    void (*input)(struct connection *connection);
    /* The time for a request, or for the entry steps, is over. In STAGE_ENTER also: the node drains. True: the
     * connection has been given an answer instead of being closed. */
    bool (*timed_out)(struct connection *connection);
    /* The connection ends in STAGE_ENTER: the entry step is cancelled. */
    void (*left)(struct connection *connection);
};

/* Pointers are borrowed. The owner sets them before the first arrival. */
struct connection_set {
    struct admitter *admitter;
    struct turn *turn;
    struct wheel *wheel;
    uv_loop_t *loop;
    struct mailbox *mailbox; /* where arrivals are posted to */
    struct edge *edge;
    const struct connection_ops *ops;
    void *owner; /* of ops */
    const struct http_handler *handler;
    void *handler_owner;
    const struct http_handler *public_handler; /* of requests to the public listener; NULL: none are served */
    void *public_owner;

    struct socket_counts sockets;
    struct list_link connections; /* struct connection */
    size_t count;
    struct list_link spent;    /* struct connection: handed over in this turn */
    struct list_link proxied;  /* struct proxied */
    unsigned polls;            /* handles of proxied connections that the loop has not closed yet */
    struct pending pending[2]; /* of the public listener, of the internal one */
    struct buf scratch;        /* answers are built here */
    bool closed;               /* a connection that still arrives is closed at once */
    atomic_size_t calls;       /* API requests without an answer; any thread may read it */
    atomic_bool draining;      /* connection_drain_all has run; any thread may read it */
};

/* max_pending: of the public listener, of the internal one; at least 1. */
void connection_set_init(struct connection_set *set, const size_t max_pending[2], struct metrics *metrics);
/* Call when there are no connections and no polls. */
void connection_set_fini(struct connection_set *set);

#endif
