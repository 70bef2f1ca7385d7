/* outbound.c - the thread, and what other threads call: see outbound.h. */
#include <signal.h>

#include "common/base/alloc.h"
#include "common/base/uv_handle.h"
#include "server/outbound/outbound_private.h"

/* --- the thread --------------------------------------------------------------------------------------------------- */

static void on_turn_end(struct turn_hook *hook)
{
    struct outbound *outbound = CONTAINER_OF(hook, struct outbound, end_of_turn);
    if (!outbound->stopping)
        dispatch_turn(outbound);
    else
        uv_stop(&outbound->loop);
}

static void stop(struct mail *mail, void *owner)
{
    (void)mail;
    dispatch_stop(owner);
}

static void *run(void *arg)
{
    struct outbound *outbound = arg;
    turn_bind(&outbound->turn);
    uv_sem_post(&outbound->bound);
    while (!outbound->stopping)
        uv_run(&outbound->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* What the thread has left is the calling thread's now. */
static void close_loop(struct outbound *outbound)
{
    turn_bind(&outbound->turn);
    mailbox_close(&outbound->mailbox);
    free(outbound->sockets); /* empty: the targets have closed theirs */
    outbound->sockets = NULL;
    outbound->socket_cap = 0;
    turn_remove_hook(&outbound->turn, &outbound->end_of_turn);
    turn_close(&outbound->turn);
    uv_run(&outbound->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&outbound->loop) != 0)
        log_warn("outbound", "something was left on the loop");
}

/* Signals are for the main thread. */
static int create_thread(struct outbound *outbound)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&outbound->thread, NULL, run, outbound);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void start_thread(struct outbound *outbound)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    uv_loop_init(&outbound->loop);
    turn_init(&outbound->turn, &outbound->loop);
    mailbox_init(&outbound->mailbox, &outbound->turn, outbound);
    outbound->end_of_turn.run = on_turn_end;
    turn_add_hook(&outbound->turn, &outbound->end_of_turn);
    list_init(&outbound->targets);
    uv_sem_init(&outbound->bound, 0);
    if (create_thread(outbound) != 0) {
        log_error("outbound", "no thread for the requests to upstreams could be started");
        abort();
    }
    uv_sem_wait(&outbound->bound); /* until then its mailbox is this thread's */
    uv_sem_destroy(&outbound->bound);
    outbound->runs = true;
}

struct outbound *outbound_create(struct metrics *metrics)
{
    struct outbound *outbound = xcalloc(1, sizeof *outbound);
    outbound->metrics = metrics;
    list_init(&outbound->news);
    return outbound;
}

void outbound_stop(struct outbound *outbound)
{
    if (outbound->runs) {
        outbound->stop.deliver = stop;
        mailbox_post(&outbound->mailbox, &outbound->stop);
        pthread_join(outbound->thread, NULL);
        close_loop(outbound);
        curl_global_cleanup();
    }
    outbound->runs = false;
    outbound->has_stopped = true;
}

void outbound_destroy(struct outbound *outbound)
{
    if (outbound && !outbound->has_stopped)
        outbound_stop(outbound);
    free(outbound);
}

size_t outbound_calls(const struct outbound *outbound)
{
    return atomic_load(&outbound->calls);
}

enum err outbound_target_create(struct outbound *outbound, const struct outbound_target_options *options,
                                struct outbound_target **out, struct error *error)
{
    enum err err = target_make(outbound, options, out, error);
    if (err == ERR_NONE && !outbound->runs && !outbound->has_stopped)
        start_thread(outbound);
    return err;
}

/* --- calls, in the caller's thread -------------------------------------------------------------------------------- */

/* Ends a call after the thread has ended. It does what the thread would do, without the counting. */
static void end_at_once(struct outbound_call *call)
{
    struct outbound_target *target = call->target;
    call->target = NULL;
    call_add_end(call, OUTBOUND_CANCELLED, 0, STR("the server ends"), 0);
    call_post_news(call->outbound);
    outbound_target_unref(target);
}

enum err outbound_start(struct outbound *outbound, const struct outbound_request *request, struct outbound_call **out,
                        struct error *error)
{
    struct outbound_call *call;
    enum err err = call_make(outbound, request, &call, error);
    if (err)
        return err;
    *out = call;
    atomic_fetch_add(&outbound->calls, 1);
    if (outbound->has_stopped) {
        end_at_once(call);
        return ERR_NONE;
    }
    call->start.deliver = dispatch_start;
    mailbox_post(&outbound->mailbox, &call->start);
    return ERR_NONE;
}

void *outbound_call_owner(const struct outbound_call *call)
{
    return call->owner;
}

static void order(struct outbound_call *call, struct mail *mail, void (*deliver)(struct mail *, void *))
{
    atomic_fetch_add(&call->refs, 1);
    mail->deliver = deliver;
    mailbox_post(&call->outbound->mailbox, mail);
}

void outbound_more(struct outbound_call *call, size_t bytes)
{
    atomic_fetch_add(&call->acked, bytes);
    if (atomic_load(&call->paused) && !atomic_load(&call->finished) && !atomic_exchange(&call->more_posted, true))
        order(call, &call->more, dispatch_more);
}

void outbound_cancel(struct outbound_call *call)
{
    call->cancelled = true;
    if (!atomic_load(&call->finished))
        order(call, &call->cancel, dispatch_cancel);
}
