/* rig.c - see rig.h. */
#include "rig.h"

#include <stdio.h>

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

void rig_init(struct rig *rig)
{
    assert_int_equal(uv_loop_init(&rig->loop), 0);
    turn_init(&rig->turn, &rig->loop);
    uv_timer_init(&rig->loop, &rig->ticker);
    uv_timer_start(&rig->ticker, on_tick, 10, 10);
}

void rig_fini(struct rig *rig)
{
    uv_close((uv_handle_t *)&rig->ticker, NULL);
    turn_close(&rig->turn);
    uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
}

static void copy(char *out, size_t size, struct str text)
{
    snprintf(out, size, "%.*s", STR_ARG(text));
}

static void note_published(struct node *node, const struct publication *publication)
{
    const struct request *request = &publication->base;
    assert_true(node->answer_count < SEEN_ANSWERS_MAX);
    struct seen_answer *answer = &node->answers[node->answer_count++];
    answer->err = request_code(request);
    copy(answer->event_id, sizeof answer->event_id, publication->event_id);
    copy(answer->text, sizeof answer->text, str_from_cstr(request->error ? request->error->text : ""));
    copy(answer->id, sizeof answer->id, str_from_cstr(publication->id));
    copy(answer->epoch, sizeof answer->epoch, str_from_cstr(publication->epoch));
    answer->offset = publication->offset;
    answer->retry_after_ms = request->retry_after_ms;
    answer->duplicate = publication->duplicate;
    node->refused += request->error != NULL;
}

static void on_subscribed(void *owner, struct str channel, enum err err, struct str text,
                          const struct position *position)
{
    struct node *node = owner;
    (void)text;
    assert_false(node->calling);
    assert_true(node->subscribed_count < SEEN_SUBSCRIBED_MAX);
    struct seen_subscribed *seen = &node->subscribed[node->subscribed_count++];
    copy(seen->channel, sizeof seen->channel, channel);
    seen->err = err;
    if (position) {
        copy(seen->epoch, sizeof seen->epoch, position->epoch);
        copy(seen->id, sizeof seen->id, position->id);
        seen->offset = position->offset;
    }
    seen->events_before = node->event_count;
}

static void on_located(void *owner, struct str channel, const struct position *position)
{
    struct node *node = owner;
    assert_false(node->calling);
    struct seen_subscribed *seen = &node->located;
    *seen = (struct seen_subscribed){.offset = position->offset, .events_before = node->event_count};
    copy(seen->channel, sizeof seen->channel, channel);
    copy(seen->epoch, sizeof seen->epoch, position->epoch);
    copy(seen->id, sizeof seen->id, position->id);
    node->located_count++;
}

static void on_event(void *owner, const struct event *event)
{
    struct node *node = owner;
    assert_false(node->calling);
    assert_true(node->event_count < SEEN_EVENTS_MAX);
    struct seen_event *seen = &node->events[node->event_count++];
    copy(seen->channel, SEEN_TEXT, event->channel);
    copy(seen->type, SEEN_TEXT, event->type);
    copy(seen->id, SEEN_TEXT, event->id);
    copy(seen->epoch, SEEN_TEXT, event->epoch);
    copy(seen->timestamp, SEEN_TEXT, event->timestamp);
    copy(seen->data, SEEN_TEXT, event->data);
    seen->offset = event->offset;
}

static void note_page(struct node *node, const struct history_read *read)
{
    int len = 0;
    if (read->base.error)
        len = snprintf(node->page, sizeof node->page, "%s", err_code(request_code(&read->base)));
    else
        len = snprintf(node->page, sizeof node->page, "%llu:", (unsigned long long)read->offset);
    for (size_t i = 0; i < read->count; i++) {
        char offset[32];
        struct str json = history_read_json(read, i);
        snprintf(offset, sizeof offset, ",\"offset\":%llu,", (unsigned long long)read->events[i].offset);
        assert_non_null(memmem(json.ptr, json.len, offset, strlen(offset)));
        assert_int_equal(json.ptr[json.len - 1], '}');
        len += snprintf(node->page + len, sizeof node->page - (size_t)len, "%s%llu", i ? "," : "",
                        (unsigned long long)read->events[i].offset);
    }
    if (read->more)
        strcat(node->page, "+");
    snprintf(node->page_ids, sizeof node->page_ids, "%s|%s", read->id, read->before_id);
    node->page_count++;
}

