/* recovery.c - subscribers that recover. Each gets what it missed from the window (work->window), or waits for a read
 * that brings it there. One page serves all recoveries that it covers, and goes to each worker once. A page that ends
 * at the channel's position makes its takers live. After a page that ends before it, they ask again when they have sent
 * it.
 *
 * Redis may have lost its latest writes and given their offsets to other events. So a client may name the id of the
 * event at its offset. Its recovery is served only when the event there has that id (recovery->id_confirmed). */
#include "server/node/catchup/catchup_private.h"

/* A read begins so much earlier, at most, to serve other recoveries as well. */
enum { REACH = CATCHUP_PAGE_EVENTS / 2 };

/* --- outcomes without events ------------------------------------------------------------------------------------ */

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
static void locate(const struct catchup *catchup, struct recovery *recovery)
{
    uint64_t oldest = catchup->work->oldest_kept;
    if (!recovery->epoch[0]) {
        memcpy(recovery->epoch, catchup->epoch, sizeof recovery->epoch);
        recovery->offset = catchup->offset > recovery->last ? catchup->offset - recovery->last : 0;
    }
    if (recovery->last && recovery->offset + 1 < oldest)
        recovery->offset = oldest - 1 < catchup->offset ? oldest - 1 : catchup->offset;
}

/* The id of the event at that offset; empty if it is not known here. */
static struct str id_at(const struct catchup *catchup, uint64_t offset)
{
    const struct catchup_work *work = catchup->work;
    const struct message *message = log_window_get(&work->window, offset);
    if (message)
        return message_id(message);
    if (offset == catchup->offset)
        return str_from_cstr(catchup->id);
    return offset + 1 == work->oldest_kept ? str_from_cstr(work->before_oldest) : STR("");
}

static bool needs_id(const struct recovery *recovery)
{
    return recovery->id[0] && !recovery->id_confirmed;
}

/* Compares the id that the client names. True when the recovery is lost: the event there is another one, or it is no
 * longer kept and its id is not known. has_fresh_page: as in decide. */
static bool is_of_another_history(const struct catchup *catchup, struct recovery *recovery, bool has_fresh_page)
{
    struct str id = id_at(catchup, recovery->offset);
    bool is_gone = recovery->offset == 0 || recovery->offset + 1 == catchup->work->oldest_kept;
    recovery->id_confirmed = id.len > 0 && str_eq_cstr(id, recovery->id);
    if (recovery->id_confirmed)
        return false;
    if (id.len == 0 && is_gone)
        return is_lost(recovery, GAP_HISTORY_TOO_SHORT);
    return has_fresh_page && (id.len > 0 || recovery->offset == catchup->offset) &&
           is_lost(recovery, GAP_OFFSET_REGRESSED);
}

/* True when the recovery has an outcome for which no event is needed.
 *
 * This node may be behind the node where the client was, or may know a history that Redis has lost. So a difference
 * counts against the client only after a fresh page: one that was read after the recovery came. */
static bool decide(const struct catchup *catchup, struct recovery *recovery, uint64_t read, uint64_t broker_offset)
{
    bool has_fresh_page = read >= recovery->read;
    if (!catchup->epoch[0])
        return recovery->epoch[0] ? is_lost(recovery, GAP_HISTORY_UNAVAILABLE) : is_found(recovery);
    locate(catchup, recovery);
    if (strcmp(recovery->epoch, catchup->epoch) != 0)
        return has_fresh_page && is_lost(recovery, GAP_EPOCH_CHANGED);
    if (recovery->offset > catchup->offset)
        return has_fresh_page && broker_offset < recovery->offset && is_lost(recovery, GAP_OFFSET_REGRESSED);
    if (recovery->offset + 1 < catchup->work->oldest_kept)
        return is_lost(recovery, GAP_HISTORY_TOO_SHORT);
    if (needs_id(recovery) && is_of_another_history(catchup, recovery, has_fresh_page))
        return true;
    return !needs_id(recovery) && recovery->offset == catchup->offset && is_found(recovery);
}

