/* continuity.c - that each worker gets every numbered event of a channel once and in order, or hears of a gap.
 *
 * route->offset is the last event posted. An event at or below it has been posted and is dropped; the next one is
 * posted; one further on shows that some are missing (pub/sub has lost them): it is held while what is missing is read
 * from the history, which is posted first. What is held is an optimisation only: what has no room is read as well. A
 * read may be ahead of pub/sub; its events are posted then, and dropped when they come once more. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/node/router_private.h"

static const uint64_t RETRY_US = 200000;     /* after a read that failed */
static const uint64_t GIVE_UP_US = 30000000; /* while the broker is up and reads fail */
static const uint64_t LOG_US = 1000000;      /* of histories that are lost, after the first */
static const uint64_t KEEP_US = 10000000;    /* in the window, after it was last asked for; at most twice that */

struct continuity *continuity_of(struct router *router, struct channel_route *route)
{
    if (!route->continuity) {
        struct continuity *continuity = xcalloc(1, sizeof *continuity);
        continuity->route = route;
        continuity->window.budget = continuity->held.budget = &router->budget;
        continuity->target = route->offset;
        continuity->asked_from = continuity->asked_from_before = UINT64_MAX;
        continuity->period_us = router->now_us;
        list_init(&continuity->recoveries);
        list_append(&router->active, &continuity->link);
        route->continuity = continuity;
    }
    route->continuity->used_us = router->now_us;
    return route->continuity;
}

void continuity_free(struct channel_route *route)
{
    struct continuity *continuity = route->continuity;
    if (!continuity)
        return;
    for (struct list_link *link; (link = list_take_first(&continuity->recoveries));)
        recovery_destroy(CONTAINER_OF(link, struct recovery, link));
    log_window_clear(&continuity->window);
    log_window_clear(&continuity->held);
    list_remove(&continuity->link);
    list_remove(&continuity->due);
    route->continuity = NULL;
    free(continuity);
}

static bool is_behind(const struct channel_route *route)
{
    return route->continuity && route->continuity->target > route->offset;
}

/* --- posting ----------------------------------------------------------------------------------------------------- */

/* The next event. Takes the reference. */
static void post_next(struct router *router, struct channel_route *route, struct message *message)
{
    route->offset = message->offset;
    position_keep_id(route->id, message_id(message));
    if (route->continuity)
        log_window_append(&route->continuity->window, message);
    router_post(router, route, message);
}

static void post_held(struct router *router, struct channel_route *route)
{
    struct log_window *held = &route->continuity->held;
    struct message *next;
    log_window_forget(held, route->offset);
    while ((next = log_window_get(held, route->offset + 1))) {
        message_ref(next);
        log_window_forget(held, next->offset);
        post_next(router, route, next);
    }
}

/* --- gaps -------------------------------------------------------------------------------------------------------- */

/* To a worker. */
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

/* With the position that the route has now. */
static void post_notice(struct router *router, const struct channel_route *route, enum gap gap,
                        void (*deliver)(struct mail *mail, void *hub))
{
    for (unsigned i = 0; i < router->worker_count; i++) {
        if (!(route->wanting >> i & 1))
            continue;
        struct gap_notice *notice = xcalloc(1, sizeof *notice + route->name.len);
        memcpy(notice->bytes, route->name.ptr, route->name.len);
        notice->name = str_from(notice->bytes, route->name.len);
        notice->mail.deliver = deliver;
        notice->gap = gap;
        notice->offset = route->offset;
        memcpy(notice->epoch, route->epoch, sizeof notice->epoch);
        memcpy(notice->id, route->id, sizeof notice->id);
        mailbox_post(router->workers[i], &notice->mail);
    }
}

static void note_lost_history(struct router *router, enum gap gap)
{
    if (gap != GAP_EPOCH_CHANGED && gap != GAP_OFFSET_REGRESSED)
        return;
    if (router->histories_lost++ == 0)
        router->histories_log_us = router->now_us + LOG_US;
}

