/* redis_shard.c - see redis_shard.h. enum redis_phase says what the one timer means in each phase. */
#include "server/broker/redis/topology/redis_shard.h"

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "server/broker/redis/client/redis_reply.h"

enum { RETRY_BASE_MS = 100, RETRY_DOUBLINGS_MAX = 16, RETRY_SOON_MS = 500, RETRY_MIN_MS = 100 };
enum { STABLE_US = 1000 * 1000 };
enum { LAST_ANSWERS_MS = 2000 };

static void on_timer(struct timer *timer, uint64_t now_us);
static void end(struct redis_shard *shard);
static void finish_close(struct redis_shard *shard);

static struct turn *turn_of(const struct redis_shard *shard)
{
    return shard->topology->config.turn;
}

static void start_timer(struct redis_shard *shard, uint64_t after_ms)
{
    turn_start_timer(turn_of(shard), &shard->timer, after_ms * 1000, on_timer);
}

static void set_state(struct redis_shard *shard, bool is_up, const char *text)
{
    shard->is_up = is_up;
    snprintf(shard->text, sizeof shard->text, "%s", text);
    shard->topology->shard_events->state(shard);
}

/* ---- the canary ---- */

/* True if the server says that it is a replica: the shard is dropped. An ACL may forbid ROLE. Then the first write
 * tells. */
static bool drop_replica(struct redis_shard *shard, const redisReply *role)
{
    if (role->type != REDIS_REPLY_ARRAY || !role->elements || str_eq(redis_text(role->element[0]), STR("master")))
        return false;
    redis_shard_drop(shard, "it is a replica, not the primary: what is published there reaches nobody else");
    return true;
}

static void on_role_again(void *owner, void *argument, const redisReply *reply)
{
    if (reply)
        drop_replica(argument, reply);
}

static void ask_role(struct redis_shard *shard, redis_answered *done)
{
    redis_connection_send(&shard->commands, 1, (struct str[]){STR("ROLE")}, done, shard);
}

static void on_canary_sent(void *owner, void *argument, const redisReply *reply)
{
    if (reply && redis_is_error(reply))
        redis_shard_drop(argument, reply->str);
}

/* The server may have become a replica since it was asked. A replica takes subscriptions, and gives canaries back. So
 * the question goes with each canary, also with the first one: then all subscriptions are confirmed. */
static void send_canary(struct redis_shard *shard)
{
    char text[40];
    ask_role(shard, on_role_again);
    shard->canary = ++shard->topology->canary;
    int len = snprintf(text, sizeof text, "canary %llu", (unsigned long long)shard->canary);
    shard->topology->shard_events->before_canary(shard);
    struct str argv[] = {STR("PUBLISH"), buf_str(&shard->channel), str_from(text, (size_t)len)};
    shard->canary_sent_us = turn_now_us(turn_of(shard));
    redis_connection_send(&shard->commands, 3, argv, on_canary_sent, shard);
}

static void on_canary_back(struct redis_shard *shard)
{
    const struct redis_topology_config *config = &shard->topology->config;
    shard->round_trip_us = turn_now_us(turn_of(shard)) - shard->canary_sent_us;
    metrics_observe(config->metrics, METRIC_BROKER_ROUND_TRIP, shard->round_trip_us);
    shard->phase = PHASE_RESTING;
    start_timer(shard, config->canary_interval_ms);
    shard->topology->shard_events->canary_back(shard);
    if (shard->is_up)
        return;
    if (shard->has_been_up)
        metrics_add(config->metrics, METRIC_BROKER_RECONNECTS, 1);
    shard->has_been_up = true;
    shard->up_us = turn_now_us(turn_of(shard));
    set_state(shard, true, "");
}

/* True if the message is a canary. A canary that the shard does not wait for is of an earlier life of this node. */
static bool take_canary(struct redis_shard *shard, struct str channel, struct str bytes)
{
    uint64_t number;
    if (!str_eq(channel, buf_str(&shard->channel)) || !str_eq(str_split(&bytes, ' '), STR("canary")) || !bytes.ptr)
        return false;
    if (shard->phase == PHASE_PROBING && str_to_u64(bytes, &number) && number == shard->canary)
        on_canary_back(shard);
    return true;
}

/* ---- coming up ---- */

void redis_shard_extend(struct redis_shard *shard)
{
    if (shard->phase == PHASE_CONNECTING || shard->phase == PHASE_PROBING)
        start_timer(shard, shard->topology->config.command_timeout_ms);
}

