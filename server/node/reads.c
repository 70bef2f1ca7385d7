/* reads.c - reads of histories, and of who is on a channel. Each kind has a queue: the broker has at most
 * settings.reads_max of them at once, and the others wait in their order. So a publication waits for few reads, however
 * many clients ask. Pages for catchup share the queue with the histories that workers read. */
#include "server/node/router_private.h"

/* The most that wait. More are refused. */
enum { HISTORY_QUEUE_MAX = 10000, PRESENCE_QUEUE_MAX = 1000 };

static struct read_queue *queue_of(struct router *router, const struct request *request)
{
    if (request->kind == REQUEST_HISTORY)
        return &router->history_reads;
    return request->kind == REQUEST_PRESENCE_READ ? &router->presence_reads : NULL;
}

static bool is_for_catchup(const struct request *request)
{
    return !request->reply_to;
}

/* Asks catchup where the read begins. Returns false when the page is not wanted any more. */
static bool begin_for_catchup(struct router *router, struct history_read *read)
{
    struct channel_route *route = map_get(&router->channels, read->base.channel);
    return route && catchup_begin_read(&route->catchup, read->number, &read->after);
}

static void pump(struct router *router, struct read_queue *queue)
{
    while (queue->under_way < router->settings.reads_max && !list_is_empty(&queue->waiting)) {
        struct request *request = CONTAINER_OF(list_take_first(&queue->waiting), struct request, link);
        queue->waiting_count--;
        if (is_for_catchup(request) && !begin_for_catchup(router, history_read_of(request))) {
            request_destroy(request);
            continue;
        }
        queue->under_way++;
        if (request->kind == REQUEST_HISTORY)
            metrics_add(router->metrics, METRIC_HISTORY_READS, 1);
        router_ask_broker(router, request);
    }
}

static void enqueue(struct router *router, struct read_queue *queue, struct request *request)
{
    list_append(&queue->waiting, &request->link);
    queue->waiting_count++;
    pump(router, queue);
}

bool reads_take(struct router *router, struct request *request)
{
    struct read_queue *queue = queue_of(router, request);
    if (!queue)
        return false;
    bool is_history = request->kind == REQUEST_HISTORY;
    if (queue->waiting_count < (is_history ? HISTORY_QUEUE_MAX : PRESENCE_QUEUE_MAX)) {
        enqueue(router, queue, request);
        return true;
    }
    request_fail(request, ERR_UNAVAILABLE,
                 is_history ? "too many reads of histories wait already; try again later"
                            : "too many pages of presence wait on this node already; try again later");
    request_answer(request);
    return true;
}

void reads_ask_for_catchup(void *router, struct catchup *catchup, uint64_t number)
{
    struct router *owner = router;
    struct history_read *read = history_read_create(route_of(catchup)->name, STR(""));
    read->limit = CATCHUP_PAGE_EVENTS;
    read->max_bytes = CATCHUP_PAGE_BYTES;
    read->number = number;
    enqueue(owner, &owner->history_reads, &read->base);
}

static void take_page(struct router *router, struct history_read *read)
{
    struct channel_route *route = map_get(&router->channels, read->base.channel);
    if (route)
        catchup_page(&route->catchup, read, router_now_us(router));
    request_destroy(&read->base);
}

static void give_back(struct request *request)
{
    if (request->kind == REQUEST_HISTORY)
        history_read_check(history_read_of(request));
    request_answer(request);
}

bool reads_answered(struct router *router, struct request *request)
{
    struct read_queue *queue = queue_of(router, request);
    if (!queue)
        return false;
    queue->under_way--;
    if (is_for_catchup(request))
        take_page(router, history_read_of(request));
    else
        give_back(request);
    pump(router, queue);
    return true;
}

void reads_init(struct router *router)
{
    list_init(&router->history_reads.waiting);
    list_init(&router->presence_reads.waiting);
}

static void close_queue(struct read_queue *queue)
{
    for (struct list_link *link; (link = list_take_first(&queue->waiting));) {
        struct request *request = CONTAINER_OF(link, struct request, link);
        if (is_for_catchup(request)) {
            request_destroy(request);
            continue;
        }
        request_fail(request, ERR_UNAVAILABLE, "this node is stopping");
        request_answer(request);
    }
    queue->waiting_count = 0;
}

void reads_close(struct router *router)
{
    close_queue(&router->history_reads);
    close_queue(&router->presence_reads);
}
