/* dev_broker.c - see dev_broker.h. */
#include "server/dev/dev_broker.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/json/json.h"
#include "server/broker/memory/memory_broker.h"

static struct dev_broker *of(struct broker *base)
{
    return CONTAINER_OF(base, struct dev_broker, base);
}

/* --- to the broker ---------------------------------------------------------------------------------------------- */

/* A channel that the node is subscribed to. */
struct wanted_channel {
    struct history_policy history;
    bool passed; /* the broker behind has been told */
    struct str name;
    char bytes[];
};

enum late_kind { LATE_REQUEST, LATE_SUBSCRIBE, LATE_UNSUBSCRIBE };

/* What a slow broker gets later. */
struct late_order {
    struct list_link link;
    enum late_kind kind;
    uint64_t due_us;
    struct request *request;
    struct str channel;
    char bytes[];
};

static void pass_subscription(struct dev_broker *broker, struct wanted_channel *channel)
{
    channel->passed = true;
    broker->inner->ops->subscribe(broker->inner, channel->name, &channel->history);
}

static void pass_unsubscription(struct dev_broker *broker, struct wanted_channel *channel)
{
    if (channel->passed)
        broker->inner->ops->unsubscribe(broker->inner, channel->name);
    map_remove(&broker->wanted, channel->name);
    free(channel);
}

static void carry_out_first(struct dev_broker *broker)
{
    struct late_order *late = CONTAINER_OF(list_take_first(&broker->late), struct late_order, link);
    struct wanted_channel *channel = map_get(&broker->wanted, late->channel);
    switch (late->kind) {
    case LATE_REQUEST: broker->inner->ops->ask(broker->inner, late->request); break;
    case LATE_SUBSCRIBE:
        if (channel)
            pass_subscription(broker, channel);
        break;
    case LATE_UNSUBSCRIBE:
        if (channel)
            pass_unsubscription(broker, channel);
        break;
    }
    free(late);
}

static void on_late(struct timer *timer, uint64_t now_us);

static struct late_order *first_late(const struct dev_broker *broker)
{
    return list_is_empty(&broker->late) ? NULL : CONTAINER_OF(broker->late.next, struct late_order, link);
}

static void await_late(struct dev_broker *broker)
{
    const struct late_order *first = first_late(broker);
    if (first)
        wheel_start(broker->wheel, &broker->late_timer, first->due_us, on_late);
}

static void on_late(struct timer *timer, uint64_t now_us)
{
    struct dev_broker *broker = CONTAINER_OF(timer, struct dev_broker, late_timer);
    for (const struct late_order *first; (first = first_late(broker)) && first->due_us <= now_us;)
        carry_out_first(broker);
    await_late(broker);
}

/* Everything that waits, at once. */
static void carry_out_all(struct dev_broker *broker)
{
    wheel_stop(broker->wheel, &broker->late_timer);
    while (!list_is_empty(&broker->late))
        carry_out_first(broker);
}

/* False: it is not slow. */
static bool put_off(struct dev_broker *broker, enum late_kind kind, struct request *request, struct str channel)
{
    uint64_t now_us = turn_now_us(broker->turn);
    if (broker->mode != DEV_BROKER_SLOW)
        return false;
    struct late_order *late = xcalloc(1, sizeof *late + channel.len);
    late->kind = kind;
    late->due_us = now_us + broker->slow_us;
    late->request = request;
    late->channel = str_pack(&(char *){late->bytes}, channel);
    list_append(&broker->late, &late->link);
    await_late(broker);
    return true;
}

static void answer_failed(struct mail *mail, void *owner)
{
    struct request *request = CONTAINER_OF(mail, struct request, mail);
    broker_answer(&((struct dev_broker *)owner)->base, request);
}

static void fail(struct dev_broker *broker, struct request *request, const char *why)
{
    request_fail(request, ERR_UNAVAILABLE, "%s", why);
    request->mail.deliver = answer_failed;
    mailbox_post(&broker->mailbox, &request->mail);
}

static void ask(struct broker *base, struct request *request)
{
    struct dev_broker *broker = of(base);
    if (broker->mode == DEV_BROKER_DOWN)
        fail(broker, request, "the broker is down, as POST /dev/v1/broker has ordered");
    else if (!put_off(broker, LATE_REQUEST, request, STR("")))
        broker->inner->ops->ask(broker->inner, request);
}

static void subscribe(struct broker *base, struct str name, const struct history_policy *history)
{
    struct dev_broker *broker = of(base);
    struct wanted_channel *channel = map_get(&broker->wanted, name);
    if (!channel) {
        channel = xcalloc(1, sizeof *channel + name.len);
        channel->name = str_pack(&(char *){channel->bytes}, name);
        map_put(&broker->wanted, channel->name, channel);
    }
    channel->history = *history;
    if (broker->mode != DEV_BROKER_DOWN && !put_off(broker, LATE_SUBSCRIBE, NULL, name))
        pass_subscription(broker, channel);
}