void continuity_log(struct router *router)
{
    size_t count = router->histories_lost;
    if (!count || router->now_us < router->histories_log_us)
        return;
    log_warn("broker",
             "the histories of %zu channel%s are not those that this node knew: Redis was emptied, has lost its latest "
             "writes, or has forgotten what was silent for long; their subscribers were told by a gap",
             count, count == 1 ? "" : "s");
    router->histories_lost = 0;
}

void continuity_gap(struct router *router, struct channel_route *route, enum gap gap, const struct position *position)
{
    struct continuity *continuity = route->continuity;
    bool same_epoch = str_eq_cstr(position->epoch, route->epoch);
    bool goes_on = same_epoch && position->offset >= route->offset;
    note_lost_history(router, gap);
    placing_set(router, route, position);
    if (continuity && !goes_on) {
        /* Another history: what is known of the old one is worth nothing. */
        log_window_clear(&continuity->window);
        log_window_clear(&continuity->held);
        continuity->target = route->offset;
    } else if (continuity) {
        log_window_clear(&continuity->window);
    }
    if (continuity && (!goes_on || gap == GAP_OFFSET_REGRESSED))
        continuity->known_first = 0;
    if (continuity)
        continuity->unproven = false; /* it was of the position that has just been given up */
    post_notice(router, route, gap, deliver_gap);
}

/* --- what comes ------------------------------------------------------------------------------------------------- */

/* Other nodes give the channel a history, and this one does not. */
static void post_plain(struct router *router, const struct channel_route *route, const struct event *event)
{
    struct event plain = *event;
    plain.epoch = STR("");
    plain.offset = 0;
    router_post(router, route, message_from_event(&plain, clock_now_us()));
}

void continuity_event(struct router *router, struct channel_route *route, const struct event *event)
{
    if (!route->history.size) {
        post_plain(router, route, event);
        return;
    }
    struct message *message = message_from_event(event, clock_now_us());
    struct position before = {event->epoch, event->offset - 1, STR("")};
    if (!str_eq_cstr(event->epoch, route->epoch))
        continuity_gap(router, route, route->epoch[0] ? GAP_EPOCH_CHANGED : GAP_HISTORY_CHANGED, &before);
    if (event->offset == route->offset + 1) {
        post_next(router, route, message);
    } else if (event->offset > route->offset) {
        struct continuity *continuity = continuity_of(router, route);
        if (continuity->target < event->offset)
            continuity->target = event->offset;
        if (router->budget.bytes < router->budget.bytes_max)
            log_window_append(&continuity->held, message);
        message_unref(message);
    } else {
        message_unref(message);
    }
    if (route->continuity) {
        continuity_advance(router, route);
        log_window_trim(&route->continuity->window);
    }
}

/* The broker has compared the last event posted, where it still has it. */
static void catch_up(struct continuity *continuity, uint64_t target)
{
    if (target > continuity->target)
        continuity->target = target;
    continuity->unproven = continuity->route->id[0] != '\0';
}

static bool is_replaced(const struct channel_route *route, const struct position *position)
{
    return position->offset == route->offset && position->id.len && route->id[0] &&
           !str_eq_cstr(position->id, route->id);
}