static void serve_decided(struct catchup *catchup, uint64_t read, uint64_t broker_offset)
{
    struct list_link answered;
    list_init(&answered);
    LIST_EACH(link, &catchup->work->recoveries)
    {
        if (!decide(catchup, recovery_in(link), read, broker_offset))
            continue;
        list_remove(link);
        list_append(&answered, link);
    }
    if (!list_is_empty(&answered))
        catchup->set->ops->replay(catchup->set->owner, catchup, &answered, 0, 0);
}

/* --- pages ------------------------------------------------------------------------------------------------------ */

/* The first event that it misses is in the window. */
static bool is_at_hand(const struct catchup *catchup, const struct recovery *recovery)
{
    return recovery->offset < catchup->offset && strcmp(recovery->epoch, catchup->epoch) == 0 && !needs_id(recovery) &&
           log_window_get(&catchup->work->window, recovery->offset + 1) != NULL;
}

/* How many events from first on make a page. */
static size_t page_count(const struct catchup *catchup, uint64_t first)
{
    size_t count = 0, bytes = 0;
    const struct message *message;
    while (count < CATCHUP_PAGE_EVENTS && (message = log_window_get(&catchup->work->window, first + count))) {
        bytes += message->frame_len;
        if (count && bytes > CATCHUP_PAGE_BYTES)
            break;
        count++;
    }
    return count;
}

static const struct recovery *oldest_at_hand(const struct catchup *catchup)
{
    const struct recovery *oldest = NULL;
    LIST_EACH(link, &catchup->work->recoveries)
    {
        const struct recovery *each = recovery_in(link);
        if (is_at_hand(catchup, each) && (!oldest || each->offset < oldest->offset))
            oldest = each;
    }
    return oldest;
}

/* One page, which begins with what the oldest recovery misses. False when nothing can be served. */
static bool serve_page(struct catchup *catchup)
{
    struct catchup_work *work = catchup->work;
    const struct recovery *oldest = oldest_at_hand(catchup);
    struct list_link answered;
    if (!oldest)
        return false;
    if (oldest->offset < work->asked_from)
        work->asked_from = oldest->offset;
    uint64_t first = oldest->offset + 1;
    size_t count = page_count(catchup, first);
    list_init(&answered);
    LIST_EACH(link, &work->recoveries)
    {
        struct recovery *each = recovery_in(link);
        if (!is_at_hand(catchup, each) || each->offset + 1 >= first + count)
            continue;
        each->outcome = RECOVERY_FOUND;
        list_remove(link);
        list_append(&answered, link);
    }
    catchup->set->ops->replay(catchup->set->owner, catchup, &answered, first, count);
    return true;
}

void recovery_serve(struct catchup *catchup, uint64_t read, uint64_t broker_offset)
{
    if (list_is_empty(&catchup->work->recoveries))
        return;
    catchup->work->used_us = catchup->set->now_us;
    serve_decided(catchup, read, broker_offset);
    while (serve_page(catchup))
        ;
}

/* --- what is to be read ----------------------------------------------------------------------------------------- */

/* The offset after which a read begins: the client's position. If the client has told the id of its last event, the
 * read begins one event earlier, so that the ids can be compared. */
static uint64_t read_after(const struct catchup *catchup, const struct recovery *recovery)
{
    if (recovery->offset > catchup->offset || strcmp(recovery->epoch, catchup->epoch) != 0)
        return catchup->offset;
    return needs_id(recovery) && recovery->offset ? recovery->offset - 1 : recovery->offset;
}

bool recovery_needs_read(const struct catchup *catchup, uint64_t *out_after)
{
    uint64_t base = 0;
    bool any = false;
    LIST_EACH(link, &catchup->work->recoveries)
    {
        uint64_t offset = read_after(catchup, recovery_in(link));
        if (!any)
            base = *out_after = offset;
        else if (offset < *out_after && offset + REACH >= base)
            *out_after = offset;
        any = true;
    }
    return any;
}

void recovery_give_up(struct catchup *catchup, enum gap gap)
{
    struct list_link answered;
    list_init(&answered);
    for (struct list_link *link; (link = list_take_first(&catchup->work->recoveries));) {
        is_lost(recovery_in(link), gap);
        list_append(&answered, link);
    }
    if (!list_is_empty(&answered))
        catchup->set->ops->replay(catchup->set->owner, catchup, &answered, 0, 0);
}
