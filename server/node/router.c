/* router.c - see router.h. Here: joins and leaves, requests, and what the broker says. */
#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/node/router_private.h"

enum { RECOVERY_BYTES_MAX = 64 << 20, READS_MAX = 16 };
static const uint64_t LOG_US = 1000000; /* from the first lost history to the line that logs all of them */

/* --- what workers want ------------------------------------------------------------------------------------------ */

/* Mail of a worker: a join or a leave. */
struct join_request {
    struct mail mail;
    unsigned worker;
    struct history_policy history; /* of a join, as is join_id */
    uint64_t join_id;
    struct str name;
    char bytes[];
};

static struct channel_route *create_route(struct router *router, struct str name, const struct history_policy *history)
{
    struct channel_route *route = xcalloc(1, sizeof *route + name.len);
    memcpy(route->bytes, name.ptr, name.len);
    route->name = str_from(route->bytes, name.len);
    route->join_ids = xcalloc(router->worker_count, sizeof *route->join_ids);
    route->history = *history;
    catchup_init(&route->catchup, &router->catchups, history->size > 0);
    map_put(&router->channels, route->name, route);
    return route;
}

static void free_route(struct channel_route *route)
{
    catchup_fini(&route->catchup);
    free(route->join_ids);
    free(route);
}

static void forget_route(struct router *router, struct channel_route *route)
{
    map_remove(&router->channels, route->name);
    list_remove(&route->without_position);
    free_route(route);
}

static void follow_rule(struct router *router, struct channel_route *route, const struct history_policy *history)
{
    if (history->size == route->history.size && history->ttl_ms == route->history.ttl_ms)
        return;
    route->history = *history;
    router->broker->ops->subscribe(router->broker, route->name, history); /* again: with this history */
    catchup_follow_rule(&route->catchup, history->size > 0);
    positions_note(router, route);
}

static void take_join(struct mail *mail, void *owner)
{
    struct router *router = owner;
    struct join_request *request = CONTAINER_OF(mail, struct join_request, mail);
    struct channel_route *route = map_get(&router->channels, request->name);
    bool is_new = !route;
    if (is_new)
        route = create_route(router, request->name, &request->history);
    route->wanting |= UINT64_C(1) << request->worker;
    route->unanswered |= UINT64_C(1) << request->worker;
    route->join_ids[request->worker] = request->join_id;
    if (is_new)
        router->broker->ops->subscribe(router->broker, route->name, &request->history);
    else
        follow_rule(router, route, &request->history);
    if (route->catchup.phase == CATCHUP_READY)
        router_answer_joins(router, route, ERR_NONE, STR(""));
    free(request);
}

static void take_leave(struct mail *mail, void *owner)
{
    struct router *router = owner;
    struct join_request *request = CONTAINER_OF(mail, struct join_request, mail);
    struct channel_route *route = map_get(&router->channels, request->name);
    if (route) { /* NULL: the broker has refused the channel meanwhile */
        route->wanting &= ~(UINT64_C(1) << request->worker);
        route->unanswered &= route->wanting;
        catchup_drop_recoveries(&route->catchup, request->worker);
        if (!route->wanting) {
            router->broker->ops->unsubscribe(router->broker, route->name);
            forget_route(router, route);
        }
    }
    free(request);
}

static struct join_request *create_join_request(unsigned worker, struct str channel,
                                                void (*take)(struct mail *, void *))
{
    struct join_request *request = xcalloc(1, sizeof *request + channel.len);
    request->mail.deliver = take;
    request->worker = worker;
    memcpy(request->bytes, channel.ptr, channel.len);
    request->name = str_from(request->bytes, channel.len);
    return request;
}

void router_join(void *owner, unsigned worker, struct str channel, const struct history_policy *history,
                 uint64_t join_id)
{
    struct router *router = owner;
    struct join_request *request = create_join_request(worker, channel, take_join);
    request->history = *history;
    request->join_id = join_id;
    mailbox_post(&router->mailbox, &request->mail);
}

