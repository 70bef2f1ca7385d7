/* redis_parts.h - the Redis broker's own structs and the functions of its parts, for these parts alone. How they stand
 * to each other:
 *
 * - redis_broker.c is at the top. It makes the parts and ends them, and passes on what shards and cluster tell.
 * - Each of the files below it does one thing and calls no other of its row: redis_publish.c takes publications,
 *   redis_history.c reads logs, redis_presence.c keeps members, redis_session_slot.c counts a user's sessions,
 *   redis_revoke.c keeps revoked tokens, redis_node.c does what concerns nodes (it hands positions and revocations on).
 * - redis_subscribe.c subscribes channels; it uses redis_position.c, which asks where a channel is; both use
 *   redis_subscription.c, which keeps the subscriptions.
 * - topology/ knows the servers and brings a request to the right one. client/ is one connection. Both know nothing of
 *   the broker: they tell it what happens by tables of events.
 * - ingest/ reads the ingest stream: it knows the topology, and of the broker only what broker.h says. */
#ifndef CARILLON_BROKER_REDIS_REDIS_PARTS_H
#define CARILLON_BROKER_REDIS_REDIS_PARTS_H

#include "common/base/log.h"
#include "server/broker/redis/client/redis_reply.h"
#include "server/broker/redis/ingest/redis_ingest.h"
#include "server/broker/redis/redis_broker.h"
#include "server/broker/redis/redis_event.h"
#include "server/broker/redis/redis_keys.h"
#include "server/broker/redis/redis_subscription.h"
#include "server/broker/redis/topology/redis_request.h"
#include "server/core/presence.h"

struct redis_broker {
    struct broker broker;              /* first */
    struct redis_broker_config config; /* its texts point to those below */
    struct redis_url url;
    struct redis_tls *tls; /* NULL: without */
    struct event_limits event_limits;
    char *prefix;
    char *node_id;
    char *client_name;
    struct buf pubsub_prefix;   /* of the names of pub/sub: redis_keys.h */
    struct buf node_channel;    /* pubsub prefix:node:<id> */
    struct buf control_channel; /* pubsub prefix:control */
    struct buf nodes_key;       /* prefix:nodes */
    struct buf revoked_key;     /* prefix:revoked */

    struct redis_topology topology;
    struct redis_requests requests;
    struct broker_info info;
    struct mailbox mailbox; /* for answers that must not be given at once */
    struct turn_hook hook;
    bool closing;
    struct closing parts; /* shards, discovery, requests, ingest: the broker has closed when all of them have */
    void (*closed)(void *owner);

    /* redis_publish.c */
    struct redis_keys keys;
    struct buf head;
    struct buf tail;
    size_t pending;
    size_t pending_bytes;
    struct log_limit refusals_said;

    /* redis_subscribe.c */
    struct redis_subscriptions subscriptions;
    struct buf scratch;
    struct log_limit bad_messages_said;

    struct redis_ingest *ingest; /* NULL: the stream is not read here */

    /* redis_revoke.c */
    struct redis_revoked_list {
        char cursor[24];                 /* of the next page */
        struct redis_shard *server;      /* whose cursor that is; only compared */
        const struct redis_shard *owner; /* which the map of a cluster named last; only compared */
        bool is_asked;                   /* a page is */
        bool is_outdated;                /* all are to be read again, once that has come */
    } revoked_list;

    /* redis_node.c */
    struct buf nodes; /* the registry as last read, an id a line */
    bool is_registered;
    uint64_t lost_us; /* when the registry had lost this node, so that Redis may have lost all it had; 0: never */
};

/* The keys of the channel; valid until the next call. A request keeps copies of those it needs. */
static inline const struct redis_keys *redis_channel_keys(struct redis_broker *broker, struct str channel,
                                                          struct str event_id)
{
    redis_keys_set(&broker->keys, broker->config.prefix, buf_str(&broker->pubsub_prefix), channel, event_id);
    return &broker->keys;
}

/* The pub/sub channel of its events; valid until the next call of either. */
static inline struct str redis_live_key(struct redis_broker *broker, struct str channel)
{
    return redis_channel_keys(broker, channel, STR(""))->live;
}

/* redis_publish.c */
void redis_publish(struct redis_broker *broker, struct publication *publication);

/* redis_history.c */
void redis_history(struct redis_broker *broker, struct history_read *read);

/* redis_revoke.c */
void redis_revoke(struct redis_broker *broker, struct revoke_request *request);
/* The shard that has them has come up, or is another: tells the sink all revocations. */
void redis_revocations_load(struct redis_broker *broker);
/* Slots have moved: the same if the shard that has them is another now, and up. */
void redis_revocations_moved(struct redis_broker *broker);
/* One as Redis keeps it, with its end; false if it is not well-formed. */
bool redis_revocation_heard(struct redis_broker *broker, uint64_t until_ms, struct str member);

/* redis_presence.c */
void redis_presence_update(struct redis_broker *broker, struct presence_update *update);
void redis_presence_read(struct redis_broker *broker, struct presence_read *read);

/* redis_session_slot.c */
void redis_session_slot(struct redis_broker *broker, struct session_slot_request *request);

