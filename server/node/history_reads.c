/* history_reads.c - the reads of histories, paced: so many are with the broker at once, the others wait in their order.
 * Pages that workers have asked for (the `history` command, the API) and reads for continuity stand in one queue. */
#include "common/base/alloc.h"
#include "server/node/router_private.h"

enum { QUEUE_MAX = 10000 }; /* pages waiting; more are refused */

static bool is_own(const struct history_read *read)
{
    return !read->reply_to;
}

/* False when nobody waits for it any more. */
static bool aim(struct router *router, struct history_read *read)
{
    const struct channel_route *route = map_get(&router->channels, read->channel);
    bool wanted = route && route->continuity && route->continuity->read == read->number;
    if (wanted && continuity_wants(route, &read->after)) {
        memcpy(read->asked_epoch, route->epoch, sizeof read->asked_epoch);
        read->seen = route->offset;
        return true;
    }
    if (wanted)
        route->continuity->read = 0;
    return false;
}

static void pump(struct router *router)
{
    while (router->reads_under_way < router->settings.reads_max && !list_is_empty(&router->reads)) {
        struct history_read *read = CONTAINER_OF(list_take_first(&router->reads), struct history_read, link);
        router->reads_waiting--;
        if (is_own(read) && !aim(router, read)) {
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

void router_history(struct router *router, struct history_read *read)
{
    read->mail.deliver = take_read;
    mailbox_post(&router->mailbox, &read->mail);
}

void history_reads_ask(struct router *router, struct channel_route *route)
{
    struct history_read *read = history_read_create(route->name);
    read->limit = RECOVERY_PAGE_EVENTS;
    read->max_bytes = RECOVERY_PAGE_BYTES;
    read->number = route->continuity->read = ++router->read_numbers;
    enqueue(router, read);
}

void history_reads_answered(struct router *router, struct history_read *read)
{
    router->reads_under_way--;
    if (is_own(read)) {
        struct channel_route *route = map_get(&router->channels, read->channel);
        if (route && route->continuity && route->continuity->read == read->number)
            continuity_page(router, route, read);
        else
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
