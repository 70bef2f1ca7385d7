/* test_continuity.c - two workers' hubs, a router and a broker whose log is a model. Events are lost on their way, come
 * twice, late or from another history, and subscribers recover meanwhile. Catchup alone: test_catchup.c. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/log.h"
#include "server/node/router.h"
#include "tests/unit/core/hub_fixture.h"

enum { WORKERS = 2, CLIENTS = 3 }; /* clients of each worker */

struct node;

struct port {
    struct node *node;
    unsigned worker;
};

struct node {
    struct broker broker; /* first: the router's broker */
    uv_loop_t loop;
    struct turn turn;
    struct router router;
    struct metrics metrics;
    struct fixture worker[WORKERS];
    struct port port[WORKERS];
    struct wire wire[WORKERS][CLIENTS];
    /* The model: the log has the events (first - 1, last] of the epoch. */
    char epoch[EPOCH_MAX + 1];
    uint64_t first, last;
    const char *past;       /* the first part of its events' ids: another one after it has lost events */
    bool knows_before;      /* the event before the first one of the log */
    bool data_is_epoch;     /* of events in the log; else their offset */
    struct list_link reads; /* struct history_read: with the broker */
    unsigned read_count;
    unsigned most_reads;
    unsigned subscribes;           /* also of channels that are subscribed */
    struct history_policy history; /* of the last one */
    uint64_t now_us;
};

/* --- the broker ------------------------------------------------------------------------------------------------ */

/* Of the event at that offset, in the history that the model has now. */
static const char *id_of(const struct node *node, uint64_t offset)
{
    static char id[32];
    snprintf(id, sizeof id, "%s-%llu", node->past, (unsigned long long)offset);
    return id;
}

static struct event event_of(const struct node *node, struct str channel, const char *epoch, uint64_t offset,
                             char data[24])
{
    snprintf(data, 24, "%llu", (unsigned long long)offset);
    return (struct event){.channel = channel,
                          .type = STR("note"),
                          .id = str_from_cstr(id_of(node, offset)),
                          .epoch = str_from_cstr(epoch),
                          .offset = offset,
                          .timestamp = STR("t"),
                          .data = str_from_cstr(data)};
}

static void fake_subscribe(struct broker *broker, struct str channel, const struct history_policy *history)
{
    (void)channel;
    ((struct node *)broker)->subscribes++;
    ((struct node *)broker)->history = *history;
}

static void fake_unsubscribe(struct broker *broker, struct str channel)
{
    (void)broker;
    (void)channel;
}

/* Fills the page at once, as the log is now. The page is given back when the test says so. */
static void fake_ask(struct broker *broker, struct request *request)
{
    struct node *node = (struct node *)broker;
    struct history_read *read = history_read_of(request);
    unsigned waiting = 1;
    LIST_EACH(link, &node->reads)
    waiting++;
    node->most_reads = waiting > node->most_reads ? waiting : node->most_reads;
    node->read_count++;
    list_append(&node->reads, &request->link);
    strcpy(read->epoch, node->epoch);
    read->offset = node->last;
    if (node->last)
        strcpy(read->id, id_of(node, node->last));
    if (node->knows_before)
        strcpy(read->before_id, id_of(node, node->first - 1));
    assert_false(read->backwards);
    for (uint64_t offset = read->after + 1 > node->first ? read->after + 1 : node->first; offset <= node->last;
         offset++) {
        char data[24];
        char text[EPOCH_MAX + 3];
        struct event event = event_of(node, request->channel, node->epoch, offset, data);
        snprintf(text, sizeof text, "\"%s\"", node->epoch);
        if (node->data_is_epoch)
            event.data = str_from_cstr(text);
        if (read->count == read->limit) {
            read->more = true;
            break;
        }
        history_read_add(read, &event);
    }
}

static const struct broker_ops fake_ops = {
    .subscribe = fake_subscribe, .unsubscribe = fake_unsubscribe, .ask = fake_ask};

/* --- the workers ----------------------------------------------------------------------------------------------- */

static void join(void *owner, unsigned worker, struct str channel, const struct channel_join *join)
{
    struct port *port = owner;
    router_join(&port->node->router, port->worker, channel, join);
}

static void leave(void *owner, unsigned worker, struct str channel)
{
    struct port *port = owner;
    router_leave(&port->node->router, port->worker, channel);
}

static void recover(void *owner, struct request *request)
{
    struct port *port = owner;
    router_ask(&port->node->router, request);
}

static const struct node_ops to_router = {.join = join, .leave = leave, .ask = recover};

/* One turn of every loop, until all mail has been delivered. */
static void turn_all(struct node *node)
{
    for (int round = 0; round < 4; round++) {
        uv_run(&node->loop, UV_RUN_NOWAIT);
        for (int w = 0; w < WORKERS; w++) {
            uv_run(&node->worker[w].loop, UV_RUN_NOWAIT);
            hub_flush(node->worker[w].hub);
        }
    }
}

static struct node *setup(void)
{
    struct node *node = xcalloc(1, sizeof *node);
    uv_loop_init(&node->loop);
    turn_init(&node->turn, &node->loop);
    metrics_init(&node->metrics, -1);
    router_init(&node->router, &node->turn, &node->metrics);
    node->broker.ops = &fake_ops;
    node->router.broker = &node->broker;
    atomic_store(&node->router.broker_state, BROKER_UP);
    list_init(&node->reads);
    strcpy(node->epoch, "e");
    node->past = "p";
    node->first = 1;
    for (unsigned w = 0; w < WORKERS; w++) {
        fixture_setup_as(&node->worker[w], w, STR(""));
        node->worker[w].endpoint->ping_interval_us = 0; /* the first one is at a random time */
        node->port[w] = (struct port){node, w};
        node->worker[w].forward = &to_router;
        node->worker[w].forward_owner = &node->port[w];
        for (int c = 0; c < CLIENTS; c++)
            open_session(&node->worker[w], &node->wire[w][c], "{\"sub\":\"alice\"}");
        router_add_worker(&node->router, &node->worker[w].replies);
    }
    return node;
}

static void answer_reads(struct node *node)
{
    for (struct list_link *link; (link = list_take_first(&node->reads));) {
        router_answered(&node->router, CONTAINER_OF(link, struct request, link));
        turn_all(node);
    }
}

static void fail_reads(struct node *node, enum err err)
{
    struct list_link failed;
    list_init(&failed);
    for (struct list_link *link; (link = list_take_first(&node->reads));)
        list_append(&failed, link);
    for (struct list_link *link; (link = list_take_first(&failed));) {
        struct history_read *read = CONTAINER_OF(link, struct history_read, base.link);
        request_fail(&read->base, err, "no");
        router_answered(&node->router, &read->base);
    }
    turn_all(node);
}

static void tick(struct node *node, uint64_t ms)
{
    node->now_us += ms * 1000;
    router_tick(&node->router, node->now_us);
    turn_all(node);
}

static void teardown(struct node *node)
{
    answer_reads(node);
    for (int w = 0; w < WORKERS; w++) {
        for (int c = 0; c < CLIENTS; c++)
            close_session(&node->worker[w], &node->wire[w][c]);
        pass(&node->worker[w], 5000);
    }
    turn_all(node);
    assert_int_equal(node->router.channels.count, 0);
    assert_int_equal(node->router.catchups.budget.bytes, 0);
    for (int w = 0; w < WORKERS; w++) {
        fixture_teardown(&node->worker[w]);
    }
    mailbox_close(&node->router.mailbox);
    router_fini(&node->router);
    turn_close(&node->turn);
    uv_run(&node->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&node->loop), 0);
    free(node);
}

