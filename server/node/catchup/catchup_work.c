/* catchup_work.c - the steps that the other files of catchup share: set the channel's position, post its next event,
 * keep its state while events are missing. */
#include "common/base/alloc.h"
#include "server/node/catchup/catchup_private.h"

struct catchup_work *catchup_work_of(struct catchup *catchup)
{
    struct catchup_set *set = catchup->set;
    if (!catchup->work) {
        struct catchup_work *work = xcalloc(1, sizeof *work);
        work->catchup = catchup;
        work->window.budget = work->held.budget = &set->budget;
        work->known_last = catchup->offset;
        work->asked_from = work->asked_from_before = UINT64_MAX;
        work->period_us = set->now_us;
        list_init(&work->recoveries);
        list_append(&set->busy, &work->link);
        catchup->work = work;
    }
    catchup->work->used_us = set->now_us;
    return catchup->work;
}

void catchup_fini(struct catchup *catchup)
{
    struct catchup_work *work = catchup->work;
    if (!work)
        return;
    for (struct list_link *link; (link = list_take_first(&work->recoveries));)
        request_destroy(&recovery_in(link)->base);
    log_window_clear(&work->window);
    log_window_clear(&work->held);
    list_remove(&work->link);
    list_remove(&work->due);
    catchup->work = NULL;
    free(work);
}

/* --- the position ----------------------------------------------------------------------------------------------- */

struct position catchup_now(const struct catchup *catchup)
{
    return (struct position){str_from_cstr(catchup->epoch), catchup->offset, str_from_cstr(catchup->id)};
}

void catchup_set_position(struct catchup *catchup, const struct position *position)
{
    static const struct position none;
    if (!catchup->has_history) /* the broker may have a position, of an earlier rule or of other nodes */
        position = &none;
    size_t len = position->epoch.len < EPOCH_MAX ? position->epoch.len : EPOCH_MAX;
    if (len)
        memmove(catchup->epoch, position->epoch.ptr, len); /* may be its own */
    catchup->epoch[len] = '\0';
    catchup->offset = position->offset;
    position_keep_id(catchup->id, position->id);
}

void catchup_jump(struct catchup *catchup, enum gap gap, const struct position *position)
{
    struct catchup_work *work = catchup->work;
    bool same_epoch = str_eq_cstr(position->epoch, catchup->epoch);
    bool goes_on = same_epoch && position->offset >= catchup->offset;
    catchup_set_position(catchup, position);
    if (work) {
        log_window_clear(&work->window);
        work->check_last = false; /* the position to be checked has just been given up */
        if (!goes_on) {           /* it is another history: nothing that is known holds for it */
            log_window_clear(&work->held);
            work->known_last = catchup->offset;
        }
        if (!goes_on || gap == GAP_OFFSET_REGRESSED)
            work->oldest_kept = 0;
    }
    catchup->set->ops->gap(catchup->set->owner, catchup, gap);
}

/* --- events ----------------------------------------------------------------------------------------------------- */

const struct message *catchup_message(const struct catchup *catchup, uint64_t offset)
{
    return catchup->work ? log_window_get(&catchup->work->window, offset) : NULL;
}

void catchup_post_next(struct catchup *catchup, struct str id, struct message *message)
{
    catchup->offset = message->offset;
    position_keep_id(catchup->id, id);
    if (catchup->work)
        log_window_append(&catchup->work->window, message);
    catchup->set->ops->post(catchup->set->owner, catchup, message);
}

void catchup_post_held(struct catchup *catchup)
{
    struct log_window *held = &catchup->work->held;
    struct message *next;
    log_window_forget(held, catchup->offset);
    while ((next = log_window_get(held, catchup->offset + 1))) {
        message_ref(next);
        log_window_forget(held, next->offset);
        catchup_post_next(catchup, message_id(next), next);
    }
}

void catchup_hold(struct catchup *catchup, const struct event *event, uint64_t now_us)
{
    struct catchup_work *work = catchup_work_of(catchup);
    if (work->known_last < event->offset)
        work->known_last = event->offset;
    if (catchup->set->budget.bytes >= catchup->set->budget.bytes_max)
        return;
    struct message *message = message_from_event(event, now_us);
    log_window_append(&work->held, message);
    message_unref(message);
}

/* Other nodes give the channel a history, and this one does not: the event goes out without its offset. */
static void post_plain(struct catchup *catchup, const struct event *event, uint64_t now_us)
{
    struct event plain = *event;
    plain.epoch = STR("");
    plain.offset = 0;
    catchup->set->ops->post(catchup->set->owner, catchup, message_from_event(&plain, now_us));
}

bool catchup_enter_epoch(struct catchup *catchup, const struct event *event, uint64_t now_us)
{
    if (catchup->phase == CATCHUP_NEW)
        return false;
    if (!catchup->has_history) {
        post_plain(catchup, event, now_us);
        return false;
    }
    struct position before = {event->epoch, event->offset - 1, STR("")};
    catchup_jump(catchup, catchup->epoch[0] ? GAP_EPOCH_CHANGED : GAP_HISTORY_CHANGED, &before);
    return true;
}
