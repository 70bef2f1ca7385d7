/* router.c - see router.h. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "server/node/router_private.h"

enum { RECOVERY_BYTES_MAX = 64 << 20, READS_MAX = 16 };

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
    struct position position;
    char bytes[];
};

static void deliver_joined(struct mail *mail, void *hub)
{
    struct joined *joined = CONTAINER_OF(mail, struct joined, mail);
    hub_joined(hub, joined->name, joined->join_id, joined->err, joined->text, &joined->position);
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
    struct str epoch = str_from_cstr(interest->epoch), id = str_from_cstr(interest->id);
    struct joined *joined = xmalloc(sizeof *joined + interest->name.len + text.len + epoch.len + id.len);
    char *at = joined->bytes;
    joined->mail.deliver = deliver_joined;
    joined->join_id = interest->join_ids[worker];
    joined->err = err;
    joined->name = keep(&at, interest->name);
    joined->text = keep(&at, text);
    joined->position.epoch = keep(&at, epoch);
    joined->position.offset = interest->offset;
    joined->position.id = keep(&at, id);
    mailbox_post(exchange->workers[worker], &joined->mail);
}

void exchange_answer_joins(struct exchange *exchange, struct interest *interest, enum err err, struct str text)
{
    for (unsigned i = 0; interest->unanswered; i++, interest->unanswered >>= 1)
        if (interest->unanswered & 1)
            answer_join(exchange, interest, i, err, text);
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
    list_remove(&interest->unplaced);
    continuity_free(interest);
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
    interest->unanswered |= UINT64_C(1) << wish->worker;
    interest->join_ids[wish->worker] = wish->join_id;
    if (is_new) {
        interest->history = wish->history;
        exchange->broker->ops->subscribe(exchange->broker, interest->name, &wish->history);
    } else {
        placing_follow_rule(exchange, interest, &wish->history);
    }
    if (interest->subscribed && !interest->locating)
        exchange_answer_joins(exchange, interest, ERR_NONE, STR(""));
    free(wish);
}

static void take_leave(struct mail *mail, void *owner)
{
    struct exchange *exchange = owner;
    struct wish *wish = CONTAINER_OF(mail, struct wish, mail);
    struct interest *interest = map_get(&exchange->channels, wish->name);
    if (interest) { /* gone already when the broker has refused the channel */
        interest->wanting &= ~(UINT64_C(1) << wish->worker);
        interest->unanswered &= interest->wanting;
        if (interest->continuity)
            recovery_drop(interest->continuity, wish->worker);
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

static void take_request(struct mail *mail, void *owner)
{
    struct exchange *exchange = owner;
    struct broker_request *request = CONTAINER_OF(mail, struct broker_request, mail);
    if (request->kind == REQUEST_PRESENCE_READ)
        presence_reads_ask(exchange, CONTAINER_OF(request, struct presence_read, base));
    else
        exchange->broker->ops->ask(exchange->broker, request);
}

