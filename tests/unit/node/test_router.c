/* test_router.c - two workers' hubs and one fake broker. Both hubs share one subscription, and get the events that
 * they want. */
#include <stdio.h>

#include "server/node/router.h"
#include "tests/unit/core/hub_fixture.h"

struct fake_broker {
    struct broker base;
    struct buf asked;
    struct history_policy history; /* of the last subscribe */
    struct request *request;
};

static void fake_ask(struct broker *broker, struct request *request)
{
    ((struct fake_broker *)broker)->request = request;
}

static void fake_subscribe(struct broker *broker, struct str channel, const struct history_policy *history)
{
    struct fake_broker *fake = (struct fake_broker *)broker;
    buf_appendf(&fake->asked, "+%.*s ", STR_ARG(channel));
    fake->history = *history;
}

static void fake_unsubscribe(struct broker *broker, struct str channel)
{
    buf_appendf(&((struct fake_broker *)broker)->asked, "-%.*s ", STR_ARG(channel));
}

static const struct broker_ops fake_ops = {
    .ask = fake_ask, .subscribe = fake_subscribe, .unsubscribe = fake_unsubscribe};

struct node {
    uv_loop_t loop;
    struct turn turn;
    struct router router;
    struct metrics metrics;
    struct fake_broker broker;
    struct fixture worker[2];
    struct wire wire[2];
};

/* One turn of every loop, until all mail has been delivered. */
static void turn_all(struct node *node)
{
    for (int round = 0; round < 3; round++) {
        uv_run(&node->loop, UV_RUN_NOWAIT);
        for (int i = 0; i < 2; i++) {
            uv_run(&node->worker[i].loop, UV_RUN_NOWAIT);
            hub_flush(node->worker[i].hub);
        }
    }
}

static void setup(struct node *node)
{
    memset(node, 0, sizeof *node);
    uv_loop_init(&node->loop);
    turn_init(&node->turn, &node->loop);
    metrics_init(&node->metrics, -1);
    router_init(&node->router, &node->turn, &node->metrics);
    node->broker.base.ops = &fake_ops;
    node->router.broker = &node->broker.base;
    for (int i = 0; i < 2; i++) {
        fixture_setup(&node->worker[i]);
        open_session(&node->worker[i], &node->wire[i], "{\"sub\":\"alice\"}");
        assert_int_equal(router_add_worker(&node->router, &node->worker[i].replies), i);
    }
}

static void teardown(struct node *node)
{
    for (int i = 0; i < 2; i++) {
        close_session(&node->worker[i], &node->wire[i]);
        fixture_teardown(&node->worker[i]);
    }
    mailbox_close(&node->router.mailbox);
    router_fini(&node->router);
    turn_close(&node->turn);
    uv_run(&node->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&node->loop), 0);
    buf_fini(&node->broker.asked);
}

static void subscribe(struct node *node, int worker, const char *channel)
{
    char text[128];
    snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"%s\"}}", channel);
    send_text(&node->worker[worker], &node->wire[worker], text);
    router_join(&node->router, (unsigned)worker, str_from_cstr(channel), &node->worker[worker].last_join);
    turn_all(node);
}

static void broker_answers(struct node *node, const char *channel, enum err err, uint64_t offset)
{
    router_subscribed(&node->router, str_from_cstr(channel), err, STR("refused by the broker"),
                      &(struct position){STR("e"), offset, STR("")});
    turn_all(node);
}

static void broker_event(struct node *node, const char *channel, uint64_t offset)
{
    struct event event = {.channel = str_from_cstr(channel),
                          .type = STR("note"),
                          .id = STR("i"),
                          .epoch = STR("e"),
                          .offset = offset,
                          .timestamp = STR("t"),
                          .data = STR("1")};
    router_event(&node->router, &event);
    turn_all(node);
}

static void test_one_subscription_for_all_workers(void **state)
{
    static struct node node;
    (void)state;
    setup(&node);
    subscribe(&node, 0, "log:a");
    subscribe(&node, 1, "log:a");
    assert_string_equal(buf_cstr(&node.broker.asked), "+log:a ");
    assert_string_equal(next_frame(&node.wire[0], NULL), "");
    broker_event(&node, "log:a", 41); /* before the answer: nobody's yet */
    broker_answers(&node, "log:a", ERR_NONE, 41);
    for (int i = 0; i < 2; i++)
        assert_non_null(strstr(next_frame(&node.wire[i], NULL), "\"offset\":41"));
    broker_event(&node, "log:a", 42);
    for (int i = 0; i < 2; i++)
        assert_non_null(strstr(next_frame(&node.wire[i], NULL), "\"offset\":42"));

    router_leave(&node.router, 0, STR("log:a"));
    turn_all(&node);
    broker_event(&node, "log:a", 43);
    assert_string_equal(next_frame(&node.wire[0], NULL), "");
    assert_non_null(strstr(next_frame(&node.wire[1], NULL), "\"offset\":43"));
    assert_string_equal(buf_cstr(&node.broker.asked), "+log:a ");
    router_leave(&node.router, 1, STR("log:a"));
    turn_all(&node);
    assert_string_equal(buf_cstr(&node.broker.asked), "+log:a -log:a ");
    router_leave(&node.router, 1, STR("log:a")); /* once more does no harm */
    turn_all(&node);
    assert_int_equal(node.router.channels.count, 0);
    teardown(&node);
}

