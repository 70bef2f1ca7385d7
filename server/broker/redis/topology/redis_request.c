/* redis_request.c - see redis_request.h. */
#include "server/broker/redis/topology/redis_request.h"

#include "common/base/alloc.h"
#include "server/broker/redis/client/redis_reply.h"

/* HOPS_MAX: a slot that moves costs two hops. More hops mean that servers point to each other, which takes time to end.
 */
enum { TICK_US = 2 * WHEEL_TICK_US, HOPS_MAX = 4 };

/* The answer to a request that no server has taken. */
static char untaken_text[] = "no Redis server takes its key now";
static const redisReply untaken = {.type = REDIS_REPLY_ERROR, .str = untaken_text, .len = sizeof untaken_text - 1};

bool redis_request_is_untaken(const redisReply *reply)
{
    return reply == &untaken;
}

static void finish(struct redis_request *request, const redisReply *reply)
{
    struct redis_topology *topology = request->requests->topology;
    request->kind->done(request, reply);
    free(request);
    topology->open_requests--;
    if (topology->open_requests || !topology->is_closing)
        return;
    LIST_EACH(link, &topology->shards)
    redis_shard_no_requests(CONTAINER_OF(link, struct redis_shard, link));
}

static struct turn *turn_of(const struct redis_requests *requests)
{
    return requests->topology->config.turn;
}

static bool is_over(const struct redis_request *request)
{
    uint64_t timeout_us = request->requests->topology->config.command_timeout_ms * 1000;
    return request->requests->is_closing ||
           (!request->kind->is_endless && turn_now_us(turn_of(request->requests)) - request->since_us > timeout_us);
}

/* Sends the request by its route. */
static void send_again(struct redis_request *request)
{
    if (request->kind->is_wanted && !request->kind->is_wanted(request->argument)) {
        finish(request, NULL);
        return;
    }
    request->kind->send(request);
}

/* ---- pauses ---- */

static void try_again(struct redis_request *request);

static void start_tick(struct redis_requests *requests);

static void on_tick(struct timer *timer, uint64_t now_us)
{
    struct redis_requests *requests = CONTAINER_OF(timer, struct redis_requests, timer);
    struct list_link due;
    (void)now_us;
    list_init(&due);
    requests->ticks++;
    for (unsigned i = 0; i < REDIS_REQUEST_PAUSES && requests->ticks % (1U << i) == 0; i++)
        for (struct list_link *link; (link = list_take_first(&requests->waiting[i]));)
            list_append(&due, link);
    for (struct list_link *link; (link = list_take_first(&due));)
        try_again(CONTAINER_OF(link, struct redis_request, link));
    for (unsigned i = 0; i < REDIS_REQUEST_PAUSES; i++)
        if (!list_is_empty(&requests->waiting[i]))
            start_tick(requests);
}

/* The wheel rounds up: the half tick less is what it adds. */
static void start_tick(struct redis_requests *requests)
{
    if (!timer_is_running(&requests->timer))
        turn_start_timer(turn_of(requests), &requests->timer, TICK_US - WHEEL_TICK_US / 2, on_tick);
}

static void pause_request(struct redis_request *request)
{
    struct redis_requests *requests = request->requests;
    request->route = (struct redis_route){0};
    request->hops = 0;
    if (is_over(request)) {
        finish(request, &untaken);
        return;
    }
    list_append(&requests->waiting[request->pauses], &request->link);
    if (request->pauses + 1 < REDIS_REQUEST_PAUSES)
        request->pauses++;
    start_tick(requests);
}

static void try_again(struct redis_request *request)
{
    request->route = (struct redis_route){.shard = redis_request_shard(request->requests->topology, request->keys[0])};
    if (is_over(request)) {
        finish(request, &untaken);
    } else if (redis_shard_is_up(request->route.shard)) {
        send_again(request);
    } else {
        request->pauses = 0; /* nothing is sent to Redis meanwhile, so short pauses cost nothing */
        pause_request(request);
    }
}

/* ---- sending and answers ---- */

struct redis_shard *redis_request_shard(struct redis_topology *topology, struct str key)
{
    struct redis_shard *shard = redis_topology_shard_of(topology, key);
    return redis_shard_is_ready(shard) ? shard : NULL;
}