void continuity_position(struct router *router, struct channel_route *route, const struct position *position)
{
    if (route->continuity) {
        /* Of before the connection was lost; what is still so is in the history. */
        log_window_clear(&route->continuity->held);
        route->continuity->target = route->offset;
    }
    if (!route->epoch[0])
        continuity_gap(router, route, GAP_CONNECTION_LOST, position);
    else if (!position->epoch.len)
        continuity_gap(router, route, GAP_HISTORY_UNAVAILABLE, &(struct position){.offset = 0});
    else if (!str_eq_cstr(position->epoch, route->epoch))
        continuity_gap(router, route, GAP_EPOCH_CHANGED, position);
    else if (position->offset < route->offset || is_replaced(route, position))
        continuity_gap(router, route, GAP_OFFSET_REGRESSED, position);
    else {
        post_notice(router, route, GAP_CONNECTION_LOST, deliver_interruption);
        if (position->offset > route->offset)
            catch_up(continuity_of(router, route), position->offset);
    }
    if (route->continuity)
        route->continuity->retry_us = route->continuity->failing_us = 0;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

bool continuity_wants(const struct channel_route *route, uint64_t *out_after)
{
    if (!route->subscribed || !route->epoch[0])
        return false;
    if (is_behind(route)) {
        *out_after = route->offset - route->continuity->unproven;
        return true;
    }
    return recovery_wants(route, out_after);
}

void continuity_advance(struct router *router, struct channel_route *route)
{
    struct continuity *continuity = route->continuity;
    uint64_t after;
    if (!route->subscribed || route->locating)
        return;
    post_held(router, route);
    recovery_serve(router, route, 0, 0);
    if (!continuity->read && continuity->retry_us <= router->now_us && continuity_wants(route, &after))
        history_reads_ask(router, route);
}

/* Events are missing and cannot be had: goes on with what is held, or from where the broker is. */
static void give_up(struct router *router, struct channel_route *route, enum gap gap)
{
    struct continuity *continuity = route->continuity;
    recovery_give_up(router, route, gap);
    continuity->failing_us = 0;
    if (!is_behind(route))
        return;
    log_window_forget(&continuity->held, route->offset);
    uint64_t offset = continuity->held.count ? continuity->held.first - 1 : continuity->target;
    struct position position = {str_from_cstr(route->epoch), offset, STR("")};
    continuity_gap(router, route, gap, &position);
}

static void note_failure(struct router *router, struct channel_route *route, enum err err)
{
    struct continuity *continuity = route->continuity;
    continuity->retry_us = router->now_us + RETRY_US;
    if (!continuity->failing_us)
        continuity->failing_us = router->now_us;
    if (err != ERR_UNAVAILABLE)
        give_up(router, route, GAP_HISTORY_UNAVAILABLE);
}

/* Keeps at hand what the page has of the past. A page that does not touch the window begins it anew. */
static void keep(struct channel_route *route, const struct history_read *read, size_t count, uint64_t now_us)
{
    struct log_window *window = &route->continuity->window;
    if (window->count &&
        (read->events[count - 1].offset + 1 < window->first || read->events[0].offset > log_window_last(window) + 1))
        log_window_clear(window);
    bool begins = window->count == 0;
    uint64_t first = begins ? read->events[0].offset : window->first;
    size_t older = 0;
    while (older < count && read->events[older].offset < first)
        older++;
    for (size_t i = 0; i < count; i++) { /* the older ones from their end on, so that each touches the window */
        size_t index = i < older ? older - 1 - i : i;
        uint64_t offset = read->events[index].offset;
        if (log_window_get(window, offset))
            continue;
        struct message *message =
            message_from_json(route->name, str_from_cstr(route->epoch), offset, history_read_json(read, index), now_us);
        if (i < older)
            log_window_prepend(window, message);
        else
            log_window_append(window, message);
        message_unref(message);
    }
}

/* Events of the page that follow what was posted are posted, the others kept for who comes back. */
static void absorb(struct router *router, struct channel_route *route, const struct history_read *read)
{
    uint64_t now_us = clock_now_us();
    size_t past = 0;
    while (past < read->count && read->events[past].offset <= route->offset)
        past++;
    if (past)
        keep(route, read, past, now_us);
    for (size_t i = past; i < read->count; i++) {
        uint64_t offset = read->events[i].offset;
        if (offset == route->offset + 1)
            post_next(router, route,
                      message_from_json(route->name, str_from_cstr(route->epoch), offset, history_read_json(read, i),
                                        now_us));
    }
}

/* The page has the last event posted, as it was; or that is no longer kept, and another one may have been there:
 * offsets that Redis has lost are given again. False when the page was read from further on. */
static bool prove(struct router *router, struct channel_route *route, const struct history_read *read, uint64_t first)
{
    struct continuity *continuity = route->continuity;
    if (!continuity->unproven)
        return true;
    if (read->after >= route->offset)
        return false;
    if (first + read->count <= route->offset)
        return true; /* does not come that far */
    continuity->unproven = false;
    struct position last = {str_from_cstr(route->epoch), route->offset, str_from_cstr(read->before_id)};
    bool is_kept = first <= route->offset;
    if (is_kept)
        last.id = event_encoded_id(history_read_json(read, route->offset - first));
    if (first <= route->offset + 1 && !str_eq_cstr(last.id, route->id))
        continuity_gap(router, route, is_kept ? GAP_OFFSET_REGRESSED : GAP_HISTORY_TOO_SHORT, &last);
    return true;
}

static void take_page(struct router *router, struct channel_route *route, const struct history_read *read)
{
    struct continuity *continuity = route->continuity;
    struct position now = {str_from_cstr(read->epoch), read->offset, str_from_cstr(read->id)};
    /* Events may have come since the page was read, so it may be behind; but not behind what had come before. */
    if (!str_eq_cstr(now.epoch, route->epoch)) {
        continuity_gap(router, route, GAP_EPOCH_CHANGED, &now);
        return;
    }
    if (read->offset < read->seen) {
        continuity_gap(router, route, GAP_OFFSET_REGRESSED, &now);
        return;
    }
    if (continuity->target < read->offset)
        continuity->target = read->offset;
    uint64_t first = read->count ? read->events[0].offset : read->offset + 1;
    if (!prove(router, route, read, first))
        return;
    if (first > read->after + 1 && first >= continuity->known_first) {
        continuity->known_first = first;
        memcpy(continuity->before_id, read->count ? read->before_id : read->id, sizeof continuity->before_id);
    }
    if (continuity->known_first > route->offset + 1) {
        struct position kept = {now.epoch, continuity->known_first - 1, str_from_cstr(continuity->before_id)};
        continuity_gap(router, route, GAP_HISTORY_TOO_SHORT, &kept);
    }
    absorb(router, route, read);
}

void continuity_page(struct router *router, struct channel_route *route, struct history_read *read)
{
    struct continuity *continuity = route->continuity;
    continuity->read = 0;
    continuity->used_us = router->now_us;
    if (read->error.code) {
        note_failure(router, route, read->error.code);
    } else if (!read->epoch[0]) {
        note_failure(router, route, ERR_UNAVAILABLE); /* Redis has lost it: the broker begins anew, and tells */
    } else if (strcmp(read->asked_epoch, route->epoch) == 0 && read->seen <= route->offset) {
        continuity->failing_us = 0;
        take_page(router, route, read);
        post_held(router, route);
        recovery_serve(router, route, read->number, read->offset);
    } /* else the channel has begun anew meanwhile: read again */
    history_read_destroy(read);
    continuity_advance(router, route);
    log_window_trim(&continuity->window);
}

/* --- time -------------------------------------------------------------------------------------------------------- */

/* What nobody has asked for lately goes, also where somebody comes back to the channel all the time: the window would
 * keep all that has been published since the first did. */
static void forget_unasked(struct continuity *continuity, uint64_t now_us)
{
    if (now_us - continuity->period_us < KEEP_US)
        return;
    uint64_t now = continuity->asked_from, before = continuity->asked_from_before;
    uint64_t from = now < before ? now : before;
    if (from) /* the event there stays, for those who name it */
        log_window_forget(&continuity->window, from - 1);
    continuity->asked_from_before = now;
    continuity->asked_from = UINT64_MAX;
    continuity->period_us = now_us;
}

void continuity_tick(struct router *router, struct continuity *continuity)
{
    struct channel_route *route = continuity->route;
    forget_unasked(continuity, router->now_us);
    bool up = atomic_load_explicit(&router->broker_state, memory_order_relaxed) == BROKER_UP;
    if (!up)
        continuity->failing_us = 0; /* there is nothing to read from; when it is back it tells the position */
    else if (continuity->failing_us && router->now_us - continuity->failing_us > GIVE_UP_US)
        give_up(router, route, GAP_HISTORY_UNAVAILABLE);
    bool busy = continuity->read || is_behind(route) || !list_is_empty(&continuity->recoveries);
    if (busy)
        continuity_advance(router, route);
    else if (router->now_us - continuity->used_us > KEEP_US)
        continuity_free(route);
}