static void test_late_worker_gets_the_present_position(void **state)
{
    static struct node node;
    (void)state;
    setup(&node);
    subscribe(&node, 0, "log:a");
    broker_answers(&node, "log:a", ERR_NONE, 5);
    broker_event(&node, "log:a", 6);
    subscribe(&node, 1, "log:a");
    assert_non_null(strstr(next_frame(&node.wire[1], NULL), "\"offset\":6"));
    teardown(&node);
}

static void test_broker_is_told_of_the_history(void **state)
{
    static struct node node;
    (void)state;
    setup(&node);
    subscribe(&node, 0, "log:a");
    assert_int_equal(node.broker.history.size, 10);
    assert_int_equal(node.broker.history.ttl_ms, 1000);
    broker_answers(&node, "log:a", ERR_NONE, 0);
    assert_non_null(strstr(next_frame(&node.wire[0], NULL), "\"epoch\":\"e\",\"offset\":0"));
    subscribe(&node, 0, "public:a");
    assert_int_equal(node.broker.history.size, 0);
    teardown(&node);
}

static void test_the_latest_rules_decide(void **state)
{
    static struct node node;
    (void)state;
    setup(&node);
    subscribe(&node, 0, "log:a");
    struct channel_join join = node.worker[0].last_join;
    join.history.size = 0;
    join.rules_version--; /* the other worker has not followed the reload yet */
    router_join(&node.router, 1, STR("log:a"), &join);
    turn_all(&node);
    assert_int_equal(node.broker.history.size, 10);
    join.rules_version += 2;
    router_join(&node.router, 1, STR("log:a"), &join);
    turn_all(&node);
    assert_int_equal(node.broker.history.size, 0);
    router_leave(&node.router, 1,
                 STR("log:a")); /* before it follows the next reload, whose rules are the first again */
    turn_all(&node);
    assert_int_equal(node.broker.history.size, 10);
    teardown(&node);
}

static void test_refusal_reaches_all_who_wait(void **state)
{
    static struct node node;
    (void)state;
    setup(&node);
    subscribe(&node, 0, "public:a");
    subscribe(&node, 1, "public:a");
    broker_answers(&node, "public:a", ERR_SUBSCRIPTION_FAILED, 0);
    for (int i = 0; i < 2; i++)
        assert_non_null(strstr(next_frame(&node.wire[i], NULL), "refused by the broker"));
    assert_int_equal(node.router.channels.count, 0);
    subscribe(&node, 0, "public:a"); /* may be tried again */
    assert_string_equal(buf_cstr(&node.broker.asked), "+public:a +public:a ");
    teardown(&node);
}

static void note_done(struct request *request, void *owner)
{
    *(void **)request->waiter = owner;
    request_destroy(request);
}

static void test_publication_comes_back_to_its_worker(void **state)
{
    static struct node node;
    void *came_back_to = NULL;
    (void)state;
    setup(&node);
    const struct event_offer offer = {.channel = STR("c"), .type = STR("note"), .data = {.raw = STR("1")}};
    struct request *request = &publication_create(&offer, STR(""))->base;
    request->reply_to = &node.worker[1].replies;
    request->done = note_done;
    request->waiter = &came_back_to;
    router_ask(&node.router, request);
    turn_all(&node);
    assert_ptr_equal(node.broker.request, request);
    assert_null(came_back_to);
    router_answered(&node.router, request);
    turn_all(&node);
    assert_ptr_equal(came_back_to, node.worker[1].hub);
    teardown(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_subscription_for_all_workers),
        cmocka_unit_test(test_late_worker_gets_the_present_position),
        cmocka_unit_test(test_broker_is_told_of_the_history),
        cmocka_unit_test(test_the_latest_rules_decide),
        cmocka_unit_test(test_refusal_reaches_all_who_wait),
        cmocka_unit_test(test_publication_comes_back_to_its_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
