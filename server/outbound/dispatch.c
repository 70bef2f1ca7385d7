/* dispatch.c - which call goes out when, and how each one ends. The outbound thread alone. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "server/outbound/outbound_private.h"

static uint64_t now_us(const struct outbound_call *call)
{
    return turn_now_us(&call->outbound->turn);
}

/* --- the end of a call -------------------------------------------------------------------------------------------- */

/* The caller logs a failure: it knows what the call was for. */
static void say_end(const struct outbound_call *call, enum outbound_result result, struct str text)
{
    log_debug("outbound", "upstream %.*s, call %.*s: %s, status %d%s%.*s", STR_ARG(call->target->name),
              STR_ARG(call->id), outbound_result_text(result), call->status, text.len ? ": " : "", STR_ARG(text));
}

static void say_breaker(const struct outbound_target *target)
{
    log_warn("outbound",
             "upstream %.*s: %" PRIu32 " calls have failed one after the other; no call is sent for %" PRIu64 " ms",
             STR_ARG(target->name), target->breaker.failures_max, target->breaker.open_us / 1000);
}

static void tell_breaker(struct outbound_call *call, enum breaker_verdict verdict)
{
    struct outbound_target *target = call->target;
    switch (breaker_tell(&target->breaker, call->probe, verdict, now_us(call))) {
    case BREAKER_SAME: break;
    case BREAKER_OPENED: say_breaker(target); break;
    case BREAKER_HAS_CLOSED: log_info("outbound", "upstream %.*s answers again", STR_ARG(target->name)); break;
    }
}

/* A paused call that takes too long has waited for its caller. */
static enum breaker_verdict verdict_of(const struct outbound_call *call, enum outbound_result result)
{
    bool waited = result == OUTBOUND_TIMEOUT && atomic_load(&call->paused);
    return waited ? BREAKER_UNKNOWN : outbound_verdict(result, call->status);
}

static void count_end(struct outbound_call *call, enum outbound_result result, uint64_t duration_us)
{
    struct metrics *metrics = call->outbound->metrics;
    unsigned label = call->target->label;
    metrics_add_labelled2(metrics, METRIC_UPSTREAM_REQUESTS, label, outbound_outcome(result, call->status), 1);
    if (call->transfer) {
        metrics_add_labelled(metrics, METRIC_UPSTREAM_IN_FLIGHT, label, (uint64_t)-1);
        metrics_observe_labelled(metrics, METRIC_UPSTREAM_DURATION, label, duration_us);
    }
    metrics_set_labelled(metrics, METRIC_UPSTREAM_BREAKER, label, call->target->breaker.state);
}

/* The call may be freed by its caller once the turn has ended. */
static void finish(struct outbound_call *call, enum outbound_result result, struct str text)
{
    struct outbound *outbound = call->outbound;
    struct outbound_target *target = call->target;
    struct transfer *transfer = call->transfer;
    uint64_t duration_us = clock_now_us() - call->came_us;
    turn_stop_timer(&outbound->turn, &call->timer);
    if (list_is_linked(&call->link)) {
        list_remove(&call->link);
        target->waiting_count -= transfer ? 0 : 1;
    }
    say_end(call, result, text);
    if (transfer)
        tell_breaker(call, verdict_of(call, result));
    count_end(call, result, duration_us);
    call_add_end(call, result, call->status, text, duration_us);
    call->transfer = NULL;
    call->target = NULL;
    if (transfer) {
        curl_multi_remove_handle(target->multi, transfer->easy);
        target->in_flight--;
        target_put_idle(target, transfer);
    }
    outbound_target_unref(target);
}

static void on_timer(struct timer *timer, uint64_t now);

/* The earliest of its deadlines. A paused transfer waits for its caller, and not for its backend. */
static uint64_t deadline_us(const struct outbound_call *call)
{
    uint64_t whole = call->started_us + call->target->timeout_us;
    uint64_t part = call->part_us + call->target->part_timeout_us;
    return call->transfer && !atomic_load(&call->paused) && part < whole ? part : whole;
}

static void await(struct outbound_call *call)
{
    uint64_t now = now_us(call), due = deadline_us(call);
    turn_start_timer(&call->outbound->turn, &call->timer, due > now ? due - now : 0, on_timer);
}