/* since below 0: none. id NULL: without it. */
static void subscribe_from(struct node *node, int worker, int client, const char *channel, const char *epoch,
                           int64_t since, const char *id)
{
    char text[300];
    int len = snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"%s\"", channel);
    if (since >= 0)
        len += snprintf(text + len, sizeof text - (size_t)len, ",\"since\":{\"epoch\":\"%s\",\"offset\":%lld%s%s%s}",
                        epoch, (long long)since, id ? ",\"id\":\"" : "", id ? id : "", id ? "\"" : "");
    snprintf(text + len, sizeof text - (size_t)len, "}}");
    send_text(&node->worker[worker], &node->wire[worker][client], text);
    turn_all(node);
}

static void subscribe(struct node *node, int worker, int client, const char *channel, const char *epoch, int64_t since)
{
    subscribe_from(node, worker, client, channel, epoch, since, NULL);
}

static void position(struct node *node, const char *channel)
{
    router_subscribed(&node->router, str_from_cstr(channel), ERR_NONE, STR(""),
                      &(struct position){str_from_cstr(node->epoch), node->last,
                                         str_from_cstr(node->last ? id_of(node, node->last) : "")});
    turn_all(node);
}

static void located_at(struct node *node, const char *channel, const char *epoch, uint64_t offset)
{
    router_located(&node->router, str_from_cstr(channel), &(struct position){str_from_cstr(epoch), offset, STR("")});
    turn_all(node);
}

/* The model's log grows. The router does not hear of it. */
static void store(struct node *node, uint64_t last)
{
    node->last = last;
}

static void live_of(struct node *node, const char *epoch, uint64_t offset)
{
    char data[24];
    struct event event = event_of(node, STR("log:a"), epoch, offset, data);
    router_event(&node->router, &event);
    turn_all(node);
}

static void live(struct node *node, uint64_t offset)
{
    if (node->last < offset)
        node->last = offset;
    live_of(node, node->epoch, offset);
}

static void expect(struct wire *wire, const char *part)
{
    const char *frame = next_frame(wire, NULL);
    if (!strstr(frame, part))
        fail_msg("expected %s in '%s'", part, frame);
}

static void expect_events(struct wire *wire, uint64_t first, uint64_t last)
{
    for (uint64_t offset = first; offset <= last; offset++) {
        char part[48];
        snprintf(part, sizeof part, "\"offset\":%llu,\"timestamp\"", (unsigned long long)offset);
        expect(wire, part);
    }
}

static void expect_nothing(struct wire *wire)
{
    assert_string_equal(next_frame(wire, NULL), "");
}

/* A client of each worker is subscribed at offset 5. */
static struct node *setup_at_five(void)
{
    struct node *node = setup();
    node->last = 5;
    for (int w = 0; w < WORKERS; w++)
        subscribe(node, w, 0, "log:a", "", -1);
    position(node, "log:a");
    for (int w = 0; w < WORKERS; w++)
        expect(&node->wire[w][0], "\"epoch\":\"e\",\"offset\":5");
    return node;
}

/* --- live ------------------------------------------------------------------------------------------------------ */

static void test_event_that_comes_twice(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    live(node, 6);
    live(node, 6);
    live(node, 3);
    live(node, 7);
    for (int w = 0; w < WORKERS; w++) {
        expect_events(&node->wire[w][0], 6, 7);
        expect_nothing(&node->wire[w][0]);
    }
    assert_int_equal(node->read_count, 0);
    teardown(node);
}

static void test_jump_is_filled_from_the_history(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    live(node, 8);
    live(node, 9);
    for (int w = 0; w < WORKERS; w++)
        expect_nothing(&node->wire[w][0]);
    assert_int_equal(node->read_count, 1);
    live(node, 10); /* after the page was read */
    store(node, 12);
    answer_reads(node);
    live(node, 11);
    live(node, 12);
    live(node, 13);
    for (int w = 0; w < WORKERS; w++) {
        expect_events(&node->wire[w][0], 6, 13);
        expect_nothing(&node->wire[w][0]);
    }
    teardown(node);
}

/* The page has more than pub/sub has brought: it counts, and what pub/sub brings later does not. */
static void test_history_may_be_ahead(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    store(node, 10);
    live(node, 8);
    answer_reads(node);
    live(node, 9);
    live(node, 10);
    live(node, 11);
    for (int w = 0; w < WORKERS; w++) {
        expect_events(&node->wire[w][0], 6, 11);
        expect_nothing(&node->wire[w][0]);
    }
    teardown(node);
}

static void test_jump_that_is_longer_than_a_page(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    for (int w = 0; w < WORKERS; w++) {
        node->worker[w].settings.outbox_max_messages = 10000;
        node->worker[w].settings.outbox_max_bytes = 1 << 24;
        hub_configure(node->worker[w].hub, &node->worker[w].settings, node->worker[w].rules);
    }
    live(node, 1000);
    live(node, 1002); /* one more is lost among those that are held */
    answer_reads(node);
    assert_int_equal(node->read_count, 4);
    for (int w = 0; w < WORKERS; w++) {
        expect_events(&node->wire[w][0], 6, 1002);
        expect_nothing(&node->wire[w][0]);
    }
    teardown(node);
}

static void test_what_is_no_longer_kept(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    node->first = 8;
    live(node, 9);
    answer_reads(node);
    for (int w = 0; w < WORKERS; w++) {
        expect(&node->wire[w][0], "{\"type\":\"gap\",\"channel\":\"log:a\",\"data\":{\"reason\":\"history_too_short\","
                                  "\"epoch\":\"e\",\"offset\":7}}");
        expect_events(&node->wire[w][0], 8, 9);
        expect_nothing(&node->wire[w][0]);
    }
    node->first = 100; /* as when the ttl is over */
    live(node, 12);
    answer_reads(node);
    live(node, 13);
    for (int w = 0; w < WORKERS; w++) {
        expect(&node->wire[w][0], "\"reason\":\"history_too_short\",\"epoch\":\"e\",\"offset\":12,\"id\":\"p-12\"}}");
        expect_events(&node->wire[w][0], 13, 13);
    }
    teardown(node);
}

static void test_reads_that_fail(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    live(node, 8);
    fail_reads(node, ERR_UNAVAILABLE);
    tick(node, 100);
    assert_int_equal(node->read_count, 1);
    tick(node, 200);
    assert_int_equal(node->read_count, 2);
    answer_reads(node);
    expect_events(&node->wire[0][0], 6, 8);
    live(node, 11);
    live(node, 12);
    fail_reads(node, ERR_INTERNAL_ERROR);
    live(node, 13);
    expect(&node->wire[0][0], "\"reason\":\"history_unavailable\",\"epoch\":\"e\",\"offset\":10}}");
    expect_events(&node->wire[0][0], 11, 13);
    live(node, 15); /* unavailable for too long, with the broker up */
    for (int i = 0; i < 310; i++) {
        fail_reads(node, ERR_UNAVAILABLE);
        tick(node, 100);
    }
    expect(&node->wire[0][0], "\"reason\":\"history_unavailable\",\"epoch\":\"e\",\"offset\":14}}");
    expect_events(&node->wire[0][0], 15, 15);
    expect_nothing(&node->wire[0][0]);
    teardown(node);
}

