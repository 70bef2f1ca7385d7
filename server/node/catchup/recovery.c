/* recovery.c - subscribers who come back: each gets what it missed, from what is at hand (continuity->window), or waits
 * for a read that brings it there. One page serves all that it covers, and goes to each worker once, however many of
 * its subscribers wait for it. A page ends at the channel's position, and its takers are live then; or it ends before,
 * and they ask again when they have sent it. */
#include "common/base/alloc.h"
#include "server/node/router_private.h"

/* A read begins so much earlier, at most, to serve others as well. */
enum { REACH = RECOVERY_PAGE_EVENTS / 2 };

/* --- mail ----------------------------------------------------------------------------------------------------------
 */

static void advance_due(struct mail *mail, void *owner)
{
    struct router *router = owner;
    (void)mail;
    router->due_posted = false;
    for (struct list_link *link; (link = list_take_first(&router->due));)
        continuity_advance(router, CONTAINER_OF(link, struct continuity, due)->route);
}

/* Answered together with all others that come in this turn. */
static void take_recovery(struct mail *mail, void *owner)
{
    struct router *router = owner;
    struct recovery *recovery = CONTAINER_OF(mail, struct recovery, mail);
    struct channel_route *route = map_get(&router->channels, recovery->channel);
    if (!route || !(route->wanting >> recovery->worker & 1)) {
        recovery_destroy(recovery); /* the channel has been refused: the worker has been told */
        return;
    }
    struct continuity *continuity = continuity_of(router, route);
    recovery->read = router->read_numbers + 1;
    list_append(&continuity->recoveries, &recovery->link);
    if (!list_is_linked(&continuity->due))
        list_append(&router->due, &continuity->due);
    if (router->due_posted)
        return;
    router->due_posted = true;
    router->due_mail.deliver = advance_due;
    mailbox_post(&router->mailbox, &router->due_mail);
}

void router_recover(struct router *router, struct recovery *recovery)
{
    recovery->mail.deliver = take_recovery;
    mailbox_post(&router->mailbox, &recovery->mail);
}

static void deliver_replay(struct mail *mail, void *hub)
{
    hub_replay(hub, CONTAINER_OF(mail, struct replay, mail));
}

/* With copies of the events from first on. */
static struct replay *create_replay(const struct channel_route *route, uint64_t first, size_t count)
{
    struct replay *replay = xcalloc(1, sizeof *replay + count * sizeof(struct message *) + route->name.len);
    char *name = (char *)&replay->messages[count];
    memcpy(name, route->name.ptr, route->name.len);
    memcpy(replay->epoch, route->epoch, sizeof replay->epoch);
    replay->mail.deliver = deliver_replay;
    replay->channel = str_from(name, route->name.len);
    replay->offset = route->offset;
    memcpy(replay->id, route->id, sizeof replay->id);
    replay->first = first;
    replay->count = count;
    list_init(&replay->recoveries);
    for (size_t i = 0; i < count; i++)
        replay->messages[i] = message_copy(log_window_get(&route->continuity->window, first + i));
    return replay;
}

/* Sends the answered ones home, those of a worker together. */
static void post_replays(struct router *router, const struct channel_route *route, struct list_link *answered,
                         uint64_t first, size_t count)
{
    struct replay *replays[ROUTER_WORKERS_MAX] = {0};
    for (struct list_link *link; (link = list_take_first(answered));) {
        struct recovery *recovery = CONTAINER_OF(link, struct recovery, link);
        struct replay **replay = &replays[recovery->worker];
        if (!*replay)
            *replay = create_replay(route, first, count);
        list_append(&(*replay)->recoveries, link);
    }
    for (unsigned i = 0; i < router->worker_count; i++)
        if (replays[i])
            mailbox_post(router->workers[i], &replays[i]->mail);
}

/* --- judging ---------------------------------------------------------------------------------------------------------
 */