static void note_ticket(struct node *node, const struct ticket_request *request)
{
    static const char *const words[] = {
        [TICKET_DONE] = "done", [TICKET_UNKNOWN] = "unknown", [TICKET_WRONG] = "wrong",
        [TICKET_USED] = "used", [TICKET_HELD] = "held",       [TICKET_WANTED] = "wanted"};
    const struct ticket_facts *facts = &request->facts;
    char *ticket = node->tickets[node->ticket_count % TICKETS_KEPT];
    int len = snprintf(ticket, sizeof node->tickets[0], "%s",
                       request->base.error ? err_code(request->base.error->code) : words[request->outcome]);
    node->tickets_used += request->kept != NULL;
    if (request->kept)
        snprintf(ticket + len, sizeof node->tickets[0] - (size_t)len, " %s %.*s %.*s %.*s %.*s",
                 facts->resumes ? "resume" : "once", STR_ARG(facts->purpose), STR_ARG(facts->resource),
                 STR_ARG(facts->claims), STR_ARG(request->positions));
    node->ticket_count++;
}

const char *node_ticket(const struct node *node, size_t index)
{
    assert_true(index < node->ticket_count && node->ticket_count - index <= TICKETS_KEPT);
    return node->tickets[index % TICKETS_KEPT];
}

static void on_answered(void *owner, struct request *request)
{
    struct node *node = owner;
    assert_false(node->calling);
    if (request->kind == REQUEST_PUBLISH)
        note_published(node, publication_of(request));
    else if (request->kind == REQUEST_HISTORY)
        note_page(node, history_read_of(request));
    else if (request->kind == REQUEST_TICKET)
        note_ticket(node, ticket_request_of(request));
    if (request->reply_to)
        request_answer(request);
    else
        request_destroy(request);
}

static void on_control(void *owner, struct str from, struct str bytes)
{
    struct node *node = owner;
    snprintf(node->control, sizeof node->control, "%.*s|%.*s", STR_ARG(from), STR_ARG(bytes));
    node->control_count++;
}

static void on_state(void *owner, const struct broker_info *info)
{
    struct node *node = owner;
    node->info = *info;
    node->states++;
}

static void on_revoked(void *owner, const struct revocation *revocation)
{
    struct node *node = owner;
    int len = snprintf(node->revoked, sizeof node->revoked, "%d|", (int)revocation->kind);
    copy(node->revoked + len, sizeof node->revoked - (size_t)len, revocation->value);
    node->revoked_count++;
}

static void on_revocations(void *owner, bool begin)
{
    struct node *node = owner;
    node->revocation_lists += !begin;
}

const struct broker_sink node_sink = {
    .answered = on_answered,
    .subscribed = on_subscribed,
    .located = on_located,
    .event = on_event,
    .control = on_control,
    .revoked = on_revoked,
    .revocations = on_revocations,
    .state = on_state,
};

void node_init(struct node *node)
{
    memset(node, 0, sizeof *node);
    node->events = xcalloc(SEEN_EVENTS_MAX, sizeof *node->events);
    node->answers = xcalloc(SEEN_ANSWERS_MAX, sizeof *node->answers);
    node->metrics = xcalloc(1, sizeof *node->metrics);
    metrics_init(node->metrics, -1);
}

static void on_closed(void *owner)
{
    struct node *node = owner;
    node->closed = true;
}

void node_close(struct node *node, struct rig *rig)
{
    if (node->closed)
        return;
    node->broker->ops->close(node->broker, on_closed);
    RIG_WAIT(rig, node->closed);
}

void node_fini(struct node *node, struct rig *rig)
{
    node_close(node, rig);
    node->broker->ops->destroy(node->broker);
    free(node->events);
    free(node->answers);
    free(node->metrics);
}

static struct history_policy policy(uint64_t history)
{
    return (struct history_policy){.size = history, .ttl_ms = history ? 60000 : 0};
}

