/* catchup.c - see catchup.h.
 *
 * catchup->offset is the last event posted. The offset of an event decides:
 *
 *     at most catchup->offset        it was posted before: dropped
 *     the next one                   posted
 *     further on                     events are missing: it is held, and the missing ones are read from the history
 *
 * An event need not be held: when memory is full it is dropped, and read later with the missing ones. A page may be
 * ahead of the live events. Its events are posted, and dropped when they come again. */
#include "server/node/catchup/catchup_private.h"

static const uint64_t RETRY_US = 200000;     /* after a read that failed */
static const uint64_t GIVE_UP_US = 30000000; /* while the broker is up and reads fail */
static const uint64_t KEEP_US = 10000000;    /* in the window, after it was last asked for; at most twice that */

/* --- life ------------------------------------------------------------------------------------------------------- */

void catchup_set_init(struct catchup_set *set, const struct catchup_ops *ops, void *owner)
{
    *set = (struct catchup_set){.ops = ops, .owner = owner};
    list_init(&set->busy);
    list_init(&set->due);
}

void catchup_init(struct catchup *catchup, struct catchup_set *set, bool has_history)
{
    *catchup = (struct catchup){.set = set, .has_history = has_history};
}

/* --- events ----------------------------------------------------------------------------------------------------- */

void catchup_event(struct catchup *catchup, const struct event *event, uint64_t now_us)
{
    if (!str_eq_cstr(event->epoch, catchup->epoch) && !catchup_enter_epoch(catchup, event, now_us))
        return;
    if (event->offset == catchup->offset + 1)
        catchup_post_next(catchup, event->id, message_from_event(event, now_us));
    else if (event->offset > catchup->offset)
        catchup_hold(catchup, event, now_us);
    if (catchup->work) {
        catchup_advance(catchup);
        log_window_trim(&catchup->work->window);
    }
}

/* --- positions that the broker tells ---------------------------------------------------------------------------- */

/* The broker has another event where the last one was posted. */
static bool is_replaced(const struct catchup *catchup, const struct position *position)
{
    return position->offset == catchup->offset && position->id.len && catchup->id[0] &&
           !str_eq_cstr(position->id, catchup->id);
}

/* The history ends with the last event posted, or goes on after it. In the second case the next page must show that
 * the last event posted is still in it. */
static void go_on(struct catchup *catchup, const struct position *position)
{
    catchup->set->ops->interrupted(catchup->set->owner, catchup);
    if (position->offset == catchup->offset)
        return;
    struct catchup_work *work = catchup_work_of(catchup);
    if (position->offset > work->known_last)
        work->known_last = position->offset;
    work->check_last = catchup->id[0] != '\0';
}

/* The broker was away. */
static void broker_came_back(struct catchup *catchup, const struct position *position)
{
    static const struct position none;
    if (catchup->work) {
        /* Events from before the connection was lost. Those that are still valid are in the history. */
        log_window_clear(&catchup->work->held);
        catchup->work->known_last = catchup->offset;
    }
    if (!catchup->epoch[0])
        catchup_jump(catchup, GAP_CONNECTION_LOST, position);
    else if (!position->epoch.len)
        catchup_jump(catchup, GAP_HISTORY_UNAVAILABLE, &none);
    else if (!str_eq_cstr(position->epoch, catchup->epoch))
        catchup_jump(catchup, GAP_EPOCH_CHANGED, position);
    else if (position->offset < catchup->offset || is_replaced(catchup, position))
        catchup_jump(catchup, GAP_OFFSET_REGRESSED, position);
    else
        go_on(catchup, position);
    if (catchup->work)
        catchup->work->retry_us = catchup->work->failing_us = 0;
}

void catchup_position(struct catchup *catchup, const struct position *position)
{
    if (catchup->phase == CATCHUP_NEW)
        catchup_set_position(catchup, position);
    else
        broker_came_back(catchup, position);
    catchup->phase = CATCHUP_READY;
}

bool catchup_located(struct catchup *catchup, const struct position *position)
{
    if (catchup->phase == CATCHUP_NEW || !catchup->has_history)
        return false;
    catchup->phase = CATCHUP_READY;
    if (str_eq_cstr(position->epoch, catchup->epoch))
        return true;
    if (!catchup->epoch[0])
        catchup_jump(catchup, GAP_HISTORY_CHANGED, position);
    else
        catchup_jump(catchup, position->epoch.len ? GAP_EPOCH_CHANGED : GAP_HISTORY_UNAVAILABLE, position);
    return true;
}

void catchup_follow_rule(struct catchup *catchup, bool has_history)
{
    static const struct position none;
    catchup->has_history = has_history;
    if (catchup->phase != CATCHUP_NEW)
        catchup->phase = has_history && !catchup->epoch[0] ? CATCHUP_LOCATING : CATCHUP_READY;
    if (!has_history && catchup->epoch[0])
        catchup_jump(catchup, GAP_HISTORY_CHANGED, &none);
    catchup_advance(catchup);
}

/* --- recoveries ------------------------------------------------------------------------------------------------- */

void catchup_recover(struct catchup *catchup, struct recovery *recovery)
{
    struct catchup_work *work = catchup_work_of(catchup);
    recovery->read = catchup->set->last_read + 1;
    list_append(&work->recoveries, &recovery->base.link);
    if (!list_is_linked(&work->due))
        list_append(&catchup->set->due, &work->due);
}

