/* presence_reads.c - reads of who is on a channel. The broker has at most settings.reads_max of them at once; up to
 * QUEUE_MAX others wait, in their order, and more are refused. So a publication waits for few reads, however many
 * clients ask. */
#include "common/base/alloc.h"
#include "server/node/router_private.h"

enum { QUEUE_MAX = 1000 }; /* pages waiting; more are refused */

static void pump(struct router *router);

static void give_back(struct presence_read *read)
{
    read->base.reply_to = read->asker.reply_to;
    read->base.done = read->asker.done;
    broker_request_answer(&read->base);
}

static void answered(struct broker_request *request, void *owner)
{
    struct router *router = owner;
    router->presence_reads.under_way--;
    give_back(CONTAINER_OF(request, struct presence_read, base));
    pump(router);
}

static void pump(struct router *router)
{
    struct presence_reads *reads = &router->presence_reads;
    while (reads->under_way < router->settings.reads_max && !list_is_empty(&reads->waiting)) {
        struct presence_read *read = CONTAINER_OF(list_take_first(&reads->waiting), struct presence_read, link);
        reads->waiting_count--;
        reads->under_way++;
        router->broker->ops->ask(router->broker, &read->base);
    }
}

static void refuse(struct presence_read *read, const char *why)
{
    error_set(&read->base.error, ERR_UNAVAILABLE, "%s", why);
    give_back(read);
}

void presence_reads_ask(struct router *router, struct presence_read *read)
{
    struct presence_reads *reads = &router->presence_reads;
    read->asker.reply_to = read->base.reply_to;
    read->asker.done = read->base.done;
    read->base.reply_to = &router->mailbox;
    read->base.done = answered;
    if (reads->waiting_count >= QUEUE_MAX) {
        refuse(read, "too many pages of presence wait on this node already; try again later");
        return;
    }
    list_append(&reads->waiting, &read->link);
    reads->waiting_count++;
    pump(router);
}

void presence_reads_close(struct router *router)
{
    struct list_link *link;
    while ((link = list_take_first(&router->presence_reads.waiting)))
        refuse(CONTAINER_OF(link, struct presence_read, link), "this node is stopping");
    router->presence_reads.waiting_count = 0;
}
