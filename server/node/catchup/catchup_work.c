/* catchup_work.c - the steps of catchup: it sets the channel's position, posts its next event, and keeps its state
 * while events are missing. It takes a page of the history, which shows the events that are missing, those that are
 * gone, and whether it is still the same history. */
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

/* --- pages ----------------------------------------------------------------------------------------------------- */

static struct message *message_of(const struct catchup *catchup, const struct history_read *page, size_t index,
                                  uint64_t now_us)
{
    const struct event event = {.channel = page->base.channel,
                                .epoch = str_from_cstr(catchup->epoch),
                                .offset = page->events[index].offset,
                                .exclude = history_read_exclude(page, index)};
    return message_from_json(&event, history_read_json(page, index), now_us);
}

/* Keeps the first count events of the page, which were posted before, in the window. A page that does not touch the
 * window replaces it. */
static void keep_past(struct catchup *catchup, const struct history_read *page, size_t count, uint64_t now_us)
{
    struct log_window *window = &catchup->work->window;
    if (window->messages.count &&
        (page->events[count - 1].offset + 1 < window->first || page->events[0].offset > log_window_last(window) + 1))
        log_window_clear(window);
    uint64_t first = window->messages.count ? window->first : page->events[0].offset;
    size_t older = 0;
    while (older < count && page->events[older].offset < first)
        older++;
    for (size_t i = 0; i < count; i++) { /* the older ones from their end on, so that each touches the window */
        size_t index = i < older ? older - 1 - i : i;
        if (log_window_get(window, page->events[index].offset))
            continue;
        struct message *message = message_of(catchup, page, index, now_us);
        if (i < older)
            log_window_prepend(window, message);
        else
            log_window_append(window, message);
        message_unref(message);
    }
}

/* Events that follow the last one posted are posted. The others are kept for recoveries. */
static void post_page(struct catchup *catchup, const struct history_read *page, uint64_t now_us)
{
    size_t past = 0;
    while (past < page->count && page->events[past].offset <= catchup->offset)
        past++;
    if (past)
        keep_past(catchup, page, past, now_us);
    for (size_t i = past; i < page->count; i++)
        if (page->events[i].offset == catchup->offset + 1)
            catchup_post_next(catchup, event_encoded_id(history_read_json(page, i)),
                              message_of(catchup, page, i, now_us));
}

/* Is the last event posted still the one that the history has there? Redis may have lost its latest writes and given
 * their offsets to other events. False when the page begins after that event, so that it cannot show it. first: the
 * offset of the page's first event, or of the one after the broker's last. */
static bool check_last(struct catchup *catchup, const struct history_read *page, uint64_t first)
{
    struct catchup_work *work = catchup->work;
    if (!work->check_last)
        return true;
    if (work->read.after >= catchup->offset)
        return false;
    if (first + page->count <= catchup->offset)
        return true; /* the page ends before that event */
    work->check_last = false;
    struct position last = {str_from_cstr(catchup->epoch), catchup->offset, str_from_cstr(page->before_id)};
    bool is_kept = first <= catchup->offset;
    if (is_kept)
        last.id = event_encoded_id(history_read_json(page, catchup->offset - first));
    if (first <= catchup->offset + 1 && !str_eq_cstr(last.id, catchup->id))
        catchup_jump(catchup, is_kept ? GAP_OFFSET_REGRESSED : GAP_HISTORY_TOO_SHORT, &last);
    return true;
}

void catchup_take_page(struct catchup *catchup, const struct history_read *page, uint64_t now_us)
{
    struct catchup_work *work = catchup->work;
    struct position now = {str_from_cstr(page->epoch), page->offset, str_from_cstr(page->id)};
    if (!str_eq_cstr(now.epoch, catchup->epoch)) {
        catchup_jump(catchup, GAP_EPOCH_CHANGED, &now);
        return;
    }
    if (page->offset < work->read.offset) { /* events may have come since it was sent, so only that offset counts */
        catchup_jump(catchup, GAP_OFFSET_REGRESSED, &now);
        return;
    }
    if (work->known_last < page->offset)
        work->known_last = page->offset;
    uint64_t first = page->count ? page->events[0].offset : page->offset + 1;
    if (!check_last(catchup, page, first))
        return;
    if (first > work->read.after + 1 && first >= work->oldest_kept) {
        work->oldest_kept = first;
        memcpy(work->before_oldest, page->count ? page->before_id : page->id, sizeof work->before_oldest);
    }
    if (work->oldest_kept > catchup->offset + 1) {
        struct position kept = {now.epoch, work->oldest_kept - 1, str_from_cstr(work->before_oldest)};
        catchup_jump(catchup, GAP_HISTORY_TOO_SHORT, &kept);
    }
    post_page(catchup, page, now_us);
}