void catchup_serve_due(struct catchup_set *set)
{
    for (struct list_link *link; (link = list_take_first(&set->due));)
        catchup_advance(CONTAINER_OF(link, struct catchup_work, due)->catchup);
}

void catchup_drop_recoveries(struct catchup *catchup, unsigned worker)
{
    if (!catchup->work)
        return;
    LIST_EACH(link, &catchup->work->recoveries)
    {
        struct recovery *recovery = recovery_in(link);
        if (recovery->base.session.worker == worker)
            request_destroy(&recovery->base);
    }
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static bool is_behind(const struct catchup *catchup)
{
    return catchup->work && catchup->work->known_last > catchup->offset;
}

static bool needs_read(const struct catchup *catchup, uint64_t *out_after)
{
    if (catchup->phase != CATCHUP_READY || !catchup->epoch[0])
        return false;
    if (!is_behind(catchup))
        return recovery_needs_read(catchup, out_after);
    *out_after = catchup->offset - catchup->work->check_last;
    return true;
}

void catchup_advance(struct catchup *catchup)
{
    struct catchup_work *work = catchup->work;
    uint64_t after;
    if (!work || catchup->phase != CATCHUP_READY)
        return;
    catchup_post_held(catchup);
    recovery_serve(catchup, 0, 0);
    if (work->read.number || work->retry_us > catchup->set->now_us || !needs_read(catchup, &after))
        return;
    work->read.number = ++catchup->set->last_read;
    catchup->set->ops->read(catchup->set->owner, catchup, work->read.number);
}

bool catchup_begin_read(struct catchup *catchup, uint64_t number, uint64_t *out_after)
{
    struct catchup_work *work = catchup->work;
    if (!work || work->read.number != number)
        return false;
    if (!needs_read(catchup, out_after)) {
        work->read.number = 0;
        return false;
    }
    work->read.after = *out_after;
    work->read.offset = catchup->offset;
    memcpy(work->read.epoch, catchup->epoch, sizeof work->read.epoch);
    return true;
}

/* Events are missing and cannot be read: goes on with the events that are held, or from where the broker is. */
static void give_up(struct catchup *catchup, enum gap gap)
{
    struct catchup_work *work = catchup->work;
    recovery_give_up(catchup, gap);
    work->failing_us = 0;
    if (!is_behind(catchup))
        return;
    log_window_forget(&work->held, catchup->offset);
    uint64_t offset = work->held.messages.count ? work->held.first - 1 : work->known_last;
    catchup_jump(catchup, gap, &(struct position){str_from_cstr(catchup->epoch), offset, STR("")});
}

static void note_failure(struct catchup *catchup, enum err err)
{
    struct catchup_work *work = catchup->work;
    work->retry_us = catchup->set->now_us + RETRY_US;
    if (!work->failing_us)
        work->failing_us = catchup->set->now_us;
    if (err != ERR_UNAVAILABLE)
        give_up(catchup, GAP_HISTORY_UNAVAILABLE);
}

void catchup_page(struct catchup *catchup, const struct history_read *page, uint64_t now_us)
{
    struct catchup_work *work = catchup->work;
    if (!work || work->read.number != page->number)
        return;
    work->read.number = 0;
    work->used_us = catchup->set->now_us;
    if (page->base.error) {
        note_failure(catchup, request_code(&page->base));
    } else if (!page->epoch[0]) {
        note_failure(catchup, ERR_UNAVAILABLE); /* Redis has lost it: the broker begins an epoch, and tells it */
    } else if (strcmp(work->read.epoch, catchup->epoch) == 0 && work->read.offset <= catchup->offset) {
        work->failing_us = 0;
        catchup_take_page(catchup, page, now_us);
        catchup_post_held(catchup);
        recovery_serve(catchup, page->number, page->offset);
    } /* else the channel has jumped since the read was sent: it is read again */
    catchup_advance(catchup);
    log_window_trim(&work->window);
}

/* --- time ------------------------------------------------------------------------------------------------------- */

/* Frees the events that no recovery has asked for lately. On a channel where subscribers recover all the time, the
 * window would otherwise keep all events since the first of them. */
static void forget_unasked(struct catchup_work *work, uint64_t now_us)
{
    if (now_us - work->period_us < KEEP_US)
        return;
    uint64_t now = work->asked_from, before = work->asked_from_before;
    uint64_t from = now < before ? now : before;
    if (from) /* the event there stays, for recoveries that name its id */
        log_window_forget(&work->window, from - 1);
    work->asked_from_before = now;
    work->asked_from = UINT64_MAX;
    work->period_us = now_us;
}

static void tick(struct catchup *catchup, uint64_t now_us, bool broker_is_up)
{
    struct catchup_work *work = catchup->work;
    forget_unasked(work, now_us);
    if (!broker_is_up)
        work->failing_us = 0; /* nothing can be read; when the broker is back, it tells the position */
    else if (work->failing_us && now_us - work->failing_us > GIVE_UP_US)
        give_up(catchup, GAP_HISTORY_UNAVAILABLE);
    if (work->read.number || is_behind(catchup) || !list_is_empty(&work->recoveries))
        catchup_advance(catchup);
    else if (now_us - work->used_us > KEEP_US)
        catchup_fini(catchup);
}

void catchup_tick(struct catchup_set *set, uint64_t now_us, bool broker_is_up)
{
    set->now_us = now_us;
    LIST_EACH(link, &set->busy)
    tick(CONTAINER_OF(link, struct catchup_work, link)->catchup, now_us, broker_is_up);
}
