/* redis_parts.h - the struct of the Redis broker and the functions of its files, for these files alone. A file calls
 * only files below it:
 *
 *   redis_broker.c          makes and ends the parts, and passes on what shards and topology tell
 *   redis_node.c            registry and messages of nodes; passes positions and revocations on
 *   redis_publish.c redis_history.c redis_presence.c redis_session_slot.c redis_revoke.c redis_append.c
 *   redis_ticket.c redis_lifecycle.c
 *                           one kind of request each
 *   redis_broker_request.c  starts such a request, and answers it when it fails
 *   redis_subscribe.c       subscribes channels, and takes their events
 *   redis_position.c        asks Redis for the position of a channel
 *   redis_subscription.c    keeps the subscriptions
 *
 * ingest/ reads the ingest stream. It knows the topology, and of the broker only broker.h. topology/ knows the servers,
 * and brings a request to the right one. client/ is one connection. These two do not know the broker: they tell it what
 * happens by tables of events. */
#ifndef CARILLON_BROKER_REDIS_REDIS_PARTS_H
#define CARILLON_BROKER_REDIS_REDIS_PARTS_H

#include "common/base/log.h"
#include "server/broker/redis/client/redis_reply.h"
#include "server/broker/redis/ingest/redis_ingest.h"
#include "server/broker/redis/lifecycle_kept.h"
#include "server/broker/redis/redis_broker.h"
#include "server/broker/redis/redis_event.h"
#include "server/broker/redis/redis_keys.h"
#include "server/broker/redis/redis_subscription.h"
#include "server/broker/redis/ticket_count.h"
#include "server/broker/redis/topology/redis_request.h"
#include "server/core/lifecycle_event.h"
#include "server/core/presence.h"
#include "server/core/ticket.h"

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
    struct mailbox mailbox; /* for answers that must not come from within the call */
    struct turn_hook hook;
    bool closing;
    struct closing parts; /* the broker has closed when shards, discovery, requests and ingest have */
    void (*closed)(void *owner);

    /* Publications and entries of streams that have no answer yet: config.pending_max and pending_bytes_max. */
    size_t pending;
    size_t pending_bytes;

    /* redis_publish.c */
    struct redis_keys keys;
    struct buf head;
    struct buf tail;
    struct log_limit refusals_said;

    /* redis_subscribe.c */
    struct redis_subscriptions subscriptions;
    struct buf scratch;
    struct log_limit bad_messages_said;

    struct redis_ingest *ingest; /* NULL: the stream is not read here */

    /* redis_revoke.c */
    struct redis_revoked_list {
        char cursor[24];                 /* of the next page */
        struct redis_shard *server;      /* that has given the cursor; only compared */
        const struct redis_shard *owner; /* that the map of a cluster named last; only compared */
        bool is_asked;                   /* a page is under way */
        bool is_outdated;                /* all pages are to be read again after that one */
    } revoked_list;

    struct ticket_count tickets; /* redis_ticket.c: that this node has issued */

    /* redis_lifecycle.c */
    struct lifecycle_kept kept;
    bool is_saving; /* Redis is told how far the events have been sent on */

    /* redis_node.c */
    struct list_link nodes; /* struct known_node, in the order of their ids; this node is one of them */
    size_t node_count;
    bool is_registered;
    uint64_t lost_us; /* when the registry had lost this node: Redis may have lost its data; 0: never */
};

/* The keys of the channel; valid until the next call. A request keeps copies of the keys that it needs. */
static inline const struct redis_keys *redis_channel_keys(struct redis_broker *broker, struct str channel,
                                                          struct str event_id)
{
    redis_keys_set(&broker->keys, broker->config.prefix, buf_str(&broker->pubsub_prefix), channel, event_id);
    return &broker->keys;
}

/* The pub/sub channel of the channel's events; valid until the next call of either function. */
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
/* Tells the sink all revocations. Called when their shard has come up, or is another one. */
void redis_revocations_load(struct redis_broker *broker);
/* Slots have moved. Tells all revocations if their shard is another one now, and up. */
void redis_revocations_moved(struct redis_broker *broker);
/* Tells the sink a revocation as Redis keeps it, which counts until until_ms. False if it is malformed. */
bool redis_revocation_heard(struct redis_broker *broker, uint64_t until_ms, struct str member);

/* redis_presence.c */
void redis_presence_update(struct redis_broker *broker, struct presence_update *update);
void redis_presence_read(struct redis_broker *broker, struct presence_read *read);

/* redis_session_slot.c */
void redis_session_slot(struct redis_broker *broker, struct session_slot_request *request);

/* redis_append.c */
void redis_append(struct redis_broker *broker, struct stream_append *append);

/* redis_ticket.c */
void redis_ticket(struct redis_broker *broker, struct ticket_request *request);
/* redis_lifecycle.c */
void redis_lifecycle_write(struct redis_broker *broker, struct lifecycle_write *write);
void redis_lifecycle_lost(struct redis_broker *broker, struct lifecycle_lost *lost);
void redis_lifecycle_read(struct redis_broker *broker, struct lifecycle_read *read);

/* redis_broker_request.c */
/* Sends the request, which is the argument of the kind. Answers it if Redis cannot be reached. keys as in
 * redis_request_start. */
void redis_broker_request_start(struct redis_broker *broker, struct request *request,
                                const struct redis_request_kind *kind, size_t key_count, const struct str *keys);