/* Sends the first canary when all subscriptions are confirmed and the server has said that it is a primary. */
static void try_probe(struct redis_shard *shard)
{
    if (shard->phase != PHASE_CONNECTING || !shard->all_confirmed || !shard->is_primary)
        return;
    shard->phase = PHASE_PROBING;
    start_timer(shard, shard->topology->config.command_timeout_ms);
    send_canary(shard);
}

void redis_shard_all_confirmed(struct redis_shard *shard)
{
    shard->all_confirmed = true;
    try_probe(shard);
}

static void on_role(void *owner, void *argument, const redisReply *reply)
{
    struct redis_shard *shard = argument;
    if (!reply || drop_replica(shard, reply))
        return;
    shard->is_primary = true;
    shard->topology->shard_events->ready(shard);
    try_probe(shard);
}

static void on_commands_up(struct redis_connection *connection)
{
    struct redis_shard *shard = CONTAINER_OF(connection, struct redis_shard, commands);
    redis_scripts_load(&shard->scripts, connection);
    ask_role(shard, on_role);
}

static void on_subscriber_up(struct redis_connection *connection)
{
    struct redis_shard *shard = CONTAINER_OF(connection, struct redis_shard, subscriber);
    shard->topology->shard_events->subscriber_up(shard);
    redis_shard_extend(shard);
}

void redis_shard_connect(struct redis_shard *shard)
{
    if (shard->phase != PHASE_WAITING && shard->phase != PHASE_SEEKING)
        return;
    turn_stop_timer(turn_of(shard), &shard->timer);
    shard->phase = PHASE_CONNECTING;
    shard->all_confirmed = shard->is_primary = false;
    redis_connection_start(&shard->commands);
    redis_connection_start(&shard->subscriber);
}

void redis_shard_move(struct redis_shard *shard, struct str host, struct str port)
{
    redis_endpoint_fini(&shard->endpoint);
    shard->endpoint = redis_endpoint_copy(host, port);
    shard->scripts = (struct redis_scripts){0};
}

static void on_timer(struct timer *timer, uint64_t now_us)
{
    struct redis_shard *shard = CONTAINER_OF(timer, struct redis_shard, timer);
    (void)now_us;
    switch (shard->phase) {
    case PHASE_WAITING:
        shard->phase = PHASE_SEEKING;
        shard->topology->kind->find(shard);
        break;
    case PHASE_CONNECTING:
        if (!shard->all_confirmed) /* else the other connection is waited for, which has timers of its own */
            redis_shard_drop(shard, "no confirmation of the subscriptions in time");
        break;
    case PHASE_PROBING: redis_shard_drop(shard, "a canary sent through it did not come back in time"); break;
    case PHASE_RESTING:
        shard->phase = PHASE_PROBING;
        start_timer(shard, shard->topology->config.command_timeout_ms);
        send_canary(shard);
        shard->topology->kind->look_again(shard);
        break;
    case PHASE_CLOSING: end(shard); break; /* the last answers have not come in time */
    case PHASE_ENDING:
        shard->timer_ended = true;
        finish_close(shard);
        break;
    case PHASE_SEEKING:
    case PHASE_FALLING: break;
    }
}

/* ---- going down ---- */

/* Logs the reason, unless it is the same as the last one. */
static void log_loss(struct redis_shard *shard, const char *why)
{
    metrics_add(shard->topology->config.metrics, METRIC_BROKER_ERRORS, 1);
    if (strcmp(shard->why, why) == 0)
        return;
    snprintf(shard->why, sizeof shard->why, "%s", why);
    log_warn("broker", "%s; publications are refused until it is back", why);
}

/* A random pause over a small floor, so that nodes do not come back in step (Brooker, "Exponential Backoff and
 * Jitter").
 */
static uint64_t pause_ms(struct redis_shard *shard)
{
    unsigned doublings = shard->attempts < RETRY_DOUBLINGS_MAX ? shard->attempts : RETRY_DOUBLINGS_MAX;
    uint64_t reach_ms = (uint64_t)RETRY_BASE_MS << doublings;
    uint64_t max_ms = shard->topology->config.retry_max_ms;
    shard->attempts++;
    if (reach_ms > max_ms)
        reach_ms = max_ms;
    uint64_t floor_ms = reach_ms < RETRY_BASE_MS ? reach_ms / 2 : RETRY_BASE_MS / 2;
    return floor_ms + random_below(reach_ms - floor_ms + 1);
}

