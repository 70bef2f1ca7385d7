/* router.h - the router stands between the workers of a node and its broker. It knows which worker wants which channel,
 * and has one subscription at the broker for all of them. It takes requests to the broker, and answers and events to
 * the workers. It lives in the broker's thread; workers reach it by its mailbox. Each worker that wants an event gets a
 * message of its own.
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
    size_t recovery_bytes_max; /* of the events that are kept for recovering clients, and of those that wait for older
                                  ones */
    unsigned reads_max;        /* of histories under way at once, and as many of presence */
};

/* Channels that have a history and no position (positions.c). */
struct positions {
    struct list_link to_ask; /* struct channel_route: has yet to be asked for in this round */
    struct list_link asked;  /* has been asked for */
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
    bool has_ended;        /* the broker has closed: the router refuses requests itself */
    struct metrics *metrics;
    struct map channels; /* name -> struct channel_route */
    unsigned worker_count;
    struct mailbox *workers[ROUTER_WORKERS_MAX]; /* their owners are the workers' hubs */
    _Atomic int broker_state;                    /* enum broker_state, for readiness; any thread reads it */
    struct presence *presence;                   /* takes the workers' presence changes; set by presence_create */
    struct router_settings settings;
    struct catchup_set catchups;
    struct mail serve_mail; /* to itself, at the end of a turn in which recoveries came */
    bool serve_posted;
    struct positions positions;
    struct read_queue history_reads;
    struct read_queue presence_reads;
    size_t histories_lost;     /* channels whose history was lost, and that the log does not have yet */
    uint64_t histories_log_us; /* when one line logs all of them */
};

void router_init(struct router *router, struct turn *turn, struct metrics *metrics);
/* In place of the default settings. Call before anything is posted. */
void router_configure(struct router *router, const struct router_settings *settings);
/* Adds a worker by its mailbox, whose owner is the worker's struct hub. Returns the worker's index. Call before
 * anything is posted. */
unsigned router_add_worker(struct router *router, struct mailbox *mailbox);
/* Call when the broker has closed, and the workers' threads have ended. Delivers the mail of the router and of its
 * workers until none is left. So each request has gone back to its asker, which frees it. A request that an asker sends
 * meanwhile is refused. Then the mailbox is closed: nobody may ask any more. */
void router_close(struct router *router);
/* Call after router_close. Frees what the router holds. */
void router_fini(struct router *router);

/* These are node_ops (core/hub.h). The owner is the router. Any thread may call them; a join, a leave and a recovery
 * come from the worker's own thread. */
void router_join(void *owner, unsigned worker, struct str channel, const struct channel_join *join);
void router_leave(void *owner, unsigned worker, struct str channel);
void router_ask(void *owner, struct request *request);

/* Takes the request to the broker, for the parts of the node. It comes back by sink->answered, not from within this
 * call. Once the broker has closed, the request is refused instead. The broker's thread. */
void router_ask_broker(struct router *router, struct request *request);

/* The router's part of broker_sink. The owner is the router. */
void router_answered(void *owner, struct request *request);
void router_subscribed(void *owner, struct str channel, enum err err, struct str text, const struct position *position);
void router_located(void *owner, struct str channel, const struct position *position);
void router_event(void *owner, const struct event *event);
void router_state(void *owner, const struct broker_info *info);

/* Call in the broker's thread, about ten times a second. Tries again what has failed, and frees what is not needed. */
void router_tick(struct router *router, uint64_t now_us);

#endif
