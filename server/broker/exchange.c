/* exchange.c - see exchange.h. */
#include "server/broker/exchange.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

/* A channel that some worker wants. Owned by exchange->channels. */
struct interest {
    bool subscribed;    /* the broker has answered */
    uint64_t wanting;   /* a bit a worker */
    uint64_t *join_ids; /* of each wanting worker's join */
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
    struct str name; /* points into bytes */
    char bytes[];
};

/* --- mail ------------------------------------------------------------------------------------------------------ */

/* From a worker: join or leave. */
struct wish {
    struct mail mail;
    unsigned worker;
    struct history_policy history; /* of a join, as is join_id */
    uint64_t join_id;
    struct str name;
    char bytes[];
};

/* To a worker: the answer to its join. */
struct joined {
    struct mail mail;
    uint64_t join_id;
    enum err err;
    struct str name;
    struct str text;
    struct str epoch;
    uint64_t offset;
    char bytes[];
};

static void deliver_joined(struct mail *mail, void *hub)
{
    struct joined *joined = CONTAINER_OF(mail, struct joined, mail);
    hub_joined(hub, joined->name, joined->join_id, joined->err, joined->text, joined->epoch, joined->offset);
    free(joined);
}

static struct str keep(char **at, struct str text)
{
    struct str kept = {*at, text.len};
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return kept;
}

static void answer_join(struct exchange *exchange, const struct interest *interest, unsigned worker, enum err err,
                        struct str text)
{
    struct str epoch = str_from_cstr(interest->epoch);
    struct joined *joined = xmalloc(sizeof *joined + interest->name.len + text.len + epoch.len);
    char *at = joined->bytes;
    joined->mail.deliver = deliver_joined;
    joined->join_id = interest->join_ids[worker];
    joined->err = err;
    joined->name = keep(&at, interest->name);
    joined->text = keep(&at, text);
    joined->epoch = keep(&at, epoch);
    joined->offset = interest->offset;
    mailbox_post(exchange->workers[worker], &joined->mail);
}

static void deliver_message(struct mail *mail, void *hub)
{
    hub_deliver(hub, CONTAINER_OF(mail, struct message, mail));
}

/* --- what workers want ------------------------------------------------------------------------------------------- */

static struct interest *create_interest(struct exchange *exchange, struct str name)
{
    struct interest *interest = xcalloc(1, sizeof *interest + name.len);
    char *at = interest->bytes;
    interest->name = keep(&at, name);
    interest->join_ids = xcalloc(exchange->worker_count, sizeof *interest->join_ids);
    map_put(&exchange->channels, interest->name, interest);
    return interest;
}

static void forget_interest(struct exchange *exchange, struct interest *interest)
{
    map_remove(&exchange->channels, interest->name);
    free(interest->join_ids);
    free(interest);
}

static void take_join(struct mail *mail, void *owner)
{
    struct exchange *exchange = owner;
    struct wish *wish = CONTAINER_OF(mail, struct wish, mail);
    struct interest *interest = map_get(&exchange->channels, wish->name);
    bool is_new = !interest;
    if (is_new)
        interest = create_interest(exchange, wish->name);
    interest->wanting |= UINT64_C(1) << wish->worker;
    interest->join_ids[wish->worker] = wish->join_id;
    if (is_new)
        exchange->broker->ops->subscribe(exchange->broker, interest->name, &wish->history);
    else if (interest->subscribed)
        answer_join(exchange, interest, wish->worker, ERR_NONE, STR(""));
    free(wish);
}

static void take_leave(struct mail *mail, void *owner)
{
    struct exchange *exchange = owner;
    struct wish *wish = CONTAINER_OF(mail, struct wish, mail);
    struct interest *interest = map_get(&exchange->channels, wish->name);
    if (interest) { /* gone already when the broker has refused the channel */
        interest->wanting &= ~(UINT64_C(1) << wish->worker);
        if (!interest->wanting) {
            exchange->broker->ops->unsubscribe(exchange->broker, interest->name);
            forget_interest(exchange, interest);
        }
    }
    free(wish);
}

static void take_publication(struct mail *mail, void *owner)
{
    struct exchange *exchange = owner;
    exchange->broker->ops->publish(exchange->broker, CONTAINER_OF(mail, struct publication, mail));
}

static struct wish *create_wish(unsigned worker, struct str channel, void (*take)(struct mail *, void *))
{
    struct wish *wish = xcalloc(1, sizeof *wish + channel.len);
    char *at = wish->bytes;
    wish->mail.deliver = take;
    wish->worker = worker;
    wish->name = keep(&at, channel);
    return wish;
}