/* Called when the shard was up for a while. A Redis may take the login and refuse the next command: it must not be
 * asked without a pause. */
static void begin_anew(struct redis_shard *shard)
{
    shard->attempts = 0;
    shard->why[0] = '\0';
}

static void wait(struct redis_shard *shard)
{
    uint64_t wait_ms = pause_ms(shard);
    uint64_t tenths = (wait_ms + 99) / 100;
    char text[sizeof shard->text];
    snprintf(text, sizeof text, "%.250s; next try in %llu.%llu s", shard->why, (unsigned long long)tenths / 10,
             (unsigned long long)tenths % 10);
    shard->phase = PHASE_WAITING;
    shard->retry_us = turn_now_us(turn_of(shard)) + wait_ms * 1000;
    start_timer(shard, wait_ms);
    set_state(shard, false, text);
}

void redis_shard_not_found(struct redis_shard *shard, const char *why)
{
    if (shard->phase != PHASE_SEEKING)
        return;
    log_loss(shard, why);
    wait(shard);
}

static void finish_close(struct redis_shard *shard)
{
    struct redis_topology *topology = shard->topology;
    if (!shard->timer_ended || shard->commands.state != REDIS_IDLE || shard->subscriber.state != REDIS_IDLE)
        return;
    list_remove(&shard->link);
    topology->shard_events->down(shard);
    if (topology->kind->forget)
        topology->kind->forget(shard);
    redis_connection_fini(&shard->commands);
    redis_connection_fini(&shard->subscriber);
    redis_endpoint_fini(&shard->endpoint);
    buf_fini(&shard->channel);
    free(shard);
    closing_part_closed(topology->config.closing);
}

static void on_down(struct redis_shard *shard, const char *why)
{
    if (shard->phase >= PHASE_CLOSING) {
        if (shard->commands.state == REDIS_IDLE)
            end(shard);
        finish_close(shard);
        return;
    }
    if (shard->phase != PHASE_FALLING) { /* the first of the two connections */
        shard->phase = PHASE_FALLING;
        turn_stop_timer(turn_of(shard), &shard->timer);
        if (shard->is_up && turn_now_us(turn_of(shard)) - shard->up_us >= STABLE_US)
            begin_anew(shard);
        log_loss(shard, why);
        set_state(shard, false, why);
        redis_connection_drop(&shard->commands, "%s", "given up with the other connection");
        redis_connection_drop(&shard->subscriber, "%s", "given up with the other connection");
    }
    if (shard->commands.state != REDIS_IDLE || shard->subscriber.state != REDIS_IDLE)
        return;
    shard->topology->shard_events->down(shard);
    wait(shard);
}

static void on_commands_down(struct redis_connection *connection, const char *why)
{
    on_down(CONTAINER_OF(connection, struct redis_shard, commands), why);
}

static void on_subscriber_down(struct redis_connection *connection, const char *why)
{
    on_down(CONTAINER_OF(connection, struct redis_shard, subscriber), why);
}

void redis_shard_drop(struct redis_shard *shard, const char *why)
{
    redis_connection_drop(&shard->commands, "%.120s", why);
    redis_connection_drop(&shard->subscriber, "%.120s", why);
}

uint64_t redis_shard_retry_ms(const struct redis_shard *shard)
{
    uint64_t wait_ms = RETRY_SOON_MS;
    if (shard && shard->phase == PHASE_WAITING) {
        uint64_t now_us = turn_now_us(turn_of(shard));
        wait_ms = shard->retry_us > now_us ? (shard->retry_us - now_us) / 1000 : 0;
    }
    return wait_ms < RETRY_MIN_MS ? RETRY_MIN_MS : wait_ms;
}

/* ---- pub/sub ---- */

