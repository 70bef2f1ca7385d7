/* lifecycle_private.h - what the files of lifecycle share.
 *
 *     lifecycle.c           rounds, batches, other nodes
 *     lifecycle_channels.c  channels with subscribers on this node
 *     lifecycle_facts.c     events of requests: members, tickets, tokens
 *     lifecycle_queue.c     the events that wait
 *     lifecycle_watch.c     one hub; knows nothing of the others */
#ifndef CARILLON_NODE_LIFECYCLE_PRIVATE_H
#define CARILLON_NODE_LIFECYCLE_PRIVATE_H

#include "common/base/log.h"
#include "server/node/lifecycle.h"

struct lifecycle {
    struct router *router;
    struct str node_id;
    struct lifecycle_settings *settings; /* NULL: off */
    struct list_link queue;              /* struct lifecycle_event, oldest first */
    size_t waiting;                      /* events in the queue and in the batch */
    size_t waiting_bytes;
    uint64_t appended; /* events so far */
    uint64_t done;     /* of them, the broker has */
    uint64_t dropped;  /* since the last `lifecycle.dropped`; while it is not 0, all are dropped */
    struct log_limit drops_said;
    void (*send)(struct lifecycle *lifecycle);
    struct mail send_mail; /* to itself, at the end of a turn in which events came */
    bool send_posted;

    struct lifecycle_write *write; /* the batch under way, or to be tried again; NULL: none */
    bool busy;                     /* it is under way */
    uint64_t asked_us;             /* when the last batch was */
    struct timer gather;           /* until the next batch may be a small one */
    uint64_t retry_us;             /* not before is it tried again */
    uint64_t number;               /* of the last batch in the round */
    uint32_t round;
    uint32_t before;       /* the round before, while its sessions are told again; 0: none */
    uint64_t before_until; /* so many events are done once all of them have been told */

    bool telling;        /* sessions are told again */
    bool round_asked;    /* a worker is asked for some of its sessions */
    uint32_t told_round; /* the worker has told them in this round */
    unsigned worker;     /* which one */
    size_t place;        /* from there on; 0: from the first, or all are told */
    struct mail round_mail;
    struct mail round_back;

    bool lost_asked; /* the broker is asked for the ends of dead nodes */
    uint64_t lost_us;
    bool is_closing;
    struct map channels;                                   /* name -> struct lifecycle_channel */
    struct lifecycle_watcher watchers[ROUTER_WORKERS_MAX]; /* each is its worker's */
};

static inline uint64_t lifecycle_now_us(const struct lifecycle *lifecycle)
{
    return turn_now_us(lifecycle->router->mailbox.turn);
}

static inline bool lifecycle_broker_is_up(const struct lifecycle *lifecycle)
{
    return atomic_load_explicit(&lifecycle->router->broker_state, memory_order_relaxed) == BROKER_UP;
}

/* --- lifecycle_queue.c --- */
/* Queues the event, or drops it. */
void lifecycle_append(struct lifecycle *lifecycle, struct lifecycle_event *event);
/* Makes an event of no session, and queues it. data: JSON members. Where the type is not told, there is an event
 * only if its action says something. */
void lifecycle_tell(struct lifecycle *lifecycle, enum lifecycle_type type, enum lifecycle_action action,
                    struct str subject, struct str data, struct str about);
/* The event waits, or waits no more. */
void lifecycle_count_waiting(struct lifecycle *lifecycle, const struct lifecycle_event *event, bool more);
/* There is room for the events of sessions that are told again. */
bool lifecycle_is_half_empty(const struct lifecycle *lifecycle);

/* --- lifecycle_channels.c --- */
/* A worker has its first subscriber of the channel, or has lost the last one. */
void lifecycle_count_channel(struct lifecycle *lifecycle, struct str name, bool here);
/* Tells again which channels have subscribers here. */
void lifecycle_tell_channels(struct lifecycle *lifecycle);
void lifecycle_forget_channels(struct lifecycle *lifecycle);

#endif