void exchange_ask(struct exchange *exchange, struct broker_request *request)
{
    request->mail.deliver = take_request;
    mailbox_post(&exchange->mailbox, &request->mail);
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

static void on_subscribed(void *owner, struct str channel, enum err err, struct str text,
                          const struct position *position)
{
    struct exchange *exchange = owner;
    struct interest *interest = map_get(&exchange->channels, channel);
    if (!interest)
        return;
    if (err != ERR_NONE) {
        interest->unanswered = interest->wanting;
        exchange_answer_joins(exchange, interest, err, text);
        forget_interest(exchange, interest);
        return;
    }
    interest->locating = false;
    if (interest->subscribed) {
        continuity_position(exchange, interest, position);
    } else {
        interest->subscribed = true;
        placing_set(exchange, interest, position);
    }
    exchange_answer_joins(exchange, interest, ERR_NONE, STR(""));
    if (interest->continuity)
        continuity_advance(exchange, interest);
}

static void on_located(void *owner, struct str channel, const struct position *position)
{
    struct exchange *exchange = owner;
    struct interest *interest = map_get(&exchange->channels, channel);
    if (interest && interest->subscribed && interest->history.size)
        placing_told(exchange, interest, position);
}

void exchange_post(struct exchange *exchange, const struct interest *interest, struct message *message)
{
    uint64_t left = interest->wanting;
    bool shared = message->refs > 1; /* its counter is this thread's: it stays here */
    for (unsigned i = 0; left; i++, left >>= 1) {
        if (!(left & 1))
            continue;
        /* The last one gets the original. */
        struct message *own = left == 1 && !shared ? message : message_copy(message);
        own->mail.deliver = deliver_message;
        mailbox_post(exchange->workers[i], &own->mail);
    }
    if (shared)
        message_unref(message);
}

static void on_event(void *owner, const struct event *event)
{
    struct exchange *exchange = owner;
    struct interest *interest = map_get(&exchange->channels, event->channel);
    if (!interest || !interest->subscribed)
        return;
    if (event->offset) {
        bool next = event->offset == interest->offset + 1 && str_eq_cstr(event->epoch, interest->epoch);
        if (!next || interest->continuity) {
            continuity_event(exchange, interest, event);
            return;
        }
        interest->offset = event->offset;
        position_keep_id(interest->id, event->id);
    }
    exchange_post(exchange, interest, message_from_event(event, clock_now_us()));
}

static void on_history(void *owner, struct history_read *read)
{
    history_reads_answered(owner, read);
}

static void on_control(void *owner, struct str from, struct str bytes)
{
    struct exchange *exchange = owner;
    if (exchange->on_control)
        exchange->on_control(exchange->control_owner, from, bytes);
}

static void on_revoked(void *owner, const struct revocation *revocation)
{
    struct exchange *exchange = owner;
    if (exchange->on_revoked)
        exchange->on_revoked(exchange->revoked_owner, revocation);
}

static void on_revocations(void *owner, bool begin)
{
    struct exchange *exchange = owner;
    if (exchange->on_revocations)
        exchange->on_revocations(exchange->revoked_owner, begin);
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
    .located = on_located,
    .event = on_event,
    .history = on_history,
    .control = on_control,
    .revoked = on_revoked,
    .revocations = on_revocations,
    .state = on_state,
};

/* --- life ----------------------------------------------------------------------------------------------------- */

void exchange_init(struct exchange *exchange, struct turn *turn, struct metrics *metrics)
{
    memset(exchange, 0, sizeof *exchange);
    exchange->metrics = metrics;
    atomic_init(&exchange->broker_state, BROKER_CONNECTING);
    mailbox_init(&exchange->mailbox, turn, exchange);
    exchange->settings = (struct exchange_settings){.recovery_bytes_max = RECOVERY_BYTES_MAX, .reads_max = READS_MAX};
    exchange->budget.bytes_max = exchange->settings.recovery_bytes_max;
    list_init(&exchange->active);
    list_init(&exchange->due);
    list_init(&exchange->reads);
    list_init(&exchange->presence_reads.waiting);
    list_init(&exchange->unplaced);
    list_init(&exchange->placing);
}

void exchange_configure(struct exchange *exchange, const struct exchange_settings *settings)
{
    exchange->settings = *settings;
    exchange->budget.bytes_max = settings->recovery_bytes_max;
}

void exchange_tick(struct exchange *exchange, uint64_t now_us)
{
    exchange->now_us = now_us;
    LIST_EACH(link, &exchange->active)
    continuity_tick(exchange, CONTAINER_OF(link, struct continuity, link));
    continuity_log(exchange);
    placing_tick(exchange);
}

unsigned exchange_add_worker(struct exchange *exchange, struct mailbox *mailbox)
{
    exchange->workers[exchange->worker_count] = mailbox;
    return exchange->worker_count++;
}

void exchange_close(struct exchange *exchange)
{
    presence_reads_close(exchange); /* before the last answers come, so that none of them asks on */
    mailbox_close(&exchange->mailbox);
}

void exchange_fini(struct exchange *exchange)
{
    size_t cursor = 0;
    history_reads_fini(exchange);
    for (struct interest *interest; (interest = map_next(&exchange->channels, &cursor));) {
        continuity_free(interest);
        free(interest->join_ids);
        free(interest);
    }
    map_fini(&exchange->channels);
}
