/* redis_publish.c - sends publications to Redis, and gives the answers back. A publication is one command: a script if
 * the channel has a history or the publication an event_id, else PUBLISH. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "server/broker/redis/redis_parts.h"

/* The keys of a publication's request. ID is empty without an event_id. */
enum { META, LOG, LIVE, ID, KEYS };

/* About so many bytes a publication takes besides its texts. */
enum { PUBLICATION_COST = 512 };

enum { RETRY_SOON_MS = 500, RETRY_REFUSED_MS = 1000 };

static size_t cost(const struct publication *publication)
{
    return PUBLICATION_COST + publication->base.channel.len + publication->type.len + publication->data.len +
           publication->event_id.len + publication->user.len + publication->session.len + publication->exclude.len;
}

static void give_back(struct redis_broker *broker, struct publication *publication)
{
    redis_broker_release(broker, cost(publication));
    broker_answer(&broker->broker, &publication->base);
}

/* ---- refusals ---- */

static void refuse(struct redis_broker *broker, struct publication *publication, uint64_t retry_after_ms,
                   const char *text)
{
    publication->base.retry_after_ms = retry_after_ms;
    redis_broker_request_refuse(broker, &publication->base, text);
}

/* Explains an error of Redis to the operator. The first word of the error tells its kind. */
static void explain_refusal(struct publication *publication, const redisReply *reply)
{
    static const struct {
        const char *code;
        const char *text;
    } known[] = {
        {"OOM", "Redis is out of memory (maxmemory); nothing was published. Raise its maxmemory or free memory"},
        {"READONLY", "Redis is a read-only replica; nothing was published. Point the node at the primary"},
        {"LOADING", "Redis is still loading its data; nothing was published. Try again"},
        {"MASTERDOWN", "Redis is a replica without its primary; nothing was published. Point the node at the primary"},
        {"MISCONF", "Redis refuses writes because it cannot save to disk; nothing was published. See its log"},
        {"NOREPLICAS", "Redis has too few replicas to accept writes; nothing was published. See its log"},
        {"NOPERM", "the Redis user may not run the commands of a publication; nothing was published. See its ACL"},
        {"MOVED", "Redis is a node of a cluster; nothing was published. Give redis.url as redis+cluster://"},
        {"BUSY", "Redis is busy with a script; nothing was published. Try again"},
    };
    if (strncmp(reply->str, "WRONGTYPE", 9) == 0) { /* waiting does not help */
        request_fail(
            &publication->base, ERR_INTERNAL_ERROR,
            "a key of the channel in Redis is of another type than Carillon makes; nothing was published. Delete "
            "the key");
        return;
    }
    publication->base.retry_after_ms = RETRY_REFUSED_MS;
    if (redis_request_is_untaken(reply)) {
        request_fail(&publication->base, ERR_UNAVAILABLE,
                     "no Redis server takes the channel now; nothing was published. Try again");
        return;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(reply->str, known[i].code, strlen(known[i].code)) == 0) {
            request_fail(&publication->base, ERR_UNAVAILABLE, "%s", known[i].text);
            return;
        }
    request_fail(&publication->base, ERR_UNAVAILABLE, "Redis refused the publication: %.200s", reply->str);
}

/* The log says it too: /readyz does not show that Redis takes no writes, and publishers may not know the operator. */
static void log_refusal(struct redis_broker *broker, const char *why)
{
    unsigned long long count;
    if (log_limit_passes(&broker->refusals_said, turn_now_us(broker->config.turn), &count))
        log_warn("broker", "%s (refused since this was last said: %llu)", why, count);
}

/* ---- answers ---- */

static void set_unknown(struct publication *publication)
{
    publication->base.retry_after_ms = RETRY_SOON_MS;
    request_fail(&publication->base, ERR_UNAVAILABLE,
                 "the connection to Redis was lost before it answered: the event may or may not have been published%s",
                 publication->event_id.len ? "; trying again with the same event_id is safe"
                                           : ". With an event_id, trying again would be safe");
}

static void copy_text(char *out, size_t size, const redisReply *reply)
{
    struct str text = redis_text(reply);
    size_t len = text.len < size ? text.len : size - 1;
    memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static bool is_scripted(const struct publication *publication)
{
    return publication->history.size || publication->event_id.len;
}

/* Takes id, epoch, offset, and 1 if the event_id was known. */
static bool take_position(struct publication *publication, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4 || reply->element[3]->type != REDIS_REPLY_INTEGER ||
        !str_to_u64(redis_text(reply->element[2]), &publication->offset))
        return false;
    copy_text(publication->id, sizeof publication->id, reply->element[0]);
    copy_text(publication->epoch, sizeof publication->epoch, reply->element[1]);
    publication->duplicate = reply->element[3]->integer != 0;
    return true;
}

