/* history_reads.c - reads of histories. The broker has at most settings.reads_max of them at once; the others wait in
 * one queue, in their order. Pages for workers (the `history` command, the API) and pages for catchup share the queue.
 */
#include "common/base/alloc.h"
#include "server/node/router_private.h"

enum { QUEUE_MAX = 10000 }; /* pages waiting; more are refused */

static bool is_for_catchup(const struct history_read *read)
{
    return !read->reply_to;
}

/* Asks catchup where the read begins. False when the page is not wanted any more. */
static bool begin(struct router *router, struct history_read *read)
{
    struct channel_route *route = map_get(&router->channels, read->channel);
    return route && catchup_begin_read(&route->catchup, read->number, &read->after);
}

static void pump(struct router *router)
{
    while (router->reads_under_way < router->settings.reads_max && !list_is_empty(&router->reads)) {
        struct history_read *read = CONTAINER_OF(list_take_first(&router->reads), struct history_read, link);
        router->reads_waiting--;
        if (is_for_catchup(read) && !begin(router, read)) {
            history_read_destroy(read);
            continue;
        }
        router->reads_under_way++;
        metrics_add(router->metrics, METRIC_HISTORY_READS, 1);
        router->broker->ops->history(router->broker, read);
    }
}

static void enqueue(struct router *router, struct history_read *read)
{
    list_append(&router->reads, &read->link);
    router->reads_waiting++;
    pump(router);
}

static void take_read(struct mail *mail, void *owner)
{
    struct router *router = owner;
    struct history_read *read = CONTAINER_OF(mail, struct history_read, mail);
    if (router->reads_waiting < QUEUE_MAX) {
        enqueue(router, read);
        return;
    }
    error_set(&read->error, ERR_UNAVAILABLE, "too many reads of histories wait already; try again later");
    history_read_answer(read);
}

void router_history(void *owner, struct history_read *read)
{
    struct router *router = owner;
    read->mail.deliver = take_read;
    mailbox_post(&router->mailbox, &read->mail);
}

void history_reads_ask(void *router, struct catchup *catchup, uint64_t number)
{
    struct history_read *read = history_read_create(route_of(catchup)->name);
    read->limit = CATCHUP_PAGE_EVENTS;
    read->max_bytes = CATCHUP_PAGE_BYTES;
    read->number = number;
    enqueue(router, read);
}

void history_reads_answered(struct router *router, struct history_read *read)
{
    router->reads_under_way--;
    if (is_for_catchup(read)) {
        struct channel_route *route = map_get(&router->channels, read->channel);
        if (route)
            catchup_page(&route->catchup, read, clock_now_us());
        history_read_destroy(read);
    } else {
        history_read_answer(read);
    }
    pump(router);
}

void history_reads_fini(struct router *router)
{
    for (struct list_link *link; (link = list_take_first(&router->reads));)
        history_read_destroy(CONTAINER_OF(link, struct history_read, link));
}
