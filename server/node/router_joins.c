/* router_joins.c - which worker wants which channel: joins and leaves, the routes that they make, and the answers to
 * joins. */
#include "common/base/alloc.h"
#include "server/node/router_private.h"

/* --- routes ----------------------------------------------------------------------------------------------------- */

static struct channel_route *create_route(struct router *router, struct str name, const struct channel_join *join)
{
    struct channel_route *route = xcalloc(1, sizeof *route + name.len);
    memcpy(route->bytes, name.ptr, name.len);
    route->name = str_from(route->bytes, name.len);
    route->joins = xcalloc(router->worker_count, sizeof *route->joins);
    route->history = join->history;
    catchup_init(&route->catchup, &router->catchups, join->history.size > 0);
    map_put(&router->channels, route->name, route);
    return route;
}

void router_free_route(struct channel_route *route)
{
    catchup_fini(&route->catchup);
    free(route->joins);
    free(route);
}

void router_forget_route(struct router *router, struct channel_route *route)
{
    map_remove(&router->channels, route->name);
    list_remove(&route->without_position);
    router_free_route(route);
}

/* --- answers to joins ------------------------------------------------------------------------------------------- */

struct join_answer {
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
    struct join_answer *joined = CONTAINER_OF(mail, struct join_answer, mail);
    hub_joined(hub, joined->name, joined->join_id, joined->err, joined->text, &joined->position);
    free(joined);
}

static void answer_join(struct router *router, const struct channel_route *route, unsigned worker, enum err err,
                        struct str text)
{
    struct position now = catchup_now(&route->catchup);
    struct join_answer *joined = xmalloc(sizeof *joined + route->name.len + text.len + now.epoch.len + now.id.len);
    char *at = joined->bytes;
    joined->mail.deliver = deliver_joined;
    joined->join_id = route->joins[worker].id;
    joined->err = err;
    joined->name = str_pack(&at, route->name);
    joined->text = str_pack(&at, text);
    joined->position.epoch = str_pack(&at, now.epoch);
    joined->position.offset = now.offset;
    joined->position.id = str_pack(&at, now.id);
    mailbox_post(router->workers[worker], &joined->mail);
}

void router_answer_joins(struct router *router, struct channel_route *route, enum err err, struct str text)
{
    for (unsigned i = 0; route->unanswered; i++, route->unanswered >>= 1)
        if (route->unanswered & 1)
            answer_join(router, route, i, err, text);
}

/* --- what workers want ------------------------------------------------------------------------------------------ */

/* Mail of a worker: a join or a leave. */
struct join_request {
    struct mail mail;
    unsigned worker;
    struct channel_join join; /* of a leave: zeroed */
    struct str name;
    char bytes[];
};

/* Of those that want the channel, the worker with the latest rules decides. Workers follow a reload one after the
 * other, so another worker may still name the history by the rules before it. */
static const struct history_policy *latest_history(const struct router *router, const struct channel_route *route)
{
    const struct channel_join *latest = NULL;
    for (unsigned i = 0; i < router->worker_count; i++)
        if (route->wanting & UINT64_C(1) << i && (!latest || route->joins[i].rules_version > latest->rules_version))
            latest = &route->joins[i];
    return &latest->history;
}

/* After a join or a leave. */
static void follow_rule(struct router *router, struct channel_route *route)
{
    const struct history_policy *history = latest_history(router, route);
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
        route = create_route(router, request->name, &request->join);
    route->wanting |= UINT64_C(1) << request->worker;
    route->unanswered |= UINT64_C(1) << request->worker;
    route->joins[request->worker] = request->join;
    if (is_new)
        router->broker->ops->subscribe(router->broker, route->name, &route->history);
    else
        follow_rule(router, route);
    if (route->catchup.phase == CATCHUP_READY)
        router_answer_joins(router, route, ERR_NONE, STR(""));
    free(request);
}

static void take_leave(struct mail *mail, void *owner)
{
    struct router *router = owner;
    struct join_request *request = CONTAINER_OF(mail, struct join_request, mail);
    struct channel_route *route = router->has_ended ? NULL : map_get(&router->channels, request->name);
    if (route) { /* NULL: the broker has refused the channel meanwhile, or has closed */
        route->wanting &= ~(UINT64_C(1) << request->worker);
        route->unanswered &= route->wanting;
        catchup_drop_recoveries(&route->catchup, request->worker);
        if (route->wanting) {
            follow_rule(router, route);
        } else {
            router->broker->ops->unsubscribe(router->broker, route->name);
            router_forget_route(router, route);
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

void router_join(void *owner, unsigned worker, struct str channel, const struct channel_join *join)
{
    struct router *router = owner;
    struct join_request *request = create_join_request(worker, channel, take_join);
    request->join = *join;
    mailbox_post(&router->mailbox, &request->mail);
}

void router_leave(void *owner, unsigned worker, struct str channel)
{
    struct router *router = owner;
    mailbox_post(&router->mailbox, &create_join_request(worker, channel, take_leave)->mail);
}
