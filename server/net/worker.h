/* worker.h - a worker is one loop with all that runs on it: the gate's connections, the WebSockets and the hub. A
 * worker runs in a thread of its own, or in the main loop when it is the only one. Other threads may call only the
 * functions that say so. */
#ifndef CARILLON_NET_WORKER_H
#define CARILLON_NET_WORKER_H

#include <uv.h>

#include "server/core/hub.h"
#include "server/net/admission/admission.h"
#include "server/net/entry/entry_steps.h"
#include "server/net/http/connection_set.h"
#include "server/net/http/gate.h"

struct worker_options {
    unsigned index;
    unsigned count;    /* of workers, which share the limits of the node */
    uv_loop_t *loop;   /* NULL: a loop and a thread of its own */
    struct turn *turn; /* of that loop; NULL with a loop of its own */
    struct net_settings *settings;
    struct token_keys *keys;
    const struct hub_settings *hub_settings; /* copied */
    struct rules *rules;
    struct metrics *metrics;         /* this worker's; borrowed */
    struct quota *quota;             /* borrowed */
    struct revocations *revocations; /* borrowed; may be NULL */
    const struct node_ops *node;     /* passed to the hub; borrowed, as is its owner */
    void *node_owner;
    struct str node_id;                 /* borrowed */
    struct outside_steps outside_steps; /* their owners are borrowed */
};

/* Public members: index, loop, mailbox (its owner is the hub), hub and connections (for the listeners), fixed after
 * worker_create. The others are worker.c's. */
struct worker {
    unsigned index;
    uv_loop_t *loop;
    struct mailbox mailbox;
    struct hub *hub;
    struct connection_set connections;

    struct admitter admitter;
    struct gate gate;
    struct entry_step *steps; /* of the gate */
    struct edge *edge;
    struct metrics *metrics;

    uv_loop_t own_loop;
    struct turn own_turn;
    struct turn *turn;
    struct turn_hook begin_of_turn;
    struct turn_hook end_of_turn;
    uv_timer_t tick;
    uv_check_t after_poll;
    unsigned open_handles;
    uint64_t ticked_us;
    pthread_t thread;
    uv_sem_t bound; /* the thread has taken the loop over */
    bool has_thread;
    bool started;
    bool stopping;
    atomic_bool stopped;
};

/* Call it in the main thread. Make all workers before the first is started, because libwebsockets sets up globals here.
 * ERR_INTERNAL_ERROR says what failed. */
enum err worker_create(const struct worker_options *options, struct worker **out, struct error *error);

/* Before the start. Borrowed. */
void worker_serve_with(struct worker *worker, const struct http_handler *handler, void *owner);
/* The same for requests to the public listener that do not become sessions. */
void worker_serve_public_with(struct worker *worker, const struct http_handler *handler, void *owner);

/* Starts the thread, if it has one. */
void worker_start(struct worker *worker);

/* Any thread: new settings from the next request on. References are taken. */
void worker_configure(struct worker *worker, struct net_settings *settings, const struct hub_settings *hub_settings,
                      struct rules *rules);
/* Any thread: new keys from the next token on; sessions stay. A reference is taken. */
void worker_set_keys(struct worker *worker, struct token_keys *keys);
/* Any thread: no new sessions begin. The present ones are told to reconnect, spread over the window. Clients that wait
 * for an entry step are refused. */
void worker_drain(struct worker *worker, uint64_t window_us);
/* Any thread: worker_drain has been obeyed, so worker_calls counts also requests that the kernel had then. */
bool worker_is_draining(struct worker *worker);
/* Any thread: the API requests that have no answer yet. */
size_t worker_calls(struct worker *worker);
/* Call it in the main thread, outside of the loop's callbacks. Closes everything and waits until the worker's work is
 * over. A shared loop is run meanwhile. Mail may still be posted to the worker. API requests that the node answers
 * later get their answer then. */
void worker_stop(struct worker *worker);
/* Call it after worker_stop, when no thread posts mail any more. */
void worker_destroy(struct worker *worker);

#endif
