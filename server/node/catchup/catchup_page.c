/* catchup_page.c - what a page of the history shows: which events are missing, which are gone, whether it is still the
 * same history. */
#include "server/node/catchup/catchup_private.h"

static struct message *message_of(const struct catchup *catchup, const struct history_read *page, size_t index,
                                  uint64_t now_us)
{
    return message_from_json(page->base.channel, str_from_cstr(catchup->epoch), page->events[index].offset,
                             history_read_json(page, index), now_us);
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
