/* redis_shard.h - a shard: one Redis server that takes writes, and two connections to it. One connection is for
 * commands, the other one subscribes. Plain Redis and Sentinel have one shard; a cluster has one for each primary.
 *
 * A shard comes up in four steps:
 *
 *   1. both connections log in
 *   2. the server says that it is a primary: the shard is ready. The server confirms all subscriptions
 *   3. the shard asks again whether it is a primary, and publishes a canary on the same connection
 *   4. the canary comes back on the other connection: the shard is up
 *
 * Steps 3 and 4 are repeated at intervals. If the canary is lost, the shard connects anew.
 *
 * The topology knows the address of the server. The owner of the topology knows which channels to subscribe: the shard
 * tells it what happens by struct redis_shard_events. One thread. Owned by its topology. */
#ifndef CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_SHARD_H
#define CARILLON_BROKER_REDIS_TOPOLOGY_REDIS_SHARD_H

#include "common/base/buf.h"
#include "server/broker/redis/client/redis_connection.h"
#include "server/broker/redis/scripts/redis_scripts.h"
#include "server/broker/redis/topology/redis_topology.h"

/* The owner of the topology, as a shard sees it. */
struct redis_shard_events {
    /* The shard is ready: redis_shard_is_ready. */
    void (*ready)(struct redis_shard *shard);
    /* The connection that subscribes is up: everything is to be subscribed now. When that is confirmed, the owner
     * calls redis_shard_all_confirmed. */
    void (*subscriber_up)(struct redis_shard *shard);
    /* A canary is sent after this call, on the connection for commands. */
    void (*before_canary)(struct redis_shard *shard);
    /* The canary has come back. A shard that is not up comes up after this call. */
    void (*canary_back)(struct redis_shard *shard);
    /* A message of pub/sub has come that is no canary. */
    void (*message)(struct redis_shard *shard, struct str channel, struct str bytes);
    /* Redis confirms a SUBSCRIBE. */
    void (*confirmed)(struct redis_shard *shard, struct str channel);
    /* Redis confirms an UNSUBSCRIBE, or a server of a cluster has ended the subscription by itself. */
    void (*ended)(struct redis_shard *shard, struct str channel);
    /* Both connections have ended, and with them all subscriptions. Called also before the shard is freed. */
    void (*down)(struct redis_shard *shard);
    /* is_up or text has changed. */
    void (*state)(struct redis_shard *shard);
};

/* The phases of a shard. Each says what the shard's one timer means. */
enum redis_phase {
    PHASE_WAITING,    /* timer: connect */
    PHASE_SEEKING,    /* the topology looks for the address */
    PHASE_CONNECTING, /* timer: Redis does not confirm subscriptions any more, drop. All confirmed: PROBING */
    PHASE_PROBING,    /* a canary is under way. timer: it is overdue, drop. It comes back: RESTING, and up */
    PHASE_RESTING,    /* timer: send a canary */
    PHASE_FALLING,    /* both connections end, then WAITING */
    PHASE_CLOSING,    /* commands that were sent are answered. timer: the answers are overdue */
    PHASE_ENDING,     /* both connections end. timer: ends after this turn, as a call may hold the shard */
};

struct redis_shard {
    struct list_link link; /* in redis_topology.shards */
    struct redis_topology *topology;
    struct redis_endpoint endpoint; /* no host: not known yet */
    struct buf channel;             /* the pub/sub channel of this node at this server: canaries and positions */
    struct redis_connection commands;
    struct redis_connection subscriber;
    struct redis_scripts scripts;
    unsigned slots;   /* number of its slots in a cluster; else 1 */
    uint64_t used_us; /* in a cluster: when it lost its last slot or was named by an ASK */

    enum redis_phase phase;
    bool is_up;        /* the canary has come back, and no connection was lost since */
    bool has_been_up;  /* at least once */
    uint64_t up_us;    /* when it came up last */
    unsigned attempts; /* to connect since it was up for more than a moment */
    char why[256];     /* reason of the last loss since then, which the log says once */
    char text[320];    /* reason why it is not up, for broker_info */
    struct timer timer;
    uint64_t retry_us;      /* PHASE_WAITING: when it connects */
    bool timer_ended;       /* while closing */
    bool has_answered_last; /* the same: the command that was sent after all others */
    bool waits_for_others;  /* the same: it has answered everything, but a request may still be sent on to it */

    bool is_primary;    /* the server has said so on this connection */
    bool all_confirmed; /* Redis has confirmed all that was subscribed at subscriber_up */
    uint64_t canary;    /* number of the last canary */
    uint64_t canary_sent_us;
    uint64_t round_trip_us; /* of the last canary that came back */
};

/* Adds a shard to the topology and connects it. endpoint NULL: the topology finds the address. channel is copied. */
struct redis_shard *redis_shard_create(struct redis_topology *topology, const struct redis_endpoint *endpoint,
                                       struct str channel);
/* Ends it for good: commands that were sent before are answered first, but not for longer than two seconds.
 * Then the shard is freed. While the topology closes, the shard also waits for requests to other shards: each of these
 * shards may send its request on to this one. */
void redis_shard_close(struct redis_shard *shard);
/* While the topology closes: its last open request has ended. */
void redis_shard_no_requests(struct redis_shard *shard);

/* For a shard that waits or seeks. The first one connects to its endpoint. The other one says why there is no endpoint;
 * the shard seeks again later. */
void redis_shard_connect(struct redis_shard *shard);
void redis_shard_not_found(struct redis_shard *shard, const char *why);
/* Sets the address for the next connection. For a shard that waits or seeks. */
void redis_shard_move(struct redis_shard *shard, struct str host, struct str port);

/* Ends both connections. The shard connects again later. */
void redis_shard_drop(struct redis_shard *shard, const char *why);
/* Redis has confirmed the last subscription that was made at subscriber_up. */
void redis_shard_all_confirmed(struct redis_shard *shard);
/* Redis works through the commands before the one that the shard waits for. So the command timeout begins again. */
void redis_shard_extend(struct redis_shard *shard);
/* After how long a command may be tried again that the shard cannot take now. */
uint64_t redis_shard_retry_ms(const struct redis_shard *shard);

/* redis_shard_close has been called. */
static inline bool redis_shard_is_closing(const struct redis_shard *shard)
{
    return shard->phase >= PHASE_CLOSING;
}

/* The shard is up, and takes commands. */
static inline bool redis_shard_is_up(const struct redis_shard *shard)
{
    return shard && shard->is_up && shard->commands.state == REDIS_READY;
}

/* The server is still to be asked whether it is a primary, before the shard comes up. */
static inline bool redis_shard_is_coming_up(const struct redis_shard *shard)
{
    return shard->phase == PHASE_CONNECTING;
}

/* Commands can be sent to a primary, though the canary may not be back yet. */
static inline bool redis_shard_is_ready(const struct redis_shard *shard)
{
    return shard && shard->is_primary && shard->commands.state == REDIS_READY;
}

#endif
