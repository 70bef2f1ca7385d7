/* redis_errand.c - see redis_errand.h. */
#include "server/broker/redis/topology/redis_errand.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/broker/redis/redis_parts.h"

/* HOPS_MAX: a slot that is on its way takes two; more is a circle, which only time can mend. */
enum { TICK_MS = 20, HOPS_MAX = 4 };

/* An answer of our own, for who was not taken by any server. */
static char untaken_text[] = "no Redis server takes its key now";
static const redisReply untaken = {.type = REDIS_REPLY_ERROR, .str = untaken_text, .len = sizeof untaken_text - 1};

bool redis_errand_is_untaken(const redisReply *reply)
{
    return reply == &untaken;
}

static void finish(struct redis_errand *errand, const redisReply *reply)
{
    errand->kind->done(errand, reply);
    free(errand);
}

static bool is_over(const struct redis_errand *errand)
{
    uint64_t timeout_us = errand->broker->config.command_timeout_ms * 1000;
    return errand->broker->errands.closing ||
           (!errand->kind->is_endless && clock_now_us() - errand->since_us > timeout_us);
}

/* By its route. */
static void send_again(struct redis_errand *errand)
{
    if (errand->kind->is_wanted && !errand->kind->is_wanted(errand->argument)) {
        finish(errand, NULL);
        return;
    }
    errand->kind->key(errand->broker, errand->argument);
    errand->kind->send(errand);
}

/* ---- pauses ---- */

static void try_again(struct redis_errand *errand);

static void on_tick(uv_timer_t *timer)
{
    struct redis_errands *errands = timer->data;
    struct list_link due;
    bool any = false;
    list_init(&due);
    errands->ticks++;
    for (unsigned i = 0; i < REDIS_ERRAND_PAUSES && errands->ticks % (1U << i) == 0; i++)
        for (struct list_link *link; (link = list_take_first(&errands->waiting[i]));)
            list_append(&due, link);
    for (struct list_link *link; (link = list_take_first(&due));)
        try_again(CONTAINER_OF(link, struct redis_errand, link));
    for (unsigned i = 0; i < REDIS_ERRAND_PAUSES; i++)
        any = any || !list_is_empty(&errands->waiting[i]);
    if (!any)
        uv_timer_stop(timer);
}

static void pause_errand(struct redis_errand *errand)
{
    struct redis_errands *errands = &errand->broker->errands;
    errand->route = (struct redis_route){0};
    errand->hops = 0;
    if (is_over(errand)) {
        finish(errand, &untaken);
        return;
    }
    list_append(&errands->waiting[errand->pauses], &errand->link);
    if (errand->pauses + 1 < REDIS_ERRAND_PAUSES)
        errand->pauses++;
    if (!uv_is_active((uv_handle_t *)&errands->timer))
        uv_timer_start(&errands->timer, on_tick, TICK_MS, TICK_MS);
}

static void try_again(struct redis_errand *errand)
{
    struct str key = errand->kind->key(errand->broker, errand->argument);
    errand->route = redis_route_to(errand->broker, key);
    if (is_over(errand)) {
        finish(errand, &untaken);
    } else if (redis_shard_is_up(errand->route.shard)) {
        send_again(errand);
    } else {
        errand->pauses = 0; /* to look costs Redis nothing */
        pause_errand(errand);
    }
}

/* ---- sending and answers ---- */

static void on_answer(void *owner, void *argument, const redisReply *reply)
{
    struct redis_errand *errand = argument;
    struct redis_route next;
    if (!reply || !redis_is_error(reply)) {
        finish(errand, reply);
        return;
    }
    struct str key = errand->kind->key(errand->broker, errand->argument);
    enum redis_again again = redis_route_again(errand->broker, key, reply, &next);
    if (again == REDIS_ANSWERED) {
        finish(errand, reply);
    } else if (again == REDIS_AGAIN_LATER || errand->hops == HOPS_MAX) {
        pause_errand(errand);
    } else {
        errand->hops++;
        errand->route = next;
        send_again(errand);
    }
}

static void on_asking(void *owner, void *argument, const redisReply *reply)
{
    /* What it was for meets the refusal as well. */
}

static void ask_first(const struct redis_route *route)
{
    if (route->asking)
        redis_connection_send(&route->shard->commands, 1, (struct str[]){STR("ASKING")}, on_asking, NULL);
}

void redis_errand_command(struct redis_errand *errand, size_t argc, const struct str *argv)
{
    ask_first(&errand->route);
    redis_connection_send(&errand->route.shard->commands, argc, argv, on_answer, errand);
}

void redis_errand_script(struct redis_errand *errand, enum redis_script script, size_t key_count, size_t count,
                         const struct str *arguments)
{
    struct redis_shard *shard = errand->route.shard;
    ask_first(&errand->route);
    redis_scripts_send(&shard->scripts, &shard->commands, script, errand->route.with_text, key_count, count, arguments,
                       on_answer, errand);
}

void redis_errand_start(struct redis_broker *broker, const struct redis_errand_kind *kind, void *argument,
                        const struct redis_route *route, uint64_t since_us)
{
    struct redis_errand *errand = xmalloc(sizeof *errand);
    *errand = (struct redis_errand){
        .kind = kind, .broker = broker, .argument = argument, .route = *route, .since_us = since_us};
    list_init(&errand->link);
    kind->send(errand);
}

/* ---- life ---- */

void redis_errands_init(struct redis_errands *errands, struct redis_broker *broker)
{
    errands->broker = broker;
    for (unsigned i = 0; i < REDIS_ERRAND_PAUSES; i++)
        list_init(&errands->waiting[i]);
    uv_timer_init(broker->config.turn->wake.loop, &errands->timer);
    errands->timer.data = errands;
    closing_add(&broker->parts);
}

static void on_closed(uv_handle_t *timer)
{
    closing_part_closed(&((struct redis_errands *)timer->data)->broker->parts);
}

void redis_errands_close(struct redis_errands *errands)
{
    errands->closing = true;
    for (unsigned i = 0; i < REDIS_ERRAND_PAUSES; i++)
        for (struct list_link *link; (link = list_take_first(&errands->waiting[i]));)
            try_again(CONTAINER_OF(link, struct redis_errand, link));
    uv_close((uv_handle_t *)&errands->timer, on_closed);
}
