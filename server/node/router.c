/* router.c - see router.h. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/node/router_private.h"

enum { RECOVERY_BYTES_MAX = 64 << 20, READS_MAX = 16 };

/* --- mail ------------------------------------------------------------------------------------------------------ */

/* From a worker: join or leave. */
struct join_request {
    struct mail mail;
    unsigned worker;
    struct history_policy history; /* of a join, as is join_id */
    uint64_t join_id;
    struct str name;
    char bytes[];
};

/* To a worker: the answer to its join. */
struct joined {
    struct mail mail;
    uint64_t join_id;
    enum err err;
    struct str name;
    struct str text;
    struct position position;
    char bytes[];
};

static void deliver_joined(struct mail *mail, void *hub)
{
    struct joined *joined = CONTAINER_OF(mail, struct joined, mail);
    hub_joined(hub, joined->name, joined->join_id, joined->err, joined->text, &joined->position);
    free(joined);
}

static struct str keep(char **at, struct str text)
{
    struct str kept = {*at, text.len};
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return kept;
}

static void answer_join(struct router *router, const struct channel_route *route, unsigned worker, enum err err,
                        struct str text)
{
    struct str epoch = str_from_cstr(route->epoch), id = str_from_cstr(route->id);
    struct joined *joined = xmalloc(sizeof *joined + route->name.len + text.len + epoch.len + id.len);
    char *at = joined->bytes;
    joined->mail.deliver = deliver_joined;
    joined->join_id = route->join_ids[worker];
    joined->err = err;
    joined->name = keep(&at, route->name);
    joined->text = keep(&at, text);
    joined->position.epoch = keep(&at, epoch);
    joined->position.offset = route->offset;
    joined->position.id = keep(&at, id);
    mailbox_post(router->workers[worker], &joined->mail);
}

void router_answer_joins(struct router *router, struct channel_route *route, enum err err, struct str text)
{
    for (unsigned i = 0; route->unanswered; i++, route->unanswered >>= 1)
        if (route->unanswered & 1)
            answer_join(router, route, i, err, text);
}

static void deliver_message(struct mail *mail, void *hub)
{
    hub_deliver(hub, CONTAINER_OF(mail, struct message, mail));
}

/* --- what workers want ------------------------------------------------------------------------------------------- */

static struct channel_route *create_route(struct router *router, struct str name)
{
    struct channel_route *route = xcalloc(1, sizeof *route + name.len);
    char *at = route->bytes;
    route->name = keep(&at, name);
    route->join_ids = xcalloc(router->worker_count, sizeof *route->join_ids);
    map_put(&router->channels, route->name, route);
    return route;
}

static void forget_route(struct router *router, struct channel_route *route)
{
    map_remove(&router->channels, route->name);
    list_remove(&route->unplaced);
    continuity_free(route);
    free(route->join_ids);
    free(route);
}

static void take_join(struct mail *mail, void *owner)
{
    struct router *router = owner;
    struct join_request *request = CONTAINER_OF(mail, struct join_request, mail);
    struct channel_route *route = map_get(&router->channels, request->name);
    bool is_new = !route;
    if (is_new)
        route = create_route(router, request->name);
    route->wanting |= UINT64_C(1) << request->worker;
    route->unanswered |= UINT64_C(1) << request->worker;
    route->join_ids[request->worker] = request->join_id;
    if (is_new) {
        route->history = request->history;
        router->broker->ops->subscribe(router->broker, route->name, &request->history);
    } else {
        placing_follow_rule(router, route, &request->history);
    }
    if (route->subscribed && !route->locating)
        router_answer_joins(router, route, ERR_NONE, STR(""));
    free(request);
}

static void take_leave(struct mail *mail, void *owner)
{
    struct router *router = owner;
    struct join_request *request = CONTAINER_OF(mail, struct join_request, mail);
    struct channel_route *route = map_get(&router->channels, request->name);
    if (route) { /* gone already when the broker has refused the channel */
        route->wanting &= ~(UINT64_C(1) << request->worker);
        route->unanswered &= route->wanting;
        if (route->continuity)
            recovery_drop(route->continuity, request->worker);
        if (!route->wanting) {
            router->broker->ops->unsubscribe(router->broker, route->name);
            forget_route(router, route);
        }
    }
    free(request);
}

static void take_publication(struct mail *mail, void *owner)
{
    struct router *router = owner;
    router->broker->ops->publish(router->broker, CONTAINER_OF(mail, struct publication, mail));
}

static struct join_request *create_join_request(unsigned worker, struct str channel,
                                                void (*take)(struct mail *, void *))
{
    struct join_request *request = xcalloc(1, sizeof *request + channel.len);
    char *at = request->bytes;
    request->mail.deliver = take;
    request->worker = worker;
    request->name = keep(&at, channel);
    return request;
}

void router_join(struct router *router, unsigned worker, struct str channel, const struct history_policy *history,
                 uint64_t join_id)
{
    struct join_request *request = create_join_request(worker, channel, take_join);
    request->history = *history;
    request->join_id = join_id;
    mailbox_post(&router->mailbox, &request->mail);
}

void router_leave(struct router *router, unsigned worker, struct str channel)
{
    mailbox_post(&router->mailbox, &create_join_request(worker, channel, take_leave)->mail);
}

