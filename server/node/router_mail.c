/* router_mail.c - what the router posts to the workers: answers to their joins, events, gaps and replays. All of it
 * stands in a worker's mail in the order in which the channel went on. */
#include "common/base/alloc.h"
#include "server/node/router_private.h"

/* --- answers to joins ------------------------------------------------------------------------------------------- */

struct join_answer {
    struct mail mail;
    uint64_t join_id;
    enum err err;
    struct str name;
    struct str text;
    struct position position;
    char bytes[];
};

static void deliver_joined(struct mail *mail, void *hub)
{
    struct join_answer *joined = CONTAINER_OF(mail, struct join_answer, mail);
    hub_joined(hub, joined->name, joined->join_id, joined->err, joined->text, &joined->position);
    free(joined);
}

static void answer_join(struct router *router, const struct channel_route *route, unsigned worker, enum err err,
                        struct str text)
{
    struct position now = catchup_now(&route->catchup);
    struct join_answer *joined = xmalloc(sizeof *joined + route->name.len + text.len + now.epoch.len + now.id.len);
    char *at = joined->bytes;
    joined->mail.deliver = deliver_joined;
    joined->join_id = route->join_ids[worker];
    joined->err = err;
    joined->name = str_pack(&at, route->name);
    joined->text = str_pack(&at, text);
    joined->position.epoch = str_pack(&at, now.epoch);
    joined->position.offset = now.offset;
    joined->position.id = str_pack(&at, now.id);
    mailbox_post(router->workers[worker], &joined->mail);
}

void router_answer_joins(struct router *router, struct channel_route *route, enum err err, struct str text)
{
    for (unsigned i = 0; route->unanswered; i++, route->unanswered >>= 1)
        if (route->unanswered & 1)
            answer_join(router, route, i, err, text);
}

/* --- events ----------------------------------------------------------------------------------------------------- */

static void deliver_message(struct mail *mail, void *hub)
{
    hub_deliver(hub, CONTAINER_OF(mail, struct message, mail));
}

void router_post(void *owner, struct catchup *catchup, struct message *message)
{
    struct router *router = owner;
    uint64_t left = route_of(catchup)->wanting;
    bool shared = message->refs > 1; /* its counter is this thread's: it stays here */
    for (unsigned i = 0; left; i++, left >>= 1) {
        if (!(left & 1))
            continue;
        /* The last one gets the original. */
        struct message *own = left == 1 && !shared ? message : message_copy(message);
        own->mail.deliver = deliver_message;
        mailbox_post(router->workers[i], &own->mail);
    }
    if (shared)
        message_unref(message);
}

/* --- gaps ------------------------------------------------------------------------------------------------------- */

/* With the position that the channel has now. */
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

static void post_notice(struct router *router, struct catchup *catchup, enum gap gap,
                        void (*deliver)(struct mail *mail, void *hub))
{
    const struct channel_route *route = route_of(catchup);
    for (unsigned i = 0; i < router->worker_count; i++) {
        if (!(route->wanting >> i & 1))
            continue;
        struct gap_notice *notice = xcalloc(1, sizeof *notice + route->name.len);
        char *at = notice->bytes;
        notice->name = str_pack(&at, route->name);
        notice->mail.deliver = deliver;
        notice->gap = gap;
        notice->offset = catchup->offset;
        memcpy(notice->epoch, catchup->epoch, sizeof notice->epoch);
        memcpy(notice->id, catchup->id, sizeof notice->id);
        mailbox_post(router->workers[i], &notice->mail);
    }
}

void router_post_gap(struct router *router, struct catchup *catchup, enum gap gap)
{
    post_notice(router, catchup, gap, deliver_gap);
}

void router_post_interruption(void *router, struct catchup *catchup)
{
    post_notice(router, catchup, GAP_CONNECTION_LOST, deliver_interruption);
}

/* --- replays ---------------------------------------------------------------------------------------------------- */

static void deliver_replay(struct mail *mail, void *hub)
{
    hub_replay(hub, CONTAINER_OF(mail, struct replay, mail));
}

/* With copies of the events from first on. */
static struct replay *create_replay(struct catchup *catchup, uint64_t first, size_t count)
{
    struct str name = route_of(catchup)->name;
    struct replay *replay = xcalloc(1, sizeof *replay + count * sizeof(struct message *) + name.len);
    char *at = (char *)&replay->messages[count];
    replay->mail.deliver = deliver_replay;
    replay->channel = str_pack(&at, name);
    memcpy(replay->epoch, catchup->epoch, sizeof replay->epoch);
    replay->offset = catchup->offset;
    memcpy(replay->id, catchup->id, sizeof replay->id);
    replay->first = first;
    replay->count = count;
    list_init(&replay->recoveries);
    for (size_t i = 0; i < count; i++)
        replay->messages[i] = message_copy(catchup_message(catchup, first + i));
    return replay;
}

void router_post_replays(void *owner, struct catchup *catchup, struct list_link *recoveries, uint64_t first,
                         size_t count)
{
    struct router *router = owner;
    struct replay *replays[ROUTER_WORKERS_MAX] = {0};
    for (struct list_link *link; (link = list_take_first(recoveries));) {
        struct replay **replay = &replays[recovery_in(link)->base.session.worker];
        if (!*replay)
            *replay = create_replay(catchup, first, count);
        list_append(&(*replay)->recoveries, link);
    }
    for (unsigned i = 0; i < router->worker_count; i++)
        if (replays[i])
            mailbox_post(router->workers[i], &replays[i]->mail);
}
