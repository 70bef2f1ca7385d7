/* placing.c - that a channel with history has a position, and that its subscribers have been told its epoch: the one
 * that the broker has. A channel without history has no position. So a rule that gives or takes one, and a broker that
 * could begin no epoch and then can, are told to the subscribers by a gap, with the position or without.
 *
 * An epoch is not known while the broker takes no writes. What has none is asked for again and again, in rounds. */
#include "server/node/router_private.h"

enum { PER_TICK = 100 };
static const uint64_t ROUND_US = 1000000;

static const struct position nowhere;

static bool is_unplaced(const struct interest *interest)
{
    return interest->subscribed && interest->history.size && !interest->epoch[0];
}

/* Whether it is to be asked for has changed, or may have. */
static void sort_in(struct exchange *exchange, struct interest *interest)
{
    if (!is_unplaced(interest))
        list_remove(&interest->unplaced);
    else if (!list_is_linked(&interest->unplaced))
        list_append(&exchange->placing, &interest->unplaced); /* it has just been asked for */
}

void placing_set(struct exchange *exchange, struct interest *interest, const struct position *position)
{
    if (!interest->history.size) /* there may be one all the same, of a rule that had a history or on other nodes */
        position = &nowhere;
    size_t len = position->epoch.len < EPOCH_MAX ? position->epoch.len : EPOCH_MAX;
    if (len)
        memmove(interest->epoch, position->epoch.ptr, len); /* may be its own */
    interest->epoch[len] = '\0';
    interest->offset = position->offset;
    position_keep_id(interest->id, position->id);
    sort_in(exchange, interest);
}

void placing_follow_rule(struct exchange *exchange, struct interest *interest, const struct history_policy *history)
{
    if (history->size == interest->history.size && history->ttl_ms == interest->history.ttl_ms)
        return;
    interest->history = *history;
    interest->locating = interest->subscribed && history->size && !interest->epoch[0];
    exchange->broker->ops->locate(exchange->broker, interest->name, history);
    if (!history->size && interest->epoch[0])
        continuity_gap(exchange, interest, GAP_HISTORY_CHANGED, &nowhere);
    sort_in(exchange, interest);
    if (interest->continuity)
        continuity_advance(exchange, interest);
}

void placing_told(struct exchange *exchange, struct interest *interest, const struct position *position)
{
    bool is_known = interest->epoch[0] != '\0';
    interest->locating = false;
    if (!str_eq_cstr(position->epoch, interest->epoch))
        continuity_gap(exchange, interest,
                       !is_known             ? GAP_HISTORY_CHANGED
                       : position->epoch.len ? GAP_EPOCH_CHANGED
                                             : GAP_HISTORY_UNAVAILABLE,
                       position);
    exchange_answer_joins(exchange, interest, ERR_NONE, STR(""));
    if (interest->continuity)
        continuity_advance(exchange, interest);
}

void placing_tick(struct exchange *exchange)
{
    /* Where the broker is away, it tells all positions when it is back. */
    if (atomic_load_explicit(&exchange->broker_state, memory_order_relaxed) != BROKER_UP)
        return;
    if (list_is_empty(&exchange->unplaced) && exchange->now_us >= exchange->placing_us) {
        exchange->placing_us = exchange->now_us + ROUND_US;
        for (struct list_link *link; (link = list_take_first(&exchange->placing));)
            list_append(&exchange->unplaced, link);
    }
    struct list_link *link;
    for (int left = PER_TICK; left > 0 && (link = list_take_first(&exchange->unplaced)); left--) {
        struct interest *interest = CONTAINER_OF(link, struct interest, unplaced);
        list_append(&exchange->placing, link);
        exchange->broker->ops->locate(exchange->broker, interest->name, &interest->history);
    }
}
