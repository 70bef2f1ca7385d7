/* redis_shard.h - one Redis server that takes writes, and the pair of connections to it: one for commands, one for
 * what it publishes. A shard connects, checks that the server is a primary, and proves that the way through it works:
 * it publishes a canary on one connection, which must come back on the other. It does so again and again, notices when
 * the canary is lost, and connects anew. Plain Redis and Sentinel have one shard; a cluster has one for each primary.
 *
 * Where the server is, its topology says. What the connections are for, the topology's owner knows: a shard tells it by
 * struct redis_shard_events. One thread. Owned by its topology. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_SHARD_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_SHARD_H

#include "common/base/buf.h"
#include "server/broker/redis/client/redis_connection.h"
#include "server/broker/redis/scripts/redis_scripts.h"
#include "server/broker/redis/topology/redis_topology.h"

/* What a shard tells. */
struct redis_shard_events {
    /* The connection for commands is up. */
    void (*commands_up)(struct redis_shard *shard);
    /* The connection that subscribes is up: everything is to be subscribed now. Once that is confirmed,
     * redis_shard_all_confirmed has to be called. */
    void (*subscriber_up)(struct redis_shard *shard);
    /* A canary is about to be sent, on the connection for commands. */
    void (*probed)(struct redis_shard *shard);
    /* The canary is back. A shard that is not up comes up after this call. */
    void (*proved)(struct redis_shard *shard);
    /* A message that is no canary. */
    void (*message)(struct redis_shard *shard, struct str channel, struct str bytes);
    /* SUBSCRIBE was done. */
    void (*confirmed)(struct redis_shard *shard, struct str channel);
    /* UNSUBSCRIBE was done; or, in a cluster, the server has ended the subscription by itself. */
    void (*ended)(struct redis_shard *shard, struct str channel);
    /* Both connections have ended, and with them all subscriptions. Also before the shard is freed. */
    void (*down)(struct redis_shard *shard);
    /* is_up or text has changed. */
    void (*state)(struct redis_shard *shard);
};

/* What a shard is doing, and what its one timer then means. */
enum redis_phase {
    PHASE_WAITING,    /* timer: connect */
    PHASE_SEEKING,    /* the topology looks for the address */
    PHASE_CONNECTING, /* timer: Redis no longer confirms subscriptions: drop. Next, all being confirmed: PROBING */
    PHASE_PROBING,    /* a canary is out. timer: overdue, drop. Back: RESTING, and up */
    PHASE_RESTING,    /* timer: send a canary */
    PHASE_FALLING,    /* both connections end, then WAITING */
    PHASE_CLOSING,    /* commands that were sent are answered. timer: the answers are overdue */
    PHASE_ENDING, /* both connections end. timer, at once: no call of this turn holds it any more. Then it is gone */
};

struct redis_shard {
    struct list_link link; /* in redis_topology.shards */
    struct redis_topology *topology;
    struct redis_endpoint endpoint; /* no host: not known yet */
    struct buf channel;             /* the pub/sub channel of this node at this server: canaries and positions */
    struct redis_connection commands;
    struct redis_connection subscriber;
    struct redis_scripts scripts;
    unsigned slots;   /* of a cluster, that it has; else 1 */
    uint64_t used_us; /* in a cluster, when it lost its last slot or was named by an ASK */

    enum redis_phase phase;
    bool is_up;        /* the canary has come back, and no connection was lost since */
    bool has_been_up;  /* once */
    uint64_t up_us;    /* when it came up last */
    unsigned attempts; /* to connect, since it was up for more than a moment */
    char why[256];     /* of the last loss since then: said in the log once */
    char text[320];    /* why it is not up, for broker_info */
    struct timer timer;
    uint64_t retry_us;      /* PHASE_WAITING: when it connects */
    bool timer_ended;       /* while closing */
    bool has_answered_last; /* the same: the command that was sent after all others */
    bool waits_for_others;  /* the same: it has answered everything, but a request may still be sent on to it */

    bool is_primary;    /* it has said so on this connection */
    bool all_confirmed; /* what was subscribed when the connection came up */
    uint64_t canary;    /* number of the one sent last */
    uint64_t canary_sent_us;
    uint64_t round_trip_us; /* of the canary that came back last */
};

/* Adds one to the topology, at that address (NULL: to be found) and connects it. channel is copied. */
struct redis_shard *redis_shard_create(struct redis_topology *topology, const struct redis_endpoint *endpoint,
                                       struct str channel);
/* Ends it for good: commands that were sent before are answered first, but not for longer than two seconds.
 * Then the shard is freed. While the topology closes, the shard also waits for requests to other shards: each of these
 * shards may send its request on to this one. */
void redis_shard_close(struct redis_shard *shard);
/* While the topology closes: its last open request has ended. */
void redis_shard_no_requests(struct redis_shard *shard);

/* Of a shard that waits or seeks: connects to its endpoint, or says why it has none, and tries again later. */
void redis_shard_connect(struct redis_shard *shard);
void redis_shard_not_found(struct redis_shard *shard, const char *why);
/* Another address from the next connection on. Of a shard that waits or seeks. */
void redis_shard_move(struct redis_shard *shard, struct str host, struct str port);

/* Ends both connections; the shard then tries again. */
void redis_shard_drop(struct redis_shard *shard, const char *why);
/* The last subscription that was made at subscriber_up is confirmed. */
void redis_shard_all_confirmed(struct redis_shard *shard);
/* Redis is found working through what stands before the answer that is waited for: that has the command timeout again.
 */
void redis_shard_extend(struct redis_shard *shard);
/* When to try again what it cannot do now. */
uint64_t redis_shard_retry_ms(const struct redis_shard *shard);

/* redis_shard_close has been called. */
static inline bool redis_shard_is_closing(const struct redis_shard *shard)
{
    return shard->phase >= PHASE_CLOSING;
}

/* It takes commands. */
static inline bool redis_shard_is_up(const struct redis_shard *shard)
{
    return shard && shard->is_up && shard->commands.state == REDIS_READY;
}

/* Commands can be sent to it, though its canary may not be back yet. */
static inline bool redis_shard_is_ready(const struct redis_shard *shard)
{
    return shard && shard->commands.state == REDIS_READY;
}

#endif