static void on_pushed(struct redis_connection *connection, const redisReply *reply)
{
    struct redis_shard *shard = CONTAINER_OF(connection, struct redis_shard, subscriber);
    const struct redis_topology_kind *topology_kind = shard->topology->kind;
    const struct redis_shard_events *events = shard->topology->shard_events;
    if (redis_is_error(reply)) {
        struct str text = str_from(reply->str, (size_t)reply->len);
        if (!topology_kind->subscription_refused || !topology_kind->subscription_refused(shard, text))
            redis_connection_drop(connection, "refused a subscription: %.100s", reply->str);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3)
        return;
    struct str kind = redis_text(reply->element[0]);
    struct str channel = redis_text(reply->element[1]);
    if (kind.len && kind.ptr[0] == 's' && !str_eq(kind, STR("subscribe")))
        kind = str_skip(kind, 1); /* of sharded pub/sub: ssubscribe, smessage, sunsubscribe */
    if (str_eq(kind, STR("message"))) {
        struct str bytes = redis_text(reply->element[2]);
        if (!take_canary(shard, channel, bytes))
            events->message(shard, channel, bytes);
    } else if (str_eq(kind, STR("subscribe"))) {
        redis_shard_extend(shard);
        events->confirmed(shard, channel);
    } else if (str_eq(kind, STR("unsubscribe"))) {
        redis_shard_extend(shard);
        events->ended(shard, channel);
    }
}

/* ---- life ---- */

struct redis_shard *redis_shard_create(struct redis_topology *topology, const struct redis_endpoint *endpoint,
                                       struct str channel)
{
    static const struct redis_connection_events command_events = {.up = on_commands_up, .down = on_commands_down};
    static const struct redis_connection_events subscriber_events = {
        .up = on_subscriber_up, .pushed = on_pushed, .down = on_subscriber_down};
    struct redis_shard *shard = xcalloc(1, sizeof *shard);
    struct turn *turn = topology->config.turn;
    shard->topology = topology;
    shard->slots = topology->kind->sharded ? 0 : 1;
    snprintf(shard->text, sizeof shard->text, "connecting to Redis");
    buf_append(&shard->channel, channel);
    struct redis_connection_config connection = redis_topology_connection(topology);
    connection.endpoint = &shard->endpoint;
    connection.login_hint = "a password: give it in the URL, redis://:password@host";
    redis_connection_init(&shard->commands, &connection, &command_events, shard, turn);
    redis_connection_init(&shard->subscriber, &connection, &subscriber_events, shard, turn);
    list_append(&topology->shards, &shard->link);
    closing_add(topology->config.closing);
    shard->phase = PHASE_SEEKING;
    if (endpoint) {
        redis_shard_move(shard, str_from_cstr(endpoint->host), str_from_cstr(endpoint->port));
        redis_shard_connect(shard);
    } else {
        topology->kind->find(shard);
    }
    return shard;
}

/* Ends a shard that closes. Commands without an answer will not be answered any more. */
static void end(struct redis_shard *shard)
{
    if (shard->phase == PHASE_ENDING)
        return;
    shard->phase = PHASE_ENDING;
    shard->is_up = false;
    start_timer(shard, 0);
    redis_connection_finish(&shard->commands, "no longer needed");
}

static void await_last_answers(struct redis_shard *shard);

static void on_last_answer(void *owner, void *argument, const redisReply *reply)
{
    struct redis_shard *shard = argument;
    if (!reply)
        return; /* on_down follows */
    /* TIME is sent at least twice: an answer may lead to one more command at the end of the turn. */
    bool again = shard->commands.expected.count || !shard->has_answered_last;
    shard->has_answered_last = true;
    if (again)
        await_last_answers(shard);
    else if (shard->topology->is_closing && shard->topology->open_requests)
        shard->waits_for_others = true;
    else
        end(shard);
}

/* Answers come in the order of their commands. So the answer to TIME says that all earlier commands were run. Every
 * node has the right to run TIME anyway. */
static void await_last_answers(struct redis_shard *shard)
{
    redis_connection_send(&shard->commands, 1, (struct str[]){STR("TIME")}, on_last_answer, shard);
}

void redis_shard_no_requests(struct redis_shard *shard)
{
    if (!shard->waits_for_others)
        return;
    shard->waits_for_others = false;
    shard->has_answered_last = false; /* the last answer of another shard may lead to one more request as well */
    await_last_answers(shard);
}

void redis_shard_close(struct redis_shard *shard)
{
    uint64_t timeout_ms = shard->topology->config.command_timeout_ms;
    if (shard->phase >= PHASE_CLOSING)
        return;
    shard->phase = PHASE_CLOSING;
    redis_connection_finish(&shard->subscriber, "no longer needed");
    if (shard->commands.state == REDIS_READY) {
        start_timer(shard, timeout_ms < LAST_ANSWERS_MS ? timeout_ms : LAST_ANSWERS_MS);
        await_last_answers(shard);
    } else {
        end(shard);
    }
}