void exchange_join(struct exchange *exchange, unsigned worker, struct str channel, const struct history_policy *history,
                   uint64_t join_id)
{
    struct wish *wish = create_wish(worker, channel, take_join);
    wish->history = *history;
    wish->join_id = join_id;
    mailbox_post(&exchange->mailbox, &wish->mail);
}

void exchange_leave(struct exchange *exchange, unsigned worker, struct str channel)
{
    mailbox_post(&exchange->mailbox, &create_wish(worker, channel, take_leave)->mail);
}

void exchange_publish(struct exchange *exchange, struct publication *publication)
{
    publication->mail.deliver = take_publication;
    mailbox_post(&exchange->mailbox, &publication->mail);
}

/* --- what the broker says ------------------------------------------------------------------------------------------
 */

static void on_published(void *owner, struct publication *publication)
{
    struct exchange *exchange = owner;
    metrics_add_labelled(exchange->metrics, METRIC_PUBLISH_RESULTS, publication->error.code, 1);
    metrics_observe(exchange->metrics, METRIC_PUBLISH_LATENCY, clock_now_us() - publication->accepted_us);
    publication_answer(publication);
}

static void set_position(struct interest *interest, struct str epoch, uint64_t offset)
{
    size_t len = epoch.len < EPOCH_MAX ? epoch.len : EPOCH_MAX;
    if (len)
        memcpy(interest->epoch, epoch.ptr, len);
    interest->epoch[len] = '\0';
    interest->offset = offset;
}

static void on_subscribed(void *owner, struct str channel, enum err err, struct str text, struct str epoch,
                          uint64_t offset)
{
    struct exchange *exchange = owner;
    struct interest *interest = map_get(&exchange->channels, channel);
    if (!interest)
        return;
    interest->subscribed = true;
    set_position(interest, epoch, offset);
    for (unsigned i = 0; i < exchange->worker_count; i++)
        if (interest->wanting >> i & 1)
            answer_join(exchange, interest, i, err, text);
    if (err != ERR_NONE)
        forget_interest(exchange, interest);
}

static void on_event(void *owner, const struct event *event)
{
    struct exchange *exchange = owner;
    struct interest *interest = map_get(&exchange->channels, event->channel);
    if (!interest || !interest->subscribed)
        return;
    if (event->offset)
        set_position(interest, event->epoch, event->offset);
    struct message *message = message_from_event(event, clock_now_us());
    message->mail.deliver = deliver_message;
    uint64_t left = interest->wanting;
    for (unsigned i = 0; left; i++, left >>= 1) {
        if (!(left & 1))
            continue;
        /* The last one gets the original. */
        struct message *own = left == 1 ? message : message_copy(message);
        own->mail.deliver = deliver_message;
        mailbox_post(exchange->workers[i], &own->mail);
    }
}

static void on_control(void *owner, struct str from, struct str bytes)
{
    struct exchange *exchange = owner;
    if (exchange->on_control)
        exchange->on_control(exchange->control_owner, from, bytes);
}

static void on_state(void *owner, const struct broker_info *info)
{
    struct exchange *exchange = owner;
    atomic_store(&exchange->broker_state, (int)info->state);
    metrics_set(exchange->metrics, METRIC_BROKER_UP, info->state == BROKER_UP);
}

const struct broker_sink exchange_sink = {
    .published = on_published,
    .subscribed = on_subscribed,
    .event = on_event,
    .control = on_control,
    .state = on_state,
};

/* --- life ----------------------------------------------------------------------------------------------------- */

void exchange_init(struct exchange *exchange, struct turn *turn, struct metrics *metrics)
{
    memset(exchange, 0, sizeof *exchange);
    exchange->metrics = metrics;
    atomic_init(&exchange->broker_state, BROKER_CONNECTING);
    mailbox_init(&exchange->mailbox, turn, exchange);
}

unsigned exchange_add_worker(struct exchange *exchange, struct mailbox *mailbox)
{
    exchange->workers[exchange->worker_count] = mailbox;
    return exchange->worker_count++;
}

void exchange_fini(struct exchange *exchange)
{
    size_t cursor = 0;
    for (struct interest *interest; (interest = map_next(&exchange->channels, &cursor));) {
        free(interest->join_ids);
        free(interest);
    }
    map_fini(&exchange->channels);
}
