/* continuity.c - that each worker gets every numbered event of a channel once and in order, or hears of a gap.
 *
 * interest->offset is the last event posted. An event at or below it has been posted and is dropped; the next one is
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

struct continuity *continuity_of(struct exchange *exchange, struct interest *interest)
{
    if (!interest->continuity) {
        struct continuity *continuity = xcalloc(1, sizeof *continuity);
        continuity->interest = interest;
        continuity->window.budget = continuity->held.budget = &exchange->budget;
        continuity->target = interest->offset;
        continuity->asked_from = continuity->asked_from_before = UINT64_MAX;
        continuity->period_us = exchange->now_us;
        list_init(&continuity->recoveries);
        list_append(&exchange->active, &continuity->link);
        interest->continuity = continuity;
    }
    interest->continuity->used_us = exchange->now_us;
    return interest->continuity;
}

void continuity_free(struct interest *interest)
{
    struct continuity *continuity = interest->continuity;
    if (!continuity)
        return;
    for (struct list_link *link; (link = list_take_first(&continuity->recoveries));)
        recovery_destroy(CONTAINER_OF(link, struct recovery, link));
    log_window_clear(&continuity->window);
    log_window_clear(&continuity->held);
    list_remove(&continuity->link);
    list_remove(&continuity->due);
    interest->continuity = NULL;
    free(continuity);
}

static bool is_behind(const struct interest *interest)
{
    return interest->continuity && interest->continuity->target > interest->offset;
}

/* --- posting ----------------------------------------------------------------------------------------------------- */

/* The next event. Takes the reference. */
static void post_next(struct exchange *exchange, struct interest *interest, struct message *message)
{
    interest->offset = message->offset;
    position_keep_id(interest->id, message_id(message));
    if (interest->continuity)
        log_window_append(&interest->continuity->window, message);
    exchange_post(exchange, interest, message);
}

