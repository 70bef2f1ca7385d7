/* worker.h - one loop with everything that belongs to it: the gate's connections, the WebSockets, the hub, the clock.
 * It runs in a thread of its own, or, when it is the only one, in the main loop. Only the functions that say so may be
 * called from other threads. */
#ifndef CARILLON_NET_WORKER_H
#define CARILLON_NET_WORKER_H

#include <uv.h>

#include "common/base/mailbox.h"
#include "common/protocol/http_message.h"
#include "common/token/cache.h"
#include "server/core/hub.h"
#include "server/core/revocations.h"
#include "server/net/admission/quota.h"
#include "server/net/admission/settings.h"
#include "server/net/http/pending.h"

struct edge;

/* The rest of the node, as a worker needs it (the router of server/broker). Called in the worker's thread. */
struct node_ops {
    void (*join)(void *owner, unsigned worker, struct str channel, const struct history_policy *history,
                 uint64_t join_id);
    void (*leave)(void *owner, unsigned worker, struct str channel);
    void (*publish)(void *owner, struct publication *publication);
    void (*recover)(void *owner, struct recovery *recovery);
    void (*history)(void *owner, struct history_read *read);
    void (*ask)(void *owner, struct broker_request *request);
    void (*presence)(void *owner, struct presence_change *change);
};

/* Answers requests of the internal listener (http_message.h), in the worker's thread. */
struct http_handler {
    /* The head has come, a body follows: is it worth reading? False: the call has been answered. */
    bool (*admit)(void *owner, struct http_call *call);
    void (*serve)(void *owner, struct http_call *call);
};

struct worker_options {
    unsigned index;
    unsigned count;    /* of workers, who share what is limited for all */
    uv_loop_t *loop;   /* NULL: a loop and a thread of its own */
    struct turn *turn; /* of that loop; NULL with a loop of its own */
    struct net_settings *settings;
    const struct hub_settings *hub_settings; /* copied */
    struct rules *rules;
    struct metrics *metrics;         /* this worker's; borrowed */
    struct quota *quota;             /* borrowed */
    struct revocations *revocations; /* borrowed; may be NULL */
    const struct node_ops *node;
    void *node_owner;
};

/* Public members: index, loop, mailbox (its owner is the hub) and hub, fixed after worker_create. The rest is for the
 * files of this folder. */
struct worker {
    unsigned index;
    uv_loop_t *loop;
    struct mailbox mailbox;
    struct hub *hub;

    struct net_settings *settings; /* one reference */
    struct metrics *metrics;
    struct quota *quota;
    struct revocations *revocations;
    const struct node_ops *node;
    void *node_owner;
    const struct http_handler *handler;
    void *handler_owner;
    struct token_cache *tokens;
    struct edge *edge;
    struct list_link connections; /* struct connection: before or without an upgrade */
    size_t connection_count;
    struct list_link spent;    /* struct connection: handed over in this turn */
    struct list_link proxied;  /* struct proxied */
    struct pending pending[2]; /* of the public listener, of the internal one */
    atomic_size_t sockets[2];  /* the same, with those on their way here, for the listeners */
    enum reason unavailable;   /* DRAINING once it drains */
    struct buf scratch;        /* answers are built here */

    uv_loop_t own_loop;
    struct turn own_turn;
    struct turn *turn;
    struct turn_hook end_of_turn;
    uv_timer_t tick;
    uv_check_t after_poll;
    unsigned open_handles;
    bool time_is_fresh; /* the clocks have been read in this turn */
    uint64_t ticked_us;
    pthread_t thread;
    uv_sem_t bound; /* the thread has taken the loop over */
    bool has_thread;
    bool started;
    bool stopping;
    atomic_bool stopped;
};

/* In the main thread; workers are made one after the other, before any of them is started (libwebsockets has globals
 * that are set up here). ERR_INTERNAL_ERROR says what failed. */
enum err worker_create(const struct worker_options *options, struct worker **out, struct error *error);

/* Before the start. Borrowed. */
void worker_serve_with(struct worker *worker, const struct http_handler *handler, void *owner);

/* Starts the thread, if it has one. */
void worker_start(struct worker *worker);

/* Any thread: new settings from the next request on. References are taken. */
void worker_configure(struct worker *worker, struct net_settings *settings, const struct hub_settings *hub_settings,
                      struct rules *rules);
/* Any thread: no more sessions; those there are are sent away over the window. */
void worker_drain(struct worker *worker, uint64_t window_us);
/* Any thread: how many sockets it has of the public or the internal listener, with those that are on their way. */
size_t worker_sockets(const struct worker *worker, bool internal);
/* The listener is about to post it an arrival. */
void worker_expect_arrival(struct worker *worker, bool internal);

/* In the main thread, outside of the loop's callbacks: closes everything and waits until the worker's own work is over;
 * a shared loop is run meanwhile. Mail may still be posted to it. */
void worker_stop(struct worker *worker);
/* After worker_stop, and once nobody posts any more. */
void worker_destroy(struct worker *worker);

/* --- within this folder ---------------------------------------------------------------------------------------- */

/* At each entry from the loop: reads the clocks once a turn and runs due timers. */
void worker_touch(struct worker *worker);
/* Has the token of these claims been revoked since it was verified? */
bool worker_is_revoked(const struct worker *worker, const struct claims *claims);
enum reason worker_verify(struct worker *worker, struct str token, struct claims **out_claims);
/* An arrival is here: it is counted as a socket of its own from now on. */
void worker_note_arrival(struct worker *worker, bool internal);
/* One socket more or less. internal ones are not counted in the metrics of connections. */
void worker_count_socket(struct worker *worker, bool internal, int change);

#endif