/* --- the broker was away --------------------------------------------------------------------------------------- */

static void test_broker_comes_back(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    position(node, "log:a");
    assert_int_equal(node->read_count, 0);
    store(node, 8);
    position(node, "log:a");
    live(node, 9);
    answer_reads(node);
    for (int w = 0; w < WORKERS; w++) {
        expect_events(&node->wire[w][0], 6, 9);
        expect_nothing(&node->wire[w][0]);
    }
    /* Who subscribes on the way hears where the worker is, and gets what follows. */
    store(node, 11);
    position(node, "log:a");
    subscribe(node, 0, 1, "log:a", "", -1);
    expect(&node->wire[0][1], "\"offset\":9,\"id\":\"p-9\",\"recovered\":false");
    answer_reads(node);
    expect_events(&node->wire[0][1], 10, 11);
    teardown(node);
}

/* The last event posted is no longer kept, the next one is: has it followed that one? */
static void test_broker_comes_back_and_nobody_can_say(void **state)
{
    static const struct {
        uint64_t first;
        bool knows_before;
        bool gap;
    } cases[] = {{5, false, false}, {6, true, false}, {6, false, true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct node *node = setup_at_five();
        store(node, 8);
        node->first = cases[i].first;
        node->knows_before = cases[i].knows_before;
        position(node, "log:a");
        answer_reads(node);
        live(node, 9);
        for (int w = 0; w < WORKERS; w++) {
            if (cases[i].gap)
                expect(&node->wire[w][0], "\"reason\":\"history_too_short\",\"epoch\":\"e\",\"offset\":5}}");
            expect_events(&node->wire[w][0], 6, 9);
            expect_nothing(&node->wire[w][0]);
        }
        assert_int_equal(node->read_count, 1);
        teardown(node);
    }
}

/* A read was on its way when the broker told where it is now. */
static void test_proof_needs_a_later_read(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    node->first = 6;
    live(node, 7);
    store(node, 8);
    position(node, "log:a");
    answer_reads(node);
    expect(&node->wire[0][0], "\"reason\":\"history_too_short\",\"epoch\":\"e\",\"offset\":5}}");
    expect_events(&node->wire[0][0], 6, 8);
    assert_int_equal(node->read_count, 2);
    teardown(node);
}

/* The event that was posted last has been lost, and its offset is another event's now. */
static void test_last_event_was_replaced(void **state)
{
    static const uint64_t now_at[] = {5, 6, 8, 5 + HISTORY_LIMIT_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof now_at / sizeof *now_at; i++) {
        struct node *node = setup_at_five();
        node->past = "q";
        store(node, now_at[i]);
        position(node, "log:a");
        answer_reads(node);
        answer_reads(node);
        live(node, now_at[i] + 1);
        answer_reads(node);
        for (int w = 0; w < WORKERS; w++) {
            expect(&node->wire[w][0], "\"reason\":\"offset_regressed\",\"epoch\":\"e\",\"offset\":5,\"id\":\"q-5\"}}");
            expect_events(&node->wire[w][0], 6, now_at[i] + 1);
            expect_nothing(&node->wire[w][0]);
        }
        teardown(node);
    }
}

/* The event waited for those before it when the connection was lost. Then Redis went back to before it. */
static void test_held_before_the_connection_was_lost(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    live(node, 7);
    fail_reads(node, ERR_UNAVAILABLE);
    node->last = 5;
    position(node, "log:a");
    live(node, 6);
    tick(node, 300);
    expect_events(&node->wire[0][0], 6, 6);
    expect_nothing(&node->wire[0][0]);
    teardown(node);
}

static void test_broker_comes_back_with_another_history(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    strcpy(node->epoch, "f");
    node->last = 2;
    position(node, "log:a");
    live(node, 3);
    for (int w = 0; w < WORKERS; w++) {
        expect(&node->wire[w][0], "\"reason\":\"epoch_changed\",\"epoch\":\"f\",\"offset\":2,\"id\":\"p-2\"}}");
        expect_events(&node->wire[w][0], 3, 3);
    }
    node->last = 1;
    position(node, "log:a");
    live(node, 2);
    for (int w = 0; w < WORKERS; w++) {
        expect(&node->wire[w][0], "\"reason\":\"offset_regressed\",\"epoch\":\"f\",\"offset\":1,\"id\":\"p-1\"}}");
        expect_events(&node->wire[w][0], 2, 2);
    }
    live_of(node, "g", 4); /* nobody has told of it */
    live_of(node, "g", 5);
    expect(&node->wire[0][0], "\"reason\":\"epoch_changed\",\"epoch\":\"g\",\"offset\":3}}");
    expect_events(&node->wire[0][0], 4, 5);
    expect_nothing(&node->wire[0][0]);
    teardown(node);
}

static void test_history_begins_anew_while_it_is_read(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    live(node, 8);
    strcpy(node->epoch, "f");
    node->last = 0;
    live(node, 1);
    answer_reads(node); /* the first of the old epoch */
    expect(&node->wire[0][0], "\"reason\":\"epoch_changed\",\"epoch\":\"f\",\"offset\":0}}");
    expect_events(&node->wire[0][0], 1, 1);
    expect_nothing(&node->wire[0][0]);
    live(node, 4); /* the read finds out */
    strcpy(node->epoch, "g");
    fail_reads(node, ERR_UNAVAILABLE);
    node->last = 9;
    tick(node, 300);
    answer_reads(node);
    expect(&node->wire[0][0], "\"reason\":\"epoch_changed\",\"epoch\":\"g\",\"offset\":9,\"id\":\"p-9\"}}");
    live(node, 10);
    expect_events(&node->wire[0][0], 10, 10);
    teardown(node);
}

static void test_channel_without_history(void **state)
{
    struct node *node = setup();
    (void)state;
    node->epoch[0] = '\0';
    subscribe(node, 0, 0, "public:a", "", -1);
    position(node, "public:a");
    expect(&node->wire[0][0], "{\"type\":\"subscribed\",\"channel\":\"public:a\",\"data\":{\"recovered\":false}}");
    position(node, "public:a");
    expect(&node->wire[0][0], "{\"type\":\"gap\",\"channel\":\"public:a\",\"data\":{\"reason\":\"connection_lost\"}}");
    subscribe(node, 0, 1, "public:a", "e", 3);
    expect(&node->wire[0][1], "{\"type\":\"subscribed\",\"channel\":\"public:a\",\"data\":{\"recovered\":false}}");
    teardown(node);
}

static void use_rule(struct node *node, const struct rule *rule)
{
    for (int w = 0; w < WORKERS; w++) {
        rules_unref(node->worker[w].rules);
        node->worker[w].rules = rules_create(rule, 1);
        hub_configure(node->worker[w].hub, &node->worker[w].settings, node->worker[w].rules);
    }
    turn_all(node);
}

/* Offsets were given again in the same epoch: what was known of the event before the oldest one goes as well. */
static void test_what_is_known_of_a_replaced_history(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    node->first = 4;
    node->knows_before = true;
    subscribe_from(node, 0, 1, "log:a", "e", 1, "p-1"); /* shows what is kept */
    answer_reads(node);
    expect(&node->wire[0][1], "\"recovered\":false");
    node->past = "q";
    position(node, "log:a");
    expect(&node->wire[0][0], "\"reason\":\"offset_regressed\",\"epoch\":\"e\",\"offset\":5,\"id\":\"q-5\"");
    subscribe_from(node, 0, 2, "log:a", "e", 3, "p-3");
    answer_reads(node);
    expect(&node->wire[0][2], "\"recovered\":false");
    teardown(node);
}

/* The event to be checked is one of the old history: the new one is not asked for it. */
static void test_broker_comes_back_empty_while_it_is_read(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    store(node, 7);
    position(node, "log:a");
    strcpy(node->epoch, "f");
    store(node, 0);
    position(node, "log:a");
    answer_reads(node);
    expect(&node->wire[0][0], "\"reason\":\"epoch_changed\",\"epoch\":\"f\",\"offset\":0");
    live(node, 2);
    struct history_read *read = CONTAINER_OF(list_take_first(&node->reads), struct history_read, base.link);
    assert_int_equal(read->after, 0);
    router_answered(&node->router, &read->base);
    turn_all(node);
    assert_true(list_is_empty(&node->reads));
    expect_events(&node->wire[0][0], 1, 2);
    teardown(node);
}

/* Nothing with an offset is lost, but joins and leaves may be. */
static void test_broker_comes_back_to_a_channel_with_joins(void **state)
{
    struct rule rule = {
        .match = STR("*"), .allow = ALLOW_ALL, .history = {.size = 10}, .presence = {.kept = true, .events = true}};
    struct node *node = setup();
    (void)state;
    use_rule(node, &rule);
    node->last = 5;
    subscribe(node, 0, 0, "log:a", "", -1);
    position(node, "log:a");
    expect(&node->wire[0][0], "\"offset\":5");
    store(node, 7);
    position(node, "log:a");
    answer_reads(node);
    expect(&node->wire[0][0], "\"reason\":\"connection_lost\",\"epoch\":\"e\",\"offset\":5");
    expect_events(&node->wire[0][0], 6, 7);
    expect_nothing(&node->wire[0][0]);
    teardown(node);
}

static const char history_gone[] = "{\"type\":\"gap\",\"channel\":\"log:a\",\"data\":{\"reason\":\"history_changed\"}}";

/* A position does not outlive the rule that it was for: what is published since then leaves no trace in it. */
static void test_channel_that_has_lost_its_history(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    use_rule(node, &(struct rule){.match = STR("*"), .allow = ALLOW_ALL});
    assert_int_equal(node->history.size, 0);
    for (int w = 0; w < WORKERS; w++) {
        expect(&node->wire[w][0], history_gone);
        expect_nothing(&node->wire[w][0]);
    }
    subscribe(node, 0, 1, "log:a", "e", 5);
    expect(&node->wire[0][1], "\"recovered\":false");
    position(node, "log:a");
    for (int w = 0; w < WORKERS; w++)
        expect(&node->wire[w][0], "{\"type\":\"gap\",\"channel\":\"log:a\",\"data\":{\"reason\":\"connection_lost\"}}");
    /* And one that is joined from then on. */
    subscribe(node, 0, 1, "log:b", "", -1);
    position(node, "log:b");
    expect(&node->wire[0][1], "{\"type\":\"gap\",\"channel\":\"log:a\"");
    expect(&node->wire[0][1], "{\"type\":\"subscribed\",\"channel\":\"log:b\",\"data\":{\"recovered\":false}}");
    position(node, "log:b");
    expect(&node->wire[0][1], "{\"type\":\"gap\",\"channel\":\"log:b\",\"data\":{\"reason\":\"connection_lost\"}}");
    /* Another node still numbers them. */
    live(node, 6);
    expect(&node->wire[0][0], "\"id\":\"p-6\",\"timestamp\"");
    teardown(node);
}

static const struct rule plain_rule = {.match = {"*", 1}, .allow = ALLOW_ALL};
static const struct rule with_history = {.match = {"*", 1}, .allow = ALLOW_ALL, .history = {.size = 10}};

/* The broker is asked where the channel is. Subscribers hear the answer, and those who come meanwhile wait for it. */
static void test_channel_that_is_given_a_history(void **state)
{
    struct node *node = setup();
    (void)state;
    use_rule(node, &plain_rule);
    subscribe(node, 0, 0, "log:a", "", -1);
    position(node, "log:a"); /* other nodes give it one already */
    expect(&node->wire[0][0], "{\"type\":\"subscribed\",\"channel\":\"log:a\",\"data\":{\"recovered\":false}}");
    live(node, 1);
    expect(&node->wire[0][0], "\"id\":\"p-1\",\"timestamp\"");
    assert_int_equal(node->subscribes, 1);
    use_rule(node, &with_history);
    assert_int_equal(node->subscribes, 2);
    assert_int_equal(node->history.size, 10);
    expect_nothing(&node->wire[0][0]);
    store(node, 5);
    subscribe(node, 0, 1, "log:a", "e", 3);
    subscribe(node, 1, 0, "log:a", "", -1); /* its worker's first */
    answer_reads(node);
    expect_nothing(&node->wire[0][1]);
    expect_nothing(&node->wire[1][0]);
    located_at(node, "log:a", "e", 5);
    expect(&node->wire[0][0], "\"reason\":\"history_changed\",\"epoch\":\"e\",\"offset\":5}");
    expect(&node->wire[1][0], "\"type\":\"subscribed\",\"channel\":\"log:a\",\"data\":{\"epoch\":\"e\",\"offset\":5,");
    answer_reads(node);
    expect(&node->wire[0][1], "\"offset\":3,\"recovered\":true");
    expect_events(&node->wire[0][1], 4, 5);
    live(node, 6);
    expect_events(&node->wire[0][0], 6, 6);
    expect_events(&node->wire[0][1], 6, 6);
    expect_events(&node->wire[1][0], 6, 6);
    expect_nothing(&node->wire[0][0]);
    /* Another size or age of it: the broker is told, and nobody else. */
    struct rule another = with_history;
    another.history.ttl_ms = 1000;
    use_rule(node, &another);
    assert_int_equal(node->history.ttl_ms, 1000);
    expect_nothing(&node->wire[0][0]);
    teardown(node);
}

/* The first event tells where it is, when it comes before the broker's answer. */
static void test_event_before_the_position(void **state)
{
    struct node *node = setup();
    (void)state;
    use_rule(node, &plain_rule);
    subscribe(node, 0, 0, "log:a", "", -1);
    position(node, "log:a");
    expect(&node->wire[0][0], "\"type\":\"subscribed\"");
    use_rule(node, &with_history);
    live(node, 6);
    expect(&node->wire[0][0], "\"reason\":\"history_changed\",\"epoch\":\"e\",\"offset\":5}");
    expect_events(&node->wire[0][0], 6, 6);
    located_at(node, "log:a", "e", 6);
    expect_nothing(&node->wire[0][0]);
    teardown(node);
}

/* Where no epoch could be begun, the broker is asked until one can. */
static void test_channel_without_a_position_is_asked_for(void **state)
{
    struct node *node = setup();
    (void)state;
    router_state(&node->router, &(struct broker_info){.state = BROKER_UP});
    node->epoch[0] = '\0';
    subscribe(node, 0, 0, "log:a", "", -1);
    position(node, "log:a");
    expect(&node->wire[0][0], "\"data\":{\"recovered\":false}");
    for (unsigned asked = 1; asked <= 3; asked++) {
        tick(node, 1100);
        assert_int_equal(node->subscribes, 1 + asked);
        located_at(node, "log:a", "", 0);
        expect_nothing(&node->wire[0][0]);
    }
    router_state(&node->router, &(struct broker_info){.state = BROKER_DOWN});
    tick(node, 1100);
    assert_int_equal(node->subscribes, 4);
    router_state(&node->router, &(struct broker_info){.state = BROKER_UP});
    tick(node, 1100);
    located_at(node, "log:a", "f", 0);
    expect(&node->wire[0][0], "\"reason\":\"history_changed\",\"epoch\":\"f\",\"offset\":0}");
    tick(node, 1100);
    assert_int_equal(node->subscribes, 5);
    /* It is lost again, and then there is room: by way of the broker's return too. */
    position(node, "log:a");
    expect(&node->wire[0][0], "\"data\":{\"reason\":\"history_unavailable\"}");
    tick(node, 1100);
    assert_int_equal(node->subscribes, 6);
    located_at(node, "log:a", "g", 2);
    expect(&node->wire[0][0], "\"reason\":\"history_changed\",\"epoch\":\"g\",\"offset\":2}");
    teardown(node);
}

/* Redis has no position of it any more: who waits for what it missed waits for the epoch that the broker begins. */
static void test_page_of_a_channel_that_is_gone(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    node->epoch[0] = '\0';
    node->last = 0;
    subscribe(node, 0, 1, "log:a", "e", 3);
    answer_reads(node);
    expect_nothing(&node->wire[0][0]);
    expect_nothing(&node->wire[0][1]);
    strcpy(node->epoch, "f");
    located_at(node, "log:a", "f", 0);
    expect(&node->wire[0][0], "\"reason\":\"epoch_changed\",\"epoch\":\"f\",\"offset\":0}");
    tick(node, 300);
    answer_reads(node);
    expect(&node->wire[0][1], "\"epoch\":\"f\",\"offset\":0,\"recovered\":false");
    teardown(node);
}

/* --- coming back ----------------------------------------------------------------------------------------------- */

static void test_return_to_a_new_channel(void **state)
{
    struct node *node = setup();
    (void)state;
    node->last = 5;
    subscribe(node, 0, 0, "log:a", "e", 2);
    subscribe(node, 1, 0, "log:a", "e", 5);
    subscribe(node, 1, 1, "log:a", "x", 2);
    expect_nothing(&node->wire[0][0]); /* it waits for the broker */
    assert_int_equal(node->read_count, 0);
    position(node, "log:a");
    expect(&node->wire[1][0], "\"offset\":5,\"recovered\":true");
    live(node, 6);
    answer_reads(node);
    expect(&node->wire[1][1], "\"epoch\":\"e\",\"offset\":6,\"id\":\"p-6\",\"recovered\":false");
    live(node, 7);
    expect(&node->wire[0][0], "\"offset\":2,\"recovered\":true");
    expect_events(&node->wire[0][0], 3, 7);
    expect_events(&node->wire[1][0], 6, 7);
    expect_events(&node->wire[1][1], 7, 7);
    expect_nothing(&node->wire[0][0]);
    teardown(node);
}

static void test_return_too_late(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    node->first = 4;
    subscribe(node, 0, 1, "log:a", "e", 2);
    answer_reads(node);
    expect(&node->wire[0][1], "\"offset\":5,\"id\":\"p-5\",\"recovered\":false");
    subscribe(node, 0, 2, "log:a", "e", 3);
    answer_reads(node);
    expect(&node->wire[0][2], "\"offset\":3,\"recovered\":true");
    expect_events(&node->wire[0][2], 4, 5);
    unsigned reads = node->read_count;
    subscribe(node, 1, 1, "log:a", "e", 1); /* known by now */
    expect(&node->wire[1][1], "\"offset\":5,\"id\":\"p-5\",\"recovered\":false");
    assert_int_equal(node->read_count, reads);
    send_text(&node->worker[1], &node->wire[1][2],
              "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"last\":100}}");
    turn_all(node);
    answer_reads(node);
    expect(&node->wire[1][2], "\"offset\":3,\"recovered\":false"); /* as many as there are */
    expect_events(&node->wire[1][2], 4, 5);
    teardown(node);
}

/* It has seen events on another node that have not come here yet. */
static void test_return_from_the_future(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    store(node, 8);
    subscribe(node, 0, 1, "log:a", "e", 7);
    answer_reads(node);
    expect(&node->wire[0][1], "\"offset\":7,\"recovered\":true");
    expect_events(&node->wire[0][1], 8, 8);
    expect_events(&node->wire[0][0], 6, 8);
    subscribe(node, 1, 1, "log:a", "e", 11); /* and what the broker has lost */
    answer_reads(node);
    expect(&node->wire[1][1], "\"offset\":8,\"id\":\"p-8\",\"recovered\":false");
    live(node, 9);
    expect_events(&node->wire[1][1], 9, 9);
    expect_events(&node->wire[0][1], 9, 9);
    subscribe(node, 1, 2, "log:a", "e", UINT32_MAX);
    answer_reads(node);
    expect(&node->wire[1][2], "\"offset\":9,\"id\":\"p-9\",\"recovered\":false");
    teardown(node);
}

/* This node is cut from a broker that has begun a new epoch, and the client has seen it on another node. */
static void test_return_from_an_epoch_to_come(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    subscribe(node, 0, 1, "log:a", "f", 2);
    fail_reads(node, ERR_UNAVAILABLE);
    expect_nothing(&node->wire[0][1]);
    strcpy(node->epoch, "f");
    store(node, 3);
    tick(node, 300);
    answer_reads(node);
    expect(&node->wire[0][0], "\"reason\":\"epoch_changed\",\"epoch\":\"f\",\"offset\":3,\"id\":\"p-3\"");
    expect(&node->wire[0][1], "\"epoch\":\"f\",\"offset\":2,\"recovered\":true");
    expect_events(&node->wire[0][1], 3, 3);
    expect_nothing(&node->wire[0][1]);
    teardown(node);
}

static void test_return_with_the_last_id(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    subscribe_from(node, 0, 1, "log:a", "e", 5, "p-5"); /* as the position told it */
    expect(&node->wire[0][1], "\"offset\":5,\"id\":\"p-5\",\"recovered\":true");
    live(node, 6);
    subscribe_from(node, 1, 1, "log:a", "e", 6, "p-6");
    expect(&node->wire[1][1], "\"offset\":6,\"id\":\"p-6\",\"recovered\":true");
    assert_int_equal(node->read_count, 0);
    subscribe_from(node, 1, 2, "log:a", "e", 6, "q-6"); /* is this node behind, or is it the client's that is gone? */
    expect_nothing(&node->wire[1][2]);
    answer_reads(node);
    expect(&node->wire[1][2], "\"offset\":6,\"id\":\"p-6\",\"recovered\":false");
    live(node, 7);
    expect_events(&node->wire[0][1], 6, 7);
    expect_events(&node->wire[1][1], 7, 7);
    expect_events(&node->wire[1][2], 7, 7);
    teardown(node);
}

/* Redis has gone back to 1, and others have published: no node here has seen what was lost. */
static void test_ids_of_another_past(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    live(node, 6);
    subscribe_from(node, 0, 1, "log:a", "e", 2, "p-2");
    subscribe_from(node, 0, 2, "log:a", "e", 3, "q-3");
    subscribe_from(node, 1, 1, "log:a", "e", 4, "p-4");
    subscribe_from(node, 1, 2, "log:a", "e", 2, "q-2");
    answer_reads(node);
    expect(&node->wire[0][1], "\"offset\":2,\"id\":\"p-2\",\"recovered\":true");
    expect_events(&node->wire[0][1], 3, 6);
    expect(&node->wire[0][2], "\"offset\":6,\"id\":\"p-6\",\"recovered\":false");
    expect(&node->wire[1][1], "\"offset\":4,\"id\":\"p-4\",\"recovered\":true");
    expect_events(&node->wire[1][1], 5, 6);
    expect(&node->wire[1][2], "\"offset\":6,\"id\":\"p-6\",\"recovered\":false");
    assert_int_equal(node->read_count, 2); /* the first of them was on its way when the others came */
    teardown(node);
}

static void test_many_with_ids_share_a_read(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    subscribe_from(node, 0, 1, "log:a", "e", 2, "p-2");
    answer_reads(node);
    expect(&node->wire[0][1], "\"recovered\":true");
    expect_events(&node->wire[0][1], 3, 5);
    subscribe_from(node, 0, 2, "log:a", "e", 2, "p-2");
    subscribe_from(node, 1, 1, "log:a", "e", 4, "p-4");
    expect(&node->wire[0][2], "\"recovered\":true");
    expect_events(&node->wire[0][2], 3, 5);
    expect(&node->wire[1][1], "\"recovered\":true");
    expect_events(&node->wire[1][1], 5, 5);
    assert_int_equal(node->read_count, 1);
    teardown(node);
}

/* The missed events are in the window. The event whose id the client names is not, so a read must show it. */
static void test_id_that_is_not_in_the_window(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    subscribe(node, 0, 1, "log:a", "e", 2); /* reads 3, 4, 5 */
    answer_reads(node);
    expect(&node->wire[0][1], "\"recovered\":true");
    expect_events(&node->wire[0][1], 3, 5);
    subscribe_from(node, 0, 2, "log:a", "e", 2, "q-2");
    subscribe_from(node, 1, 2, "log:a", "e", 2, "p-2");
    expect_nothing(&node->wire[0][2]);
    expect_nothing(&node->wire[1][2]);
    answer_reads(node);
    expect(&node->wire[0][2], "\"recovered\":false");
    expect(&node->wire[1][2], "\"recovered\":true");
    expect_events(&node->wire[1][2], 3, 5);
    expect_nothing(&node->wire[0][2]);
    teardown(node);
}

static void test_id_that_is_no_longer_kept(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    node->first = 4;
    subscribe_from(node, 0, 1, "log:a", "e", 3, "p-3"); /* it may be any event */
    subscribe(node, 0, 2, "log:a", "e", 3);
    answer_reads(node);
    expect(&node->wire[0][1], "\"offset\":5,\"id\":\"p-5\",\"recovered\":false");
    expect(&node->wire[0][2], "\"offset\":3,\"recovered\":true");
    unsigned reads = node->read_count;
    subscribe_from(node, 1, 1, "log:a", "e", 3, "p-3"); /* known by now */
    subscribe_from(node, 1, 2, "log:a", "e", 0, "p-0"); /* no event has that offset */
    expect(&node->wire[1][1], "\"recovered\":false");
    expect(&node->wire[1][2], "\"recovered\":false");
    assert_int_equal(node->read_count, reads);
    teardown(node);
}

/* All older ones have gone with age, and the broker has kept the id of the last of them. */
static void test_id_of_the_last_one_that_has_aged(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    node->first = 4;
    node->knows_before = true;
    subscribe_from(node, 0, 1, "log:a", "e", 3, "p-3");
    subscribe_from(node, 0, 2, "log:a", "e", 3, "q-3");
    answer_reads(node);
    expect(&node->wire[0][1], "\"offset\":3,\"id\":\"p-3\",\"recovered\":true");
    expect_events(&node->wire[0][1], 4, 5);
    expect(&node->wire[0][2], "\"offset\":5,\"id\":\"p-5\",\"recovered\":false");
    node->first = 6;
    subscribe_from(node, 1, 1, "log:a", "e", 5, "q-5"); /* and now there is none left to read */
    answer_reads(node);
    expect(&node->wire[1][1], "\"recovered\":false");
    node->knows_before = false;
    live(node, 6);
    subscribe_from(node, 1, 2, "log:a", "e", 5, "p-5");
    answer_reads(node);
    expect(&node->wire[1][2], "\"offset\":5,\"id\":\"p-5\",\"recovered\":true");
    expect_events(&node->wire[1][2], 6, 6);
    teardown(node);
}

static void test_return_while_the_broker_is_away(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    atomic_store(&node->router.broker_state, BROKER_DOWN);
    subscribe(node, 0, 1, "log:a", "e", 5); /* nothing to read: at once */
    expect(&node->wire[0][1], "\"offset\":5,\"recovered\":true");
    subscribe(node, 0, 2, "log:a", "e", 3);
    for (int i = 0; i < 400; i++) {
        fail_reads(node, ERR_UNAVAILABLE);
        tick(node, 100);
    }
    expect_nothing(&node->wire[0][2]);
    fail_reads(node, ERR_UNAVAILABLE);
    atomic_store(&node->router.broker_state, BROKER_UP);
    store(node, 7);
    position(node, "log:a");
    answer_reads(node);
    expect(&node->wire[0][2], "\"offset\":3,\"recovered\":true");
    expect_events(&node->wire[0][2], 4, 7);
    expect_events(&node->wire[0][1], 6, 7);
    expect_events(&node->wire[0][0], 6, 7);
    teardown(node);
}

static void test_long_absence_comes_in_pages(void **state)
{
    struct node *node = setup_at_five();
    (void)state;
    live(node, 1000);
    answer_reads(node); /* the first client is too slow for it by its limits; never mind */
    struct wire *wire = &node->wire[0][1];
    uint64_t seen = 0;
    subscribe(node, 0, 1, "log:a", "e", 0);
    for (int i = 0; i < 400 && seen < 1001; i++) {
        if (i == 100)
            live(node, 1001);
        answer_reads(node);
        pass(&node->worker[0], 20);
        turn_all(node);
        for (const char *frame; *(frame = next_frame(wire, NULL));) {
            const char *at = strstr(frame, "\"type\":\"note\"") ? strstr(frame, "\"offset\":") : NULL;
            if (at)
                assert_int_equal(strtoull(at + 9, NULL, 10), ++seen);
        }
    }
    assert_int_equal(seen, 1001);
    live(node, 1002);
    expect_events(wire, 1002, 1002);
    teardown(node);
}

/* However many come back to a channel, a read or two serve them. */
static void test_storm_shares_reads(void **state)
{
    enum { CROWD = 500 };
    static struct wire crowd[WORKERS][CROWD];
    struct node *node = setup_at_five();
    (void)state;
    store(node, 105);
    position(node, "log:a");
    answer_reads(node);
    tick(node, 11000);
    assert_true(list_is_empty(&node->router.catchups.busy));
    assert_int_equal(node->router.catchups.budget.bytes, 0);
    unsigned reads = node->read_count;
    for (int w = 0; w < WORKERS; w++) {
        node->worker[w].settings.outbox_max_messages = 10000;
        node->worker[w].settings.outbox_max_bytes = 1 << 24;
        hub_configure(node->worker[w].hub, &node->worker[w].settings, node->worker[w].rules);
        for (int c = 0; c < CROWD; c++) {
            char text[160];
            open_session(&node->worker[w], &crowd[w][c], "{\"sub\":\"bob\"}");
            snprintf(
                text, sizeof text,
                "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:a\",\"since\":{\"epoch\":\"e\",\"offset\":%d}}}",
                5 + c % 60);
            send_text(&node->worker[w], &crowd[w][c], text);
            if (c == CROWD / 2)
                turn_all(node);
        }
    }
    turn_all(node);
    answer_reads(node);
    live(node, 106);
    assert_in_range(node->read_count - reads, 1, 2);
    for (int w = 0; w < WORKERS; w++)
        for (int c = 0; c < CROWD; c++) {
            expect(&crowd[w][c], "\"recovered\":true");
            expect_events(&crowd[w][c], 6 + (uint64_t)c % 60, 106);
            expect_nothing(&crowd[w][c]);
            close_session(&node->worker[w], &crowd[w][c]);
        }
    teardown(node);
}

/* On a busy channel somebody always comes back: what is kept at hand for them is what they ask for, not all since. */
static void test_steady_returns_keep_a_moment(void **state)
{
    struct node *node = setup_at_five();
    struct wire *wire = &node->wire[0][1];
    size_t after_a_minute = 0;
    (void)state;
    node->worker[0].settings.outbox_max_messages = 10000;
    node->worker[0].settings.outbox_max_bytes = 1 << 24;
    hub_configure(node->worker[0].hub, &node->worker[0].settings, node->worker[0].rules);
    for (uint64_t second = 1; second <= 300; second++) {
        for (int i = 0; i < 4; i++)
            live(node, node->last + 1);
        subscribe(node, 0, 1, "log:a", "e", (int64_t)node->last - 2);
        answer_reads(node);
        expect(wire, "\"recovered\":true");
        expect_events(wire, node->last - 1, node->last);
        send_text(&node->worker[0], wire, "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"log:a\"}}");
        expect(wire, "unsubscribed");
        tick(node, 1000);
        for (int w = 0; w < WORKERS; w++)
            expect_events(&node->wire[w][0], node->last - 3, node->last);
        if (second == 60)
            after_a_minute = node->router.catchups.budget.bytes;
    }
    assert_int_equal(node->read_count, 1);
    assert_in_range(node->router.catchups.budget.bytes, 1, 2 * after_a_minute);
    subscribe(node, 0, 1, "log:a", "e", (int64_t)node->last - 200); /* what was forgotten is read again */
    answer_reads(node);
    expect(wire, "\"recovered\":true");
    expect_events(wire, node->last - 199, node->last);
    assert_int_equal(node->read_count, 2);
    teardown(node);
}

static void test_reads_of_many_channels_are_paced(void **state)
{
    enum { CROWD = 100 };
    static struct wire crowd[CROWD];
    struct node *node = setup();
    (void)state;
    node->last = 9;
    for (int c = 0; c < CROWD; c++) {
        char text[160];
        open_session(&node->worker[0], &crowd[c], "{\"sub\":\"bob\"}");
        snprintf(text, sizeof text,
                 "{\"type\":\"subscribe\",\"data\":{\"channel\":\"log:%d\",\"since\":{\"epoch\":\"e\",\"offset\":4}}}",
                 c);
        send_text(&node->worker[0], &crowd[c], text);
        turn_all(node);
        snprintf(text, sizeof text, "log:%d", c);
        position(node, text);
    }
    assert_int_equal(node->read_count, 16);
    answer_reads(node);
    assert_int_equal(node->read_count, CROWD);
    assert_int_equal(node->most_reads, 16);
    for (int c = 0; c < CROWD; c++) {
        expect(&crowd[c], "\"recovered\":true");
        expect_events(&crowd[c], 5, 9);
        close_session(&node->worker[0], &crowd[c]);
    }
    teardown(node);
}

/* No room for anything but the page at hand: more reads, the same result. */
static void test_without_memory(void **state)
{
    struct node *node = setup();
    (void)state;
    router_configure(&node->router, &(struct router_settings){.recovery_bytes_max = 1, .reads_max = 1});
    node->last = 5;
    subscribe(node, 0, 0, "log:a", "e", 1);
    subscribe(node, 1, 0, "log:a", "e", 3);
    position(node, "log:a");
    answer_reads(node);
    live(node, 8);
    live(node, 9);
    answer_reads(node);
    expect(&node->wire[0][0], "\"recovered\":true");
    expect_events(&node->wire[0][0], 2, 9);
    expect(&node->wire[1][0], "\"recovered\":true");
    expect_events(&node->wire[1][0], 4, 9);
    teardown(node);
}

/* --- at random ------------------------------------------------------------------------------------------------- */

/* A client's own account of where it is, kept over its subscriptions. */
struct account {
    bool subscribed;
    bool fresh; /* has no position to come back with */
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
    char id[EPOCH_MAX + 1]; /* of the event there; "": not told */
};

static void read_text(const char *frame, const char *name, char out[EPOCH_MAX + 1])
{
    const char *at = strstr(frame, name);
    out[0] = '\0';
    if (at)
        sscanf(at + strlen(name), ":\"%32[^\"]", out);
}

static uint64_t read_offset(const char *frame)
{
    const char *at = strstr(frame, "\"offset\":");
    return at ? strtoull(at + 9, NULL, 10) : 0;
}

/* Each event is the next one of the epoch that the client is in, or a gap was announced. */
static void account_for(struct account *account, const char *frame)
{
    char epoch[EPOCH_MAX + 1];
    read_text(frame, "\"epoch\"", epoch);
    read_text(frame, "\"id\"", account->id);
    if (strstr(frame, "\"type\":\"note\"")) {
        read_text(frame, "\"data\"", epoch);
        assert_string_equal(epoch, account->epoch);
        assert_int_equal(read_offset(frame), ++account->offset);
    } else if (strstr(frame, "\"type\":\"gap\"") || strstr(frame, "\"recovered\":false")) {
        strcpy(account->epoch, epoch);
        account->offset = read_offset(frame);
        account->fresh = false;
    } else if (strstr(frame, "\"recovered\":true")) {
        assert_string_equal(epoch, account->epoch);
        assert_int_equal(read_offset(frame), account->offset);
    }
}

/* Pub/sub of the broker has yet to bring this: a position, where offset is that of the log then, or an event. */
struct passing {
    bool is_position;
    char epoch[EPOCH_MAX + 1];
    uint64_t offset;
};

enum { PASSING_MAX = 64, KEPT = 25 };

struct chaos {
    struct node *node;
    struct account account[WORKERS][CLIENTS];
    struct passing passing[PASSING_MAX];
    size_t passing_count;
    unsigned epochs;
    bool asked; /* the first subscribe has been answered */
};

static void pass_on(struct chaos *c, bool is_position)
{
    struct passing *passing = &c->passing[c->passing_count++];
    *passing = (struct passing){.is_position = is_position, .offset = c->node->last};
    strcpy(passing->epoch, c->node->epoch);
}

static void bring(struct chaos *c)
{
    struct node *node = c->node;
    if (!c->passing_count)
        return;
    struct passing first = c->passing[0];
    memmove(c->passing, c->passing + 1, --c->passing_count * sizeof first);
    if (first.is_position) {
        router_subscribed(&node->router, STR("log:a"), ERR_NONE, STR(""),
                          &(struct position){str_from_cstr(first.epoch), first.offset, STR("")});
    } else {
        char data[24];
        char text[EPOCH_MAX + 3];
        struct event event = event_of(node, STR("log:a"), first.epoch, first.offset, data);
        snprintf(text, sizeof text, "\"%s\"", first.epoch);
        event.data = str_from_cstr(text);
        router_event(&node->router, &event);
    }
    turn_all(node);
}

static void come_or_go(struct chaos *c, int worker, int client)
{
    struct node *node = c->node;
    struct account *account = &c->account[worker][client];
    if (account->subscribed) {
        send_text(&node->worker[worker], &node->wire[worker][client],
                  "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"log:a\"}}");
        turn_all(node);
    } else {
        subscribe_from(node, worker, client, "log:a", account->epoch, account->fresh ? -1 : (int64_t)account->offset,
                       account->id[0] && client > 0 ? account->id : NULL);
    }
    account->subscribed = !account->subscribed;
}

static void step(struct chaos *c)
{
    struct node *node = c->node;
    int dice = rand() % 100;
    if (dice < 30 && c->passing_count < PASSING_MAX - 2) {
        node->last++;
        node->first = node->last > KEPT ? node->last - KEPT + 1 : 1;
        if (rand() % 20) /* else pub/sub loses it */
            pass_on(c, false);
    } else if (dice < 60) {
        bring(c);
    } else if (dice < 75 && !list_is_empty(&node->reads)) {
        struct list_link *oldest = list_take_first(&node->reads);
        router_answered(&node->router, CONTAINER_OF(oldest, struct request, link));
        turn_all(node);
    } else if (dice < 77) {
        fail_reads(node, ERR_UNAVAILABLE);
    } else if (dice < 80) {
        c->passing_count = 0; /* the connection breaks */
        if (rand() % 4 == 0) {
            snprintf(node->epoch, sizeof node->epoch, "e%u", ++c->epochs);
            node->last = 0;
            node->first = 1;
        }
        fail_reads(node, ERR_UNAVAILABLE);
        pass_on(c, true);
    } else if (dice < 92) {
        come_or_go(c, rand() % WORKERS, rand() % CLIENTS);
    } else {
        tick(node, 100);
        for (int w = 0; w < WORKERS; w++)
            pass(&node->worker[w], 20);
    }
}

/* The model's log tells the epoch in the data too. */
static void check_accounts(struct chaos *c)
{
    for (int w = 0; w < WORKERS; w++)
        for (int i = 0; i < CLIENTS; i++)
            for (const char *frame; *(frame = next_frame(&c->node->wire[w][i], NULL));)
                account_for(&c->account[w][i], frame);
}

static void test_at_random(void **state)
{
    enum { RUNS = 200, STEPS = 400 };
    (void)state;
    for (unsigned seed = 1; seed <= RUNS; seed++) {
        struct chaos c = {.node = setup()};
        struct node *node = c.node;
        srand(seed);
        node->data_is_epoch = true;
        for (int w = 0; w < WORKERS; w++) {
            for (int i = 0; i < CLIENTS; i++)
                c.account[w][i].fresh = true;
            node->worker[w].settings.outbox_max_messages = 200;
            node->worker[w].settings.outbox_max_bytes = 1 << 20;
            node->worker[w].settings.linger_us = UINT64_C(3600) * 1000000; /* one subscription for the whole run */
            hub_configure(node->worker[w].hub, &node->worker[w].settings, node->worker[w].rules);
        }
        come_or_go(&c, 0, 0);
        pass_on(&c, true);
        for (int n = 0; n < STEPS; n++) {
            step(&c);
            check_accounts(&c);
        }
        /* Calm: the broker is back, and everybody has all there is. */
        c.passing_count = 0;
        pass_on(&c, true);
        bring(&c);
        for (int n = 0; n < 40; n++) {
            tick(node, 300);
            answer_reads(node);
            for (int w = 0; w < WORKERS; w++)
                pass(&node->worker[w], 20);
            turn_all(node);
        }
        check_accounts(&c);
        for (int w = 0; w < WORKERS; w++)
            for (int i = 0; i < CLIENTS; i++)
                if (c.account[w][i].subscribed) {
                    if (strcmp(c.account[w][i].epoch, node->epoch) != 0 || c.account[w][i].offset != node->last)
                        fail_msg("seed %u: client %d.%d is at %s %llu, the log at %s %llu", seed, w, i,
                                 c.account[w][i].epoch, (unsigned long long)c.account[w][i].offset, node->epoch,
                                 (unsigned long long)node->last);
                }
        for (int w = 0; w < WORKERS; w++) {
            node->worker[w].settings.linger_us = 1000;
            hub_configure(node->worker[w].hub, &node->worker[w].settings, node->worker[w].rules);
            pass(&node->worker[w], 2 * 3600 * 1000);
        }
        teardown(node);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_that_comes_twice),
        cmocka_unit_test(test_jump_is_filled_from_the_history),
        cmocka_unit_test(test_history_may_be_ahead),
        cmocka_unit_test(test_jump_that_is_longer_than_a_page),
        cmocka_unit_test(test_what_is_no_longer_kept),
        cmocka_unit_test(test_reads_that_fail),
        cmocka_unit_test(test_broker_comes_back),
        cmocka_unit_test(test_broker_comes_back_and_nobody_can_say),
        cmocka_unit_test(test_proof_needs_a_later_read),
        cmocka_unit_test(test_last_event_was_replaced),
        cmocka_unit_test(test_held_before_the_connection_was_lost),
        cmocka_unit_test(test_broker_comes_back_with_another_history),
        cmocka_unit_test(test_history_begins_anew_while_it_is_read),
        cmocka_unit_test(test_channel_without_history),
        cmocka_unit_test(test_what_is_known_of_a_replaced_history),
        cmocka_unit_test(test_broker_comes_back_empty_while_it_is_read),
        cmocka_unit_test(test_broker_comes_back_to_a_channel_with_joins),
        cmocka_unit_test(test_channel_that_has_lost_its_history),
        cmocka_unit_test(test_channel_that_is_given_a_history),
        cmocka_unit_test(test_event_before_the_position),
        cmocka_unit_test(test_channel_without_a_position_is_asked_for),
        cmocka_unit_test(test_page_of_a_channel_that_is_gone),
        cmocka_unit_test(test_return_to_a_new_channel),
        cmocka_unit_test(test_return_too_late),
        cmocka_unit_test(test_return_from_the_future),
        cmocka_unit_test(test_return_from_an_epoch_to_come),
        cmocka_unit_test(test_return_with_the_last_id),
        cmocka_unit_test(test_ids_of_another_past),
        cmocka_unit_test(test_many_with_ids_share_a_read),
        cmocka_unit_test(test_id_that_is_not_in_the_window),
        cmocka_unit_test(test_id_that_is_no_longer_kept),
        cmocka_unit_test(test_id_of_the_last_one_that_has_aged),
        cmocka_unit_test(test_return_while_the_broker_is_away),
        cmocka_unit_test(test_long_absence_comes_in_pages),
        cmocka_unit_test(test_storm_shares_reads),
        cmocka_unit_test(test_steady_returns_keep_a_moment),
        cmocka_unit_test(test_reads_of_many_channels_are_paced),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_at_random),
    };
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT); /* histories are lost all the time here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