void router_leave(void *owner, unsigned worker, struct str channel)
{
    struct router *router = owner;
    mailbox_post(&router->mailbox, &create_join_request(worker, channel, take_leave)->mail);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static void serve_recoveries(struct mail *mail, void *owner)
{
    struct router *router = owner;
    (void)mail;
    router->serve_posted = false;
    catchup_serve_due(&router->catchups);
}

/* All recoveries of one turn are served together, by a mail that the first of them posts. */
static void take_recovery(struct router *router, struct recovery *recovery)
{
    struct channel_route *route = map_get(&router->channels, recovery->base.channel);
    if (!route || !(route->wanting >> recovery->base.session.worker & 1)) {
        request_destroy(&recovery->base); /* the channel has been refused: the worker has been told */
        return;
    }
    catchup_recover(&route->catchup, recovery);
    if (router->serve_posted)
        return;
    router->serve_posted = true;
    router->serve_mail.deliver = serve_recoveries;
    mailbox_post(&router->mailbox, &router->serve_mail);
}

static void take_request(struct mail *mail, void *owner)
{
    struct router *router = owner;
    struct request *request = CONTAINER_OF(mail, struct request, mail);
    if (request->kind == REQUEST_RECOVERY)
        take_recovery(router, recovery_of(request));
    else if (!reads_take(router, request))
        router->broker->ops->ask(router->broker, request);
}

void router_ask(void *owner, struct request *request)
{
    struct router *router = owner;
    request->mail.deliver = take_request;
    mailbox_post(&router->mailbox, &request->mail);
}

void router_answered(void *owner, struct request *request)
{
    struct router *router = owner;
    if (request->kind == REQUEST_PUBLISH) {
        metrics_add_labelled(router->metrics, METRIC_PUBLISH_RESULTS, request_code(request), 1);
        uint64_t accepted_us = publication_of(request)->accepted_us, now_us = router_now_us(router);
        /* The worker's turn may have begun later than this one. */
        metrics_observe(router->metrics, METRIC_PUBLISH_LATENCY, now_us > accepted_us ? now_us - accepted_us : 0);
    }
    if (!reads_answered(router, request))
        request_answer(request);
}

/* --- what the broker says --------------------------------------------------------------------------------------- */

void router_subscribed(void *owner, struct str channel, enum err err, struct str text, const struct position *position)
{
    struct router *router = owner;
    struct channel_route *route = map_get(&router->channels, channel);
    if (!route)
        return;
    if (err != ERR_NONE) {
        route->unanswered = route->wanting;
        router_answer_joins(router, route, err, text);
        forget_route(router, route);
        return;
    }
    catchup_position(&route->catchup, position);
    positions_note(router, route);
    router_answer_joins(router, route, ERR_NONE, STR("")); /* before the replays */
    catchup_advance(&route->catchup);
}

void router_located(void *owner, struct str channel, const struct position *position)
{
    struct router *router = owner;
    struct channel_route *route = map_get(&router->channels, channel);
    if (!route || !catchup_located(&route->catchup, position))
        return;
    router_answer_joins(router, route, ERR_NONE, STR(""));
    catchup_advance(&route->catchup);
}

void router_event(void *owner, const struct event *event)
{
    struct router *router = owner;
    struct channel_route *route = map_get(&router->channels, event->channel);
    if (!route)
        return;
    if (event->offset)
        catchup_event(&route->catchup, event, router_now_us(router));
    else if (route->catchup.phase != CATCHUP_NEW)
        router_post(router, &route->catchup, message_from_event(event, router_now_us(router)));
}

void router_state(void *owner, const struct broker_info *info)
{
    struct router *router = owner;
    atomic_store(&router->broker_state, (int)info->state);
    metrics_set(router->metrics, METRIC_BROKER_UP, info->state == BROKER_UP);
}

/* --- what catchup says ------------------------------------------------------------------------------------------ */

static void on_gap(void *owner, struct catchup *catchup, enum gap gap)
{
    struct router *router = owner;
    bool is_lost = gap == GAP_EPOCH_CHANGED || gap == GAP_OFFSET_REGRESSED;
    if (is_lost && router->histories_lost++ == 0)
        router->histories_log_us = router->catchups.now_us + LOG_US;
    positions_note(router, route_of(catchup));
    router_post_gap(router, catchup, gap);
}

static void log_lost_histories(struct router *router)
{
    size_t count = router->histories_lost;
    if (!count || router->catchups.now_us < router->histories_log_us)
        return;
    log_warn("broker",
             "the histories of %zu channel%s are not those that this node knew: Redis was emptied, has lost its latest "
             "writes, or has forgotten what was silent for long; their subscribers were told by a gap",
             count, count == 1 ? "" : "s");
    router->histories_lost = 0;
}

static const struct catchup_ops catchup_ops = {
    .post = router_post,
    .gap = on_gap,
    .interrupted = router_post_interruption,
    .replay = router_post_replays,
    .read = reads_ask_for_catchup,
};

/* --- life ------------------------------------------------------------------------------------------------------- */

void router_init(struct router *router, struct turn *turn, struct metrics *metrics)
{
    memset(router, 0, sizeof *router);
    router->metrics = metrics;
    atomic_init(&router->broker_state, BROKER_CONNECTING);
    mailbox_init(&router->mailbox, turn, router);
    router->settings = (struct router_settings){.recovery_bytes_max = RECOVERY_BYTES_MAX, .reads_max = READS_MAX};
    catchup_set_init(&router->catchups, &catchup_ops, router);
    router->catchups.budget.bytes_max = router->settings.recovery_bytes_max;
    reads_init(router);
    positions_init(&router->positions);
}

void router_configure(struct router *router, const struct router_settings *settings)
{
    router->settings = *settings;
    router->catchups.budget.bytes_max = settings->recovery_bytes_max;
}

void router_tick(struct router *router, uint64_t now_us)
{
    catchup_tick(&router->catchups, now_us, router_broker_is_up(router));
    log_lost_histories(router);
    positions_tick(router);
}

unsigned router_add_worker(struct router *router, struct mailbox *mailbox)
{
    router->workers[router->worker_count] = mailbox;
    return router->worker_count++;
}

void router_close(struct router *router)
{
    reads_close(router);
    mailbox_close(&router->mailbox);
}

void router_fini(struct router *router)
{
    size_t cursor = 0;
    for (struct channel_route *route; (route = map_next(&router->channels, &cursor));)
        free_route(route);
    map_fini(&router->channels);
}