static void post_held(struct exchange *exchange, struct interest *interest)
{
    struct log_window *held = &interest->continuity->held;
    struct message *next;
    log_window_forget(held, interest->offset);
    while ((next = log_window_get(held, interest->offset + 1))) {
        message_ref(next);
        log_window_forget(held, next->offset);
        post_next(exchange, interest, next);
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

/* With the position that the interest has now. */
static void post_notice(struct exchange *exchange, const struct interest *interest, enum gap gap,
                        void (*deliver)(struct mail *mail, void *hub))
{
    for (unsigned i = 0; i < exchange->worker_count; i++) {
        if (!(interest->wanting >> i & 1))
            continue;
        struct gap_notice *notice = xcalloc(1, sizeof *notice + interest->name.len);
        memcpy(notice->bytes, interest->name.ptr, interest->name.len);
        notice->name = str_from(notice->bytes, interest->name.len);
        notice->mail.deliver = deliver;
        notice->gap = gap;
        notice->offset = interest->offset;
        memcpy(notice->epoch, interest->epoch, sizeof notice->epoch);
        memcpy(notice->id, interest->id, sizeof notice->id);
        mailbox_post(exchange->workers[i], &notice->mail);
    }
}

static void note_lost_history(struct exchange *exchange, enum gap gap)
{
    if (gap != GAP_EPOCH_CHANGED && gap != GAP_OFFSET_REGRESSED)
        return;
    if (exchange->histories_lost++ == 0)
        exchange->histories_log_us = exchange->now_us + LOG_US;
}

void continuity_log(struct exchange *exchange)
{
    size_t count = exchange->histories_lost;
    if (!count || exchange->now_us < exchange->histories_log_us)
        return;
    log_warn("broker",
             "the histories of %zu channel%s are not those that this node knew: Redis was emptied, has lost its latest "
             "writes, or has forgotten what was silent for long; their subscribers were told by a gap",
             count, count == 1 ? "" : "s");
    exchange->histories_lost = 0;
}

void continuity_gap(struct exchange *exchange, struct interest *interest, enum gap gap, const struct position *position)
{
    struct continuity *continuity = interest->continuity;
    bool same_epoch = str_eq_cstr(position->epoch, interest->epoch);
    bool goes_on = same_epoch && position->offset >= interest->offset;
    note_lost_history(exchange, gap);
    placing_set(exchange, interest, position);
    if (continuity && !goes_on) {
        /* Another history: what is known of the old one is worth nothing. */
        log_window_clear(&continuity->window);
        log_window_clear(&continuity->held);
        continuity->target = interest->offset;
    } else if (continuity) {
        log_window_clear(&continuity->window);
    }
    if (continuity && (!goes_on || gap == GAP_OFFSET_REGRESSED))
        continuity->known_first = 0;
    if (continuity)
        continuity->unproven = false; /* it was of the position that has just been given up */
    post_notice(exchange, interest, gap, deliver_gap);
}

/* --- what comes ------------------------------------------------------------------------------------------------- */

/* Other nodes give the channel a history, and this one does not. */
static void post_plain(struct exchange *exchange, const struct interest *interest, const struct event *event)
{
    struct event plain = *event;
    plain.epoch = STR("");
    plain.offset = 0;
    exchange_post(exchange, interest, message_from_event(&plain, clock_now_us()));
}

void continuity_event(struct exchange *exchange, struct interest *interest, const struct event *event)
{
    if (!interest->history.size) {
        post_plain(exchange, interest, event);
        return;
    }
    struct message *message = message_from_event(event, clock_now_us());
    struct position before = {event->epoch, event->offset - 1, STR("")};
    if (!str_eq_cstr(event->epoch, interest->epoch))
        continuity_gap(exchange, interest, interest->epoch[0] ? GAP_EPOCH_CHANGED : GAP_HISTORY_CHANGED, &before);
    if (event->offset == interest->offset + 1) {
        post_next(exchange, interest, message);
    } else if (event->offset > interest->offset) {
        struct continuity *continuity = continuity_of(exchange, interest);
        if (continuity->target < event->offset)
            continuity->target = event->offset;
        if (exchange->budget.bytes < exchange->budget.bytes_max)
            log_window_append(&continuity->held, message);
        message_unref(message);
    } else {
        message_unref(message);
    }
    if (interest->continuity) {
        continuity_advance(exchange, interest);
        log_window_trim(&interest->continuity->window);
    }
}

/* The broker has compared the last event posted, where it still has it. */
static void catch_up(struct continuity *continuity, uint64_t target)
{
    if (target > continuity->target)
        continuity->target = target;
    continuity->unproven = continuity->interest->id[0] != '\0';
}

static bool is_replaced(const struct interest *interest, const struct position *position)
{
    return position->offset == interest->offset && position->id.len && interest->id[0] &&
           !str_eq_cstr(position->id, interest->id);
}

void continuity_position(struct exchange *exchange, struct interest *interest, const struct position *position)
{
    if (interest->continuity) {
        /* Of before the connection was lost; what is still so is in the history. */
        log_window_clear(&interest->continuity->held);
        interest->continuity->target = interest->offset;
    }
    if (!interest->epoch[0])
        continuity_gap(exchange, interest, GAP_CONNECTION_LOST, position);
    else if (!position->epoch.len)
        continuity_gap(exchange, interest, GAP_HISTORY_UNAVAILABLE, &(struct position){.offset = 0});
    else if (!str_eq_cstr(position->epoch, interest->epoch))
        continuity_gap(exchange, interest, GAP_EPOCH_CHANGED, position);
    else if (position->offset < interest->offset || is_replaced(interest, position))
        continuity_gap(exchange, interest, GAP_OFFSET_REGRESSED, position);
    else {
        post_notice(exchange, interest, GAP_CONNECTION_LOST, deliver_interruption);
        if (position->offset > interest->offset)
            catch_up(continuity_of(exchange, interest), position->offset);
    }
    if (interest->continuity)
        interest->continuity->retry_us = interest->continuity->failing_us = 0;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

bool continuity_wants(const struct interest *interest, uint64_t *out_after)
{
    if (!interest->subscribed || !interest->epoch[0])
        return false;
    if (is_behind(interest)) {
        *out_after = interest->offset - interest->continuity->unproven;
        return true;
    }
    return recovery_wants(interest, out_after);
}

void continuity_advance(struct exchange *exchange, struct interest *interest)
{
    struct continuity *continuity = interest->continuity;
    uint64_t after;
    if (!interest->subscribed || interest->locating)
        return;
    post_held(exchange, interest);
    recovery_serve(exchange, interest, 0, 0);
    if (!continuity->read && continuity->retry_us <= exchange->now_us && continuity_wants(interest, &after))
        history_reads_ask(exchange, interest);
}

/* Events are missing and cannot be had: goes on with what is held, or from where the broker is. */
static void give_up(struct exchange *exchange, struct interest *interest, enum gap gap)
{
    struct continuity *continuity = interest->continuity;
    recovery_give_up(exchange, interest, gap);
    continuity->failing_us = 0;
    if (!is_behind(interest))
        return;
    log_window_forget(&continuity->held, interest->offset);
    uint64_t offset = continuity->held.count ? continuity->held.first - 1 : continuity->target;
    struct position position = {str_from_cstr(interest->epoch), offset, STR("")};
    continuity_gap(exchange, interest, gap, &position);
}

static void note_failure(struct exchange *exchange, struct interest *interest, enum err err)
{
    struct continuity *continuity = interest->continuity;
    continuity->retry_us = exchange->now_us + RETRY_US;
    if (!continuity->failing_us)
        continuity->failing_us = exchange->now_us;
    if (err != ERR_UNAVAILABLE)
        give_up(exchange, interest, GAP_HISTORY_UNAVAILABLE);
}

/* Keeps at hand what the page has of the past. A page that does not touch the window begins it anew. */
static void keep(struct interest *interest, const struct history_read *read, size_t count, uint64_t now_us)
{
    struct log_window *window = &interest->continuity->window;
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
        struct message *message = message_from_json(interest->name, str_from_cstr(interest->epoch), offset,
                                                    history_read_json(read, index), now_us);
        if (i < older)
            log_window_prepend(window, message);
        else
            log_window_append(window, message);
        message_unref(message);
    }
}

/* Events of the page that follow what was posted are posted, the others kept for who comes back. */
static void absorb(struct exchange *exchange, struct interest *interest, const struct history_read *read)
{
    uint64_t now_us = clock_now_us();
    size_t past = 0;
    while (past < read->count && read->events[past].offset <= interest->offset)
        past++;
    if (past)
        keep(interest, read, past, now_us);
    for (size_t i = past; i < read->count; i++) {
        uint64_t offset = read->events[i].offset;
        if (offset == interest->offset + 1)
            post_next(exchange, interest,
                      message_from_json(interest->name, str_from_cstr(interest->epoch), offset,
                                        history_read_json(read, i), now_us));
    }
}

/* The page has the last event posted, as it was; or that is no longer kept, and another one may have been there:
 * offsets that Redis has lost are given again. False when the page was read from further on. */
static bool prove(struct exchange *exchange, struct interest *interest, const struct history_read *read, uint64_t first)
{
    struct continuity *continuity = interest->continuity;
    if (!continuity->unproven)
        return true;
    if (read->after >= interest->offset)
        return false;
    if (first + read->count <= interest->offset)
        return true; /* does not come that far */
    continuity->unproven = false;
    struct position last = {str_from_cstr(interest->epoch), interest->offset, str_from_cstr(read->before_id)};
    bool is_kept = first <= interest->offset;
    if (is_kept)
        last.id = event_encoded_id(history_read_json(read, interest->offset - first));
    if (first <= interest->offset + 1 && !str_eq_cstr(last.id, interest->id))
        continuity_gap(exchange, interest, is_kept ? GAP_OFFSET_REGRESSED : GAP_HISTORY_TOO_SHORT, &last);
    return true;
}

static void take_page(struct exchange *exchange, struct interest *interest, const struct history_read *read)
{
    struct continuity *continuity = interest->continuity;
    struct position now = {str_from_cstr(read->epoch), read->offset, str_from_cstr(read->id)};
    /* Events may have come since the page was read, so it may be behind; but not behind what had come before. */
    if (!str_eq_cstr(now.epoch, interest->epoch)) {
        continuity_gap(exchange, interest, GAP_EPOCH_CHANGED, &now);
        return;
    }
    if (read->offset < read->seen) {
        continuity_gap(exchange, interest, GAP_OFFSET_REGRESSED, &now);
        return;
    }
    if (continuity->target < read->offset)
        continuity->target = read->offset;
    uint64_t first = read->count ? read->events[0].offset : read->offset + 1;
    if (!prove(exchange, interest, read, first))
        return;
    if (first > read->after + 1 && first >= continuity->known_first) {
        continuity->known_first = first;
        memcpy(continuity->before_id, read->count ? read->before_id : read->id, sizeof continuity->before_id);
    }
    if (continuity->known_first > interest->offset + 1) {
        struct position kept = {now.epoch, continuity->known_first - 1, str_from_cstr(continuity->before_id)};
        continuity_gap(exchange, interest, GAP_HISTORY_TOO_SHORT, &kept);
    }
    absorb(exchange, interest, read);
}

void continuity_page(struct exchange *exchange, struct interest *interest, struct history_read *read)
{
    struct continuity *continuity = interest->continuity;
    continuity->read = 0;
    continuity->used_us = exchange->now_us;
    if (read->error.code) {
        note_failure(exchange, interest, read->error.code);
    } else if (!read->epoch[0]) {
        note_failure(exchange, interest, ERR_UNAVAILABLE); /* Redis has lost it: the broker begins anew, and tells */
    } else if (strcmp(read->asked_epoch, interest->epoch) == 0 && read->seen <= interest->offset) {
        continuity->failing_us = 0;
        take_page(exchange, interest, read);
        post_held(exchange, interest);
        recovery_serve(exchange, interest, read->number, read->offset);
    } /* else the channel has begun anew meanwhile: read again */
    history_read_destroy(read);
    continuity_advance(exchange, interest);
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

void continuity_tick(struct exchange *exchange, struct continuity *continuity)
{
    struct interest *interest = continuity->interest;
    forget_unasked(continuity, exchange->now_us);
    bool up = atomic_load_explicit(&exchange->broker_state, memory_order_relaxed) == BROKER_UP;
    if (!up)
        continuity->failing_us = 0; /* there is nothing to read from; when it is back it tells the position */
    else if (continuity->failing_us && exchange->now_us - continuity->failing_us > GIVE_UP_US)
        give_up(exchange, interest, GAP_HISTORY_UNAVAILABLE);
    bool busy = continuity->read || is_behind(interest) || !list_is_empty(&continuity->recoveries);
    if (busy)
        continuity_advance(exchange, interest);
    else if (exchange->now_us - continuity->used_us > KEEP_US)
        continuity_free(interest);
}