static bool is_lost(struct recovery *recovery, enum gap gap)
{
    recovery->outcome = RECOVERY_LOST;
    recovery->gap = gap;
    return true;
}

static bool is_found(struct recovery *recovery)
{
    recovery->outcome = RECOVERY_FOUND;
    return true;
}

/* Turns "the last so many" into a position. */
static void place(const struct channel_route *route, struct recovery *recovery)
{
    uint64_t known_first = route->continuity->known_first;
    if (!recovery->epoch[0]) {
        memcpy(recovery->epoch, route->epoch, sizeof recovery->epoch);
        recovery->offset = route->offset > recovery->last ? route->offset - recovery->last : 0;
    }
    if (recovery->last && recovery->offset + 1 < known_first)
        recovery->offset = known_first - 1 < route->offset ? known_first - 1 : route->offset;
}

/* Of the event at that position, as far as it is at hand; empty: it is not. */
static struct str id_at(const struct channel_route *route, uint64_t offset)
{
    const struct continuity *continuity = route->continuity;
    const struct message *message = log_window_get(&continuity->window, offset);
    if (message)
        return message_id(message);
    if (offset == route->offset)
        return str_from_cstr(route->id);
    return offset + 1 == continuity->known_first ? str_from_cstr(continuity->before_id) : STR("");
}

static bool is_unproven(const struct recovery *recovery)
{
    return recovery->id[0] && !recovery->proven;
}

/* Whether its position is one of this history: offsets that Redis has lost are given again, to other events. Where the
 * event is no longer kept nobody can say, so it is lost. True with that outcome. */
static bool is_of_another_history(const struct channel_route *route, struct recovery *recovery, bool is_judged)
{
    struct str id = id_at(route, recovery->offset);
    bool is_gone = recovery->offset == 0 || recovery->offset + 1 == route->continuity->known_first;
    recovery->proven = id.len > 0 && str_eq_cstr(id, recovery->id);
    if (recovery->proven)
        return false;
    if (id.len == 0 && is_gone)
        return is_lost(recovery, GAP_HISTORY_TOO_SHORT);
    return is_judged && (id.len > 0 || recovery->offset == route->offset) && is_lost(recovery, GAP_OFFSET_REGRESSED);
}

/* True with the outcome, where no event is needed for it. What this node has may be behind what the client has seen on
 * another one, or be of a history that Redis has lost: only what the broker has told since it came shows that it is the
 * client's that is gone. */
static bool judge(const struct channel_route *route, struct recovery *recovery, uint64_t read, uint64_t broker_offset)
{
    bool is_judged = read >= recovery->read;
    if (!route->epoch[0])
        return recovery->epoch[0] ? is_lost(recovery, GAP_HISTORY_UNAVAILABLE) : is_found(recovery);
    place(route, recovery);
    if (strcmp(recovery->epoch, route->epoch) != 0)
        return is_judged && is_lost(recovery, GAP_EPOCH_CHANGED);
    if (recovery->offset > route->offset)
        return is_judged && broker_offset < recovery->offset && is_lost(recovery, GAP_OFFSET_REGRESSED);
    if (recovery->offset + 1 < route->continuity->known_first)
        return is_lost(recovery, GAP_HISTORY_TOO_SHORT);
    if (is_unproven(recovery) && is_of_another_history(route, recovery, is_judged))
        return true;
    return !is_unproven(recovery) && recovery->offset == route->offset && is_found(recovery);
}

static bool is_at_hand(const struct channel_route *route, const struct recovery *recovery)
{
    return recovery->offset < route->offset && strcmp(recovery->epoch, route->epoch) == 0 && !is_unproven(recovery) &&
           log_window_get(&route->continuity->window, recovery->offset + 1) != NULL;
}

/* --- serving ---------------------------------------------------------------------------------------------------------
 */