static void on_published(struct redis_request *request, const redisReply *reply)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    struct publication *publication = request->argument;
    if (!reply) {
        set_unknown(publication);
    } else if (redis_is_error(reply)) {
        metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
        explain_refusal(publication, reply);
        log_refusal(broker, publication->base.error->text);
    } else if (is_scripted(publication) && !take_position(publication, reply)) {
        metrics_add(broker->broker.metrics, METRIC_BROKER_ERRORS, 1);
        request_fail(&publication->base, ERR_INTERNAL_ERROR, "Redis gave an answer that makes no sense to a script");
    }
    give_back(broker, publication);
}

/* ---- sending ---- */

static void send_ordered(struct redis_request *request, const struct publication *publication)
{
    const struct redis_broker *broker = redis_broker_of_request(request);
    const struct str *keys = request->keys;
    const struct history_policy *history = &publication->history;
    char epoch[EPOCH_NEW_LEN + 1], size[24], ttl[24], meta_ttl[24], window[24];
    epoch_new(epoch);
    size_t key_count = keys[ID].len ? 3 : 2;
    struct str arguments[13] = {keys[META], keys[LOG], keys[ID]};
    struct str *rest = arguments + key_count;
    rest[0] = str_from(epoch, EPOCH_NEW_LEN);
    rest[1] = redis_number(history->size, size);
    rest[2] = redis_number(history->ttl_ms, ttl);
    rest[3] = redis_number(redis_meta_ttl_ms(history), meta_ttl);
    rest[4] = str_from(publication->id, UUID_LEN);
    rest[5] = buf_str(&broker->head);
    rest[6] = buf_str(&broker->tail);
    rest[7] = redis_number(broker->config.idempotency_window_ms, window);
    rest[8] = keys[LIVE];
    rest[9] = redis_publish_command(broker);
    redis_request_script(request, SCRIPT_PUBLISH, key_count, key_count + 10, arguments);
}

static void send_once(struct redis_request *request, const struct publication *publication)
{
    const struct redis_broker *broker = redis_broker_of_request(request);
    char window[24];
    struct str arguments[] = {request->keys[ID],
                              request->keys[LIVE],
                              str_from(publication->id, UUID_LEN),
                              buf_str(&broker->head),
                              redis_number(broker->config.idempotency_window_ms, window),
                              redis_publish_command(broker)};
    redis_request_script(request, SCRIPT_ONCE, 2, 6, arguments);
}

static void send_publication(struct redis_request *request)
{
    struct redis_broker *broker = redis_broker_of_request(request);
    const struct publication *publication = request->argument;
    char timestamp[CLOCK_RFC3339_LEN + 1];
    clock_format(turn_wall_ms(broker->config.turn), timestamp);
    struct event event = {
        .channel = publication->base.channel,
        .type = publication->type,
        .id = str_from(publication->id, UUID_LEN),
        .timestamp = str_from(timestamp, CLOCK_RFC3339_LEN),
        .user = publication->user,
        .session = publication->session,
        .exclude = publication->exclude,
        .data = publication->data,
    };
    buf_clear(&broker->head);
    buf_clear(&broker->tail);
    redis_event_head(&broker->head, &event);
    if (publication->history.size) {
        redis_event_tail(&broker->tail, &event);
        send_ordered(request, publication);
        return;
    }
    redis_event_tail(&broker->head, &event);
    if (publication->event_id.len)
        send_once(request, publication);
    else
        redis_request_command(
            request, 3, (struct str[]){redis_publish_command(broker), request->keys[LIVE], buf_str(&broker->head)});
}

static const struct redis_request_kind kind = {.send = send_publication, .done = on_published};

void redis_publish(struct redis_broker *broker, struct publication *publication)
{
    const struct redis_keys *names = redis_channel_keys(broker, publication->base.channel, publication->event_id);
    const struct str keys[KEYS] = {[META] = names->meta, [LOG] = names->log, [LIVE] = names->live, [ID] = names->id};
    struct redis_shard *shard = redis_topology_shard_of(&broker->topology, keys[META]);
    if (!redis_shard_is_up(shard)) {
        refuse(broker, publication, redis_shard_retry_ms(shard),
               "Redis cannot be reached now; nothing was published. Try again later");
        return;
    }
    if (!redis_broker_reserve(broker, cost(publication))) {
        refuse(broker, publication, RETRY_SOON_MS,
               "too many publications wait for Redis; nothing was published. Publish more slowly");
        return;
    }
    if (!publication->accepted_us)
        publication->accepted_us = turn_now_us(broker->config.turn);
    uuid_v7(turn_wall_ms(broker->config.turn), publication->id);
    redis_request_start(&broker->requests, &kind, publication, shard, KEYS, keys, publication->accepted_us);
}
