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
    struct exchange *exchange = owner;
    (void)mail;
    exchange->due_posted = false;
    for (struct list_link *link; (link = list_take_first(&exchange->due));)
        continuity_advance(exchange, CONTAINER_OF(link, struct continuity, due)->interest);
}

/* Answered together with all others that come in this turn. */
static void take_recovery(struct mail *mail, void *owner)
{
    struct exchange *exchange = owner;
    struct recovery *recovery = CONTAINER_OF(mail, struct recovery, mail);
    struct interest *interest = map_get(&exchange->channels, recovery->channel);
    if (!interest || !(interest->wanting >> recovery->worker & 1)) {
        recovery_destroy(recovery); /* the channel has been refused: the worker has been told */
        return;
    }
    struct continuity *continuity = continuity_of(exchange, interest);
    recovery->read = exchange->read_numbers + 1;
    list_append(&continuity->recoveries, &recovery->link);
    if (!list_is_linked(&continuity->due))
        list_append(&exchange->due, &continuity->due);
    if (exchange->due_posted)
        return;
    exchange->due_posted = true;
    exchange->due_mail.deliver = advance_due;
    mailbox_post(&exchange->mailbox, &exchange->due_mail);
}

void exchange_recover(struct exchange *exchange, struct recovery *recovery)
{
    recovery->mail.deliver = take_recovery;
    mailbox_post(&exchange->mailbox, &recovery->mail);
}

static void deliver_replay(struct mail *mail, void *hub)
{
    hub_replay(hub, CONTAINER_OF(mail, struct replay, mail));
}

/* With copies of the events from first on. */
static struct replay *create_replay(const struct interest *interest, uint64_t first, size_t count)
{
    struct replay *replay = xcalloc(1, sizeof *replay + count * sizeof(struct message *) + interest->name.len);
    char *name = (char *)&replay->messages[count];
    memcpy(name, interest->name.ptr, interest->name.len);
    memcpy(replay->epoch, interest->epoch, sizeof replay->epoch);
    replay->mail.deliver = deliver_replay;
    replay->channel = str_from(name, interest->name.len);
    replay->offset = interest->offset;
    memcpy(replay->id, interest->id, sizeof replay->id);
    replay->first = first;
    replay->count = count;
    list_init(&replay->recoveries);
    for (size_t i = 0; i < count; i++)
        replay->messages[i] = message_copy(log_window_get(&interest->continuity->window, first + i));
    return replay;
}

