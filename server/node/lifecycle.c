/* lifecycle.c - see lifecycle.h. */
#include "server/node/lifecycle.h"

#include "common/base/alloc.h"
#include "server/node/lifecycle_private.h"

enum { BEAT_US = 1000000, RETRY_US = 250000, GATHER_US = 10000, TELL_AT_ONCE = 200 };

/* ---- rounds ---- */

static void tell_sessions(struct lifecycle *lifecycle);

static void sessions_told(struct mail *mail, void *router)
{
    struct lifecycle *lifecycle = CONTAINER_OF(mail, struct lifecycle, round_back);
    (void)router;
    lifecycle->round_asked = false;
    if (lifecycle->told_round != lifecycle->round)
        lifecycle->place = lifecycle->worker = 0; /* another round has begun meanwhile */
    else if (!lifecycle->place)
        lifecycle->worker++;
    tell_sessions(lifecycle);
}

/* In the worker's thread. */
static void tell_here(struct mail *mail, void *hub)
{
    struct lifecycle *lifecycle = CONTAINER_OF(mail, struct lifecycle, round_mail);
    struct lifecycle_watcher *watcher = &lifecycle->watchers[lifecycle->worker];
    (void)hub;
    lifecycle->place = lifecycle_watcher_tell(watcher, lifecycle->place, TELL_AT_ONCE);
    lifecycle->told_round = watcher->round;
    lifecycle->round_back.deliver = sessions_told;
    mailbox_post(&lifecycle->router->mailbox, &lifecycle->round_back);
}

/* Asks one worker after the other for some of its sessions. The tick goes on when the queue was too full. */
static void tell_sessions(struct lifecycle *lifecycle)
{
    struct router *router = lifecycle->router;
    if (!lifecycle->telling || lifecycle->round_asked || lifecycle->is_closing || !lifecycle->settings)
        return;
    if (lifecycle->worker >= router->worker_count) {
        lifecycle->telling = false;
        lifecycle->before_until = lifecycle->appended;
        if (lifecycle->done == lifecycle->appended)
            lifecycle->before = 0;
        return;
    }
    if (!lifecycle_is_half_empty(lifecycle))
        return;
    lifecycle->round_asked = true;
    lifecycle->round_mail.deliver = tell_here;
    mailbox_post(router->workers[lifecycle->worker], &lifecycle->round_mail);
}

/* In the worker's thread. */
struct watch_order {
    struct mail mail;
    struct lifecycle_watcher *watcher;
    struct lifecycle_settings *settings; /* one reference */
    uint32_t round;
};

static void obey(struct mail *mail, void *hub)
{
    struct watch_order *order = CONTAINER_OF(mail, struct watch_order, mail);
    lifecycle_watcher_configure(order->watcher, hub, order->settings, order->round);
    lifecycle_settings_unref(order->settings);
    free(order);
}

static void order_watchers(struct lifecycle *lifecycle)
{
    for (unsigned i = 0; i < lifecycle->router->worker_count; i++) {
        struct watch_order *order = xcalloc(1, sizeof *order);
        order->mail.deliver = obey;
        order->watcher = &lifecycle->watchers[i];
        order->settings = lifecycle->settings ? lifecycle_settings_ref(lifecycle->settings) : NULL;
        order->round = lifecycle->round;
        mailbox_post(lifecycle->router->workers[i], &order->mail);
    }
}

static void begin_round(struct lifecycle *lifecycle)
{
    lifecycle->before = lifecycle->round;
    lifecycle->before_until = UINT64_MAX;
    lifecycle->round++;
    lifecycle->number = 0;
    lifecycle->telling = true;
    if (!lifecycle->round_asked) /* else sessions_told does it */
        lifecycle->place = lifecycle->worker = 0;
    order_watchers(lifecycle);
    lifecycle_tell_channels(lifecycle);
    tell_sessions(lifecycle);
}

static void tell_dropped(struct lifecycle *lifecycle)
{
    struct buf data = {0};
    buf_appendf(&data, "\"count\":%llu", (unsigned long long)lifecycle->dropped);
    log_warn("lifecycle", "%llu events were dropped", (unsigned long long)lifecycle->dropped);
    lifecycle->dropped = 0;
    lifecycle_tell(lifecycle, LIFECYCLE_DROPPED, LIFECYCLE_TELL, lifecycle->node_id, buf_str(&data), STR(""));
    buf_fini(&data);
    begin_round(lifecycle);
}

/* ---- batches ---- */

static void ask(struct lifecycle *lifecycle)
{
    lifecycle->busy = true;
    lifecycle->asked_us = lifecycle_now_us(lifecycle);
    router_ask_broker(lifecycle->router, &lifecycle->write->base);
}

static void finish_batch(struct lifecycle *lifecycle)
{
    struct lifecycle_write *write = lifecycle->write;
    for (size_t i = 0; i < write->count; i++) {
        lifecycle_count_waiting(lifecycle, write->events[i], false);
        if (write->events[i]->json.len)
            metrics_add_labelled(lifecycle->router->metrics, METRIC_LIFECYCLE_EVENTS, write->events[i]->type, 1);
    }
    lifecycle->done += write->count;
    if (lifecycle->done >= lifecycle->before_until)
        lifecycle->before = 0;
    request_destroy(&write->base);
    lifecycle->write = NULL;
}

