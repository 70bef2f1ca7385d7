/* router.h - between the workers of a node and its broker. The router knows which worker wants which channel, and has
 * one subscription at the broker for all of them. It takes publications and requests to the broker, and answers and
 * events to the workers. It lives in the broker's thread; workers reach it by its mailbox. An event is encoded once,
 * here. Each worker that wants it gets a message of its own.
 *
 * Each worker gets the events of a channel that have an offset once and in order, or a gap in their place. Which event
 * is posted when is decided by catchup/catchup.h. The router has the mail, the broker and the time. */
#ifndef CARILLON_NODE_ROUTER_H
#define CARILLON_NODE_ROUTER_H

#include "common/base/mailbox.h"
#include "server/broker/broker.h"
#include "server/core/hub.h"
#include "server/node/catchup/catchup.h"

enum { ROUTER_WORKERS_MAX = 64 };

struct router_settings {
    size_t recovery_bytes_max; /* of events kept for clients that recover, and held while older ones are missing */
    unsigned reads_max;        /* of histories, and of presence, under way at once */
};

/* Channels that have a history and no position (positions.c). */
struct positions {
    struct list_link to_ask; /* struct channel_route: to be asked for in this round */
    struct list_link asked;  /* asked for already */
    uint64_t round_us;       /* when the next round begins */
};

/* Reads of one kind (reads.c). */
struct read_queue {
    struct list_link waiting; /* struct request */
    size_t waiting_count;
    size_t under_way;
};

struct router {
    struct mailbox mailbox;
    struct broker *broker; /* set once, before anything is posted */
    struct metrics *metrics;
    struct map channels; /* name -> struct channel_route */
    unsigned worker_count;
    struct mailbox *workers[ROUTER_WORKERS_MAX]; /* their owners are the workers' hubs */
    _Atomic int broker_state;                    /* enum broker_state, for readiness; any thread reads it */
    struct presence *presence;                   /* gets the workers' presence changes; set by presence_create */
    struct router_settings settings;
    struct catchup_set catchups;
    struct mail serve_mail; /* to itself, at the end of a turn in which recoveries came */
    bool serve_posted;
    struct positions positions;
    struct read_queue history_reads;
    struct read_queue presence_reads;
    size_t histories_lost;     /* channels whose history began anew or went back, and not logged yet */
    uint64_t histories_log_us; /* when they are logged, in one line */
};

void router_init(struct router *router, struct turn *turn, struct metrics *metrics);
/* Others than the defaults, before anything is posted. */
void router_configure(struct router *router, const struct router_settings *settings);
/* A worker's mailbox, whose owner pointer is its struct hub. Returns the worker's index. Before anything is posted. */
unsigned router_add_worker(struct router *router, struct mailbox *mailbox);
/* When the broker has closed: what still waits is answered, and the mailbox closed. */
void router_close(struct router *router);
/* Frees what it holds; both have been closed before. */
void router_fini(struct router *router);

/* These are node_ops (core/hub.h). The owner is the router. Any thread may call them; a join, a leave and a recovery
 * come from the worker's own thread. */
void router_join(void *owner, unsigned worker, struct str channel, const struct history_policy *history,
                 uint64_t join_id);
void router_leave(void *owner, unsigned worker, struct str channel);
void router_ask(void *owner, struct request *request);

/* The router's part of broker_sink. The owner is the router. */
void router_answered(void *owner, struct request *request);
void router_subscribed(void *owner, struct str channel, enum err err, struct str text, const struct position *position);
void router_located(void *owner, struct str channel, const struct position *position);
void router_event(void *owner, const struct event *event);
void router_state(void *owner, const struct broker_info *info);

/* In the broker's thread, about ten times a second: what failed is tried again, what is no longer needed goes. */
void router_tick(struct router *router, uint64_t now_us);

#endif