static void serve_judged(struct router *router, struct channel_route *route, uint64_t read, uint64_t broker_offset)
{
    struct list_link answered;
    list_init(&answered);
    LIST_EACH(link, &route->continuity->recoveries)
    {
        if (!judge(route, CONTAINER_OF(link, struct recovery, link), read, broker_offset))
            continue;
        list_remove(link);
        list_append(&answered, link);
    }
    post_replays(router, route, &answered, 0, 0);
}

/* How many events from first on make a page. */
static size_t page_count(const struct channel_route *route, uint64_t first)
{
    size_t count = 0, bytes = 0;
    const struct message *message;
    while (count < RECOVERY_PAGE_EVENTS && (message = log_window_get(&route->continuity->window, first + count))) {
        bytes += message->frame_len;
        if (count && bytes > RECOVERY_PAGE_BYTES)
            break;
        count++;
    }
    return count;
}

/* One page, from the oldest position on that can be served. False when nobody can be. */
static bool serve_page(struct router *router, struct channel_route *route)
{
    struct list_link *waiting = &route->continuity->recoveries;
    struct list_link answered;
    const struct recovery *oldest = NULL;
    LIST_EACH(link, waiting)
    {
        const struct recovery *each = CONTAINER_OF(link, struct recovery, link);
        if (is_at_hand(route, each) && (!oldest || each->offset < oldest->offset))
            oldest = each;
    }
    if (!oldest)
        return false;
    if (oldest->offset < route->continuity->asked_from)
        route->continuity->asked_from = oldest->offset;
    uint64_t first = oldest->offset + 1;
    size_t count = page_count(route, first);
    list_init(&answered);
    LIST_EACH(link, waiting)
    {
        struct recovery *each = CONTAINER_OF(link, struct recovery, link);
        if (!is_at_hand(route, each) || each->offset + 1 >= first + count)
            continue;
        each->outcome = RECOVERY_FOUND;
        list_remove(link);
        list_append(&answered, link);
    }
    post_replays(router, route, &answered, first, count);
    return true;
}

void recovery_serve(struct router *router, struct channel_route *route, uint64_t read, uint64_t broker_offset)
{
    if (list_is_empty(&route->continuity->recoveries))
        return;
    route->continuity->used_us = router->now_us;
    serve_judged(router, route, read, broker_offset);
    while (serve_page(router, route))
        ;
}

/* Where a read for it begins: with what it misses, or with the event that shows whether it misses it. */
static uint64_t wanted_after(const struct channel_route *route, const struct recovery *recovery)
{
    if (recovery->offset > route->offset || strcmp(recovery->epoch, route->epoch) != 0)
        return route->offset;
    return is_unproven(recovery) && recovery->offset ? recovery->offset - 1 : recovery->offset;
}

bool recovery_wants(const struct channel_route *route, uint64_t *out_after)
{
    const struct list_link *waiting = &route->continuity->recoveries;
    uint64_t base = 0;
    bool any = false;
    LIST_EACH(link, waiting)
    {
        uint64_t offset = wanted_after(route, CONTAINER_OF(link, const struct recovery, link));
        if (!any)
            base = *out_after = offset;
        else if (offset < *out_after && offset + REACH >= base)
            *out_after = offset;
        any = true;
    }
    return any;
}

void recovery_give_up(struct router *router, struct channel_route *route, enum gap gap)
{
    struct list_link answered;
    list_init(&answered);
    for (struct list_link *link; (link = list_take_first(&route->continuity->recoveries));) {
        is_lost(CONTAINER_OF(link, struct recovery, link), gap);
        list_append(&answered, link);
    }
    post_replays(router, route, &answered, 0, 0);
}

void recovery_drop(struct continuity *continuity, unsigned worker)
{
    LIST_EACH(link, &continuity->recoveries)
    {
        struct recovery *recovery = CONTAINER_OF(link, struct recovery, link);
        if (recovery->worker == worker)
            recovery_destroy(recovery);
    }
}
