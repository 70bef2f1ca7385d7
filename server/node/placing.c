/* placing.c - that a channel with history has a position, and that its subscribers have been told its epoch: the one
 * that the broker has. A channel without history has no position. So a rule that gives or takes one, and a broker that
 * could begin no epoch and then can, are told to the subscribers by a gap, with the position or without.
 *
 * An epoch is not known while the broker takes no writes. What has none is asked for again and again, in rounds. */
#include "server/node/router_private.h"

enum { PER_TICK = 100 };
static const uint64_t ROUND_US = 1000000;

static const struct position nowhere;

static bool is_unplaced(const struct channel_route *route)
{
    return route->subscribed && route->history.size && !route->epoch[0];
}

/* Whether it is to be asked for has changed, or may have. */
static void sort_in(struct router *router, struct channel_route *route)
{
    if (!is_unplaced(route))
        list_remove(&route->unplaced);
    else if (!list_is_linked(&route->unplaced))
        list_append(&router->placing, &route->unplaced); /* it has just been asked for */
}

void placing_set(struct router *router, struct channel_route *route, const struct position *position)
{
    if (!route->history.size) /* there may be one all the same, of a rule that had a history or on other nodes */
        position = &nowhere;
    size_t len = position->epoch.len < EPOCH_MAX ? position->epoch.len : EPOCH_MAX;
    if (len)
        memmove(route->epoch, position->epoch.ptr, len); /* may be its own */
    route->epoch[len] = '\0';
    route->offset = position->offset;
    position_keep_id(route->id, position->id);
    sort_in(router, route);
}

void placing_follow_rule(struct router *router, struct channel_route *route, const struct history_policy *history)
{
    if (history->size == route->history.size && history->ttl_ms == route->history.ttl_ms)
        return;
    route->history = *history;
    route->locating = route->subscribed && history->size && !route->epoch[0];
    router->broker->ops->locate(router->broker, route->name, history);
    if (!history->size && route->epoch[0])
        continuity_gap(router, route, GAP_HISTORY_CHANGED, &nowhere);
    sort_in(router, route);
    if (route->continuity)
        continuity_advance(router, route);
}

void placing_told(struct router *router, struct channel_route *route, const struct position *position)
{
    bool is_known = route->epoch[0] != '\0';
    route->locating = false;
    if (!str_eq_cstr(position->epoch, route->epoch))
        continuity_gap(router, route,
                       !is_known             ? GAP_HISTORY_CHANGED
                       : position->epoch.len ? GAP_EPOCH_CHANGED
                                             : GAP_HISTORY_UNAVAILABLE,
                       position);
    router_answer_joins(router, route, ERR_NONE, STR(""));
    if (route->continuity)
        continuity_advance(router, route);
}

void placing_tick(struct router *router)
{
    /* Where the broker is away, it tells all positions when it is back. */
    if (atomic_load_explicit(&router->broker_state, memory_order_relaxed) != BROKER_UP)
        return;
    if (list_is_empty(&router->unplaced) && router->now_us >= router->placing_us) {
        router->placing_us = router->now_us + ROUND_US;
        for (struct list_link *link; (link = list_take_first(&router->placing));)
            list_append(&router->unplaced, link);
    }
    struct list_link *link;
    for (int left = PER_TICK; left > 0 && (link = list_take_first(&router->unplaced)); left--) {
        struct channel_route *route = CONTAINER_OF(link, struct channel_route, unplaced);
        list_append(&router->placing, link);
        router->broker->ops->locate(router->broker, route->name, &route->history);
    }
}