static void unsubscribe(struct broker *base, struct str name)
{
    struct dev_broker *broker = of(base);
    struct wanted_channel *channel = map_get(&broker->wanted, name);
    if (channel && !put_off(broker, LATE_UNSUBSCRIBE, NULL, name))
        pass_unsubscription(broker, channel);
}

static void info(struct broker *base, struct broker_info *out)
{
    struct broker *inner = of(base)->inner;
    inner->ops->info(inner, out);
    if (of(base)->mode == DEV_BROKER_DOWN) {
        out->state = BROKER_DOWN;
        snprintf(out->text, sizeof out->text, "POST /dev/v1/broker has taken it down");
    }
}

static void on_closed(void *owner)
{
    struct dev_broker *broker = owner;
    broker->closed(broker->sink_owner);
}

static void close_broker(struct broker *base, void (*closed)(void *owner))
{
    struct broker *inner = of(base)->inner;
    of(base)->closed = closed;
    wheel_stop(of(base)->wheel, &of(base)->back_timer);
    carry_out_all(of(base));
    of(base)->mode = DEV_BROKER_UP; /* the broker behind refuses from now on */
    mailbox_close(&of(base)->mailbox);
    inner->ops->close(inner, on_closed);
}

static void destroy(struct broker *base)
{
    struct broker *inner = of(base)->inner;
    size_t cursor = 0;
    for (struct wanted_channel *channel; (channel = map_next(&of(base)->wanted, &cursor));)
        free(channel);
    map_fini(&of(base)->wanted);
    inner->ops->destroy(inner);
}

static const struct broker_ops ops = {.ask = ask,
                                      .subscribe = subscribe,
                                      .unsubscribe = unsubscribe,
                                      .info = info,
                                      .close = close_broker,
                                      .destroy = destroy};

static void send_control(struct broker *base, struct str to, struct str bytes)
{
    struct broker *inner = of(base)->inner;
    inner->nodes->send(inner, to, bytes);
}

static void list_nodes(struct broker *base, struct buf *out)
{
    struct broker *inner = of(base)->inner;
    inner->nodes->list(inner, out);
}

static const struct node_control_ops nodes = {.send = send_control, .list = list_nodes};

/* --- to the node ------------------------------------------------------------------------------------------------ */

static void note_publication(struct dev_broker *broker, const struct publication *publication)
{
    struct buf frame = {0};
    buf_appendf(&frame, "{\"type\":\"%.*s\",\"id\":\"%s\"", STR_ARG(publication->type), publication->id);
    if (publication->offset)
        buf_appendf(&frame, ",\"epoch\":\"%s\",\"offset\":%llu", publication->epoch,
                    (unsigned long long)publication->offset);
    if (publication->duplicate)
        buf_append_lit(&frame, ",\"duplicate\":true");
    buf_append_lit(&frame, ",\"data\":");
    buf_append(&frame, publication->data);
    buf_append_char(&frame, '}');
    journal_add(broker->journal, turn_wall_ms(broker->turn),
                &(struct journal_note){.kind = JOURNAL_PUBLISHED,
                                       .session = publication->session,
                                       .user = publication->user,
                                       .channel = publication->base.channel,
                                       .frame = buf_str(&frame)});
    buf_fini(&frame);
}

static void answered(void *owner, struct request *request)
{
    struct dev_broker *broker = owner;
    if (request->kind == REQUEST_PUBLISH && !request->error)
        note_publication(broker, publication_of(request));
    broker->sink->answered(broker->sink_owner, request);
}

static void subscribed(void *owner, struct str channel, enum err err, struct str text, const struct position *position)
{
    struct dev_broker *broker = owner;
    broker->sink->subscribed(broker->sink_owner, channel, err, text, position);
}

static void located(void *owner, struct str channel, const struct position *position)
{
    struct dev_broker *broker = owner;
    broker->sink->located(broker->sink_owner, channel, position);
}

static void on_event(void *owner, const struct event *event)
{
    struct dev_broker *broker = owner;
    if (broker->mode != DEV_BROKER_DOWN)
        broker->sink->event(broker->sink_owner, event);
}

static void control(void *owner, struct str from, struct str bytes)
{
    struct dev_broker *broker = owner;
    broker->sink->control(broker->sink_owner, from, bytes);
}

static void revoked(void *owner, const struct revocation *revocation)
{
    struct dev_broker *broker = owner;
    broker->sink->revoked(broker->sink_owner, revocation);
}

static void revocations(void *owner, bool begin)
{
    struct dev_broker *broker = owner;
    broker->sink->revocations(broker->sink_owner, begin);
}

static void state(void *owner, const struct broker_info *broker_info)
{
    struct dev_broker *broker = owner;
    if (broker->mode != DEV_BROKER_DOWN)
        broker->sink->state(broker->sink_owner, broker_info);
}