/* Sends the answered ones home, those of a worker together. */
static void post_replays(struct exchange *exchange, const struct interest *interest, struct list_link *answered,
                         uint64_t first, size_t count)
{
    struct replay *replays[EXCHANGE_WORKERS_MAX] = {0};
    for (struct list_link *link; (link = list_take_first(answered));) {
        struct recovery *recovery = CONTAINER_OF(link, struct recovery, link);
        struct replay **replay = &replays[recovery->worker];
        if (!*replay)
            *replay = create_replay(interest, first, count);
        list_append(&(*replay)->recoveries, link);
    }
    for (unsigned i = 0; i < exchange->worker_count; i++)
        if (replays[i])
            mailbox_post(exchange->workers[i], &replays[i]->mail);
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
static void place(const struct interest *interest, struct recovery *recovery)
{
    uint64_t known_first = interest->continuity->known_first;
    if (!recovery->epoch[0]) {
        memcpy(recovery->epoch, interest->epoch, sizeof recovery->epoch);
        recovery->offset = interest->offset > recovery->last ? interest->offset - recovery->last : 0;
    }
    if (recovery->last && recovery->offset + 1 < known_first)
        recovery->offset = known_first - 1 < interest->offset ? known_first - 1 : interest->offset;
}

/* Of the event at that position, as far as it is at hand; empty: it is not. */
static struct str id_at(const struct interest *interest, uint64_t offset)
{
    const struct continuity *continuity = interest->continuity;
    const struct message *message = log_window_get(&continuity->window, offset);
    if (message)
        return message_id(message);
    if (offset == interest->offset)
        return str_from_cstr(interest->id);
    return offset + 1 == continuity->known_first ? str_from_cstr(continuity->before_id) : STR("");
}

static bool is_unproven(const struct recovery *recovery)
{
    return recovery->id[0] && !recovery->proven;
}

/* Whether its position is one of this history: offsets that Redis has lost are given again, to other events. Where the
 * event is no longer kept nobody can say, so it is lost. True with that outcome. */
static bool is_of_another_history(const struct interest *interest, struct recovery *recovery, bool is_judged)
{
    struct str id = id_at(interest, recovery->offset);
    bool is_gone = recovery->offset == 0 || recovery->offset + 1 == interest->continuity->known_first;
    recovery->proven = id.len > 0 && str_eq_cstr(id, recovery->id);
    if (recovery->proven)
        return false;
    if (id.len == 0 && is_gone)
        return is_lost(recovery, GAP_HISTORY_TOO_SHORT);
    return is_judged && (id.len > 0 || recovery->offset == interest->offset) && is_lost(recovery, GAP_OFFSET_REGRESSED);
}

/* True with the outcome, where no event is needed for it. What this node has may be behind what the client has seen on
 * another one, or be of a history that Redis has lost: only what the broker has told since it came shows that it is the
 * client's that is gone. */
static bool judge(const struct interest *interest, struct recovery *recovery, uint64_t read, uint64_t broker_offset)
{
    bool is_judged = read >= recovery->read;
    if (!interest->epoch[0])
        return recovery->epoch[0] ? is_lost(recovery, GAP_HISTORY_UNAVAILABLE) : is_found(recovery);
    place(interest, recovery);
    if (strcmp(recovery->epoch, interest->epoch) != 0)
        return is_judged && is_lost(recovery, GAP_EPOCH_CHANGED);
    if (recovery->offset > interest->offset)
        return is_judged && broker_offset < recovery->offset && is_lost(recovery, GAP_OFFSET_REGRESSED);
    if (recovery->offset + 1 < interest->continuity->known_first)
        return is_lost(recovery, GAP_HISTORY_TOO_SHORT);
    if (is_unproven(recovery) && is_of_another_history(interest, recovery, is_judged))
        return true;
    return !is_unproven(recovery) && recovery->offset == interest->offset && is_found(recovery);
}

static bool is_at_hand(const struct interest *interest, const struct recovery *recovery)
{
    return recovery->offset < interest->offset && strcmp(recovery->epoch, interest->epoch) == 0 &&
           !is_unproven(recovery) && log_window_get(&interest->continuity->window, recovery->offset + 1) != NULL;
}

/* --- serving ---------------------------------------------------------------------------------------------------------
 */

static void serve_judged(struct exchange *exchange, struct interest *interest, uint64_t read, uint64_t broker_offset)
{
    struct list_link answered;
    list_init(&answered);
    LIST_EACH(link, &interest->continuity->recoveries)
    {
        if (!judge(interest, CONTAINER_OF(link, struct recovery, link), read, broker_offset))
            continue;
        list_remove(link);
        list_append(&answered, link);
    }
    post_replays(exchange, interest, &answered, 0, 0);
}

/* How many events from first on make a page. */
static size_t page_count(const struct interest *interest, uint64_t first)
{
    size_t count = 0, bytes = 0;
    const struct message *message;
    while (count < RECOVERY_PAGE_EVENTS && (message = log_window_get(&interest->continuity->window, first + count))) {
        bytes += message->frame_len;
        if (count && bytes > RECOVERY_PAGE_BYTES)
            break;
        count++;
    }
    return count;
}

/* One page, from the oldest position on that can be served. False when nobody can be. */
static bool serve_page(struct exchange *exchange, struct interest *interest)
{
    struct list_link *waiting = &interest->continuity->recoveries;
    struct list_link answered;
    const struct recovery *oldest = NULL;
    LIST_EACH(link, waiting)
    {
        const struct recovery *each = CONTAINER_OF(link, struct recovery, link);
        if (is_at_hand(interest, each) && (!oldest || each->offset < oldest->offset))
            oldest = each;
    }
    if (!oldest)
        return false;
    if (oldest->offset < interest->continuity->asked_from)
        interest->continuity->asked_from = oldest->offset;
    uint64_t first = oldest->offset + 1;
    size_t count = page_count(interest, first);
    list_init(&answered);
    LIST_EACH(link, waiting)
    {
        struct recovery *each = CONTAINER_OF(link, struct recovery, link);
        if (!is_at_hand(interest, each) || each->offset + 1 >= first + count)
            continue;
        each->outcome = RECOVERY_FOUND;
        list_remove(link);
        list_append(&answered, link);
    }
    post_replays(exchange, interest, &answered, first, count);
    return true;
}

void recovery_serve(struct exchange *exchange, struct interest *interest, uint64_t read, uint64_t broker_offset)
{
    if (list_is_empty(&interest->continuity->recoveries))
        return;
    interest->continuity->used_us = exchange->now_us;
    serve_judged(exchange, interest, read, broker_offset);
    while (serve_page(exchange, interest))
        ;
}

/* Where a read for it begins: with what it misses, or with the event that shows whether it misses it. */
static uint64_t wanted_after(const struct interest *interest, const struct recovery *recovery)
{
    if (recovery->offset > interest->offset || strcmp(recovery->epoch, interest->epoch) != 0)
        return interest->offset;
    return is_unproven(recovery) && recovery->offset ? recovery->offset - 1 : recovery->offset;
}

bool recovery_wants(const struct interest *interest, uint64_t *out_after)
{
    const struct list_link *waiting = &interest->continuity->recoveries;
    uint64_t base = 0;
    bool any = false;
    LIST_EACH(link, waiting)
    {
        uint64_t offset = wanted_after(interest, CONTAINER_OF(link, const struct recovery, link));
        if (!any)
            base = *out_after = offset;
        else if (offset < *out_after && offset + REACH >= base)
            *out_after = offset;
        any = true;
    }
    return any;
}

void recovery_give_up(struct exchange *exchange, struct interest *interest, enum gap gap)
{
    struct list_link answered;
    list_init(&answered);
    for (struct list_link *link; (link = list_take_first(&interest->continuity->recoveries));) {
        is_lost(CONTAINER_OF(link, struct recovery, link), gap);
        list_append(&answered, link);
    }
    post_replays(exchange, interest, &answered, 0, 0);
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