/* Counts a request of that many bytes into what waits for Redis. False: there is no room. redis_broker_release is the
 * opposite. */
bool redis_broker_reserve(struct redis_broker *broker, size_t cost);
void redis_broker_release(struct redis_broker *broker, size_t cost);
/* Answers the request, not from within the call. */
void redis_broker_request_answer(struct redis_broker *broker, struct request *request);
/* The same with ERR_UNAVAILABLE and this text. */
void redis_broker_request_refuse(struct redis_broker *broker, struct request *request, const char *text);
/* Sets the error of a request that Redis has refused, or not answered (reply NULL). */
void redis_broker_request_fail(struct redis_broker *broker, struct request *request, const struct redisReply *reply);

/* redis_subscribe.c */
void redis_subscribe(struct broker *broker, struct str channel, const struct history_policy *history);
void redis_unsubscribe(struct broker *broker, struct str channel);
/* Sends SUBSCRIBE and UNSUBSCRIBE for the channels that have changed. Called at the end of a turn. */
void redis_subscribe_flush(struct redis_broker *broker);
/* Subscribes all channels of the shard, whose subscribing connection has come up. */
void redis_subscribe_restore(struct redis_shard *shard);
/* Both connections of the shard are lost: nothing is subscribed there any more. */
void redis_subscribe_reset(struct redis_shard *shard);
/* Slots have moved. Subscriptions that are at a wrong shard are forgotten there, and subscribed at the right one. So
 * are the subscriptions that redis_subscribe_forget_slot has forgotten. */
void redis_subscribe_move_slot(struct redis_broker *broker, unsigned slot);
void redis_subscribe_move_all(struct redis_broker *broker);
/* The shard has refused the slot's unconfirmed subscriptions. They wait for redis_subscribe_move_slot. */
void redis_subscribe_forget_slot(struct redis_shard *shard, unsigned slot);
/* Answers the subscriptions that still wait, when the broker ends. */
void redis_subscribe_refuse_all(struct redis_broker *broker);
void redis_subscribe_confirmed(struct redis_shard *shard, struct str key);
/* UNSUBSCRIBE is confirmed, or the server has ended the subscription by itself, because its slot has moved. */
void redis_subscribe_ended(struct redis_shard *shard, struct str key);
void redis_subscribe_message(struct redis_shard *shard, struct str key, struct str bytes);
void redis_count_bad_message(struct redis_broker *broker, struct str channel, const char *what);

/* redis_position.c */
/* The subscription is confirmed, and the node waits for its position: the first one, or another one. */
bool redis_position_is_needed(const struct redis_subscription *subscription);
/* Asks Redis for the position. If the shard is not ready, redis_position_ask_all asks later. A channel without history
 * that was interrupted has no position to ask for: if the server is a primary for certain, the node is told so at once.
 */
void redis_position_ask(struct redis_broker *broker, struct redis_subscription *subscription);
/* Keeps the position that the node has reached: the one that it was told, then that of each event. */
void redis_position_set(struct redis_subscription *subscription, struct str epoch, uint64_t offset, struct str id);
/* Asks for the position once more, unless it is asked for already. */
void redis_position_recheck(struct redis_broker *broker, struct redis_subscription *subscription);
/* Asks for all positions that could not be asked for before. The shard is ready. */
void redis_position_ask_all(struct redis_shard *shard);
/* Redis has told the position. id: of the event at that position; empty: not known. */
void redis_position_told(struct redis_shard *shard, struct str key, struct str epoch, uint64_t offset, struct str id);
/* A canary has come back. Asks again for each position of the shard that was made before that canary was sent, and has
 * not come. */
void redis_position_ask_untold(struct redis_shard *shard);
/* A message among the events says that a script has begun an epoch of the channel. */
void redis_position_begun(struct redis_broker *broker, struct redis_subscription *subscription,
                          const struct position *position);
/* A read of the history has told the position of the channel. */
void redis_position_read(struct redis_broker *broker, struct str channel, struct str epoch, uint64_t offset);

/* redis_node.c */
void redis_node_init(struct redis_broker *broker);
void redis_node_fini(struct redis_broker *broker);
/* A node that is silent for so long is gone. */
uint64_t redis_node_gone_ms(const struct redis_broker *broker);
/* Subscribes the channels of this node. Called before all other channels, as their positions come by it. */
void redis_node_listen(struct redis_shard *shard);
/* Subscribes the control channel. Called after all other channels, so that its confirmation is the last. */
void redis_node_listen_to_all(struct redis_shard *shard);
/* If the shard has the registry: renews this node in it, and says to all nodes that it is there if the shard is coming
 * up. */
void redis_node_register(struct redis_shard *shard);
/* Takes this node out of the registry, and says so to all nodes. */
void redis_node_leave(struct redis_broker *broker);
/* True if key is a channel of the node or the control channel. Then the confirmation or message is dealt with. */
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

/* The command that publishes the events of channels. */
static inline struct str redis_publish_command(const struct redis_broker *broker)
{
    return broker->topology.kind->sharded ? STR("SPUBLISH") : STR("PUBLISH");
}

/* How long a position stays after the last event: a day longer than the events. */
static inline uint64_t redis_meta_ttl_ms(const struct history_policy *history)
{
    return history->ttl_ms + UINT64_C(24) * 60 * 60 * 1000;
}

#endif