static const struct broker_sink sink = {.answered = answered,
                                        .subscribed = subscribed,
                                        .located = located,
                                        .event = on_event,
                                        .control = control,
                                        .revoked = revoked,
                                        .revocations = revocations,
                                        .state = state};

/* --- faults ------------------------------------------------------------------------------------------------------ */

static void tell_state(struct dev_broker *broker)
{
    struct broker_info now;
    info(&broker->base, &now);
    broker->sink->state(broker->sink_owner, &now);
}

/* The broker behind answers each subscription once more. The node takes such an answer as that after a lost connection.
 */
static void subscribe_again(struct dev_broker *broker)
{
    size_t cursor = 0;
    for (struct wanted_channel *channel; (channel = map_next(&broker->wanted, &cursor));) {
        if (channel->passed)
            broker->inner->ops->unsubscribe(broker->inner, channel->name);
        pass_subscription(broker, channel);
    }
}

static void change(struct dev_broker *broker, enum dev_broker_mode mode, const char *word)
{
    bool was_down = broker->mode == DEV_BROKER_DOWN;
    broker->mode = mode;
    journal_add(broker->journal, turn_wall_ms(broker->turn),
                &(struct journal_note){.kind = JOURNAL_BROKER, .text = str_from_cstr(word)});
    if (broker->comes_back_empty && mode != DEV_BROKER_DOWN)
        memory_broker_empty(broker->inner);
    broker->comes_back_empty = broker->comes_back_empty && mode == DEV_BROKER_DOWN;
    if (mode != DEV_BROKER_SLOW)
        carry_out_all(broker);
    if (was_down != (mode == DEV_BROKER_DOWN))
        tell_state(broker);
    if (was_down && mode != DEV_BROKER_DOWN)
        subscribe_again(broker);
}

static void come_back(struct timer *timer, uint64_t now_us)
{
    struct dev_broker *broker = CONTAINER_OF(timer, struct dev_broker, back_timer);
    (void)now_us;
    change(broker, DEV_BROKER_UP, "up");
}

static void await_back(struct dev_broker *broker, uint64_t for_ms)
{
    wheel_stop(broker->wheel, &broker->back_timer);
    if (for_ms)
        wheel_start(broker->wheel, &broker->back_timer, turn_now_us(broker->turn) + for_ms * 1000, come_back);
}

void dev_broker_set(struct dev_broker *broker, enum dev_broker_mode mode, uint64_t slow_ms, uint64_t for_ms)
{
    static const char *const words[] = {"up", "down", "slow"};
    await_back(broker, mode == DEV_BROKER_UP ? 0 : for_ms);
    broker->slow_us = slow_ms * 1000;
    change(broker, mode, words[mode]);
}

void dev_broker_lose(struct dev_broker *broker, uint64_t for_ms)
{
    broker->comes_back_empty = true;
    change(broker, DEV_BROKER_DOWN, "lost");
    if (for_ms)
        await_back(broker, for_ms);
    else
        change(broker, DEV_BROKER_UP, "up");
}

void dev_broker_rewind(struct dev_broker *broker)
{
    LIST_EACH(link, &broker->late)
    {
        struct late_order *late = CONTAINER_OF(link, struct late_order, link);
        if (late->kind != LATE_REQUEST)
            continue;
        list_remove(link);
        fail(broker, late->request, "POST /dev/v1/reset has dropped what the slow broker held");
        free(late);
    }
    if (broker->mode != DEV_BROKER_UP)
        dev_broker_set(broker, DEV_BROKER_UP, 0, 0);
}

void dev_broker_init(struct dev_broker *broker, struct journal *journal)
{
    *broker = (struct dev_broker){.journal = journal};
    list_init(&broker->late);
}

void dev_broker_take_sink(struct dev_broker *broker, const struct broker_sink **node_sink, void **sink_owner)
{
    broker->sink = *node_sink;
    broker->sink_owner = *sink_owner;
    *node_sink = &sink;
    *sink_owner = broker;
}

struct broker *dev_broker_wrap(struct dev_broker *broker, struct broker *inner, struct turn *turn)
{
    broker->turn = turn;
    mailbox_init(&broker->mailbox, turn, broker);
    broker->inner = inner;
    broker->base = (struct broker){.ops = &ops,
                                   .nodes = inner->nodes ? &nodes : NULL,
                                   .sink = broker->sink,
                                   .owner = broker->sink_owner,
                                   .metrics = inner->metrics};
    return &broker->base;
}

bool dev_broker_lose_history(struct dev_broker *broker, struct str channel)
{
    struct broker_info now;
    broker->inner->ops->info(broker->inner, &now);
    return strcmp(now.kind, "memory") == 0 && memory_broker_lose(broker->inner, channel);
}