/* Drops the shard if its server has become a replica: there may be another primary by now. */
static void drop_replica(const struct redis_request *request, struct str error)
{
    if (!str_starts_with(error, STR("READONLY")) && !str_starts_with(error, STR("MASTERDOWN")))
        return;
    struct redis_shard *shard = redis_topology_shard_of(request->requests->topology, request->keys[0]);
    if (shard)
        redis_shard_drop(shard, "it has become a replica");
}

/* Says whether an error is the answer, or whether the request has to go another way. */
static enum redis_again where_to(const struct redis_request *request, const redisReply *reply, struct redis_route *out)
{
    struct redis_topology *topology = request->requests->topology;
    struct str key = request->keys[0];
    if (redis_scripts_is_unknown(reply)) {
        *out = (struct redis_route){.shard = redis_request_shard(topology, key), .with_text = true};
        return out->shard ? REDIS_AGAIN_NOW : REDIS_AGAIN_LATER;
    }
    struct str error = str_from(reply->str, (size_t)reply->len);
    drop_replica(request, error);
    return topology->kind->redirect ? topology->kind->redirect(topology, key, error, out) : REDIS_ANSWERED;
}

static void on_answer(void *owner, void *argument, const redisReply *reply)
{
    struct redis_request *request = argument;
    struct redis_route next;
    if (!reply || !redis_is_error(reply)) {
        finish(request, reply);
        return;
    }
    enum redis_again again = where_to(request, reply, &next);
    if (again == REDIS_ANSWERED) {
        finish(request, reply);
    } else if (again == REDIS_AGAIN_LATER || request->hops == HOPS_MAX) {
        pause_request(request);
    } else {
        request->hops++;
        request->route = next;
        send_again(request);
    }
}

static void on_asking(void *owner, void *argument, const redisReply *reply)
{
    /* If Redis refuses ASKING, it refuses the command after it as well. */
}

static void ask_first(const struct redis_route *route)
{
    if (route->asking)
        redis_connection_send(&route->shard->commands, 1, (struct str[]){STR("ASKING")}, on_asking, NULL);
}

void redis_request_command(struct redis_request *request, size_t argc, const struct str *argv)
{
    ask_first(&request->route);
    redis_connection_send(&request->route.shard->commands, argc, argv, on_answer, request);
}

void redis_request_script(struct redis_request *request, enum redis_script script, size_t key_count, size_t count,
                          const struct str *arguments)
{
    struct redis_shard *shard = request->route.shard;
    ask_first(&request->route);
    redis_scripts_send(&shard->scripts, &shard->commands, script, request->route.with_text, key_count, count, arguments,
                       on_answer, request);
}

void redis_request_start(struct redis_requests *requests, const struct redis_request_kind *kind, void *argument,
                         struct redis_shard *shard, size_t key_count, const struct str *keys, uint64_t since_us)
{
    size_t len = 0;
    for (size_t i = 0; i < key_count; i++)
        len += keys[i].len;
    struct redis_request *request = xmalloc(sizeof *request + key_count * sizeof *keys + len);
    *request = (struct redis_request){
        .kind = kind, .requests = requests, .argument = argument, .route = {.shard = shard}, .since_us = since_us};
    char *at = (char *)&request->keys[key_count];
    for (size_t i = 0; i < key_count; i++)
        request->keys[i] = str_pack(&at, keys[i]);
    requests->topology->open_requests++;
    kind->send(request);
}

/* ---- life ---- */

void redis_requests_init(struct redis_requests *requests, struct redis_topology *topology)
{
    requests->topology = topology;
    for (unsigned i = 0; i < REDIS_REQUEST_PAUSES; i++)
        list_init(&requests->waiting[i]);
    closing_add(topology->config.closing);
}

/* No call of this turn holds them any more. */
static void on_closed(struct timer *timer, uint64_t now_us)
{
    const struct redis_requests *requests = CONTAINER_OF(timer, struct redis_requests, timer);
    (void)now_us;
    closing_part_closed(requests->topology->config.closing);
}

void redis_requests_close(struct redis_requests *requests)
{
    requests->is_closing = true;
    for (unsigned i = 0; i < REDIS_REQUEST_PAUSES; i++)
        for (struct list_link *link; (link = list_take_first(&requests->waiting[i]));)
            try_again(CONTAINER_OF(link, struct redis_request, link));
    turn_start_timer(turn_of(requests), &requests->timer, 0, on_closed);
}