/* The events of the batch belong to the new round now. */
static void begin_again(struct lifecycle *lifecycle)
{
    struct lifecycle_write *write = lifecycle->write;
    log_warn("lifecycle", "the broker does not know any more what is open here: it is told again");
    if (write->round == lifecycle->round)
        begin_round(lifecycle);
    write->round = lifecycle->round;
    write->before = lifecycle->before;
    write->number = ++lifecycle->number;
    ask(lifecycle);
}

/* A batch that the broker has is freed when its answer comes. */
static void forget(struct lifecycle *lifecycle)
{
    for (struct list_link *link; (link = list_take_first(&lifecycle->queue));)
        free(CONTAINER_OF(link, struct lifecycle_event, link));
    if (lifecycle->write && !lifecycle->busy) {
        request_destroy(&lifecycle->write->base);
        lifecycle->write = NULL;
    }
    turn_stop_timer(lifecycle->router->mailbox.turn, &lifecycle->gather);
    lifecycle->waiting = lifecycle->waiting_bytes = 0;
    lifecycle->dropped = 0;
    metrics_set(lifecycle->router->metrics, METRIC_LIFECYCLE_WAITING, 0);
    for (size_t i = 0; lifecycle->write && i < lifecycle->write->count; i++)
        lifecycle_count_waiting(lifecycle, lifecycle->write->events[i], true);
    lifecycle_forget_channels(lifecycle);
}

static void send_batch(struct lifecycle *lifecycle);

static void written(struct request *request, void *router)
{
    struct lifecycle *lifecycle = request->waiter;
    struct lifecycle_write *write = lifecycle_write_of(request);
    (void)router;
    lifecycle->busy = false;
    if (!lifecycle->settings) {
        forget(lifecycle);
    } else if (request->error) {
        metrics_add(lifecycle->router->metrics, METRIC_LIFECYCLE_RETRIES, 1);
        free(request->error);
        request->error = NULL;
        lifecycle->retry_us = lifecycle_now_us(lifecycle) + RETRY_US;
    } else if (!write->known) {
        begin_again(lifecycle);
    } else {
        finish_batch(lifecycle);
        if (lifecycle->dropped && lifecycle_is_half_empty(lifecycle))
            tell_dropped(lifecycle);
        tell_sessions(lifecycle);
        if (!list_is_empty(&lifecycle->queue))
            send_batch(lifecycle);
    }
}

static void make_batch(struct lifecycle *lifecycle)
{
    struct lifecycle_write *write = lifecycle_write_create(str_from_cstr(lifecycle->settings->stream));
    write->base.reply_to = &lifecycle->router->mailbox;
    write->base.done = written;
    write->base.waiter = lifecycle;
    write->max_len = lifecycle->settings->max_len;
    write->max_bytes = lifecycle->settings->waiting_bytes;
    write->round = lifecycle->round;
    write->before = lifecycle->before;
    write->number = ++lifecycle->number;
    while (write->count < LIFECYCLE_BATCH_MAX && !list_is_empty(&lifecycle->queue))
        write->events[write->count++] = CONTAINER_OF(list_take_first(&lifecycle->queue), struct lifecycle_event, link);
    lifecycle->write = write;
}

static void on_gathered(struct timer *timer, uint64_t now_us)
{
    (void)now_us;
    send_batch(CONTAINER_OF(timer, struct lifecycle, gather));
}

/* The first event after a pause goes at once. Later events wait for others, because a batch of a few events costs the
 * node and Redis nearly as much as a batch of many. While the open sessions are told again, nothing waits: if the node
 * died before that, nobody could tell the end of these sessions. */
static bool must_gather(const struct lifecycle *lifecycle)
{
    return !lifecycle->write && !lifecycle->is_closing && !lifecycle->before &&
           lifecycle->waiting < LIFECYCLE_BATCH_MAX && lifecycle_is_half_empty(lifecycle) &&
           lifecycle_now_us(lifecycle) < lifecycle->asked_us + GATHER_US;
}

static void send_batch(struct lifecycle *lifecycle)
{
    if (lifecycle->busy || !lifecycle->settings || !lifecycle_broker_is_up(lifecycle) ||
        lifecycle_now_us(lifecycle) < lifecycle->retry_us)
        return;
    if (must_gather(lifecycle)) {
        if (!timer_is_running(&lifecycle->gather))
            turn_start_timer(lifecycle->router->mailbox.turn, &lifecycle->gather, GATHER_US, on_gathered);
        return;
    }
    turn_stop_timer(lifecycle->router->mailbox.turn, &lifecycle->gather);
    if (!lifecycle->write)
        make_batch(lifecycle);
    ask(lifecycle);
}

/* ---- other nodes ---- */

static void ask_for_lost(struct lifecycle *lifecycle);

