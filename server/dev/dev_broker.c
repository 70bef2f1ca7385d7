/* dev_broker.c - see dev_broker.h. */
#include "server/dev/dev_broker.h"

#include "common/json/json.h"

static struct dev_broker *of(struct broker *base)
{
    return CONTAINER_OF(base, struct dev_broker, base);
}

/* --- to the broker ---------------------------------------------------------------------------------------------- */

static void ask(struct broker *base, struct request *request)
{
    struct broker *inner = of(base)->inner;
    inner->ops->ask(inner, request);
}

static void subscribe(struct broker *base, struct str channel, const struct history_policy *history)
{
    struct broker *inner = of(base)->inner;
    inner->ops->subscribe(inner, channel, history);
}

static void unsubscribe(struct broker *base, struct str channel)
{
    struct broker *inner = of(base)->inner;
    inner->ops->unsubscribe(inner, channel);
}

static void info(struct broker *base, struct broker_info *out)
{
    struct broker *inner = of(base)->inner;
    inner->ops->info(inner, out);
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
    inner->ops->close(inner, on_closed);
}

static void destroy(struct broker *base)
{
    struct broker *inner = of(base)->inner;
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

void dev_broker_init(struct dev_broker *broker, struct journal *journal)
{
    *broker = (struct dev_broker){.journal = journal};
}

void dev_broker_take_sink(struct dev_broker *broker, const struct broker_sink **node_sink, void **sink_owner)
{
    broker->sink = *node_sink;
    broker->sink_owner = *sink_owner;
    *node_sink = &sink;
    *sink_owner = broker;
}

struct broker *dev_broker_wrap(struct dev_broker *broker, struct broker *inner)
{
    broker->inner = inner;
    broker->base = (struct broker){.ops = &ops,
                                   .nodes = inner->nodes ? &nodes : NULL,
                                   .sink = broker->sink,
                                   .owner = broker->sink_owner,
                                   .metrics = inner->metrics};
    return &broker->base;
}
