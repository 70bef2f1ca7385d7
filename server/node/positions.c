/* positions.c - asks the broker for the position of each channel that has a history and no position.
 *
 * The broker can begin no epoch while Redis takes no writes. So the channels without a position are asked for again in
 * rounds. A round begins one second after the one before, or later: it asks for 100 channels a tick. While the broker
 * is away nothing is asked: when it is back, it tells all positions. */
#include "server/node/router_private.h"

enum { PER_TICK = 100 };
static const uint64_t ROUND_US = 1000000;

void positions_init(struct positions *positions)
{
    list_init(&positions->to_ask);
    list_init(&positions->asked);
}

void positions_note(struct router *router, struct channel_route *route)
{
    const struct catchup *catchup = &route->catchup;
    bool is_missing = catchup->phase != CATCHUP_NEW && catchup->has_history && !catchup->epoch[0];
    if (!is_missing)
        list_remove(&route->without_position);
    else if (!list_is_linked(&route->without_position))
        list_append(&router->positions.asked, &route->without_position); /* it has just been asked for */
}

void positions_tick(struct router *router)
{
    struct positions *positions = &router->positions;
    uint64_t now_us = router->catchups.now_us;
    struct list_link *link;
    if (!router_broker_is_up(router))
        return;
    if (list_is_empty(&positions->to_ask) && now_us >= positions->round_us) {
        positions->round_us = now_us + ROUND_US;
        while ((link = list_take_first(&positions->asked)))
            list_append(&positions->to_ask, link);
    }
    for (int left = PER_TICK; left > 0 && (link = list_take_first(&positions->to_ask)); left--) {
        struct channel_route *route = CONTAINER_OF(link, struct channel_route, without_position);
        list_append(&positions->asked, link);
        router->broker->ops->subscribe(router->broker, route->name, &route->history); /* again: where is it? */
    }
}