static void lost_told(struct request *request, void *router)
{
    struct lifecycle *lifecycle = request->waiter;
    const struct lifecycle_lost *lost = lifecycle_lost_of(request);
    bool more = lost->more && !request->error;
    (void)router;
    if (lost->told) {
        log_info("lifecycle", "told %llu ends of sessions and channels for nodes that are dead",
                 (unsigned long long)lost->told);
        metrics_add_labelled(lifecycle->router->metrics, METRIC_LIFECYCLE_EVENTS, LIFECYCLE_SESSION_CLOSED, lost->told);
    }
    lifecycle->lost_asked = false;
    request_destroy(request);
    if (more)
        ask_for_lost(lifecycle);
}

static void ask_for_lost(struct lifecycle *lifecycle)
{
    if (lifecycle->lost_asked || lifecycle->is_closing || !lifecycle->settings)
        return;
    struct lifecycle_lost *lost = lifecycle_lost_create(str_from_cstr(lifecycle->settings->stream));
    lost->base.reply_to = &lifecycle->router->mailbox;
    lost->base.done = lost_told;
    lost->base.waiter = lifecycle;
    lost->max_len = lifecycle->settings->max_len;
    lifecycle->lost_asked = true;
    router_ask_broker(lifecycle->router, &lost->base);
}

/* ---- what happens ---- */

static void take_event(struct mail *mail, void *router)
{
    struct lifecycle_event *event = CONTAINER_OF(mail, struct lifecycle_event, mail);
    struct lifecycle *lifecycle = event->owner;
    (void)router;
    if (!lifecycle->settings) {
        free(event);
    } else if (event->action == LIFECYCLE_OCCUPY || event->action == LIFECYCLE_VACATE) {
        lifecycle_count_channel(lifecycle, event->key, event->action == LIFECYCLE_OCCUPY);
        free(event);
    } else {
        lifecycle_append(lifecycle, event);
    }
}

/* In a worker's thread. */
static void post_event(void *owner, struct lifecycle_event *event)
{
    struct lifecycle *lifecycle = owner;
    event->owner = lifecycle;
    event->mail.deliver = take_event;
    mailbox_post(&lifecycle->router->mailbox, &event->mail);
}

void lifecycle_tick(struct lifecycle *lifecycle, uint64_t at_us)
{
    if (!lifecycle->settings || lifecycle->is_closing || !lifecycle_broker_is_up(lifecycle))
        return;
    tell_sessions(lifecycle);
    if (lifecycle->write || !list_is_empty(&lifecycle->queue) || at_us - lifecycle->asked_us >= BEAT_US)
        send_batch(lifecycle);
    if (at_us - lifecycle->lost_us >= BEAT_US) {
        lifecycle->lost_us = at_us;
        ask_for_lost(lifecycle);
    }
}

/* ---- life ---- */

struct lifecycle *lifecycle_create(struct router *router, struct str node_id)
{
    struct lifecycle *lifecycle = xcalloc(1, sizeof *lifecycle);
    lifecycle->router = router;
    lifecycle->node_id = node_id;
    lifecycle->send = send_batch;
    lifecycle->round = 1;
    list_init(&lifecycle->queue);
    for (unsigned i = 0; i < ROUTER_WORKERS_MAX; i++) {
        lifecycle->watchers[i].node_id = node_id;
        lifecycle->watchers[i].sink = post_event;
        lifecycle->watchers[i].owner = lifecycle;
    }
    return lifecycle;
}

void lifecycle_configure(struct lifecycle *lifecycle, struct lifecycle_settings *settings)
{
    struct lifecycle_settings *before = lifecycle->settings;
    lifecycle->settings = settings ? lifecycle_settings_ref(settings) : NULL;
    if (settings && before && settings->types == before->types)
        order_watchers(lifecycle);
    else if (settings)
        begin_round(lifecycle);
    else if (before)
        order_watchers(lifecycle);
    if (!settings)
        forget(lifecycle);
    lifecycle_settings_unref(before);
}

bool lifecycle_is_on(const struct lifecycle *lifecycle)
{
    return lifecycle->settings != NULL;
}

bool lifecycle_flush(struct lifecycle *lifecycle)
{
    lifecycle->is_closing = true;
    lifecycle->retry_us = 0;
    if (!lifecycle->settings || !lifecycle_broker_is_up(lifecycle))
        return true;
    if (lifecycle->write || !list_is_empty(&lifecycle->queue))
        send_batch(lifecycle);
    return !lifecycle->write && !lifecycle->lost_asked;
}

void lifecycle_destroy(struct lifecycle *lifecycle)
{
    if (lifecycle->waiting)
        log_warn("lifecycle", "%zu events are dropped, as the node ends and the broker has not taken them",
                 lifecycle->waiting);
    forget(lifecycle);
    for (unsigned i = 0; i < ROUTER_WORKERS_MAX; i++)
        lifecycle_watcher_fini(&lifecycle->watchers[i]);
    lifecycle_settings_unref(lifecycle->settings);
    free(lifecycle);
}