void node_publish(struct node *node, const char *channel, const char *data, const char *event_id, uint64_t history)
{
    const struct event_offer offer = {.channel = str_from_cstr(channel),
                                      .type = STR("tick"),
                                      .data = {.raw = str_from_cstr(data)},
                                      .event_id = str_from_cstr(event_id)};
    struct publication *publication = publication_create(&offer, STR(""));
    publication->history = policy(history);
    node->calling = true;
    node->broker->ops->ask(node->broker, &publication->base);
    node->calling = false;
}

void node_subscribe(struct node *node, const char *channel, uint64_t history)
{
    struct history_policy of_rule = policy(history);
    node->calling = true;
    node->broker->ops->subscribe(node->broker, str_from_cstr(channel), &of_rule);
    node->calling = false;
}

void node_unsubscribe(struct node *node, const char *channel)
{
    node->calling = true;
    node->broker->ops->unsubscribe(node->broker, str_from_cstr(channel));
    node->calling = false;
}

const struct seen_answer *node_answer(struct node *node, struct rig *rig, size_t index)
{
    RIG_WAIT(rig, node->answer_count > index);
    return &node->answers[index];
}

void node_check_page_ids(const struct node *node, int last, int before)
{
    char expected[2 * SEEN_TEXT];
    snprintf(expected, sizeof expected, "%s|%s", last < 0 ? "" : node->answers[last].id,
             before < 0 ? "" : node->answers[before].id);
    assert_string_equal(node->page_ids, expected);
}

uint64_t node_metric(const struct node *node, enum metric metric)
{
    const struct metrics *all[] = {node->metrics};
    return metrics_value(all, 1, metric, 0);
}

const char *node_history(struct node *node, struct rig *rig, const char *channel, bool backwards, uint64_t from,
                         size_t max_bytes)
{
    struct history_read *read = history_read_create(str_from_cstr(channel), STR(""));
    size_t before = node->page_count;
    read->backwards = backwards;
    read->after = backwards ? 0 : from;
    read->before = backwards ? from : 0;
    read->limit = 10;
    read->max_bytes = max_bytes;
    node->calling = true;
    node->broker->ops->ask(node->broker, &read->base);
    node->calling = false;
    RIG_WAIT(rig, node->page_count > before);
    return node->page;
}

void node_check_paging(struct node *node, struct rig *rig)
{
    enum { KEPT = 15, COUNT = 20, MUCH = 100000 };
    assert_string_equal(node_history(node, rig, "paged", false, 0, MUCH), "0:");
    assert_string_equal(node_history(node, rig, "paged", true, 0, MUCH), "0:");
    for (int i = 0; i < COUNT; i++)
        node_publish(node, "paged", "\"0123456789\"", "", KEPT);
    node_answer(node, rig, COUNT - 1);
    assert_string_equal(node_history(node, rig, "paged", false, 0, MUCH), "20:6,7,8,9,10,11,12,13,14,15+");
    assert_string_equal(node_history(node, rig, "paged", false, 8, MUCH), "20:9,10,11,12,13,14,15,16,17,18+");
    assert_string_equal(node_history(node, rig, "paged", false, 10, MUCH), "20:11,12,13,14,15,16,17,18,19,20");
    assert_string_equal(node_history(node, rig, "paged", false, 17, MUCH), "20:18,19,20");
    assert_string_equal(node_history(node, rig, "paged", false, 20, MUCH), "20:");
    assert_string_equal(node_history(node, rig, "paged", false, UINT64_MAX, MUCH), "20:");
    assert_string_equal(node_history(node, rig, "paged", true, 0, MUCH), "20:11,12,13,14,15,16,17,18,19,20+");
    assert_string_equal(node_history(node, rig, "paged", true, 18, MUCH), "20:8,9,10,11,12,13,14,15,16,17+");
    assert_string_equal(node_history(node, rig, "paged", true, 9, MUCH), "20:6,7,8");
    assert_string_equal(node_history(node, rig, "paged", true, 6, MUCH), "20:");
    assert_string_equal(node_history(node, rig, "paged", true, 100, MUCH), "20:11,12,13,14,15,16,17,18,19,20+");
    assert_string_equal(node_history(node, rig, "paged", false, 10, 1), "20:11+");
    assert_string_equal(node_history(node, rig, "paged", true, 10, 1), "20:9+");
}
