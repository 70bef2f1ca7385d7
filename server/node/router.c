/* router.c - see router.h. Here: requests, what the broker says, and what workers are told of it. */
#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/node/router_private.h"

enum { RECOVERY_BYTES_MAX = 64 << 20, READS_MAX = 16 };
static const uint64_t LOG_US = 1000000; /* from the first lost history to the line that logs all of them */

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
        router_ask_broker(router, request);
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

/* --- what workers are told -------------------------------------------------------------------------------------- */

/* All of it stands in a worker's mail in the order in which the channel went on, as do the answers to joins. Each posts
 * to all workers that want the channel. */

static void deliver_message(struct mail *mail, void *hub)
{
    hub_deliver(hub, CONTAINER_OF(mail, struct message, mail));
}

static void post_event(void *owner, struct catchup *catchup, struct message *message)
{
    struct router *router = owner;
    uint64_t left = route_of(catchup)->wanting;
    bool shared = message->refs > 1; /* its counter is this thread's: it stays here */
    for (unsigned i = 0; left; i++, left >>= 1) {
        if (!(left & 1))
            continue;
        /* The last one gets the original. */
        struct message *own = left == 1 && !shared ? message : message_copy(message);
        own->mail.deliver = deliver_message;
        mailbox_post(router->workers[i], &own->mail);
    }
    if (shared)
        message_unref(message);
}

/* With the position that the channel has now. */
struct gap_notice {
    struct mail mail;
    enum gap gap;
    uint64_t offset;
    char epoch[EPOCH_MAX + 1];
    char id[POSITION_ID_MAX + 1];
    struct str name;
    char bytes[];
};

static void deliver_gap(struct mail *mail, void *hub)
{
    struct gap_notice *notice = CONTAINER_OF(mail, struct gap_notice, mail);
    struct position position = {str_from_cstr(notice->epoch), notice->offset, str_from_cstr(notice->id)};
    hub_gap(hub, notice->name, notice->gap, &position);
    free(notice);
}

static void deliver_interruption(struct mail *mail, void *hub)
{
    struct gap_notice *notice = CONTAINER_OF(mail, struct gap_notice, mail);
    hub_interrupted(hub, notice->name);
    free(notice);
}

static void post_notice(struct router *router, struct catchup *catchup, enum gap gap,
                        void (*deliver)(struct mail *mail, void *hub))
{
    const struct channel_route *route = route_of(catchup);
    for (unsigned i = 0; i < router->worker_count; i++) {
        if (!(route->wanting >> i & 1))
            continue;
        struct gap_notice *notice = xcalloc(1, sizeof *notice + route->name.len);
        char *at = notice->bytes;
        notice->name = str_pack(&at, route->name);
        notice->mail.deliver = deliver;
        notice->gap = gap;
        notice->offset = catchup->offset;
        memcpy(notice->epoch, catchup->epoch, sizeof notice->epoch);
        memcpy(notice->id, catchup->id, sizeof notice->id);
        mailbox_post(router->workers[i], &notice->mail);
    }
}

static void post_gap(struct router *router, struct catchup *catchup, enum gap gap)
{
    post_notice(router, catchup, gap, deliver_gap);
}

static void post_interruption(void *router, struct catchup *catchup)
{
    post_notice(router, catchup, GAP_CONNECTION_LOST, deliver_interruption);
}

static void deliver_replay(struct mail *mail, void *hub)
{
    hub_replay(hub, CONTAINER_OF(mail, struct replay, mail));
}

/* With copies of the events from first on. */
static struct replay *create_replay(struct catchup *catchup, uint64_t first, size_t count)
{
    struct str name = route_of(catchup)->name;
    struct replay *replay = xcalloc(1, sizeof *replay + count * sizeof(struct message *) + name.len);
    char *at = (char *)&replay->messages[count];
    replay->mail.deliver = deliver_replay;
    replay->channel = str_pack(&at, name);
    memcpy(replay->epoch, catchup->epoch, sizeof replay->epoch);
    replay->offset = catchup->offset;
    memcpy(replay->id, catchup->id, sizeof replay->id);
    replay->first = first;
    replay->count = count;
    list_init(&replay->recoveries);
    for (size_t i = 0; i < count; i++)
        replay->messages[i] = message_copy(catchup_message(catchup, first + i));
    return replay;
}

/* Each worker gets its own recoveries, together with one copy of the events. */
static void post_replays(void *owner, struct catchup *catchup, struct list_link *recoveries, uint64_t first,
                         size_t count)
{
    struct router *router = owner;
    struct replay *replays[ROUTER_WORKERS_MAX] = {0};
    for (struct list_link *link; (link = list_take_first(recoveries));) {
        struct replay **replay = &replays[recovery_in(link)->base.session.worker];
        if (!*replay)
            *replay = create_replay(catchup, first, count);
        list_append(&(*replay)->recoveries, link);
    }
    for (unsigned i = 0; i < router->worker_count; i++)
        if (replays[i])
            mailbox_post(router->workers[i], &replays[i]->mail);
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
        router_forget_route(router, route);
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
        post_event(router, &route->catchup, message_from_event(event, router_now_us(router)));
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
    post_gap(router, catchup, gap);
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
    .post = post_event,
    .gap = on_gap,
    .interrupted = post_interruption,
    .replay = post_replays,
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

/* Each pass delivers what the pass before has posted: an answer may make its asker ask again. */
void router_close(struct router *router)
{
    router->has_ended = true;
    reads_close(router);
    bool any;
    do {
        any = mailbox_deliver(&router->mailbox);
        for (unsigned i = 0; i < router->worker_count; i++)
            any |= mailbox_deliver(router->workers[i]);
    } while (any);
    mailbox_close(&router->mailbox);
}

void router_fini(struct router *router)
{
    size_t cursor = 0;
    for (struct channel_route *route; (route = map_next(&router->channels, &cursor));)
        router_free_route(route);
    map_fini(&router->channels);
}