void router_publish(struct router *router, struct publication *publication)
{
    publication->mail.deliver = take_publication;
    mailbox_post(&router->mailbox, &publication->mail);
}

static void take_request(struct mail *mail, void *owner)
{
    struct router *router = owner;
    struct broker_request *request = CONTAINER_OF(mail, struct broker_request, mail);
    if (request->kind == REQUEST_PRESENCE_READ)
        presence_reads_ask(router, CONTAINER_OF(request, struct presence_read, base));
    else
        router->broker->ops->ask(router->broker, request);
}

void router_ask(struct router *router, struct broker_request *request)
{
    request->mail.deliver = take_request;
    mailbox_post(&router->mailbox, &request->mail);
}

/* --- what the broker says ------------------------------------------------------------------------------------------
 */

static void on_published(void *owner, struct publication *publication)
{
    struct router *router = owner;
    metrics_add_labelled(router->metrics, METRIC_PUBLISH_RESULTS, publication->error.code, 1);
    metrics_observe(router->metrics, METRIC_PUBLISH_LATENCY, clock_now_us() - publication->accepted_us);
    publication_answer(publication);
}

static void on_subscribed(void *owner, struct str channel, enum err err, struct str text,
                          const struct position *position)
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
    route->locating = false;
    if (route->subscribed) {
        continuity_position(router, route, position);
    } else {
        route->subscribed = true;
        placing_set(router, route, position);
    }
    router_answer_joins(router, route, ERR_NONE, STR(""));
    if (route->continuity)
        continuity_advance(router, route);
}

static void on_located(void *owner, struct str channel, const struct position *position)
{
    struct router *router = owner;
    struct channel_route *route = map_get(&router->channels, channel);
    if (route && route->subscribed && route->history.size)
        placing_told(router, route, position);
}

void router_post(struct router *router, const struct channel_route *route, struct message *message)
{
    uint64_t left = route->wanting;
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

static void on_event(void *owner, const struct event *event)
{
    struct router *router = owner;
    struct channel_route *route = map_get(&router->channels, event->channel);
    if (!route || !route->subscribed)
        return;
    if (event->offset) {
        bool next = event->offset == route->offset + 1 && str_eq_cstr(event->epoch, route->epoch);
        if (!next || route->continuity) {
            continuity_event(router, route, event);
            return;
        }
        route->offset = event->offset;
        position_keep_id(route->id, event->id);
    }
    router_post(router, route, message_from_event(event, clock_now_us()));
}

static void on_history(void *owner, struct history_read *read)
{
    history_reads_answered(owner, read);
}

static void on_control(void *owner, struct str from, struct str bytes)
{
    struct router *router = owner;
    if (router->on_control)
        router->on_control(router->control_owner, from, bytes);
}

static void on_revoked(void *owner, const struct revocation *revocation)
{
    struct router *router = owner;
    if (router->on_revoked)
        router->on_revoked(router->revoked_owner, revocation);
}

static void on_revocations(void *owner, bool begin)
{
    struct router *router = owner;
    if (router->on_revocations)
        router->on_revocations(router->revoked_owner, begin);
}

static void on_state(void *owner, const struct broker_info *info)
{
    struct router *router = owner;
    atomic_store(&router->broker_state, (int)info->state);
    metrics_set(router->metrics, METRIC_BROKER_UP, info->state == BROKER_UP);
}

const struct broker_sink router_sink = {
    .published = on_published,
    .subscribed = on_subscribed,
    .located = on_located,
    .event = on_event,
    .history = on_history,
    .control = on_control,
    .revoked = on_revoked,
    .revocations = on_revocations,
    .state = on_state,
};

/* --- life ----------------------------------------------------------------------------------------------------- */

void router_init(struct router *router, struct turn *turn, struct metrics *metrics)
{
    memset(router, 0, sizeof *router);
    router->metrics = metrics;
    atomic_init(&router->broker_state, BROKER_CONNECTING);
    mailbox_init(&router->mailbox, turn, router);
    router->settings = (struct router_settings){.recovery_bytes_max = RECOVERY_BYTES_MAX, .reads_max = READS_MAX};
    router->budget.bytes_max = router->settings.recovery_bytes_max;
    list_init(&router->active);
    list_init(&router->due);
    list_init(&router->reads);
    list_init(&router->presence_reads.waiting);
    list_init(&router->unplaced);
    list_init(&router->placing);
}

void router_configure(struct router *router, const struct router_settings *settings)
{
    router->settings = *settings;
    router->budget.bytes_max = settings->recovery_bytes_max;
}

void router_tick(struct router *router, uint64_t now_us)
{
    router->now_us = now_us;
    LIST_EACH(link, &router->active)
    continuity_tick(router, CONTAINER_OF(link, struct continuity, link));
    continuity_log(router);
    placing_tick(router);
}

unsigned router_add_worker(struct router *router, struct mailbox *mailbox)
{
    router->workers[router->worker_count] = mailbox;
    return router->worker_count++;
}

void router_close(struct router *router)
{
    presence_reads_close(router); /* before the last answers come, so that none of them asks on */
    mailbox_close(&router->mailbox);
}

void router_fini(struct router *router)
{
    size_t cursor = 0;
    history_reads_fini(router);
    for (struct channel_route *route; (route = map_next(&router->channels, &cursor));) {
        continuity_free(route);
        free(route->join_ids);
        free(route);
    }
    map_fini(&router->channels);
}