/* redis_broker_request.c */
/* Sends it on its way; or, when Redis cannot be reached, answers it. It is the argument of the kind. keys as in
 * redis_request_start. */
void redis_broker_request_start(struct redis_broker *broker, struct request *request,
                                const struct redis_request_kind *kind, size_t key_count, const struct str *keys);
/* Answers it with ERR_UNAVAILABLE and this text, not from within the call. */
void redis_broker_request_refuse(struct redis_broker *broker, struct request *request, const char *text);
/* Redis's refusal, or its silence (reply NULL), as the request's error. */
void redis_broker_request_fail(struct redis_broker *broker, struct request *request, const struct redisReply *reply);

/* redis_subscribe.c */
void redis_subscribe(struct broker *broker, struct str channel, const struct history_policy *history);
void redis_unsubscribe(struct broker *broker, struct str channel);
/* At the end of a turn: sends what has changed. */
void redis_subscribe_flush(struct redis_broker *broker);
/* The shard's subscribing connection is up: all again. */
void redis_subscribe_restore(struct redis_shard *shard);
/* Both its connections are gone. */
void redis_subscribe_reset(struct redis_shard *shard);
/* Those that are not where their key belongs now: all that is known of them there is forgotten, and they are subscribed
 * where it does. So are those that had been forgotten. */
void redis_subscribe_move_slot(struct redis_broker *broker, unsigned slot);
void redis_subscribe_move_all(struct redis_broker *broker);
/* The shard has refused those of the slot that are not confirmed: they wait for redis_subscribe_move_slot. */
void redis_subscribe_forget_slot(struct redis_shard *shard, unsigned slot);
/* At the end: answers those that still wait. */
void redis_subscribe_refuse_all(struct redis_broker *broker);
void redis_subscribe_confirmed(struct redis_shard *shard, struct str key);
/* Confirmed, or the server has ended it by itself, as its slot is elsewhere. */
void redis_subscribe_ended(struct redis_shard *shard, struct str key);
void redis_subscribe_message(struct redis_shard *shard, struct str key, struct str bytes);
void redis_count_bad_message(struct redis_broker *broker, struct str channel, const char *what);

/* redis_position.c */
/* It is confirmed, and where its channel is has yet to be told to the node: for the first time, or once more. */
bool redis_position_is_needed(const struct redis_subscription *subscription);
/* Asks Redis, or leaves it to redis_position_ask_all; where no answer is to be had, tells so at once. */
void redis_position_ask(struct redis_broker *broker, struct redis_subscription *subscription);
/* What the node has had of the channel: the position it is told, then each event. */
void redis_position_set(struct redis_subscription *subscription, struct str epoch, uint64_t offset, struct str id);
/* Asks, where nothing else does already. */
void redis_position_recheck(struct redis_broker *broker, struct redis_subscription *subscription);
/* The shard's command connection is up: what could not be asked before. */
void redis_position_ask_all(struct redis_shard *shard);
/* The answer. id: of the event at that position; empty: not known. */
void redis_position_told(struct redis_shard *shard, struct str key, struct str epoch, uint64_t offset, struct str id);
/* Somebody has begun an epoch of the channel, and says so among its events. */
void redis_position_begun(struct redis_broker *broker, struct redis_subscription *subscription,
                          const struct position *position);
/* A read of a history has told where the channel is. */
void redis_position_read(struct redis_broker *broker, struct str channel, struct str epoch, uint64_t offset);

/* redis_node.c */
/* The subscription of this node's own channels: before all others, as their positions come by it. */
void redis_node_listen(struct redis_shard *shard);
/* That of the nodes' common channel: after all others, so that its confirmation is the last. */
void redis_node_listen_to_all(struct redis_shard *shard);
/* This node's sign of life, if the shard has the registry. */
void redis_node_register(struct redis_shard *shard);
/* Takes this node off the registry. */
void redis_node_leave(struct redis_broker *broker);
/* True if the key is one of the node's own channels; then the confirmation or message has been dealt with. */
bool redis_node_confirmed(struct redis_shard *shard, struct str key);
bool redis_node_message(struct redis_shard *shard, struct str key, struct str bytes);
void redis_node_send(struct broker *broker, struct str to, struct str bytes);
void redis_node_list(struct broker *broker, struct buf *out);

static inline struct redis_broker *redis_broker_of(struct broker *broker)
{
    return CONTAINER_OF(broker, struct redis_broker, broker);
}

static inline struct redis_broker *redis_broker_of_shard(const struct redis_shard *shard)
{
    return CONTAINER_OF(shard->topology, struct redis_broker, topology);
}

static inline struct redis_broker *redis_broker_of_request(const struct redis_request *request)
{
    return CONTAINER_OF(request->requests, struct redis_broker, requests);
}

/* With which a channel's events are told. */
static inline struct str redis_publish_command(const struct redis_broker *broker)
{
    return broker->topology.kind->sharded ? STR("SPUBLISH") : STR("PUBLISH");
}

/* How long a position is kept without an event: it outlives the events of a channel that has fallen silent by a day. */
static inline uint64_t redis_meta_ttl_ms(const struct history_policy *history)
{
    return history->ttl_ms + UINT64_C(24) * 60 * 60 * 1000;
}

#endif