/* The timer is not moved with each part: it looks when it fires. */
static void on_timer(struct timer *timer, uint64_t now)
{
    struct outbound_call *call = CONTAINER_OF(timer, struct outbound_call, timer);
    if (now < deadline_us(call)) {
        await(call);
        return;
    }
    bool is_whole = now >= call->started_us + call->target->timeout_us;
    uint64_t limit_us = is_whole ? call->target->timeout_us : call->target->part_timeout_us;
    char text[80];
    snprintf(text, sizeof text, "%s within %" PRIu64 " ms",
             is_whole           ? "the call was not complete"
             : call->status > 0 ? "no further part of the answer came"
                                : "no answer came",
             limit_us / 1000);
    finish(call, OUTBOUND_TIMEOUT, str_from_cstr(text));
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

static void begin(struct outbound_call *call)
{
    struct outbound *outbound = call->outbound;
    struct outbound_target *target = call->target;
    if (!breaker_allows(&target->breaker, now_us(call), &call->probe)) {
        finish(call, OUTBOUND_BREAKER_OPEN, STR("not sent, because the calls before it failed"));
        return;
    }
    struct transfer *transfer = target_take_idle(target);
    if (!transfer)
        transfer = transfer_create(target);
    transfer_prepare(transfer, call);
    call->transfer = transfer;
    call->part_us = now_us(call);
    list_append(&target->active, &call->link);
    target->in_flight++;
    metrics_add_labelled(outbound->metrics, METRIC_UPSTREAM_IN_FLIGHT, target->label, 1);
    if (call->probe)
        metrics_set_labelled(outbound->metrics, METRIC_UPSTREAM_BREAKER, target->label, target->breaker.state);
    await(call);
    curl_multi_add_handle(target->multi, transfer->easy);
}

static void know(struct outbound *outbound, struct outbound_target *target)
{
    if (target->is_known)
        return;
    target->is_known = true;
    list_append(&outbound->targets, &target->link);
    multi_open(target);
}

void dispatch_start(struct mail *mail, void *owner)
{
    struct outbound_call *call = CONTAINER_OF(mail, struct outbound_call, start);
    struct outbound *outbound = owner;
    struct outbound_target *target = call->target;
    assert(!outbound->stopping); /* outbound_stop: no thread starts a call any more */
    know(outbound, target);
    call->started_us = turn_now_us(&outbound->turn);
    call->came_us = clock_now_us();
    if (target->in_flight < target->in_flight_max && target->waiting_count == 0) {
        begin(call);
    } else if (target->breaker.state != BREAKER_CLOSED) {
        finish(call, OUTBOUND_BREAKER_OPEN, STR("not sent, because the calls before it failed"));
    } else if (target->waiting_count < target->waiting_max) {
        list_append(&target->waiting, &call->link);
        target->waiting_count++;
        await(call);
    } else {
        finish(call, OUTBOUND_TOO_MANY, STR("not sent, because too many calls wait for this upstream"));
    }
}

static void begin_waiting(struct outbound_target *target)
{
    while (target->in_flight < target->in_flight_max && !list_is_empty(&target->waiting)) {
        struct list_link *first = list_take_first(&target->waiting);
        target->waiting_count--;
        begin(CONTAINER_OF(first, struct outbound_call, link));
    }
}

/* --- meanwhile ---------------------------------------------------------------------------------------------------- */

void dispatch_cancel(struct mail *mail, void *owner)
{
    struct outbound_call *call = CONTAINER_OF(mail, struct outbound_call, cancel);
    (void)owner;
    if (!atomic_load(&call->finished))
        finish(call, OUTBOUND_CANCELLED, STR(""));
    call_release(call);
}

void dispatch_more(struct mail *mail, void *owner)
{
    struct outbound_call *call = CONTAINER_OF(mail, struct outbound_call, more);
    struct outbound *outbound = owner;
    atomic_store(&call->more_posted, false);
    if (!atomic_load(&call->finished) && atomic_load(&call->paused) && call_unacked(call) < OUTBOUND_WINDOW) {
        atomic_store(&call->paused, false);
        call->part_us = turn_now_us(&outbound->turn);
        await(call);
        curl_easy_pause(call->transfer->easy, CURLPAUSE_CONT);
        call->target->multi_is_due = true;
    }
    call_release(call);
}

static bool reap(struct outbound_target *target)
{
    bool any = false;
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(target->multi, &left));) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        char *transfer_ = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer_);
        struct transfer *transfer = (struct transfer *)(void *)transfer_;
        struct str text;
        enum outbound_result result = transfer_result(transfer, code, &text);
        finish(transfer->call, result, text);
        any = true;
    }
    return any;
}

/* The head of an answer is the word of a probe. The body may take minutes, and a caller that does not take it must not
 * keep the backend from others meanwhile. */
static void hear_probes(struct outbound *outbound)
{
    LIST_EACH(link, &outbound->news)
    {
        struct outbound_call *call = CONTAINER_OF(link, struct outbound_call, news_link);
        bool is_heard = call->probe && call->news->has_head && !call->news->has_end;
        if (!is_heard || outbound_verdict(OUTBOUND_OK, call->status) != BREAKER_ANSWERS)
            continue;
        tell_breaker(call, BREAKER_ANSWERS);
        call->probe = false;
        metrics_set_labelled(outbound->metrics, METRIC_UPSTREAM_BREAKER, call->target->label,
                             call->target->breaker.state);
    }
}

static void run_target(struct outbound_target *target)
{
    do {
        multi_run(target);
        bool any = reap(target);
        begin_waiting(target);
        if (!any)
            break;
    } while (target->multi_is_due);
}

void dispatch_turn(struct outbound *outbound)
{
    LIST_EACH(link, &outbound->targets)
    run_target(CONTAINER_OF(link, struct outbound_target, link));
    hear_probes(outbound);
    call_post_news(outbound);
}

static void finish_all(struct list_link *calls)
{
    LIST_EACH(link, calls)
    finish(CONTAINER_OF(link, struct outbound_call, link), OUTBOUND_CANCELLED, STR("the server ends"));
}

void dispatch_stop(struct outbound *outbound)
{
    outbound->stopping = true;
    LIST_EACH(link, &outbound->targets)
    {
        struct outbound_target *target = CONTAINER_OF(link, struct outbound_target, link);
        finish_all(&target->waiting);
        finish_all(&target->active);
    }
    call_post_news(outbound);
    LIST_EACH(link, &outbound->targets)
    target_forget_thread(CONTAINER_OF(link, struct outbound_target, link));
}
